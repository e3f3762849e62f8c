#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <random>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it to the program

namespace progress_tracker::processes {
namespace {

constexpr const char* kActorFlag = "--actor";

[[noreturn]] void fail(int error, const char* what) {
  throw std::system_error(error, std::generic_category(), what);
}

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      fail(errno, "pipe2");
    }
    read = ends[0];
    write = ends[1];
  }
  int read;
  int write;
};

std::map<std::string, int (*)(const Arguments&)>& actors() {
  static std::map<std::string, int (*)(const Arguments&)> known;
  return known;
}

// A write to an actor that died must not end the test.
void ignore_broken_pipes() { std::signal(SIGPIPE, SIG_IGN); }

}  // namespace

Process::Process(std::string_view actor, const std::vector<std::string>& arguments) {
  ignore_broken_pipes();
  const Pipe in;
  const Pipe out;
  std::vector<std::string> words{"/proc/self/exe", kActorFlag, std::string(actor)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.read, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.write, STDOUT_FILENO);
  const int error = posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(in.read);
  ::close(out.write);
  input_ = in.write;
  output_ = out.read;
  if (error != 0) {
    pid_ = -1;
    fail(error, "posix_spawn");
  }
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      input_(std::exchange(other.input_, -1)),
      output_(std::exchange(other.output_, -1)),
      ended_(other.ended_),
      status_(other.status_),
      buffer_(std::move(other.buffer_)),
      begin_(other.begin_) {}

Process::~Process() {
  kill();
  close_input();
  if (output_ >= 0) {
    ::close(output_);
  }
}

void Process::send(const std::string& line) const {
  const std::string text = line + '\n';
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(input_, text.data() + done, text.size() - done);
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      fail(errno, "write to an actor");
    }
    done += static_cast<std::size_t>(written);
  }
}

void Process::close_input() {
  if (input_ >= 0) {
    ::close(std::exchange(input_, -1));
  }
}

std::optional<std::string> Process::next_line() {
  const std::size_t end = buffer_.find('\n', begin_);
  if (end == std::string::npos) {
    buffer_.erase(0, begin_);
    begin_ = 0;
    return std::nullopt;  // what is left of it, if anything, was cut off by a death
  }
  std::string line = buffer_.substr(begin_, end - begin_);
  begin_ = end + 1;
  return line;
}

// False: nothing came in time, or the output has ended.
bool Process::read_more(std::chrono::milliseconds patience) {
  if (ended_) {
    return false;
  }
  pollfd ready{.fd = output_, .events = POLLIN, .revents = 0};
  const int count = ::poll(&ready, 1, static_cast<int>(patience.count()));
  if (count <= 0) {
    return count < 0 && errno == EINTR;
  }
  std::array<char, 65536> chunk{};
  const ssize_t got = ::read(output_, chunk.data(), chunk.size());
  if (got > 0) {
    buffer_.append(chunk.data(), static_cast<std::size_t>(got));
  } else if (got == 0 || errno != EINTR) {
    ended_ = true;
  }
  return true;
}

std::optional<std::string> Process::receive() {
  for (;;) {
    if (auto line = next_line()) {
      return line;
    }
    if (ended_) {
      return std::nullopt;
    }
    if (!read_more(kPatience)) {
      throw std::runtime_error("an actor hangs: nothing heard from it for a minute");
    }
  }
}

std::optional<std::string> Process::receive_if_there() {
  for (;;) {
    if (auto line = next_line()) {
      return line;
    }
    if (!read_more(std::chrono::milliseconds{0})) {
      return std::nullopt;
    }
  }
}

std::vector<std::string> Process::receive_rest() {
  std::vector<std::string> lines;
  while (auto line = receive()) {
    lines.push_back(std::move(*line));
  }
  return lines;
}

void Process::kill() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }
}

void Process::stop() {
  signal(SIGSTOP);
  while (::waitpid(pid_, &status_, WUNTRACED) < 0 && errno == EINTR) {
  }
  if (!WIFSTOPPED(status_)) {
    pid_ = -1;
    throw std::runtime_error("an actor ended before it could be stopped");
  }
}

void Process::go_on() const { signal(SIGCONT); }

// Never to pid -1, which is everybody.
void Process::signal(int number) const {
  if (pid_ <= 0) {
    throw std::logic_error("the actor is gone");
  }
  ::kill(pid_, number);
}

int Process::wait() {
  close_input();
  if (pid_ > 0) {
    receive_rest();  // so that it cannot be kept waiting by a full pipe; and has a deadline
    while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
}

int end_of(pid_t child) {
  const auto end = std::chrono::steady_clock::now() + kPatience / 4;
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
      return -1;
    }
    // Leaves the processor to the child: how soon its end is seen does not change what it was.
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

unsigned test_seed() {
  const char* given = std::getenv("PROGRESS_TRACKER_TEST_SEED");
  return given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10))
                          : std::random_device{}();
}

int draw(Random& random, int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random);
}

int scaled(int usual) {
  const char* scale = std::getenv("PROGRESS_TRACKER_TEST_SCALE");
  return scale != nullptr ? usual * std::max(1, std::atoi(scale)) : usual;
}

RegisterActor::RegisterActor(const char* name, int (*function)(const Arguments&)) {
  actors().emplace(name, function);
}

void say(const std::string& line) {
  const std::string text = line + '\n';
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (written < 0 && errno != EINTR) {
      ::_exit(4);  // the test is gone
    }
    done += written > 0 ? static_cast<std::size_t>(written) : 0;
  }
}

std::optional<std::string> hear() {
  std::string line;
  if (!std::getline(std::cin, line)) {
    return std::nullopt;
  }
  return line;
}

std::optional<int> run_if_actor(int argc, char** argv) {
  if (argc < 3 || std::strcmp(argv[1], kActorFlag) != 0) {
    return std::nullopt;
  }
  // No actor outlives its test.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto found = actors().find(argv[2]);
  if (found == actors().end()) {
    std::cerr << "no such actor: " << argv[2] << '\n';
    return 2;
  }
  try {
    return found->second(Arguments(argv + 3, argv + argc));
  } catch (const std::exception& error) {
    std::cerr << "actor " << argv[2] << ": " << error.what() << '\n';
    return 3;
  }
}

}  // namespace progress_tracker::processes

#include "cli/child_processes.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>
#include <thread>
#include <utility>

#include "cli/descriptor.h"

namespace progress_tracker::cli {
namespace {

using std::chrono::milliseconds;

struct Start {
  const Program& program;
  char* const* words;
  char* const* shell_words;  // for /bin/sh: its name, the program, its arguments
  WatchedGroup& watched;
  pid_t tool;
  int null_input;
  int output;  // -1: ours, or our standard error
  int error_output;
};

// The new process, from its birth to the command. It uses the tool's memory while the thread that
// started it waits: nothing but system calls, and no allocation, from here on.
[[noreturn]] void become_command(const Start& start) {
  // First what must hold even if the tool is killed at this very moment.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != start.tool) _exit(127);
  setpgid(0, 0);
  start.watched.group.store(getpid());

  struct sigaction as_usual {};
  as_usual.sa_handler = SIG_DFL;
  // A shell has SIGINT ignored for what it starts with &: but we pass on what we get.
  for (const int signal : {SIGPIPE, SIGINT, SIGTERM}) sigaction(signal, &as_usual, nullptr);
  sigset_t none;
  sigemptyset(&none);
  int output = start.output;
  if (output < 0) output = start.program.output_to_error ? STDERR_FILENO : STDOUT_FILENO;
  if (dup2(start.null_input, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
      dup2(start.error_output, STDERR_FILENO) >= 0) {
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (start.program.open_files) setrlimit(RLIMIT_NOFILE, &*start.program.open_files);
    execve(start.program.path.c_str(), start.words, environ);
    if (errno == ENOEXEC && start.program.for_shell) {
      execve(start.shell_words[0], start.shell_words, environ);
    }
  }
  start.watched.start_error.store(errno);
  _exit(127);
}

// posix_spawn() would do, but for two things: it has no place to set the parent-death signal, and
// it tells the new process's id only once the command runs. The tool may be killed in between.
pid_t start_process(const Start& start) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t process = vfork();            // NOLINT(clang-analyzer-security.insecureAPI.vfork)
  if (process == 0) become_command(start);  // NOLINT(clang-analyzer-unix.Vfork)
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return process;
}

// A machine that is out of processes for a moment is no reason to give up.
pid_t start_patiently(const Start& start) {
  constexpr int kTries = 10;
  for (int attempt = 1;; ++attempt) {
    const pid_t process = start_process(start);
    if (process > 0) return process;
    if (errno != EAGAIN || attempt == kTries) throw CannotStart(errno);
    std::this_thread::sleep_for(milliseconds(200));
  }
}

// Whether the next image's command may well start though this one did not.
bool is_about_these_words(int error) { return error == E2BIG; }

std::string seconds_text(milliseconds duration) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g s", static_cast<double>(duration.count()) / 1000);
  return text.data();
}

}  // namespace

CannotStart::CannotStart(int error)
    : std::runtime_error(std::generic_category().message(error)), error_(error) {}

std::string describe_failure(const ChildResult& result) {
  std::string text;
  if (result.timed_out) {
    text = "timed out after " + seconds_text(*result.timed_out);
  } else if (result.signal != 0) {
    text = "killed by signal " + std::to_string(result.signal);
  } else {
    text = "exit status " + std::to_string(result.exit_status);
  }
  std::string_view output = result.error_output;
  while (!output.empty() && (output.back() == '\n' || output.back() == ' ')) {
    output.remove_suffix(1);
  }
  if (!output.empty()) text.append(": ").append(output);
  return text;
}

// One command, from its start until it has been collected.
class ChildProcesses::Running {
 public:
  Running(ChildProcesses& owner, const std::vector<std::string>& words) : owner_(owner) {
    // The words twice, once behind the shell.
    const std::string shell = "/bin/sh";
    std::vector<char*> pointers;
    const auto add = [&](const std::string& word) {
      pointers.push_back(const_cast<char*>(word.c_str()));
    };
    for (const std::string& word : words) add(word);
    pointers.push_back(nullptr);
    const std::size_t behind = pointers.size();
    add(shell);
    add(owner_.program_.path);
    std::for_each(words.begin() + 1, words.end(), add);
    pointers.push_back(nullptr);

    const Descriptor error_end = make_pipe(error_output_);
    Descriptor output_end;
    if (owner_.program_.take_output) output_end = make_pipe(output_);

    take_slot();
    try {
      process_ = start_patiently({.program = owner_.program_,
                                  .words = pointers.data(),
                                  .shell_words = pointers.data() + behind,
                                  .watched = watched(),
                                  .tool = getpid(),
                                  .null_input = owner_.null_input_,
                                  .output = output_end.get(),
                                  .error_output = error_end.get()});
      // The new process has done both itself, unless a sanitizer made a fork() of the vfork().
      setpgid(process_, process_);
      watched().group.store(process_);
      end_ = Descriptor(static_cast<int>(syscall(SYS_pidfd_open, process_, 0)));
      if (end_.get() < 0) throw CannotStart(errno);
    } catch (...) {
      started();
      abandon();
      throw;
    }
    started();

    const std::scoped_lock lock(owner_.mutex_);
    if (owner_.terminate_with_ != 0) kill(-process_, owner_.terminate_with_);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { abandon(); }

  ChildResult wait(std::optional<Milliseconds> timeout) {
    ChildResult result;
    std::optional<PausableClock::TimePoint> deadline;
    if (timeout) deadline = owner_.clock_.now() + *timeout;

    while (!wait_for_end_until(deadline)) {
      if (result.timed_out) {
        kill(-process_, SIGKILL);
        deadline.reset();
      } else {
        result.timed_out = timeout;
        kill(-process_, SIGTERM);
        kill(-process_, SIGCONT);  // a stopped process would not see the first
        deadline = owner_.clock_.now() + owner_.timeout_grace_;
      }
    }

    kill(-process_, SIGKILL);  // what the command left behind; it has itself ended
    read_error_output();
    read_output();
    hand_on(lines_.size());
    result.error_output = kept_output();
    const int start_error = watched().start_error.load();
    const siginfo_t end = collect();
    if (is_about_these_words(start_error)) {
      throw std::system_error(start_error, std::generic_category(),
                              "the command cannot be started");
    }
    if (start_error != 0) throw CannotStart(start_error);
    (end.si_code == CLD_EXITED ? result.exit_status : result.signal) = end.si_status;
    return result;
  }

 private:
  // Returns the writing end.
  static Descriptor make_pipe(Descriptor& reading_end) {
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw CannotStart(errno);
    reading_end = Descriptor(ends[0]);
    fcntl(reading_end.get(), F_SETFL, O_NONBLOCK);
    return Descriptor(ends[1]);
  }

  WatchedGroup& watched() { return owner_.watchdog_.groups()[slot_]; }

  void take_slot() {
    std::unique_lock lock(owner_.mutex_);
    owner_.changed_.wait(lock, [this] { return !owner_.is_paused_; });
    const auto free = std::find(owner_.taken_.begin(), owner_.taken_.end(), false);
    if (free == owner_.taken_.end()) throw CannotStart(EAGAIN);
    *free = true;
    slot_ = static_cast<std::size_t>(free - owner_.taken_.begin());
    watched().start_error.store(0);
    ++owner_.starting_;
  }

  void started() {
    const std::scoped_lock lock(owner_.mutex_);
    --owner_.starting_;
    owner_.changed_.notify_all();
  }

  // True: the command has ended, and waits to be collected. False: the deadline came first.
  bool wait_for_end_until(std::optional<PausableClock::TimePoint> deadline) {
    std::array<pollfd, 3> waiting{{{end_.get(), POLLIN, 0},
                                   {error_output_.get(), POLLIN, 0},
                                   {output_.get(), POLLIN, 0}}};  // of -1 poll() takes no notice
    for (;;) {
      int milliseconds_left = -1;
      if (deadline) {
        const auto left = std::chrono::ceil<Milliseconds>(*deadline - owner_.clock_.now());
        if (left <= Milliseconds(0)) return false;
        // In slices, since the clock may be stopped meanwhile.
        milliseconds_left = static_cast<int>(std::min<Milliseconds::rep>(left.count(), 1000));
      }
      if (poll(waiting.data(), waiting.size(), milliseconds_left) <= 0) continue;
      if (waiting[1].revents != 0 && !read_error_output()) waiting[1].fd = -1;
      if (waiting[2].revents != 0 && !read_output()) waiting[2].fd = -1;
      if (waiting[0].revents != 0) return true;
    }
  }

  // Reads what is there now. False: there will be no more.
  static bool read_from(const Descriptor& pipe, const std::function<void(std::string_view)>& take) {
    // Bounded, since something may write faster than we read: the end must be seen.
    constexpr int kMostReads = 64;
    std::array<char, 4096> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    for (int reads = 0; reads < kMostReads; ++reads) {
      const ssize_t count = read(pipe.get(), buffer.data(), buffer.size());
      if (count == 0) return false;
      if (count < 0) return errno == EAGAIN || errno == EINTR;
      take({buffer.data(), static_cast<std::size_t>(count)});
    }
    return true;
  }

  bool read_error_output() {
    return read_from(error_output_, [this](std::string_view text) {
      error_text_.append(text);
      if (error_text_.size() > 2 * kErrorOutputBytes) {
        error_text_.erase(0, error_text_.size() - kErrorOutputBytes);
        was_cut_ = true;
      }
    });
  }

  bool read_output() {
    constexpr std::size_t kLongestLine = 1 << 16;
    if (output_.get() < 0) return false;
    return read_from(output_, [this](std::string_view text) {
      lines_.append(text);
      const std::size_t end = lines_.rfind('\n');
      if (end != std::string::npos) {
        hand_on(end + 1);
      } else if (lines_.size() > kLongestLine) {
        hand_on(lines_.size());
      }
    });
  }

  // The first `size` bytes of lines_, which end in a line break.
  void hand_on(std::size_t size) {
    if (size == 0) return;
    std::string lines = lines_.substr(0, size);
    lines_.erase(0, size);
    if (lines.back() != '\n') lines += '\n';
    owner_.program_.take_output(lines);
  }

  std::string kept_output() const {
    std::size_t begin = 0;
    if (error_text_.size() > kErrorOutputBytes) begin = error_text_.size() - kErrorOutputBytes;
    if (begin == 0 && !was_cut_) return error_text_;
    while (begin < error_text_.size() &&
           (static_cast<unsigned char>(error_text_[begin]) & 0xc0) == 0x80) {
      ++begin;
    }
    return "…" + error_text_.substr(begin);
  }

  // Of a process that was started, once. It is waited for.
  siginfo_t collect() {
    {
      const std::scoped_lock lock(owner_.mutex_);
      watched().group.store(0);
    }
    siginfo_t end{};
    while (waitid(P_PID, static_cast<id_t>(process_), &end, WEXITED) != 0 && errno == EINTR) {
    }
    process_ = -1;
    return end;
  }

  // Ends the command, if it is still there, and gives its place back.
  void abandon() noexcept {
    if (process_ > 0) {
      kill(process_, SIGKILL);
      kill(-process_, SIGKILL);
      collect();
    }
    const std::scoped_lock lock(owner_.mutex_);
    watched().group.store(0);
    owner_.taken_[slot_] = false;
  }

  ChildProcesses& owner_;
  std::size_t slot_ = 0;  // its place in taken_ and among the watched groups
  pid_t process_ = -1;    // while it is there
  Descriptor error_output_;
  Descriptor output_;  // if somebody takes it
  Descriptor end_;     // readable once the process has ended
  std::string error_text_;
  std::string lines_;  // of its output, not handed on yet
  bool was_cut_ = false;
};

ChildProcesses::ChildProcesses(Watchdog& watchdog, const PausableClock& clock, Program program,
                               Milliseconds timeout_grace)
    : watchdog_(watchdog),
      clock_(clock),
      program_(std::move(program)),
      timeout_grace_(timeout_grace),
      null_input_(open("/dev/null", O_RDONLY | O_CLOEXEC)),
      taken_(watchdog.groups().size(), false) {
  if (null_input_ < 0) throw std::system_error(errno, std::generic_category(), "/dev/null");
}

ChildProcesses::~ChildProcesses() { close(null_input_); }

ChildResult ChildProcesses::run(const std::vector<std::string>& words,
                                std::optional<Milliseconds> timeout) {
  return Running(*this, words).wait(timeout);
}

void ChildProcesses::terminate(int signal) {
  const std::scoped_lock lock(mutex_);
  terminate_with_ = signal;
  send_locked(signal);
}

void ChildProcesses::pause_while(const std::function<void()>& meanwhile) {
  {
    std::unique_lock lock(mutex_);
    is_paused_ = true;
    // A process stopped before it is the command would keep the thread that starts it, and so the
    // tool, from stopping.
    changed_.wait(lock, [this] { return starting_ == 0; });
    send_locked(SIGSTOP);
  }
  meanwhile();
  const std::scoped_lock lock(mutex_);
  is_paused_ = false;
  send_locked(SIGCONT);
  changed_.notify_all();
}

void ChildProcesses::send(int signal) {
  const std::scoped_lock lock(mutex_);
  send_locked(signal);
}

void ChildProcesses::send_locked(int signal) {
  for (const WatchedGroup& watched : watchdog_.groups()) {
    const pid_t group = watched.group.load();
    if (group > 0) kill(-group, signal);
  }
}

}  // namespace progress_tracker::cli

#include "cli/child_processes.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "temporary_directory.h"

namespace progress_tracker::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Property;
using ::testing::StartsWith;
using ::testing::Throws;

// Waits for something that another process is about to do.
template <typename Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

// As /proc has it; X: there is no such process.
char state_of(pid_t process) {
  std::ifstream stat("/proc/" + std::to_string(process) + "/stat");
  std::string text;
  std::getline(stat, text);
  const auto state = text.rfind(") ");
  return state == std::string::npos ? 'X' : text[state + 2];
}

// Alive, and not just waiting to be collected.
bool is_running(pid_t process) { return state_of(process) != 'Z' && state_of(process) != 'X'; }

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Our own, also those that wait to be collected.
std::vector<pid_t> child_processes() {
  std::vector<pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string number = entry.path().filename();
    if (number.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string stat = read_file(entry.path() / "stat");
    std::istringstream fields(stat.substr(std::min(stat.rfind(") ") + 1, stat.size())));
    char state = 0;
    pid_t parent = -1;
    if (fields >> state >> parent && parent == getpid()) {
      children.push_back(static_cast<pid_t>(std::stol(number)));
    }
  }
  return children;
}

std::ptrdiff_t open_descriptors() {
  const std::filesystem::directory_iterator descriptors("/proc/self/fd");
  return std::distance(begin(descriptors), end(descriptors));
}

int lowest_free_descriptor() {
  const int descriptor = dup(STDIN_FILENO);
  close(descriptor);
  return descriptor;
}

// For as long as it lives, no more than `left` descriptors can be opened.
class FewDescriptors {
 public:
  explicit FewDescriptors(std::size_t left) {
    getrlimit(RLIMIT_NOFILE, &before_);
    std::vector<int> free;
    while (free.size() < left) free.push_back(dup(STDIN_FILENO));
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(lowest_free_descriptor());
    for (const int descriptor : free) close(descriptor);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// From now on each new process that the calling thread asks for waits for an answer on the
// descriptor that this returns; -1: not here.
int watch_new_processes() {
#ifdef SYS_vfork
  constexpr unsigned kVfork = SYS_vfork;
#else
  constexpr unsigned kVfork = SYS_clone;
#endif
  std::array<sock_filter, 5> filter{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kVfork, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{.len = filter.size(), .filter = filter.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return static_cast<int>(
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

// Calls `work` on a thread to which the system refuses its first `refused` new processes, as a
// machine does that has no more of them. Returns how many the thread asked for; nothing if the
// system does not let us do that.
std::optional<int> out_of_processes(int refused, const std::function<void()>& work) {
  std::promise<std::pair<int, pid_t>> started;
  std::exception_ptr thrown;
  std::atomic<bool> over{false};
  std::thread thread([&] {
    const int listener = watch_new_processes();
    started.set_value({listener, static_cast<pid_t>(syscall(SYS_gettid))});
    try {
      if (listener >= 0) work();
    } catch (...) {
      thrown = std::current_exception();
    }
    over = true;
  });
  const auto [listener, asking] = started.get_future().get();
  int asked = 0;
  while (!over) {
    pollfd waiting{listener, POLLIN, 0};
    seccomp_notif request{};
    if (poll(&waiting, 1, 5) <= 0 || ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) != 0) {
      continue;
    }
    seccomp_notif_resp answer{};
    answer.id = request.id;
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    // What it starts, asks here too.
    if (static_cast<pid_t>(request.pid) == asking && ++asked <= refused) {
      answer.flags = 0;
      answer.error = -EAGAIN;
    }
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
  thread.join();
  if (listener < 0) return std::nullopt;
  close(listener);
  if (thrown) std::rethrow_exception(thrown);
  return asked;
}

class ChildProcessesTest : public ::testing::Test {
 protected:
  ChildResult shell(const std::string& script,
                    std::optional<std::chrono::milliseconds> timeout = std::nullopt) {
    return children_.run({"sh", "-c", script, "sh", directory_.path().string()}, timeout);
  }
  std::string file(const std::string& name) { return read_file(directory_.path() / name); }
  bool has(const std::string& name) { return file(name).ends_with('\n'); }
  pid_t process_in(const std::string& name) { return static_cast<pid_t>(std::stol(file(name))); }

  TemporaryDirectory directory_;
  Watchdog watchdog_{4};
  PausableClock clock_;
  ChildProcesses children_{watchdog_, clock_, {.path = "/bin/sh"}, 100ms};
};

TEST_F(ChildProcessesTest, TellsHowTheCommandEnded) {
  EXPECT_TRUE(shell("exit 0").succeeded());
  const ChildResult failed = shell("echo why >&2; exit 3");
  EXPECT_FALSE(failed.succeeded());
  EXPECT_EQ(describe_failure(failed), "exit status 3: why");
  EXPECT_EQ(describe_failure(shell("kill -9 $$")), "killed by signal 9");
  EXPECT_EQ(describe_failure(shell("exit 1")), "exit status 1");
  EXPECT_EQ(describe_failure(shell("printf 'why \\n\\n' >&2; exit 1")), "exit status 1: why");
  EXPECT_EQ(describe_failure(shell("printf ' \\n' >&2; exit 1")), "exit status 1");
}

TEST_F(ChildProcessesTest, PassesWordsAndEnvironment) {
  setenv("SEEN", "yes", 1);
  const ChildResult result =
      children_.run({"sh", "-c", "echo \"$SEEN|$1|$2|$#\" >&2", "sh", "a b\n", "\xff", ""});
  EXPECT_EQ(result.error_output, "yes|a b\n|\xff|3\n");
}

TEST_F(ChildProcessesTest, KeepsTheLastPartOfLongErrorOutput) {
  const ChildResult result =
      shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done >&2; echo end >&2");
  EXPECT_THAT(result.error_output, StartsWith("…"));
  EXPECT_LE(result.error_output.size(), kErrorOutputBytes + 3);
  EXPECT_TRUE(result.error_output.ends_with("line 19999\nend\n"));
}

TEST_F(ChildProcessesTest, CutsErrorOutputAtACharacter) {
  const ChildResult result = shell("i=0; while [ $i -lt 5000 ]; do printf €; i=$((i+1)); done >&2");
  EXPECT_THAT(result.error_output, StartsWith("…€"));
}

TEST_F(ChildProcessesTest, GivesNoInputAndUsualSignals) {
  const auto handler_before = signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigset_t mask_before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &mask_before);
  const ChildResult result =
      shell("cat; readlink /proc/self/fd/0 >&2; grep -E '^Sig(Blk|Ign)' /proc/self/status >&2");
  pthread_sigmask(SIG_SETMASK, &mask_before, nullptr);
  signal(SIGPIPE, handler_before);
  EXPECT_THAT(result.error_output, StartsWith("/dev/null\n"));
  EXPECT_THAT(result.error_output, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(result.error_output, HasSubstr("SigIgn:\t0000000000000000"));
}

TEST_F(ChildProcessesTest, HandsOnNoDescriptorOfOurs) {
  std::set<int> expected{STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
  for (int descriptor = 0; descriptor < 1024; ++descriptor) {
    const int flags = fcntl(descriptor, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) expected.insert(descriptor);  // not ours to close
  }
  int of_ls = 0;  // with which ls reads the directory
  while (expected.contains(of_ls)) ++of_ls;
  expected.insert(of_ls);

  std::istringstream listed(shell("exec ls /proc/self/fd >&2").error_output);
  EXPECT_EQ(std::set<int>(std::istream_iterator<int>(listed), {}), expected);
}

TEST_F(ChildProcessesTest, IsOverWhenTheCommandIsThoughSomethingHoldsItsOutput) {
  const auto start = std::chrono::steady_clock::now();
  const ChildResult result = shell("sleep 1000 & echo $! > $1/left; exit 0");
  EXPECT_TRUE(result.succeeded());
  EXPECT_LT(std::chrono::steady_clock::now() - start, 100s);
  EXPECT_TRUE(eventually([&] { return !is_running(process_in("left")); }));
}

// It is read in portions, so that the end of the command is seen meanwhile.
TEST_F(ChildProcessesTest, LosesNothingBetweenThePortionsOfALongErrorOutput) {
  std::optional<ChildResult> result;
  std::thread thread(
      [&] { result = shell("echo $$ > $1/runs; while [ ! -e $1/go ]; do sleep 0.01; done"); });
  EXPECT_TRUE(eventually([&] { return has("runs"); }));
  const std::string path = "/proc/" + std::to_string(process_in("runs")) + "/fd/2";
  const int output = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  EXPECT_GE(fcntl(output, F_SETPIPE_SZ, 1 << 20), 1 << 20);
  // In one piece, which Linux lets nobody read before all of it is there.
  const std::string text = std::string(600'000, 'x') + "end";
  EXPECT_EQ(write(output, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  EXPECT_TRUE(eventually([&] {
    int unread = 0;
    return ioctl(output, FIONREAD, &unread) == 0 && unread == 0;
  }));
  close(output);
  directory_.make_file("go");
  thread.join();
  EXPECT_TRUE(result->error_output.ends_with("xend")) << result->error_output.size();
}

// What it writes is there faster than we read it.
TEST_F(ChildProcessesTest, IsOverWhenTheCommandIsThoughSomethingOutOfReachWritesWithoutEnd) {
  const ChildResult result = shell(
      "setsid sh -c 'echo $$ > $1/away; exec yes >&2' sh $1 & "
      "while [ ! -s $1/away ]; do sleep 0.01; done; exit 3");
  EXPECT_EQ(result.exit_status, 3);
  EXPECT_LE(result.error_output.size(), kErrorOutputBytes + 3);
  EXPECT_TRUE(eventually([&] { return !is_running(process_in("away")); }))
      << "nobody holds the pipe that it writes to";
}

class TakenOutputTest : public ChildProcessesTest {
 protected:
  ChildProcesses taking_{
      watchdog_, clock_, {.path = "/bin/sh", .take_output = [this](std::string_view lines) {
                            taken_.emplace_back(lines);
                          }}};
  std::string all() const {
    std::string text;
    for (const std::string& lines : taken_) text += lines;
    return text;
  }

  std::vector<std::string> taken_;
};

TEST_F(TakenOutputTest, ComesInWholeLinesAndApartFromErrors) {
  const ChildResult result = taking_.run(
      {"sh", "-c", "printf 'one\nt'; printf wo; echo why >&2; printf '\n\nno end'; exit 3"});
  EXPECT_EQ(describe_failure(result), "exit status 3: why");
  EXPECT_EQ(all(), "one\ntwo\n\nno end\n");
  for (const std::string& lines : taken_) EXPECT_TRUE(lines.ends_with('\n')) << lines;
  taken_.clear();
  taking_.run({"sh", "-c", ":"});
  EXPECT_THAT(taken_, IsEmpty());
}

TEST_F(TakenOutputTest, IsAllThereHoweverMuchItIs) {
  taking_.run({"sh", "-c", "seq 200000"});
  std::string expected;
  for (int i = 1; i <= 200'000; ++i) expected += std::to_string(i) + '\n';
  EXPECT_TRUE(all() == expected) << all().size();
}

TEST_F(TakenOutputTest, ALineThatNeverEndsComesInPieces) {
  taking_.run({"sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"});
  std::string text = all();
  std::erase(text, '\n');
  EXPECT_TRUE(text == std::string(1'000'000, 'x')) << text.size();
  EXPECT_GT(taken_.size(), 5U);
}

TEST_F(TakenOutputTest, IsOverWhenTheCommandIsThoughSomethingHoldsIt) {
  const ChildResult result = taking_.run({"sh", "-c", "echo out; sleep 1000 & exit 0"});
  EXPECT_TRUE(result.succeeded());
  EXPECT_EQ(all(), "out\n");
}

TEST_F(ChildProcessesTest, EndsACommandThatExceedsItsTime) {
  const ChildResult result = shell("sleep 1000 & sleep 1000", 50ms);
  EXPECT_EQ(describe_failure(result), "timed out after 0.05 s");
  EXPECT_EQ(result.signal, SIGTERM);
}

TEST_F(ChildProcessesTest, KillsACommandThatIgnoresTheEndOfItsTime) {
  clock_.pause();  // its time begins when it is deaf
  std::optional<ChildResult> result;
  std::thread thread([&] {
    result =
        shell("trap '' TERM; echo deaf >&2; echo > $1/runs; while :; do sleep 0.01; done", 50ms);
  });
  EXPECT_TRUE(eventually([&] { return has("runs"); }));
  clock_.resume();
  thread.join();
  EXPECT_EQ(describe_failure(*result), "timed out after 0.05 s: deaf");
  EXPECT_EQ(result->signal, SIGKILL);
}

TEST_F(ChildProcessesTest, DoesNotCountAPauseAsTime) {
  clock_.pause();
  std::atomic<bool> over{false};
  std::optional<ChildResult> result;
  std::thread thread([&] {
    result = shell("echo > $1/runs; while [ ! -e $1/go ]; do sleep 0.01; done", 300ms);
    over = true;
  });
  ASSERT_TRUE(eventually([&] { return has("runs"); }));
  // Twice the time limit: a pause that counted would have ended the command by now.
  std::this_thread::sleep_for(600ms);
  EXPECT_FALSE(over);
  directory_.make_file("go");
  thread.join();
  EXPECT_TRUE(result->succeeded());
}

TEST_F(ChildProcessesTest, StopsWhatRunsAndStartsNothingInAPause) {
  std::optional<ChildResult> first;
  std::optional<ChildResult> second;
  std::thread other;
  std::thread thread([&] { first = shell("echo $$ > $1/runs; exec sleep 1000"); });
  ASSERT_TRUE(eventually([&] { return has("runs"); }));
  children_.pause_while([&] {
    EXPECT_TRUE(eventually([&] { return state_of(process_in("runs")) == 'T'; }));
    other = std::thread([&] { second = shell("echo > $1/second"); });
    // The time in which a start that does not wait would show. A slow machine cannot fail this.
    std::this_thread::sleep_for(100ms);
    EXPECT_FALSE(has("second"));
  });
  other.join();
  EXPECT_TRUE(second->succeeded());
  EXPECT_TRUE(eventually([&] { return state_of(process_in("runs")) == 'S'; }));
  children_.terminate(SIGTERM);
  thread.join();
  EXPECT_EQ(first->signal, SIGTERM);
}

TEST_F(ChildProcessesTest, TerminatesWhatRunsAndWhatStartsLater) {
  std::optional<ChildResult> result;
  std::thread thread([&] { result = shell("echo > $1/runs; sleep 1000 & wait"); });
  ASSERT_TRUE(eventually([&] { return has("runs"); }));
  children_.terminate(SIGTERM);
  thread.join();
  EXPECT_EQ(result->signal, SIGTERM);
  EXPECT_EQ(shell("sleep 1000").signal, SIGTERM);
}

TEST_F(ChildProcessesTest, RunsAsManyAtATimeAsThereArePlaces) {
  std::vector<std::thread> threads;
  std::atomic<int> succeeded{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 50; ++n) {
        const ChildResult result = shell("echo " + std::to_string(i) + " >&2");
        if (result.succeeded() && result.error_output == std::to_string(i) + "\n") ++succeeded;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(succeeded, 200);
  for (const WatchedGroup& watched : watchdog_.groups()) EXPECT_EQ(watched.group, 0);
}

TEST_F(ChildProcessesTest, StartsNoMoreThanThereArePlaces) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] { shell("echo > $1/" + std::to_string(i) + "; sleep 1000"); });
  }
  EXPECT_TRUE(eventually([&] { return has("0") && has("1") && has("2") && has("3"); }));
  EXPECT_THROW(shell("echo > $1/fifth"), CannotStart);
  children_.terminate(SIGKILL);
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(has("fifth"));
  EXPECT_EQ(shell("sleep 1000").signal, SIGKILL) << "the places were given back";
}

TEST_F(ChildProcessesTest, SaysWhyACommandCannotStart) {
  const auto error_of = [&](const std::filesystem::path& program) {
    ChildProcesses children(watchdog_, clock_, {.path = program.string()});
    try {
      children.run({"x"});
    } catch (const CannotStart& error) {
      return error.error();
    }
    return 0;
  };
  const auto make = [&](const std::string& name, const std::string& text) {
    const auto path = directory_.make_file(name, text);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  };
  EXPECT_EQ(error_of(directory_.path() / "absent"), ENOENT);
  EXPECT_EQ(error_of(make("no-format", "no format that the kernel knows")), ENOEXEC);
  EXPECT_EQ(error_of(make("no-interpreter", "#!/does/not/exist\n")), ENOENT);
  EXPECT_EQ(error_of(directory_.make_file("not-executable", "#!/bin/sh\n")), EACCES);
  EXPECT_TRUE(shell("exit 0").succeeded()) << "the places were given back";
}

TEST_F(ChildProcessesTest, AnImageWithTooLongWordsIsThatImagesFault) {
  EXPECT_THROW(children_.run({"sh", std::string(4 << 20, 'x')}), std::system_error);
  EXPECT_TRUE(shell("exit 0").succeeded());
}

TEST_F(ChildProcessesTest, WaitsForAMachineThatIsOutOfProcessesForAMoment) {
  ChildResult result;
  result.exit_status = -1;
  const auto asked = out_of_processes(2, [&] { result = shell("exit 0"); });
  if (!asked) GTEST_SKIP() << "no process can be refused here";
  EXPECT_EQ(asked, 3);
  EXPECT_TRUE(result.succeeded());
}

TEST_F(ChildProcessesTest, GivesUpOnAMachineThatStaysOutOfProcesses) {
  int error = 0;
  const auto asked = out_of_processes(1000, [&] {
    try {
      shell("exit 0");
    } catch (const CannotStart& failure) {
      error = failure.error();
    }
  });
  if (!asked) GTEST_SKIP() << "no process can be refused here";
  EXPECT_EQ(asked, 10);
  EXPECT_EQ(error, EAGAIN);
  EXPECT_TRUE(shell("exit 0").succeeded());
  children_.pause_while([] {});  // does not wait for a start that has failed
}

// With room for two, the command has been started when there is no descriptor to wait for its end.
TEST_F(ChildProcessesTest, LeavesNothingOfACommandForWhichThereIsNoDescriptor) {
  for (const std::size_t left : {0U, 1U, 2U}) {
    const std::ptrdiff_t open_before = open_descriptors();
    int error = 0;
    {
      const FewDescriptors few(left);
      try {
        shell("sleep 1000");
      } catch (const CannotStart& failure) {
        error = failure.error();
      }
    }
    EXPECT_EQ(error, EMFILE) << left;
    EXPECT_EQ(open_descriptors(), open_before) << left;
    EXPECT_THAT(child_processes(), ElementsAre(watchdog_.process_id())) << left;
    for (const WatchedGroup& watched : watchdog_.groups()) EXPECT_EQ(watched.group, 0) << left;
  }
  // More than there are places: all of them were given back.
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(shell("exit 0").succeeded());
}

// The tool as it is when it is killed: a process of its own with a watchdog and a running command.
class KilledToolTest : public ::testing::Test {
 protected:
  // Runs `script` in a child process like the tool's; returns when the script has written `runs`.
  void start_tool(const std::string& script) {
    tool_ = fork();
    if (tool_ == 0) {
      Watchdog watchdog(2);
      std::ofstream(directory_.path() / "watchdog") << watchdog.process_id() << '\n' << std::flush;
      const PausableClock clock;
      ChildProcesses children(watchdog, clock, {.path = "/bin/sh"});
      try {
        for (;;) children.run({"sh", "-c", script, "sh", directory_.path().string()});
      } catch (...) {
      }
      _exit(1);
    }
  }
  void kill_tool() {
    kill(tool_, SIGKILL);
    waitpid(tool_, nullptr, 0);
  }
  std::string file(const std::string& name) { return read_file(directory_.path() / name); }
  bool has(const std::string& name) { return file(name).ends_with('\n'); }
  pid_t process_in(const std::string& name) { return static_cast<pid_t>(std::stol(file(name))); }

  TemporaryDirectory directory_;
  pid_t tool_ = -1;
};

TEST_F(KilledToolTest, LeavesNoProcessOfItsCommandBehind) {
  start_tool("echo $$ > $1/leader; sleep 1000 & echo $! > $1/second; echo > $1/runs; wait");
  ASSERT_TRUE(eventually([&] { return has("runs"); }));
  kill_tool();
  for (const char* name : {"leader", "second", "watchdog"}) {
    EXPECT_TRUE(eventually([&] { return !is_running(process_in(name)); })) << name;
  }
}

TEST_F(KilledToolTest, LeavesNothingBehindThoughEverythingIgnoresSignals) {
  start_tool(
      "trap '' INT TERM HUP; echo $$ > $1/leader; sh -c 'trap \"\" TERM; sleep 1000' & "
      "echo $! > $1/second; echo > $1/runs; wait");
  ASSERT_TRUE(eventually([&] { return has("runs"); }));
  kill(process_in("watchdog"), SIGTERM);
  kill(process_in("watchdog"), SIGHUP);
  kill_tool();
  for (const char* name : {"leader", "second", "watchdog"}) {
    EXPECT_TRUE(eventually([&] { return !is_running(process_in(name)); })) << name;
  }
}

TEST_F(KilledToolTest, LeavesNoCommandBehindThoughTheWatchdogDiedFirst) {
  start_tool("echo $$ > $1/leader; echo > $1/runs; exec sleep 1000");
  ASSERT_TRUE(eventually([&] { return has("runs"); }));
  kill(process_in("watchdog"), SIGKILL);
  kill_tool();
  EXPECT_TRUE(eventually([&] { return !is_running(process_in("leader")); }));
}

// Kills at whatever moment of starting and collecting the tool happens to be in.
TEST_F(KilledToolTest, LeavesNothingBehindAtAnyMoment) {
  // A time that nobody else on the machine sleeps.
  const std::string time = "777.0" + std::to_string(getpid());
  for (int round = 0; round < 60; ++round) {
    start_tool("sleep " + time + " & echo > $1/runs");
    ASSERT_TRUE(eventually([&] { return has("runs") && has("watchdog"); }));
    std::this_thread::sleep_for(std::chrono::microseconds(137 * round));  // the moment of the kill
    kill_tool();
    ASSERT_TRUE(eventually([&] { return !is_running(process_in("watchdog")); }));
    std::filesystem::remove(directory_.path() / "runs");
    std::filesystem::remove(directory_.path() / "watchdog");
  }
  const auto was_left_behind = [&](const std::filesystem::directory_entry& process) {
    const std::string number = process.path().filename();
    return number.find_first_not_of("0123456789") == std::string::npos &&
           read_file(process.path() / "cmdline").find(time) != std::string::npos &&
           is_running(static_cast<pid_t>(std::stol(number)));
  };
  EXPECT_TRUE(eventually([&] {
    const std::filesystem::directory_iterator processes("/proc");
    return std::none_of(begin(processes), end(processes), was_left_behind);
  }));
}

TEST(WatchdogTest, EndsWithItsOwner) {
  pid_t process = -1;
  {
    Watchdog watchdog(1);
    process = watchdog.process_id();
    EXPECT_TRUE(is_running(process));
  }
  EXPECT_EQ(kill(process, 0), -1);
}

// The signals that are blocked in this thread.
std::vector<int> blocked_signals() {
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  std::vector<int> signals;
  for (int signal = 1; signal < SIGRTMAX; ++signal) {
    if (sigismember(&mask, signal) == 1) signals.push_back(signal);
  }
  return signals;
}

void expect_no_watchdog(std::errc cause) {
  const auto blocked_before = blocked_signals();
  EXPECT_THAT([] { const Watchdog watchdog(1); },
              Throws<std::system_error>(AllOf(
                  Property(&std::system_error::code, std::make_error_condition(cause)),
                  Property(&std::system_error::what, HasSubstr("starting the watchdog process")))));
  EXPECT_EQ(blocked_signals(), blocked_before);
}

TEST(WatchdogTest, LeavesNothingWhereItCannotBeStarted) {
  const std::ptrdiff_t open_before = open_descriptors();
  {
    const FewDescriptors few(1);  // and its pipe takes two
    expect_no_watchdog(std::errc::too_many_files_open);
  }
  const auto asked =
      out_of_processes(1000, [] { expect_no_watchdog(std::errc::resource_unavailable_try_again); });
  EXPECT_EQ(asked.value_or(1), 1);
  EXPECT_EQ(open_descriptors(), open_before);
  EXPECT_THAT(child_processes(), IsEmpty());
}

TEST(WatchdogTest, HoldsNoneOfItsOwnersDescriptors) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const Watchdog watchdog(1);
  close(ends[1]);
  char unused = 0;
  EXPECT_EQ(read(ends[0], &unused, 1), 0);  // the end, though the watchdog lives
  close(ends[0]);
}

}  // namespace
}  // namespace progress_tracker::cli

#include "cli/child_processes.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "temporary_directory.h"

namespace progress_tracker::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

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

TEST_F(ChildProcessesTest, EndsACommandThatExceedsItsTime) {
  const ChildResult result = shell("sleep 1000 & sleep 1000", 50ms);
  EXPECT_EQ(describe_failure(result), "timed out after 0.05 s");
  EXPECT_EQ(result.signal, SIGTERM);
}

TEST_F(ChildProcessesTest, KillsACommandThatIgnoresTheEndOfItsTime) {
  const ChildResult result =
      shell("trap '' TERM; echo deaf >&2; while :; do sleep 0.01; done", 500ms);
  EXPECT_EQ(describe_failure(result), "timed out after 0.5 s: deaf");
  EXPECT_EQ(result.signal, SIGKILL);
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

#include "cli/interruption.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "temporary_directory.h"

namespace progress_tracker::cli {
namespace {

using namespace std::chrono_literals;

constexpr char kForEver[] = "while :; do sleep 0.01; done";

class InterruptionTest : public ::testing::Test {
 protected:
  // Starts a command that says when it runs, its traps being set, and begins work.
  void work(const std::string& traps, const std::string& then, std::chrono::milliseconds grace) {
    interruption_.emplace([](const std::string&) {}, [](const std::string&, int) {}, clock_, grace);
    interruption_->begin_work(children_, [this] { ++shown_; });
    const std::string runs = (directory_.path() / "runs").string();
    command_ = std::thread([=, this] {
      result_ = children_.run({"sh", "-c", traps + "; echo > " + runs + "; " + then});
    });
    // Looks again until it is there, however slow the machine; ctest ends a test that never comes
    // on.
    while (!std::filesystem::exists(runs) || std::filesystem::file_size(runs) == 0) {
      std::this_thread::sleep_for(1ms);
    }
  }
  void send(int signal) { kill(getpid(), signal); }
  void TearDown() override {
    if (interruption_) interruption_->end_work();
  }

  TemporaryDirectory directory_;
  Watchdog watchdog_{1};
  PausableClock clock_;
  ChildProcesses children_{watchdog_, clock_, {.path = "/bin/sh"}};
  std::optional<Interruption> interruption_;
  std::thread command_;
  std::optional<ChildResult> result_;
  std::atomic<int> shown_{0};
};

TEST_F(InterruptionTest, PassesTheFirstSignalOn) {
  work("trap 'exit 5' INT", kForEver, 1h);
  send(SIGINT);
  command_.join();
  EXPECT_EQ(result_->exit_status, 5);
  EXPECT_EQ(interruption_->signal(), SIGINT);
  EXPECT_TRUE(interruption_->stop_token().stop_requested());
}

TEST_F(InterruptionTest, KillsAfterTheGracePeriodAndGoesOnTakingSignals) {
  work("trap '' TERM", kForEver, 50ms);
  send(SIGTERM);
  command_.join();
  EXPECT_EQ(result_->signal, SIGKILL);
  EXPECT_EQ(interruption_->signal(), SIGTERM);
  send(SIGUSR1);
  while (shown_ == 0) std::this_thread::sleep_for(1ms);  // ctest ends a test that never comes on
}

TEST_F(InterruptionTest, KillsAtTheSecondSignal) {
  work("trap '' TERM INT", kForEver, 1h);
  send(SIGTERM);
  while (interruption_->signal() == 0) std::this_thread::sleep_for(1ms);  // likewise
  send(SIGINT);
  command_.join();
  EXPECT_EQ(result_->signal, SIGKILL);
  EXPECT_EQ(interruption_->signal(), SIGTERM);
}

TEST_F(InterruptionTest, DrainsOnHangUp) {
  work("trap 'exit 5' HUP",
       "while [ ! -e " + (directory_.path() / "go").string() + " ]; do sleep 0.01; done", 50ms);
  send(SIGHUP);
  while (!interruption_->draining()) std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(interruption_->stop_token().stop_requested());
  directory_.make_file("go");
  command_.join();
  EXPECT_TRUE(result_->succeeded());
  EXPECT_EQ(interruption_->signal(), 0);
}

TEST_F(InterruptionTest, ShowsProgressOnRequest) {
  work(":", ":", 1h);
  command_.join();
  send(SIGUSR1);
  while (shown_ == 0) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(shown_, 1);
}

bool is_pending(int signal) {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, signal) == 1;
}

// How a process ends that gets `signals`, each once the one before is taken or dropped, with an
// Interruption whose work has not begun; -1 if it stops. `ignored` is ignored when it starts.
int end_of_preparing_process(const std::vector<int>& signals, int ignored = 0) {
  const pid_t process = fork();
  if (process == 0) {
    if (ignored != 0) std::signal(ignored, SIG_IGN);
    PausableClock clock;
    const Interruption interruption([](const std::string&) {}, [](const std::string&, int) {},
                                    clock);
    for (const int signal : signals) {
      kill(getpid(), signal);
      while (is_pending(signal)) std::this_thread::sleep_for(1ms);
    }
    std::this_thread::sleep_for(1h);
    _exit(77);
  }
  int status = 0;
  waitpid(process, &status, WUNTRACED);
  if (WIFSTOPPED(status)) {
    kill(process, SIGKILL);
    waitpid(process, nullptr, 0);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(PreparingTest, EndsAtOnceBeforeAnyImageIsStarted) {
  EXPECT_EQ(end_of_preparing_process({SIGINT}), 130);
  EXPECT_EQ(end_of_preparing_process({SIGTERM}), 143);
  EXPECT_EQ(end_of_preparing_process({SIGHUP}), 4);
}

// The thread that would have taken it answers the next one.
TEST(PreparingTest, LeavesAnIgnoredHangUpIgnored) {
  EXPECT_EQ(end_of_preparing_process({SIGHUP, SIGINT}, SIGHUP), 130);
}

TEST(PreparingTest, StopsAtTheStopKey) { EXPECT_EQ(end_of_preparing_process({SIGTSTP}), -1); }

TEST(PreparingTest, LeavesAnIgnoredStopKeyIgnored) {
  EXPECT_EQ(end_of_preparing_process({SIGTSTP, SIGINT}, SIGTSTP), 130);
}

TEST(PreparingTest, TakesAnInterruptThatAShellHasIgnoredForABackgroundJob) {
  EXPECT_EQ(end_of_preparing_process({SIGINT}, SIGINT), 130);
}

}  // namespace
}  // namespace progress_tracker::cli

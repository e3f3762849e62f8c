// What signals do to `run`.
//
//   SIGINT, SIGTERM   first: passed on to the commands, which have a grace period to end in; then
//                     they are killed. Second: they are killed at once. Third: the tool ends there
//                     and then, as after a crash
//   SIGHUP            drain: what runs is finished, nothing is started
//   SIGUSR1           a line of progress, now
//   SIGTSTP, SIGCONT  the commands stop and go on with the tool
//
// Before any image is started the first of SIGINT, SIGTERM and SIGHUP ends the tool at once: the
// record needs no orderly end. SIGHUP and SIGTSTP that were ignored when the tool started (nohup)
// stay so.
#ifndef PROGRESS_TRACKER_CLI_INTERRUPTION_H_
#define PROGRESS_TRACKER_CLI_INTERRUPTION_H_

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "cli/child_processes.h"
#include "cli/pausable_clock.h"
#include "cli/speaker.h"

namespace progress_tracker::cli {

class Interruption {
 public:
  // Blocks the signals in the calling thread, and so in those it starts from now on, and takes them
  // on a thread of its own. Construct it while the process has no other thread.
  // `say` gets what the user is to know, `give_up` why the tool ends before any image was started,
  // and its exit code. Both are called on another thread, and may take as long as they like:
  // signals are taken meanwhile.
  using Say = std::function<void(const std::string& message)>;
  using GiveUp = std::function<void(const std::string& message, int exit_code)>;
  Interruption(Say say, GiveUp give_up, PausableClock& clock,
               std::chrono::milliseconds grace = std::chrono::seconds(10));
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption();  // as it was before

  // From now until end_work() stops are orderly. `show_progress` answers SIGUSR1.
  void begin_work(ChildProcesses& children, std::function<void()> show_progress);
  void end_work();

  // Asks for a stop that has nothing to do with signals.
  void request_stop() { stop_.request_stop(); }

  std::stop_token stop_token() const { return stop_.get_token(); }

  // The SIGINT or SIGTERM that came first, or 0.
  int signal() const { return signal_.load(); }

  bool draining() const { return draining_.load(); }

 private:
  void take_signals();
  void take(int signal);
  void take_stop(int signal);
  void say(const std::string& message);
  void stop_and_continue();
  void kill_children();

  const Say say_;
  const GiveUp give_up_;
  PausableClock& clock_;
  const std::chrono::milliseconds grace_;
  sigset_t taken_signals_{};
  sigset_t mask_before_{};
  std::stop_source stop_;
  std::atomic<int> signal_{0};
  std::atomic<bool> draining_{false};
  std::atomic<bool> ending_{false};

  // Guarded by mutex_.
  std::mutex mutex_;
  bool is_preparing_ = true;
  ChildProcesses* children_ = nullptr;  // set while there is work
  std::function<void()> show_progress_;

  std::optional<Speaker> speaker_;  // started once the signals are blocked

  // Touched only by thread_.
  int stops_ = 0;
  std::optional<std::chrono::steady_clock::time_point> kill_at_;

  std::thread thread_;
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_INTERRUPTION_H_

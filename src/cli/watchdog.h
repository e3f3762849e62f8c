// A process of its own that sees to it that no command outlives the tool, however the tool ends.
//
// It is forked at the start and then does nothing but wait for the end of a pipe that only the
// tool holds open. The kernel closes that pipe when the tool dies, SIGKILL included; the watchdog
// then kills every process group listed in memory that the two share, and ends. When the tool ends
// in order, it closes the pipe itself and collects the watchdog.
#ifndef PROGRESS_TRACKER_CLI_WATCHDOG_H_
#define PROGRESS_TRACKER_CLI_WATCHDOG_H_

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <span>

namespace progress_tracker::cli {

// What is shared about one running command. A new command writes here by itself before it becomes
// what it is to run: no moment is left in which it runs unknown.
struct WatchedGroup {
  std::atomic<pid_t> group;      // its process group; 0: none
  std::atomic<int> start_error;  // the errno that kept it from becoming the command; 0: none
};
static_assert(std::atomic<pid_t>::is_always_lock_free);

class Watchdog {
 public:
  // Forks. Call it while the process has one thread, and before it opens what a second process
  // should not hold. Throws std::system_error.
  explicit Watchdog(std::size_t groups);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();

  std::span<WatchedGroup> groups() { return groups_; }
  pid_t process_id() const { return process_id_; }

 private:
  std::span<WatchedGroup> groups_;
  int pipe_ = -1;
  pid_t process_id_ = -1;
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_WATCHDOG_H_

// Ends the program where a piece of work does not come to its end, and says which one it was.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_WATCHDOG_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_WATCHDOG_H_

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <string>
#include <thread>

namespace progress_tracker::reliability {

// Watches the thread that made it, from its first piece of work on: until then the program may
// fork, which beside a second thread AddressSanitizer's allocator does not survive. A loop is told
// by the processor time it takes, which no other load on the machine adds to; a wait that never
// ends by the clock.
class Watchdog {
 public:
  static constexpr std::chrono::seconds kMostWork{5};
  static constexpr std::chrono::seconds kMostWaiting{60};

  explicit Watchdog(std::chrono::nanoseconds most_work = kMostWork);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();

  // A new piece of work begins, and the one before has ended. By the thread that made it.
  void begin(std::string what);

  // The longest piece so far, in processor time.
  std::chrono::nanoseconds longest() const { return longest_; }

 private:
  std::chrono::nanoseconds worked() const;
  void watch();

  // Constant after construction.
  const std::chrono::nanoseconds most_work_;
  clockid_t clock_{};

  // Touched only by the thread that is watched.
  std::chrono::nanoseconds longest_{0};

  std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::string what_;
  std::chrono::nanoseconds began_working_{0};
  std::chrono::steady_clock::time_point began_;
  bool ended_{false};

  std::thread thread_;  // runs since the first piece
};

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_WATCHDOG_H_

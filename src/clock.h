// Time as the library sees it: passed in, so that a test can decide what time it is and how long a
// wait takes.
#ifndef PROGRESS_TRACKER_SRC_CLOCK_H_
#define PROGRESS_TRACKER_SRC_CLOCK_H_

#include <chrono>
#include <cstdint>

namespace progress_tracker {

class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock();

  // Wall time in milliseconds since 1970, only ever recorded: nothing is decided by it.
  virtual std::int64_t wall_ms() = 0;

  // Time that only goes forward, for measuring waits.
  virtual std::chrono::steady_clock::time_point now() = 0;

  virtual void sleep_for(std::chrono::nanoseconds duration) = 0;

  // The machine's clock.
  static Clock& system();
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_CLOCK_H_

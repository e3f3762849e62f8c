// A steady clock that stands still while the user has the tool stopped (Ctrl-Z), so that neither
// rates nor the time limits of commands count the pause.
#ifndef PROGRESS_TRACKER_CLI_PAUSABLE_CLOCK_H_
#define PROGRESS_TRACKER_CLI_PAUSABLE_CLOCK_H_

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

namespace progress_tracker::cli {

// Any thread may call any function at any time.
class PausableClock {
 public:
  using Clock = std::chrono::steady_clock;
  using TimePoint = Clock::time_point;

  explicit PausableClock(std::function<TimePoint()> source = Clock::now)
      : source_(std::move(source)) {}

  TimePoint now() const {
    const std::scoped_lock lock(mutex_);
    return (paused_at_ ? *paused_at_ : source_()) - paused_for_;
  }

  void pause() {
    const std::scoped_lock lock(mutex_);
    if (!paused_at_) paused_at_ = source_();
  }

  void resume() {
    const std::scoped_lock lock(mutex_);
    if (paused_at_) paused_for_ += source_() - *paused_at_;
    paused_at_.reset();
  }

 private:
  const std::function<TimePoint()> source_;
  mutable std::mutex mutex_;
  std::optional<TimePoint> paused_at_;
  Clock::duration paused_for_{0};
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_PAUSABLE_CLOCK_H_

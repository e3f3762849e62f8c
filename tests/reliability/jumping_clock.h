// A clock on the wall that nobody should trust. The time that measures waits is the machine's.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_JUMPING_CLOCK_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_JUMPING_CLOCK_H_

#include <chrono>
#include <cstdint>
#include <mutex>
#include <random>

#include "clock.h"

namespace progress_tracker::reliability {

class JumpingClock final : public Clock {
 public:
  enum class Manner { kDay, kTenYears, kBackwards, kFrozen };
  static constexpr int kManners = 4;

  JumpingClock(Manner manner, unsigned seed) : manner_(manner), random_(seed) {}

  std::int64_t wall_ms() override {
    constexpr std::int64_t kStart = 1'700'000'000'000;
    constexpr std::int64_t kDay = 24LL * 3600 * 1000;
    const std::lock_guard lock(mutex_);
    const auto within = [&](std::int64_t most) {
      return std::uniform_int_distribution<std::int64_t>(-most, most)(random_);
    };
    switch (manner_) {
      case Manner::kDay:
        return kStart + within(kDay);
      case Manner::kTenYears:
        return kStart + within(3'653 * kDay);
      case Manner::kBackwards:
        return kStart - 1'000 * ++calls_;
      case Manner::kFrozen:
        break;
    }
    return kStart;
  }
  std::chrono::steady_clock::time_point now() override { return system().now(); }
  void sleep_for(std::chrono::nanoseconds duration) override { system().sleep_for(duration); }

 private:
  const Manner manner_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::mt19937_64 random_;
  std::int64_t calls_{0};
};

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_JUMPING_CLOCK_H_

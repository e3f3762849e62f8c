#include "clock.h"

#include <thread>

#include "undestroyed.h"

namespace progress_tracker {
namespace {

class SystemClock final : public Clock {
 public:
  std::int64_t wall_ms() override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  std::chrono::steady_clock::time_point now() override { return std::chrono::steady_clock::now(); }
  void sleep_for(std::chrono::nanoseconds duration) override {
    std::this_thread::sleep_for(duration);
  }
};

constinit Undestroyed<SystemClock> system_clock;

}  // namespace

Clock::~Clock() = default;

Clock& Clock::system() { return system_clock.value; }

}  // namespace progress_tracker

#include "sqlite/busy.h"

#include <algorithm>
#include <random>

namespace progress_tracker::sqlite {
namespace {

std::chrono::microseconds jittered(int low, int high) {
  thread_local std::minstd_rand engine{std::random_device{}()};
  return std::chrono::microseconds(std::uniform_int_distribution<int>(low, high)(engine));
}

}  // namespace

bool WaitBudget::sleep(std::chrono::nanoseconds duration) {
  if (exhausted()) {
    return false;
  }
  const auto start = clock_.now();
  clock_.sleep_for(std::min(duration, left_));
  spend(clock_.now() - start);
  return true;
}

std::chrono::nanoseconds busy_pause(int tries) {
  if (tries < 5) {
    return jittered(30, 70);
  }
  if (tries < 20) {
    return jittered(100, 300);
  }
  return jittered(300, 1000);
}

}  // namespace progress_tracker::sqlite

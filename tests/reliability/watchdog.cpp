#include "watchdog.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace progress_tracker::reliability {

Watchdog::Watchdog(std::chrono::nanoseconds most_work) : most_work_(most_work) {
  pthread_getcpuclockid(pthread_self(), &clock_);
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Watchdog::begin(std::string what) {
  const std::lock_guard lock(mutex_);
  const auto now = worked();
  if (thread_.joinable()) {
    longest_ = std::max(longest_, now - began_working_);
  }
  what_ = std::move(what);
  began_working_ = now;
  began_ = std::chrono::steady_clock::now();
  if (!thread_.joinable()) {
    thread_ = std::thread([this] { watch(); });
  }
}

std::chrono::nanoseconds Watchdog::worked() const {
  timespec time{};
  clock_gettime(clock_, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

void Watchdog::watch() {
  constexpr std::chrono::milliseconds kLookAgain{20};
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kLookAgain, [this] { return ended_; })) {
    const bool loops = worked() - began_working_ > most_work_;
    if (loops || std::chrono::steady_clock::now() - began_ > kMostWaiting) {
      std::fprintf(stderr, "does not end: %s\n", what_.c_str());
      std::abort();
    }
  }
}

}  // namespace progress_tracker::reliability

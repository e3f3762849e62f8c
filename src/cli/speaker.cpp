#include "cli/speaker.h"

#include <utility>

namespace progress_tracker::cli {

Speaker::Speaker() : thread_([this] { speak(); }) {}

Speaker::~Speaker() {
  {
    const std::scoped_lock lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Speaker::post(std::function<void()> say) {
  {
    const std::scoped_lock lock(mutex_);
    posted_.push_back(std::move(say));
  }
  changed_.notify_all();
}

void Speaker::wait_until_said(std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, at_most, [this] { return posted_.empty(); });
}

void Speaker::speak() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return !posted_.empty() || is_ending_; });
    if (posted_.empty()) return;
    const std::function<void()> say = posted_.front();
    lock.unlock();
    say();
    lock.lock();
    posted_.pop_front();
    changed_.notify_all();
  }
}

}  // namespace progress_tracker::cli

#include "writer_queue.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace progress_tracker {
namespace {

using Time = std::chrono::steady_clock;

// How long the next one looks out awake: some transactions of an ordinary mark.
constexpr std::chrono::microseconds kLookOut{100};

// Small enough for the clock's arithmetic.
constexpr std::chrono::nanoseconds kForEver = std::chrono::hours(24 * 365);

}  // namespace

WriterQueue::Entry WriterQueue::enter(Visitor& visitor) {
  std::unique_lock lock(mutex_);
  if (!taken_) {
    taken_ = true;
    return Entry::kPlace;
  }
  if (visitor.budget_.exhausted()) {
    return Entry::kNone;
  }
  visitor.since_ = Time::now();
  const auto position = waiting_.insert(waiting_.end(), &visitor);
  call_next();
  wait(visitor, lock);
  if (visitor.taken_) {
    visitor.changed_.wait(lock, [&] { return visitor.done_; });
    return Entry::kDone;
  }
  visitor.budget_.spend(Time::now() - visitor.since_);
  if (visitor.has_place_) {
    return Entry::kPlace;
  }
  waiting_.erase(position);
  call_next();
  return Entry::kNone;
}

void WriterQueue::wait(Visitor& visitor, std::unique_lock<std::mutex>& lock) {
  const auto is_through = [&] { return visitor.has_place_ || visitor.taken_; };
  const auto end = visitor.since_ + std::min(visitor.budget_.left(), kForEver);
  visitor.changed_.wait_until(lock, end, [&] { return is_through() || visitor.is_next_; });
  if (visitor.is_next_) {
    lock.unlock();
    const auto look_out_end = std::min(end, Time::now() + kLookOut);
    while (!visitor.has_place_.load(std::memory_order_acquire) && Time::now() < look_out_end) {
      std::this_thread::yield();
    }
    lock.lock();
  }
  visitor.changed_.wait_until(lock, end, is_through);
}

WriterQueue::Visitor* WriterQueue::take_next() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty() || !waiting_.front()->shares_) {
    return nullptr;
  }
  Visitor* next = waiting_.front();
  waiting_.pop_front();
  next->taken_ = true;
  next->budget_.spend(Time::now() - next->since_);
  call_next();
  return next;
}

// Notifies under the lock: a visitor may be gone as soon as it is let go.
void WriterQueue::done(std::span<Visitor* const> visitors) {
  const std::lock_guard lock(mutex_);
  for (Visitor* visitor : visitors) {
    visitor->done_ = true;
    visitor->changed_.notify_one();
  }
}

void WriterQueue::leave() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) {
    taken_ = false;
    return;
  }
  Visitor* next = waiting_.front();
  waiting_.pop_front();
  next->has_place_.store(true, std::memory_order_release);
  next->changed_.notify_one();  // under the lock, as above
  call_next();
}

// Who shares is not called: the one before it will do its work, or hand it the place.
void WriterQueue::call_next() {
  if (!waiting_.empty() && !waiting_.front()->shares_ && !waiting_.front()->is_next_) {
    waiting_.front()->is_next_ = true;
    waiting_.front()->changed_.notify_one();
  }
}

}  // namespace progress_tracker

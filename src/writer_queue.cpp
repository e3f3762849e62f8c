#include "writer_queue.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace progress_tracker {
namespace {

using Time = std::chrono::steady_clock;

// How long the next one looks out awake: some transactions of an ordinary mark.
constexpr std::chrono::microseconds kLookOut{100};

}  // namespace

bool WriterQueue::enter(sqlite::WaitBudget& budget) {
  std::unique_lock lock(mutex_);
  if (!taken_) {
    taken_ = true;
    return true;
  }
  if (budget.exhausted()) {
    return false;
  }
  Waiter waiter;
  const auto place = waiting_.insert(waiting_.end(), &waiter);
  call_next();
  const auto start = Time::now();
  wait_for_turn(waiter, budget, lock);
  budget.spend(Time::now() - start);
  if (!waiter.has_turn) {
    waiting_.erase(place);
    call_next();
  }
  return waiter.has_turn;
}

void WriterQueue::wait_for_turn(Waiter& waiter, sqlite::WaitBudget& budget,
                                std::unique_lock<std::mutex>& lock) {
  // Bounded, because a wait for centuries would overflow the clock's arithmetic.
  constexpr std::chrono::nanoseconds kForEver = std::chrono::hours(24 * 365);
  const auto end = Time::now() + std::min(budget.left(), kForEver);
  waiter.changed.wait_until(lock, end, [&] { return waiter.is_next || waiter.has_turn; });
  if (waiter.is_next) {
    lock.unlock();
    const auto look_out_end = std::min(end, Time::now() + kLookOut);
    while (!waiter.has_turn.load(std::memory_order_acquire) && Time::now() < look_out_end) {
      std::this_thread::yield();
    }
    lock.lock();
  }
  waiter.changed.wait_until(lock, end, [&] { return waiter.has_turn.load(); });
}

void WriterQueue::leave() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) {
    taken_ = false;
    return;
  }
  Waiter* next = waiting_.front();
  waiting_.pop_front();
  next->has_turn.store(true, std::memory_order_release);
  next->changed.notify_one();  // under the lock: the waiter may be gone as soon as it is let go
  call_next();
}

void WriterQueue::call_next() {
  if (!waiting_.empty() && !waiting_.front()->is_next) {
    waiting_.front()->is_next = true;
    waiting_.front()->changed.notify_one();
  }
}

}  // namespace progress_tracker

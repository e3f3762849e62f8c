#include "writer_queue.h"

#include <algorithm>
#include <chrono>

namespace progress_tracker {

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
  // Slices, because a wait for years would overflow the clock's arithmetic.
  constexpr std::chrono::nanoseconds kLongestWait = std::chrono::hours(1);
  while (!waiter.has_turn && !budget.exhausted()) {
    const auto start = std::chrono::steady_clock::now();
    waiter.turn_came.wait_for(lock, std::min(budget.left(), kLongestWait),
                              [&] { return waiter.has_turn; });
    budget.spend(std::chrono::steady_clock::now() - start);
  }
  if (!waiter.has_turn) {
    waiting_.erase(place);
  }
  return waiter.has_turn;
}

void WriterQueue::leave() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) {
    taken_ = false;
    return;
  }
  Waiter* next = waiting_.front();
  waiting_.pop_front();
  next->has_turn = true;
  next->turn_came.notify_one();  // under the lock: the waiter may be gone as soon as it is let go
}

}  // namespace progress_tracker

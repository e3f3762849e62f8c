// The threads of one tracker queue here for the one writer's place, first come, first served,
// instead of polling SQLite's lock against each other.
//
// Waking a thread takes longer than most transactions. So whoever is next in the queue is woken
// while the one before it still writes, and then looks out for its turn awake.
#ifndef PROGRESS_TRACKER_SRC_WRITER_QUEUE_H_
#define PROGRESS_TRACKER_SRC_WRITER_QUEUE_H_

#include <atomic>
#include <condition_variable>
#include <list>
#include <mutex>

#include "sqlite/busy.h"

namespace progress_tracker {

class WriterQueue {
 public:
  // The writer's place, held for the life of the object; or not, if the budget ran out first.
  class Place {
   public:
    Place(WriterQueue& queue, sqlite::WaitBudget& budget)
        : queue_(queue), held_(queue.enter(budget)) {}
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
      if (held_) {
        queue_.leave();
      }
    }
    bool held() const { return held_; }

   private:
    WriterQueue& queue_;
    bool held_;
  };

 private:
  struct Waiter {
    std::condition_variable changed;
    bool is_next{false};
    std::atomic<bool> has_turn{false};
  };

  bool enter(sqlite::WaitBudget& budget);
  void leave();
  // Both with the mutex held.
  void wait_for_turn(Waiter& waiter, sqlite::WaitBudget& budget,
                     std::unique_lock<std::mutex>& lock);
  void call_next();

  std::mutex mutex_;
  // Guarded by mutex_; has_turn is also read without it.
  bool taken_{false};
  std::list<Waiter*> waiting_;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_WRITER_QUEUE_H_

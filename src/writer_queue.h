// The threads of one tracker queue here for the one writer's place, first come, first served,
// instead of polling SQLite's lock against each other.
#ifndef PROGRESS_TRACKER_SRC_WRITER_QUEUE_H_
#define PROGRESS_TRACKER_SRC_WRITER_QUEUE_H_

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
    std::condition_variable turn_came;
    bool has_turn{false};
  };

  bool enter(sqlite::WaitBudget& budget);
  void leave();

  std::mutex mutex_;
  // Guarded by mutex_.
  bool taken_{false};
  std::list<Waiter*> waiting_;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_WRITER_QUEUE_H_

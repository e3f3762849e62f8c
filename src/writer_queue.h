// The threads of one tracker queue here for the one writer's place, first come, first served,
// instead of polling SQLite's lock against each other.
//
// Waking a thread takes longer than most transactions. So whoever has the place may do the work of
// those behind it too, if they let it; and one who does not let it, and is next, is woken while the
// one before it still writes, to look out for its turn awake.
#ifndef PROGRESS_TRACKER_SRC_WRITER_QUEUE_H_
#define PROGRESS_TRACKER_SRC_WRITER_QUEUE_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <span>

#include "sqlite/busy.h"

namespace progress_tracker {

class WriterQueue {
 public:
  // One who comes to the queue, and stays until it is through.
  class Visitor {
   public:
    // `shares`: whoever has the place may do this one's work.
    Visitor(sqlite::WaitBudget& budget, bool shares) : budget_(budget), shares_(shares) {}
    Visitor(const Visitor&) = delete;
    Visitor& operator=(const Visitor&) = delete;

   private:
    friend class WriterQueue;

    sqlite::WaitBudget& budget_;
    const bool shares_;
    std::condition_variable changed_;
    std::atomic<bool> has_place_{false};  // set under the queue's mutex, like the others
    bool is_next_{false};
    bool taken_{false};
    bool done_{false};
    std::chrono::steady_clock::time_point since_;
  };

  enum class Entry {
    kPlace,  // leave() has to follow
    kDone,   // another has done the work
    kNone,   // the budget ran out first
  };
  Entry enter(Visitor& visitor);

  // For the holder of the place: the next in the queue, whose work it has to do now and then report
  // by done(); nullptr: there is none, or it does not share. The budget is the holder's till then.
  Visitor* take_next();
  void done(std::span<Visitor* const> visitors);

  void leave();

  // The place, held for the life of the object; or not, if the budget ran out first.
  class Place {
   public:
    Place(WriterQueue& queue, sqlite::WaitBudget& budget)
        : queue_(queue), visitor_(budget, false), held_(queue.enter(visitor_) == Entry::kPlace) {}
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
    Visitor visitor_;
    bool held_;
  };

 private:
  // Both with the mutex held.
  static void wait(Visitor& visitor, std::unique_lock<std::mutex>& lock);
  void call_next();

  std::mutex mutex_;
  // Guarded by mutex_.
  bool taken_{false};
  std::list<Visitor*> waiting_;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_WRITER_QUEUE_H_

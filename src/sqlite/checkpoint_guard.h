// The only place that checkpoints the write-ahead log.
//
// SQLite before 3.51.3 can lose commits when a checkpoint runs while another connection writes
// (sqlite.org/wal.html, "WAL-reset bug"); the number of a distribution's version cannot prove that
// it has the fix. Every step of that bug that damages needs the WAL write lock. So one connection
// takes that lock, a second one checkpoints, and the first lets go: then no writer can come
// between, whichever process or program it is. It is also what keeps the log small: a checkpoint
// that no writer runs beside is complete, and the next writer starts the log anew.
#ifndef PROGRESS_TRACKER_SRC_SQLITE_CHECKPOINT_GUARD_H_
#define PROGRESS_TRACKER_SRC_SQLITE_CHECKPOINT_GUARD_H_

#include <chrono>
#include <string>

#include "sqlite/connection.h"

namespace progress_tracker::sqlite {

class CheckpointGuard {
 public:
  // Pages in the log (4 KiB each) from which on a commit tries to checkpoint, and from which on it
  // is ready to wait for the write lock: 4 and 16 MiB, so that the log stays near the first.
  static constexpr int kTryPages = 1000;
  static constexpr int kWaitPages = 4 * kTryPages;
  static constexpr std::chrono::milliseconds kLongestWait{1000};

  // `checkpointer` is used for nothing else.
  CheckpointGuard(Connection& checkpointer, Clock& clock)
      : checkpointer_(checkpointer), clock_(clock) {}

  // Called after each commit by the thread that committed on `writer` and still holds the writer's
  // place of its tracker; may wait as long as the writer's budget allows. The commit is done
  // whatever becomes of the checkpoint, and a later one tries again; so a failure is not thrown but
  // returned, to be logged once no lock is held. Empty: all is well.
  std::string after_commit(Connection& writer);

  // Whether the disk has ever refused to sync for a checkpoint. The kernel forgets what it could
  // not write, so that later syncs of the log would falsely succeed.
  bool disk_has_refused() const { return disk_has_refused_; }

 private:
  void checkpoint(Connection& writer, bool wait);

  Connection& checkpointer_;
  Clock& clock_;
  // Touched only by the holder of the writer's place.
  int last_frames_{0};
  int next_try_{kTryPages};
  bool disk_has_refused_{false};
};

}  // namespace progress_tracker::sqlite

#endif  // PROGRESS_TRACKER_SRC_SQLITE_CHECKPOINT_GUARD_H_

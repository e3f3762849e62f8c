#include "sqlite/checkpoint_guard.h"

#include <algorithm>

namespace progress_tracker::sqlite {

std::string CheckpointGuard::after_commit(Connection& writer) {
  const int frames = writer.wal_frames();
  if (frames < last_frames_) {
    next_try_ = kTryPages;  // the log began anew
  }
  last_frames_ = frames;
  if (frames < next_try_) {
    return {};
  }
  // While a reader keeps the log from beginning anew, one try for so many new pages is enough.
  next_try_ = frames + kTryPages;
  try {
    checkpoint(writer, frames >= kWaitPages);
  } catch (const Failure& failure) {
    if (failure.primary() != SQLITE_BUSY) {
      return std::string("checkpoint of the write-ahead log: ") + failure.what();
    }
    // Somebody else is writing. Try again at the next commit.
    next_try_ = frames + 1;
  }
  return {};
}

void CheckpointGuard::checkpoint(Connection& writer, bool wait) {
  WaitBudget* const outer = writer.budget();
  const std::chrono::nanoseconds longest =
      wait && outer != nullptr ? std::min<std::chrono::nanoseconds>(kLongestWait, outer->left())
                               : std::chrono::nanoseconds::zero();
  WaitBudget budget(clock_, longest);
  struct LetGo {
    Connection& writer;
    WaitBudget* outer;
    ~LetGo() {
      writer.rollback();
      writer.set_budget(outer);
    }
  } const let_go{writer, outer};
  writer.set_budget(&budget);
  Query(writer, "BEGIN IMMEDIATE").run();
  int frames = -1;
  int done = -1;
  const auto run = [&] {
    return sqlite3_wal_checkpoint_v2(checkpointer_.handle(), "main", SQLITE_CHECKPOINT_PASSIVE,
                                     &frames, &done);
  };
  int code = run();
  if (code == SQLITE_OK && done < frames) {
    // Whoever polls for the write lock reads for some microseconds at each try, and holds up what
    // was committed since. By now that one is gone: nearly every second run is complete.
    code = run();
  }
  // Noted before there is need of memory to say so.
  disk_has_refused_ |= code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
  if (code == SQLITE_OK && frames < 0) {
    // What SQLite says of a connection that has not looked at the file, and so has seen no log.
    throw Failure(SQLITE_ERROR, "nothing was checkpointed: not in WAL mode");
  }
  if (code != SQLITE_OK) {
    checkpointer_.fail(code, "checkpoint");
  }
}

}  // namespace progress_tracker::sqlite

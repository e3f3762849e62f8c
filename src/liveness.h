// The kernel lock that says which workers are alive.
//
// Beside the database lies a side file. A worker holds an open file description lock (F_OFD_SETLK,
// write) on the one byte of it whose offset is the worker's id. The kernel drops it when the
// process dies, whatever the way, and not before: no heartbeat, no timeout, no clock, no pid.
//
// The side file is never the database file: opening and closing that outside SQLite would drop
// SQLite's own locks. It is never deleted by us. It begins with a random id, which the database
// holds too, so that a replaced file is noticed.
#ifndef PROGRESS_TRACKER_SRC_LIVENESS_H_
#define PROGRESS_TRACKER_SRC_LIVENESS_H_

#include <sys/types.h>

#include <mutex>
#include <string>

#include "progress_tracker/types.h"

namespace progress_tracker {

// Any thread may call any function at any time. Throws Error kIo where the system refuses.
class WorkerLocks {
 public:
  explicit WorkerLocks(std::string path) : path_(std::move(path)) {}
  WorkerLocks(const WorkerLocks&) = delete;
  WorkerLocks& operator=(const WorkerLocks&) = delete;
  ~WorkerLocks();

  // Opens the side file, or makes it, and returns the random id in it. To be called by a writer
  // that holds the database's write lock: so no two make it at once.
  std::string open_or_create();

  // Takes the lock of `worker`. False: somebody else has it.
  bool lock(WorkerId worker);
  void unlock(WorkerId worker) noexcept;

  // Whether `worker`, which must not be a worker of this tracker, is alive. A side file that is
  // missing holds no lock, so nobody is alive.
  bool is_alive(WorkerId worker);

  // Whether the file we hold our lock in is still the one that others look at.
  bool in_place();

  // Drops all locks.
  void close() noexcept;

 private:
  struct FileId {
    dev_t device{};
    ino_t inode{};
    bool operator==(const FileId&) const = default;
  };

  void open_existing_locked();
  bool in_place_locked() const;
  void close_locked() noexcept;

  const std::string path_;

  std::mutex mutex_;
  // Guarded by mutex_.
  int fd_{-1};
  FileId file_;
  bool writable_{false};
};

// The side file of a database.
std::string worker_file_of(const std::string& database);

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_LIVENESS_H_

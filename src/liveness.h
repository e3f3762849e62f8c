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
#include <utility>

#include "progress_tracker/types.h"

namespace progress_tracker {

// An open side file: closed with the object, and in every child process after fork().
class WorkerFile {
 public:
  WorkerFile() = default;
  // Throws Error kIo.
  //
  // The file that is there; an object that is not open if there is none.
  static WorkerFile open(const std::string& path);
  // For locking; makes it if there is none, with owner and mode of the database, as SQLite does
  // with its side files.
  static WorkerFile open_or_make(const std::string& path, const std::string& database);
  WorkerFile(WorkerFile&& other) noexcept { swap(other); }
  WorkerFile& operator=(WorkerFile&& other) noexcept {
    swap(other);
    return *this;
  }
  ~WorkerFile();

  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  // Whether this is the file that `path` leads to now.
  bool is_at(const std::string& path) const;

 private:
  static WorkerFile adopt(int fd, const std::string& path);
  void swap(WorkerFile& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(device_, other.device_);
    std::swap(inode_, other.inode_);
  }

  int fd_{-1};
  dev_t device_{};
  ino_t inode_{};
};

// Any thread may call any function at any time. Throws Error kIo where the system refuses.
class WorkerLocks {
 public:
  explicit WorkerLocks(std::string database);

  // Registering: begin() opens the side file, or makes it, and returns the random id in it; to be
  // called by a writer that holds the database's write lock, so that no two make it at once. Then
  // take() takes the lock of a worker; false: somebody else has it. Until commit() the lock held
  // before stays, and abandon() leaves it at that.
  std::string begin();
  bool take(WorkerId worker);
  void commit();
  void abandon() noexcept;

  // Whether the lock we hold is in the file that others look at.
  bool in_place();

  // Whether `worker`, which must not be a worker of this tracker, is alive. A side file that is
  // missing holds no lock, so nobody is alive.
  bool is_alive(WorkerId worker);

  // Drops the lock.
  void drop() noexcept;

 private:
  const std::string database_;
  const std::string path_;

  std::mutex mutex_;
  // Guarded by mutex_.
  WorkerFile mine_;   // holds our lock
  WorkerFile next_;   // of a registration that is not committed
  WorkerFile other_;  // to look at, where ours is not the file at path_
};

// The side file of a database.
std::string worker_file_of(const std::string& database);

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_LIVENESS_H_

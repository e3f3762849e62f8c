// Lets the threads of one tracker share the syncs that Synchronous::kFull waits for.
//
// A commit that SQLite itself syncs holds the write lock while the disk works, so that each commit
// costs a sync of its own. Here commits are made as with kNormal, and each is acknowledged when a
// sync of the write-ahead log has succeeded that began after it. One of the threads that wait syncs
// for all of them; whoever commits meanwhile waits for the next one.
#ifndef PROGRESS_TRACKER_SRC_SQLITE_SHARED_SYNC_H_
#define PROGRESS_TRACKER_SRC_SQLITE_SHARED_SYNC_H_

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

#include "sqlite/connection.h"

namespace progress_tracker::sqlite {

class SharedSync {
 public:
  // `path`: the database's.
  explicit SharedSync(const std::filesystem::path& path)
      : directory_(path.parent_path().native()) {}

  // Returns when all that anybody had committed before the call is on the disk. `connection` is the
  // calling thread's, has written to the log, and is in no transaction. Throws Failure if the disk
  // refuses; then, and ever after, nothing is known of what was not synced before: the kernel
  // forgets what it could not write, so that another sync would falsely succeed.
  void wait(const Connection& connection);

 private:
  bool covers(const std::optional<LogState>& state) const;
  // Lets go of `lock` while the disk works.
  void run(const Connection& connection, std::unique_lock<std::mutex>& lock);
  void sync(const Connection& connection);

  const std::string directory_;  // made here: being out of memory must not look like the disk's no
  std::mutex mutex_;
  std::condition_variable ended_;
  // Guarded by mutex_.
  bool running_{false};
  bool refused_{false};
  std::optional<LogState> synced_;  // how far the log was when the latest sync began
  // Touched by the one who runs the sync.
  bool directory_synced_{false};
};

}  // namespace progress_tracker::sqlite

#endif  // PROGRESS_TRACKER_SRC_SQLITE_SHARED_SYNC_H_

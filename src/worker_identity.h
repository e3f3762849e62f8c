// This tracker as a worker: its row in the database and its lock in the side file.
#ifndef PROGRESS_TRACKER_SRC_WORKER_IDENTITY_H_
#define PROGRESS_TRACKER_SRC_WORKER_IDENTITY_H_

#include <atomic>
#include <mutex>
#include <string>

#include "clock.h"
#include "liveness.h"
#include "progress_tracker/options.h"
#include "progress_tracker/types.h"
#include "sqlite/transaction.h"

namespace progress_tracker {

class WorkerIdentity {
 public:
  WorkerIdentity(sqlite::Transactions& transactions, const std::string& database,
                 const Options& options, Clock& clock);

  // This tracker's worker id, registered at the first call. A transaction that follows asks self()
  // for it, since another thread may have to register again in between. If the side file was
  // deleted or replaced since, registers again and takes what it holds along; no death is counted.
  WorkerId ensure();

  // The second half of that: for calls that ask who is alive, and need not be workers themselves.
  void ensure_in_place();

  // The same without registering: WorkerId{0} if this tracker has done nothing yet that a worker
  // does.
  WorkerId self() const { return WorkerId{id_.load(std::memory_order_acquire)}; }

  // Whether a worker is alive: certainly this one, if it is; else by its lock.
  bool is_alive(WorkerId worker);

  // Ends in order: what is still held will count no death. Then drops the lock.
  void farewell();

  // Drops the lock and nothing else, as a death does.
  void drop_lock() noexcept { locks_.drop(); }

 private:
  WorkerId register_worker(WorkerId before);
  // WorkerId{0}: every byte that was tried is locked by somebody.
  WorkerId try_to_register(WorkerId before);
  void abandon(WorkerId before) noexcept;

  sqlite::Transactions& transactions_;
  const Options& options_;
  Clock& clock_;
  const std::string path_;
  WorkerLocks locks_;
  std::mutex registering_;
  std::atomic<std::int64_t> id_{0};  // 0: not registered
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_WORKER_IDENTITY_H_

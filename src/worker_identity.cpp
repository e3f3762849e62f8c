#include "worker_identity.h"

#include <unistd.h>

#include <array>

#include "progress_tracker/rules.h"
#include "store/workers.h"

namespace progress_tracker {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) {
    return "unknown";
  }
  return clean_message(name.data());
}

}  // namespace

WorkerIdentity::WorkerIdentity(sqlite::Transactions& transactions, const std::string& database,
                               Clock& clock)
    : transactions_(transactions), clock_(clock), locks_(worker_file_of(database)) {}

WorkerId WorkerIdentity::ensure() {
  const WorkerId before = self();
  if (before != WorkerId{0} && locks_.in_place()) {
    return before;
  }
  const std::lock_guard lock(registering_);
  const WorkerId now = self();
  if (now != WorkerId{0} && locks_.in_place()) {
    return now;
  }
  const WorkerId registered = register_worker(now);
  id_.store(static_cast<std::int64_t>(registered), std::memory_order_release);
  return registered;
}

bool WorkerIdentity::is_alive(WorkerId worker) {
  if (worker == WorkerId{0}) {
    return false;
  }
  return worker == self() || locks_.is_alive(worker);
}

void WorkerIdentity::farewell() {
  const WorkerId worker = self();
  if (worker != WorkerId{0}) {
    transactions_.write("close",
                        [&](sqlite::Connection& db) { store::say_farewell(db, worker); });
  }
  locks_.close();
}

// One transaction: the row, the lock on its byte, the commit. So nobody ever sees the row of a live
// worker without its lock.
WorkerId WorkerIdentity::register_worker(WorkerId before) {
  WorkerId worker{0};
  try {
    transactions_.write("register worker", [&](sqlite::Connection& db) {
      const std::string file_id = locks_.open_or_create();
      if (store::worker_file_id(db) != file_id) {
        store::set_worker_file_id(db, file_id);
      }
      const std::string host = host_name();
      const std::int64_t pid = ::getpid();
      do {
        // A byte can be taken already where the database was restored from a backup.
        worker = store::insert_worker(db, host, pid, clock_.wall_ms());
      } while (!locks_.lock(worker));
      if (before != WorkerId{0}) {
        store::hand_over(db, before, worker);
      }
      store::forget_dead_workers(db, worker,
                                 [&](WorkerId other) { return locks_.is_alive(other); });
    });
  } catch (...) {
    locks_.unlock(worker);
    throw;
  }
  return worker;
}

}  // namespace progress_tracker

#include "worker_identity.h"

#include <unistd.h>

#include <array>
#include <chrono>

#include "progress_tracker/error.h"
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
                               const Options& options, Clock& clock)
    : transactions_(transactions),
      options_(options),
      clock_(clock),
      path_(worker_file_of(database)),
      locks_(database) {}

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
  return register_worker(now);
}

void WorkerIdentity::ensure_in_place() {
  if (self() != WorkerId{0}) {
    ensure();
  }
}

bool WorkerIdentity::is_alive(WorkerId worker) {
  if (worker == WorkerId{0}) {
    return false;
  }
  return worker == self() || locks_.is_alive(worker);
}

void WorkerIdentity::farewell() {
  const WorkerId worker = self();
  const auto holds_images = [&](sqlite::Connection& db) { return store::holds_images(db, worker); };
  // Else there is nothing to wait for other writers for: the next worker to register forgets it.
  if (worker != WorkerId{0} && transactions_.read("close", holds_images)) {
    transactions_.write("close", [&](sqlite::Connection& db) { store::say_farewell(db, worker); });
  }
  locks_.drop();
}

WorkerId WorkerIdentity::register_worker(WorkerId before) {
  constexpr std::chrono::milliseconds kLookAgain{10};
  sqlite::WaitBudget budget(clock_, options_.busy_timeout);
  for (;;) {
    try {
      const WorkerId worker = try_to_register(before);
      locks_.commit();
      return worker;
    } catch (const Error& error) {
      abandon(before);
      // Whoever may read the side file can lock all of it for reading, and so keep new workers
      // out: they wait, outside of any transaction.
      if (error.code() != ErrorCode::kBusy || error.sqlite_code() != 0 ||
          !budget.sleep(kLookAgain)) {
        throw;
      }
    } catch (...) {
      abandon(before);
      throw;
    }
  }
}

// One transaction: the row, the lock on its byte, the commit. So nobody ever sees the row of a live
// worker without its lock.
WorkerId WorkerIdentity::try_to_register(WorkerId before) {
  // Bytes can be taken where the database was restored from a backup while its workers went on.
  constexpr int kMostTries = 100;
  return transactions_.write("register worker", [&](sqlite::Connection& db) {
    const std::string file_id = locks_.begin();
    if (store::worker_file_id(db) != file_id) {
      store::set_worker_file_id(db, file_id);
    }
    const std::string host = host_name();
    const std::int64_t pid = ::getpid();
    WorkerId worker = store::insert_worker(db, host, pid, clock_.wall_ms());
    for (int tries = 1; !locks_.take(worker); ++tries) {
      if (tries == kMostTries) {
        throw Error(ErrorCode::kBusy, "register worker: " + path_ +
                                          ": somebody holds locks on all of it (waited up to " +
                                          std::to_string(options_.busy_timeout.count()) + " ms)");
      }
      store::remove_worker(db, worker);
      worker = store::insert_worker(db, host, pid, clock_.wall_ms());
    }
    if (before != WorkerId{0}) {
      store::hand_over(db, before, worker);
    }
    store::forget_dead_workers(db, worker, [&](WorkerId other) { return locks_.is_alive(other); });
    // Before the commit: no other thread may meet this id and not know it for its own, because the
    // lock cannot be tested through the description that holds it.
    id_.store(static_cast<std::int64_t>(worker), std::memory_order_release);
    return worker;
  });
}

void WorkerIdentity::abandon(WorkerId before) noexcept {
  id_.store(static_cast<std::int64_t>(before), std::memory_order_release);
  locks_.abandon();
}

}  // namespace progress_tracker

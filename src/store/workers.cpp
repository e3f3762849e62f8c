#include "store/workers.h"

#include <limits>
#include <string_view>

#include "store/counts.h"

namespace progress_tracker::store {
namespace {

using sqlite::Connection;
using sqlite::Query;

constexpr std::string_view kWorkerFileKey = "worker_file";

// Params: host, pid, now.
constexpr char kInsertWorkerSql[] = "INSERT INTO worker (host, pid, started_at) VALUES (?, ?, ?)";

constexpr char kSelectWorkersSql[] = "SELECT id, host, pid, started_at FROM worker ORDER BY id";
// Params: id.
constexpr char kDeleteWorkerSql[] = "DELETE FROM worker WHERE id = ?";
constexpr char kFarewellSql[] = "UPDATE worker SET farewell = 1 WHERE id = ?";
constexpr char kSelectFarewellSql[] = "SELECT farewell FROM worker WHERE id = ?";
constexpr char kCountHeldSql[] = "SELECT count(*) FROM state WHERE status = 1 AND worker = ?";
constexpr char kLoadsSql[] = "SELECT 1 FROM job WHERE loader IS NOT NULL AND loader = ? LIMIT 1";

// Params: worker of before. Walks from holder to holder, not from image to image.
constexpr char kNextHolderSql[] = "SELECT min(worker) FROM state WHERE status = 1 AND worker > ?";

// Params: worker, first id, last id, limit.
constexpr char kSelectHeldSql[] =
    "SELECT id, split, deaths FROM state "
    "WHERE status = 1 AND worker = ? AND id BETWEEN ? AND ? ORDER BY id LIMIT ?";

// Params: status, deaths, now, id.
constexpr char kTakeBackSql[] =
    "UPDATE state SET status = ?, deaths = ?, worker = NULL, changed_at = ? WHERE id = ?";

// Params: image, message.
constexpr char kInsertFailureSql[] = "INSERT INTO failure (image_id, message) VALUES (?, ?)";

// Params: to, from.
constexpr char kHandOverImagesSql[] = "UPDATE state SET worker = ? WHERE status = 1 AND worker = ?";
constexpr char kHandOverLoadsSql[] =
    "UPDATE job SET loader = ? WHERE loader IS NOT NULL AND loader = ?";

// Params: key.
constexpr char kSelectPropertySql[] = "SELECT value FROM property WHERE key = ?";
// Params: key, value.
constexpr char kSetPropertySql[] = "INSERT OR REPLACE INTO property (key, value) VALUES (?, ?)";

std::int64_t count_held(Connection& connection, WorkerId worker) {
  Query query(connection, kCountHeldSql, worker);
  query.next();
  return query.integer(0);
}

// All that hold images, of whatever job.
std::vector<WorkerId> holders(Connection& connection) {
  std::vector<WorkerId> found;
  std::int64_t last = 0;
  for (;;) {
    Query query(connection, kNextHolderSql, last);
    if (!query.next() || query.is_null(0)) {
      return found;
    }
    // Text, or an index out of order, would have us ask for ever.
    if (query.integer(0) <= last) {
      sqlite::fail_corrupt("images are held by " + query.text(0) + ", which is no worker's id");
    }
    last = query.integer(0);
    found.push_back(WorkerId{last});
  }
}

struct Held {
  std::int64_t id;
  std::int64_t split;
  std::int64_t deaths;
};

std::vector<Held> held_by(Connection& connection, const JobRow& job, WorkerId worker,
                          std::int64_t limit) {
  std::vector<Held> held;
  Query query(connection, kSelectHeldSql, worker, job.first_id(), job.last_id(), limit);
  while (query.next()) {
    held.push_back({query.integer(0), query.integer(1), query.integer(2)});
    if (held.back().deaths < 0 || held.back().deaths >= std::numeric_limits<int>::max()) {
      sqlite::fail_corrupt(describe(ImageId{held.back().id}) + ": its workers cannot have died " +
                           std::to_string(held.back().deaths) + " times");
    }
  }
  return held;
}

bool said_farewell(Connection& connection, WorkerId worker) {
  Query query(connection, kSelectFarewellSql, worker);
  return query.next() && query.integer(0) == 1;
}

}  // namespace

WorkerId insert_worker(Connection& connection, const std::string& host, std::int64_t pid,
                       std::int64_t now) {
  Query(connection, kInsertWorkerSql, std::string_view(host), pid, now).run();
  return WorkerId{connection.last_insert_rowid()};
}

void remove_worker(Connection& connection, WorkerId worker) {
  Query(connection, kDeleteWorkerSql, worker).run();
}

bool holds_images(Connection& connection, WorkerId worker) {
  return count_held(connection, worker) > 0;
}

void say_farewell(Connection& connection, WorkerId worker) {
  Query(connection, kFarewellSql, worker).run();
}

void forget_dead_workers(Connection& connection, WorkerId self, const IsAlive& is_alive) {
  std::vector<WorkerId> all;
  for (Query query(connection, kSelectWorkersSql); query.next();) {
    all.push_back(WorkerId{query.integer(0)});
  }
  for (const WorkerId worker : all) {
    if (worker != self && !is_alive(worker) && !holds_images(connection, worker) &&
        !Query(connection, kLoadsSql, worker).next()) {
      remove_worker(connection, worker);
    }
  }
}

void hand_over(Connection& connection, WorkerId from, WorkerId to) {
  Query(connection, kHandOverImagesSql, to, from).run();
  Query(connection, kHandOverLoadsSql, to, from).run();
  remove_worker(connection, from);
}

std::string worker_file_id(Connection& connection) {
  Query query(connection, kSelectPropertySql, kWorkerFileKey);
  return query.next() ? query.text(0) : std::string();
}

void set_worker_file_id(Connection& connection, const std::string& id) {
  Query(connection, kSetPropertySql, kWorkerFileKey, std::string_view(id)).run();
}

std::vector<Worker> list_workers(Connection& connection, WorkerId self, const IsAlive& is_alive) {
  std::vector<Worker> workers;
  Query query(connection, kSelectWorkersSql);
  while (query.next()) {
    Worker worker;
    worker.id = WorkerId{query.integer(0)};
    worker.host = query.text(1);
    worker.pid = query.integer(2);
    worker.started_at = to_time(query.integer(3));
    worker.alive = worker.id == self || is_alive(worker.id);
    worker.processing = count_held(connection, worker.id);
    if (worker.alive || worker.processing > 0) {
      workers.push_back(std::move(worker));
    }
  }
  return workers;
}

bool held_by_other(Connection& connection, const JobRow& job, WorkerId self,
                   const IsAlive& is_alive) {
  for (const WorkerId worker : holders(connection)) {
    if (worker != self && !held_by(connection, job, worker, 1).empty() && is_alive(worker)) {
      return true;
    }
  }
  return false;
}

TakenBack take_back(Connection& connection, const JobRow& job, WorkerId self, bool own,
                    int max_deaths, std::int64_t limit, const IsAlive& is_alive, std::int64_t now) {
  TakenBack taken;
  CountChanges counts;
  for (const WorkerId worker : holders(connection)) {
    if (worker == self ? !own : is_alive(worker)) {
      continue;
    }
    const int death = worker == self || said_farewell(connection, worker) ? 0 : 1;
    Query update(connection, kTakeBackSql);
    for (const Held& held :
         held_by(connection, job, worker, limit - static_cast<std::int64_t>(taken.total()))) {
      const std::int64_t deaths = held.deaths + death;
      const bool died_too_often = death > 0 && max_deaths > 0 && deaths >= max_deaths;
      const Status status = died_too_often ? Status::kError : Status::kPending;
      update.bind(1, status);
      update.bind(2, deaths);
      update.bind(3, now);
      update.bind(4, held.id);
      update.run_again();
      counts.move(held.split, Status::kProcessing, status);
      if (died_too_often) {
        const std::string message = "worker died " + std::to_string(deaths) +
                                    (deaths == 1 ? " time" : " times") + " while processing";
        Query(connection, kInsertFailureSql, held.id, std::string_view(message)).run();
        ++taken.to_error;
      } else {
        ++taken.to_pending;
      }
    }
  }
  counts.write(connection);
  if (taken.to_error > 0) {
    checkpoint(connection, job.id, now);
  }
  return taken;
}

}  // namespace progress_tracker::store

#include "store/inspection.h"

#include <array>
#include <iterator>

#include "store/jobs.h"
#include "store/schema.h"

namespace progress_tracker::store {
namespace {

using sqlite::Connection;
using sqlite::Query;

// With kMostCheckLines.
constexpr char kQuickCheckSql[] = "PRAGMA quick_check(100)";

// Each row: table, rowid (NULL without one), parent, number of the reference.
constexpr char kForeignKeyCheckSql[] = "PRAGMA foreign_key_check";

// What no foreign key ties together, because a key that is not an index makes deleting slow.
// Params: limit.
constexpr char kSelectStrayPathsSql[] =
    "SELECT path.image_id FROM path LEFT JOIN image ON image.id = path.image_id "
    "WHERE image.id IS NULL LIMIT ?";
constexpr char kSelectImagesWithoutPathSql[] =
    "SELECT image.id FROM job JOIN image "
    "ON image.id BETWEEN (job.id << 32) + 1 AND (job.id << 32) + job.published "
    "LEFT JOIN path ON path.directory = image.directory AND path.name = image.name "
    "WHERE job.name IS NOT NULL AND job.ready = 1 AND path.image_id IS NOT image.id LIMIT ?";

constexpr char kSelectIdentitySql[] =
    "SELECT application_id, user_version FROM pragma_application_id, pragma_user_version";

constexpr char kSelectWorkersSql[] =
    "SELECT worker.id, host, pid, worker.started_at, "
    "(SELECT count(*) FROM state WHERE status = 1 AND state.worker = worker.id) "
    "FROM worker ORDER BY worker.id";

// Each with: id, whether it has a name, ready, loader, published.
constexpr char kSelectUnfinishedSql[] =
    "SELECT id, name IS NOT NULL, ready, loader, published FROM job "
    "WHERE name IS NULL OR loader IS NOT NULL ORDER BY id";

// Params: first id, last id.
constexpr char kCountImagesSql[] = "SELECT count(*) FROM image WHERE id BETWEEN ? AND ?";

struct Pragma {
  const char* name;
  const char* sql;
};
constexpr auto kPragmas = std::to_array<Pragma>({
    {"auto_vacuum", "PRAGMA auto_vacuum"},
    {"cache_size", "PRAGMA cache_size"},
    {"cell_size_check", "PRAGMA cell_size_check"},
    {"encoding", "PRAGMA encoding"},
    {"foreign_keys", "PRAGMA foreign_keys"},
    {"journal_mode", "PRAGMA journal_mode"},
    {"mmap_size", "PRAGMA mmap_size"},
    {"page_size", "PRAGMA page_size"},
    {"synchronous", "PRAGMA synchronous"},
    {"temp_store", "PRAGMA temp_store"},
    {"trusted_schema", "PRAGMA trusted_schema"},
    {"wal_autocheckpoint", "PRAGMA wal_autocheckpoint"},
});

}  // namespace

std::vector<std::string> damage(Connection& connection) {
  std::vector<std::string> lines;
  Query query(connection, kQuickCheckSql);
  while (query.next()) {
    if (query.bytes(0) != "ok") {
      lines.push_back(query.text(0));
    }
  }
  return lines;
}

std::vector<std::string> dangling_references(Connection& connection) {
  std::vector<std::string> lines;
  Query query(connection, kForeignKeyCheckSql);
  while (lines.size() < kMostCheckLines && query.next()) {
    const std::string row = query.is_null(1) ? "a row" : "row " + query.text(1);
    lines.push_back(row + " of " + query.text(0) + " refers to a row of " + query.text(2) +
                    " that is not there");
  }
  const auto most = static_cast<std::int64_t>(kMostCheckLines);
  Query strays(connection, kSelectStrayPathsSql, most - std::ssize(lines));
  while (strays.next()) {
    lines.push_back("a row of path refers to image " + strays.text(0) + " that is not there");
  }
  Query nameless(connection, kSelectImagesWithoutPathSql, most - std::ssize(lines));
  while (nameless.next()) {
    lines.push_back("image " + nameless.text(0) + " cannot be found by its path");
  }
  return lines;
}

std::map<std::string, std::string> pragmas_in_force(Connection& connection) {
  std::map<std::string, std::string> pragmas;
  for (const Pragma& pragma : kPragmas) {
    Query query(connection, pragma.sql);
    if (query.next()) {
      pragmas[pragma.name] = query.text(0);
    }
  }
  return pragmas;
}

Identity identity(Connection& connection) {
  Query query(connection, kSelectIdentitySql);
  query.next();
  return {.application_id = query.integer(0), .schema_version = query.integer(1)};
}

std::vector<Worker> all_workers(Connection& connection, const IsAlive& is_alive) {
  std::vector<Worker> workers;
  Query query(connection, kSelectWorkersSql);
  while (query.next()) {
    Worker& worker = workers.emplace_back();
    worker.id = WorkerId{query.integer(0)};
    worker.host = query.text(1);
    worker.pid = query.integer(2);
    worker.started_at = to_time(query.integer(3));
    worker.processing = query.integer(4);
    worker.alive = is_alive(worker.id);
  }
  return workers;
}

std::vector<UnfinishedJob> unfinished_jobs(Connection& connection, const IsLoading& is_loading) {
  std::vector<UnfinishedJob> jobs;
  Query query(connection, kSelectUnfinishedSql);
  while (query.next()) {
    UnfinishedJob& job = jobs.emplace_back();
    job.job = JobId{query.integer(0)};
    const bool has_name = query.integer(1) == 1;
    const bool ready = query.integer(2) == 1;
    const WorkerId loader{query.integer(3)};
    if (has_name && is_loading(loader, job.job)) {
      job.loader = loader;
    }
    // Of a job that everybody sees, only what is above its mark is unseen.
    const std::int64_t seen = has_name && ready ? query.integer(4) : 0;
    const std::int64_t last = image_id(job.job, kMaxSequence);
    Query images(connection, kCountImagesSql, image_id(job.job, seen + 1), last);
    images.next();
    job.unseen = images.integer(0);
  }
  return jobs;
}

}  // namespace progress_tracker::store

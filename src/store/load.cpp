#include "store/load.h"

#include <array>

#include "store/counts.h"
#include "store/images.h"

namespace progress_tracker::store {
namespace {

using sqlite::Connection;
using sqlite::Query;

// Each with: id, ready, loader, published, upstream. Params: name; id.
constexpr char kSelectTargetByNameSql[] =
    "SELECT id, ready, loader, published, upstream FROM job WHERE name = ?";
constexpr char kSelectTargetSql[] =
    "SELECT id, ready, loader, published, upstream FROM job "
    "WHERE id = ? AND name IS NOT NULL AND ready = 1";

// Params: name, upstream, loader, now.
constexpr char kInsertJobSql[] =
    "INSERT INTO job (name, upstream, ready, loader, created_at, updated_at) "
    "VALUES (?1, ?2, 0, ?3, ?4, ?4)";
// Params: job.
constexpr char kSelectLoaderSql[] = "SELECT loader FROM job WHERE id = ? AND name IS NOT NULL";
// Params: loader, job.
constexpr char kSetLoaderSql[] = "UPDATE job SET loader = ? WHERE id = ?";
// Params: job, loader.
constexpr char kAbandonSql[] = "UPDATE job SET loader = 0 WHERE id = ? AND loader = ?";
// Params: job.
constexpr char kGiveUpSql[] = "UPDATE job SET loader = 0 WHERE id = ?";
// Params: published, job.
constexpr char kPublishSql[] =
    "UPDATE job SET ready = 1, loader = NULL, published = ? WHERE id = ?";
// Params: job.
constexpr char kPublishChainedSql[] =
    "UPDATE job SET ready = 1, loader = NULL, scanned = 0 WHERE id = ?";
constexpr char kHideJobSql[] =
    "UPDATE job SET name = NULL, upstream = NULL, loader = NULL WHERE id = ?";

// Each with: id, whether it has a name, ready, loader, published.
constexpr char kSelectUnfinishedSql[] =
    "SELECT id, name IS NOT NULL, ready, loader, published FROM job "
    "INDEXED BY job_unfinished WHERE name IS NULL OR loader IS NOT NULL";

// Params: job.
constexpr char kIsAmongUnfinishedSql[] =
    "SELECT 1 FROM job INDEXED BY job_unfinished "
    "WHERE (name IS NULL OR loader IS NOT NULL) AND id = ?";

// One piece of a job's rows, in an order that breaks no reference. Params: first id, last id,
// limit.
constexpr std::array kClearByImageSql{
    "DELETE FROM late_completion WHERE image_id IN (SELECT image_id FROM late_completion "
    "WHERE image_id BETWEEN ? AND ? LIMIT ?)",
    "DELETE FROM batch_image WHERE image_id IN (SELECT image_id FROM batch_image "
    "WHERE image_id BETWEEN ? AND ? LIMIT ?)",
    "DELETE FROM failure WHERE image_id IN (SELECT image_id FROM failure "
    "WHERE image_id BETWEEN ? AND ? LIMIT ?)",
    "DELETE FROM state WHERE id IN (SELECT id FROM state WHERE id BETWEEN ? AND ? LIMIT ?)",
    // In this order of columns SQLite looks each entry up; the other way round it goes through the
    // directory.
    "DELETE FROM path WHERE (name, directory) IN (SELECT name, directory FROM image "
    "WHERE id BETWEEN ? AND ? LIMIT ?)",
    "DELETE FROM image WHERE id IN (SELECT id FROM image WHERE id BETWEEN ? AND ? LIMIT ?)",
};
// Params: job, limit.
constexpr std::array kClearByJobSql{
    "DELETE FROM chain_backlog WHERE job_id = ?1 AND position IN (SELECT position "
    "FROM chain_backlog WHERE job_id = ?1 LIMIT ?2)",
    "DELETE FROM batch WHERE id IN (SELECT id FROM batch WHERE job_id = ? LIMIT ?)",
    // Of images that are gone: there are none, unless somebody else removed them.
    "DELETE FROM path WHERE (name, directory) IN (SELECT path.name, path.directory "
    "FROM directory JOIN path ON path.directory = directory.id WHERE directory.job_id = ? LIMIT ?)",
    "DELETE FROM directory WHERE id IN (SELECT id FROM directory WHERE job_id = ? LIMIT ?)",
    "DELETE FROM split WHERE id IN (SELECT id FROM split WHERE job_id = ? LIMIT ?)",
};
// Params: job.
constexpr char kDeleteJobSql[] = "DELETE FROM job WHERE id = ?";

// Some 10 ms of the write lock.
constexpr std::int64_t kClearPiece = 5'000;

LoadTarget read_target(Connection& connection, Query& query, const IsLoading& is_loading) {
  LoadTarget target;
  if (!query.next()) {
    return target;
  }
  target.job = JobId{query.integer(0)};
  target.ready = query.integer(1) == 1;
  target.published = published_in(query, 3, target.job);
  if (!query.is_null(4)) {
    target.upstream = JobId{query.integer(4)};
  }
  if (query.is_null(2)) {
    target.kind = LoadTarget::Kind::kFree;
  } else if (is_loading(WorkerId{query.integer(2)}, target.job)) {
    target.kind = LoadTarget::Kind::kLoading;
  } else {
    target.kind = LoadTarget::Kind::kLeftover;
    // What clears leftovers away finds them by this index, and would never find this one.
    if (!Query(connection, kIsAmongUnfinishedSql, target.job).next()) {
      sqlite::fail_corrupt(describe(target.job) + " is missing among the unfinished");
    }
  }
  return target;
}

bool clear_images_piece(Connection& connection, JobId job, std::int64_t after) {
  for (const char* sql : kClearByImageSql) {
    Query(connection, sql, image_id(job, after + 1), image_id(job, kMaxSequence), kClearPiece)
        .run();
    if (connection.changes() > 0) {
      return true;
    }
  }
  return false;
}

void clear_job_piece(Connection& connection, JobId job) {
  if (clear_images_piece(connection, job, 0)) {
    return;
  }
  for (const char* sql : kClearByJobSql) {
    Query(connection, sql, job, kClearPiece).run();
    if (connection.changes() > 0) {
      return;
    }
  }
  Query(connection, kDeleteJobSql, job).run();
  if (connection.changes() == 0) {
    sqlite::fail_corrupt(describe(job) + " cannot be removed");
  }
}

}  // namespace

LoadTarget load_target(Connection& connection, std::string_view name, const IsLoading& is_loading) {
  Query query(connection, kSelectTargetByNameSql, name);
  return read_target(connection, query, is_loading);
}

LoadTarget load_target(Connection& connection, JobId job, const IsLoading& is_loading) {
  Query query(connection, kSelectTargetSql, job);
  return read_target(connection, query, is_loading);
}

JobId insert_job(Connection& connection, std::string_view name, std::optional<JobId> upstream,
                 std::optional<WorkerId> loader, std::int64_t now) {
  Query(connection, kInsertJobSql, name, upstream, loader, now).run();
  return JobId{connection.last_insert_rowid()};
}

void set_loader(Connection& connection, JobId job, WorkerId loader) {
  Query(connection, kSetLoaderSql, loader, job).run();
}

WorkerId loader_of(Connection& connection, JobId job) {
  Query query(connection, kSelectLoaderSql, job);
  return WorkerId{query.next() ? query.integer(0) : 0};
}

void publish(Connection& connection, const ListLoad::Position& load) {
  CountChanges counts;
  for (const auto& [split, count] : load.added) {
    counts.add_image(split, count);
  }
  counts.write(connection);
  Query(connection, kPublishSql, load.last, load.job).run();
}

void publish_chained(Connection& connection, JobId job) {
  Query(connection, kPublishChainedSql, job).run();
}

void abandon_load(Connection& connection, JobId job, WorkerId loader) {
  Query(connection, kAbandonSql, job, loader).run();
}

void hide_job(Connection& connection, JobId job) { Query(connection, kHideJobSql, job).run(); }

bool clear_leftovers_piece(Connection& connection, const IsLoading& is_loading) {
  Query query(connection, kSelectUnfinishedSql);
  while (query.next()) {
    const JobId job{query.integer(0)};
    const bool has_name = query.integer(1) == 1;
    const bool ready = query.integer(2) == 1;
    if (!has_name) {
      clear_job_piece(connection, job);
      return true;
    }
    if (ready && query.is_null(3)) {
      // An index that says so of a job which is finished would say it for ever.
      sqlite::fail_corrupt(describe(job) + " is not unfinished");
    }
    if (is_loading(WorkerId{query.integer(3)}, job)) {
      continue;
    }
    if (ready && query.integer(3) != 0) {
      // Given up for good, before its first row goes: the loader may come back under another id,
      // where only the file of its lock was lost.
      Query(connection, kGiveUpSql, job).run();
    }
    if (!ready) {
      hide_job(connection, job);
    } else if (!clear_images_piece(connection, job, published_in(query, 4, job))) {
      Query(connection, "UPDATE job SET loader = NULL WHERE id = ?", job).run();
    }
    return true;
  }
  return false;
}

}  // namespace progress_tracker::store

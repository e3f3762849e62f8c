#include "store/load.h"

#include <array>
#include <unordered_map>
#include <vector>

#include "progress_tracker/error.h"
#include "store/counts.h"
#include "store/images.h"

namespace progress_tracker::store {
namespace {

using sqlite::Bytes;
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
// Params: published, job.
constexpr char kPublishSql[] =
    "UPDATE job SET ready = 1, loader = NULL, published = ? WHERE id = ?";
// Params: job.
constexpr char kPublishChainedSql[] =
    "UPDATE job SET ready = 1, loader = NULL, scanned = 0 WHERE id = ?";
constexpr char kHideJobSql[] =
    "UPDATE job SET name = NULL, upstream = NULL, loader = NULL WHERE id = ?";

// Params: job, path.
constexpr char kInsertDirectorySql[] =
    "INSERT INTO directory (job_id, path) VALUES (?, ?) ON CONFLICT (job_id, path) DO NOTHING";
constexpr char kSelectDirectorySql[] = "SELECT id FROM directory WHERE job_id = ? AND path = ?";
// Params: id, directory, name, split.
constexpr char kInsertImageSql[] =
    "INSERT INTO image (id, directory, name, split) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (directory, name) DO NOTHING";
// Params: directory, name.
constexpr char kSelectExistingSql[] =
    "SELECT id, split FROM image WHERE directory = ? AND name = ?";

// Each with: id, whether it has a name, ready, loader, published.
constexpr char kSelectUnfinishedSql[] =
    "SELECT id, name IS NOT NULL, ready, loader, published FROM job "
    "INDEXED BY job_unfinished WHERE name IS NULL OR loader IS NOT NULL";

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
    "DELETE FROM image WHERE id IN (SELECT id FROM image WHERE id BETWEEN ? AND ? LIMIT ?)",
};
// Params: job, limit.
constexpr std::array kClearByJobSql{
    "DELETE FROM chain_backlog WHERE job_id = ?1 AND position IN (SELECT position "
    "FROM chain_backlog WHERE job_id = ?1 LIMIT ?2)",
    "DELETE FROM batch WHERE id IN (SELECT id FROM batch WHERE job_id = ? LIMIT ?)",
    "DELETE FROM directory WHERE id IN (SELECT id FROM directory WHERE job_id = ? LIMIT ?)",
    "DELETE FROM split WHERE id IN (SELECT id FROM split WHERE job_id = ? LIMIT ?)",
};
// Params: job.
constexpr char kDeleteJobSql[] = "DELETE FROM job WHERE id = ?";

// Some 10 ms of the write lock.
constexpr std::int64_t kClearPiece = 5'000;

// How many images are loaded between two looks at the clock: less than 1 ms.
constexpr std::size_t kLookEvery = 256;

LoadTarget read_target(Query& query, const IsLoading& is_loading) {
  LoadTarget target;
  if (!query.next()) {
    return target;
  }
  target.job = JobId{query.integer(0)};
  target.ready = query.integer(1) == 1;
  target.published = query.integer(3);
  if (!query.is_null(4)) {
    target.upstream = JobId{query.integer(4)};
  }
  if (query.is_null(2)) {
    target.kind = LoadTarget::Kind::kFree;
  } else {
    target.kind = is_loading(WorkerId{query.integer(2)}, target.job) ? LoadTarget::Kind::kLoading
                                                                     : LoadTarget::Kind::kLeftover;
  }
  return target;
}

// The ids of directories and splits that one piece has met. The keys are the caller's strings.
class Names {
 public:
  Names(Connection& connection, JobId job) : connection_(connection), job_(job) {}

  std::int64_t directory(std::string_view path) {
    const auto [place, is_new] = directories_.try_emplace(path, 0);
    if (is_new) {
      place->second = find_directory(path);
    }
    return place->second;
  }

  std::int64_t split(std::string_view name) {
    const auto [place, is_new] = splits_.try_emplace(name, 0);
    if (is_new) {
      place->second = split_id(connection_, job_, name);
    }
    return place->second;
  }

 private:
  std::int64_t find_directory(std::string_view path) {
    Query(connection_, kInsertDirectorySql, job_, Bytes{path}).run();
    if (connection_.changes() > 0) {
      return connection_.last_insert_rowid();
    }
    Query query(connection_, kSelectDirectorySql, job_, Bytes{path});
    query.next();
    return query.integer(0);
  }

  Connection& connection_;
  const JobId job_;
  std::unordered_map<std::string_view, std::int64_t> directories_;
  std::unordered_map<std::string_view, std::int64_t> splits_;
};

// Whether the job had this image before, with another split.
bool differs(Connection& connection, const ListLoad& load, std::int64_t directory,
             std::string_view name, std::int64_t split) {
  Query query(connection, kSelectExistingSql, directory, Bytes{name});
  return query.next() && sequence_of(ImageId{query.integer(0)}) <= load.published &&
         query.integer(1) != split;
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
}

}  // namespace

LoadTarget load_target(Connection& connection, std::string_view name, const IsLoading& is_loading) {
  Query query(connection, kSelectTargetByNameSql, name);
  return read_target(query, is_loading);
}

LoadTarget load_target(Connection& connection, JobId job, const IsLoading& is_loading) {
  Query query(connection, kSelectTargetSql, job);
  return read_target(query, is_loading);
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

bool load_list_piece(Connection& connection, ListLoad& load,
                     std::span<const std::filesystem::path> paths,
                     std::span<const std::string> splits, const std::function<bool()>& is_over) {
  Names names(connection, load.job);
  Query insert(connection, kInsertImageSql);
  for (std::size_t looked = 0; load.next < paths.size(); ++load.next, ++looked) {
    if (looked >= kLookEvery && looked % kLookEvery == 0 && is_over()) {
      return false;
    }
    if (load.last == kMaxSequence) {
      throw Error(ErrorCode::kFull, describe(load.job) + ": a job holds at most 4294967295 images");
    }
    const auto [directory_path, name] = cut_path(paths[load.next].native());
    const std::int64_t directory = names.directory(directory_path);
    const std::int64_t split =
        names.split(splits.empty() ? std::string_view() : std::string_view(splits[load.next]));
    insert.bind(1, image_id(load.job, load.last + 1));
    insert.bind(2, directory);
    insert.bind(3, Bytes{name});
    insert.bind(4, split);
    insert.run_again();
    if (connection.changes() > 0) {
      ++load.last;
      ++load.added[split];
    } else if (differs(connection, load, directory, name, split)) {
      ++load.differing;
    }
  }
  return true;
}

void publish(Connection& connection, const ListLoad& load) {
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
    if (is_loading(WorkerId{query.integer(3)}, job)) {
      continue;
    }
    if (!ready) {
      hide_job(connection, job);
    } else if (!clear_images_piece(connection, job, query.integer(4))) {
      Query(connection, "UPDATE job SET loader = NULL WHERE id = ?", job).run();
    }
    return true;
  }
  return false;
}

}  // namespace progress_tracker::store

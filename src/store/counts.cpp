#include "store/counts.h"

#include <utility>

#include "store/jobs.h"
#include "store/schema.h"

namespace progress_tracker::store {
namespace {

using sqlite::Connection;
using sqlite::Query;

// Params: total, processing, completed, error, id.
constexpr char kChangeCountsSql[] =
    "UPDATE split SET total = total + ?, processing = processing + ?, "
    "completed = completed + ?, error = error + ? WHERE id = ?";

// Params: job.
constexpr char kSelectCountsBySplitSql[] =
    "SELECT total, processing, completed, error, name FROM split WHERE job_id = ? ORDER BY name";

// Params: job.
constexpr char kSelectCheckpointSql[] = "SELECT processed_count, error_count FROM job WHERE id = ?";

// Params: processed_count, error_count, now, job.
constexpr char kCheckpointSql[] =
    "UPDATE job SET processed_count = ?, error_count = ?, updated_at = ? WHERE id = ?";

// Params: job, name.
constexpr char kSelectSplitSql[] = "SELECT id FROM split WHERE job_id = ? AND name = ?";
constexpr char kInsertSplitSql[] = "INSERT INTO split (job_id, name) VALUES (?, ?)";

[[noreturn]] void fail_counts(JobId job) {
  sqlite::fail_corrupt("the counts of " + describe(job) + " do not add up");
}

StatusCounts counts_in(const Query& query, JobId job) {
  StatusCounts counts;
  counts.processing = query.integer(1);
  counts.completed = query.integer(2);
  counts.error = query.integer(3);
  const std::int64_t total = query.integer(0);
  const auto is_part = [](std::int64_t count, std::int64_t of) {
    return 0 <= count && count <= of;
  };
  if (!is_part(total, kMaxSequence) || !is_part(counts.processing, total) ||
      !is_part(counts.completed, total - counts.processing) ||
      !is_part(counts.error, total - counts.processing - counts.completed)) {
    fail_counts(job);
  }
  counts.pending = total - counts.processing - counts.completed - counts.error;
  return counts;
}

// Calls see(name, counts) for each split of the job, in the order of their names.
template <typename See>
void for_each_split(Connection& connection, JobId job, const See& see) {
  Query query(connection, kSelectCountsBySplitSql, job);
  std::optional<std::string> before;
  while (query.next()) {
    std::string name = query.text(4);
    if (before.has_value() && *before >= name) {
      // A damaged index leads to one split twice.
      sqlite::fail_corrupt("the splits of " + describe(job) + " are out of order");
    }
    see(name, counts_in(query, job));
    before = std::move(name);
  }
}

}  // namespace

void CountChanges::move(std::int64_t split, Status from, Status to, std::int64_t count) {
  Change& change = of(split);
  add(change, from, -count);
  add(change, to, count);
}

void CountChanges::write(Connection& connection) {
  Query query(connection, kChangeCountsSql);
  for (const auto& [split, change] : changes_) {
    query.bind(1, change.total);
    query.bind(2, change.processing);
    query.bind(3, change.completed);
    query.bind(4, change.error);
    query.bind(5, split);
    query.run_again();
  }
  changes_.clear();
  last_ = nullptr;
}

CountChanges::Change& CountChanges::of(std::int64_t split) {
  if (last_ == nullptr || split != last_split_) {
    last_ = &changes_[split];
    last_split_ = split;
  }
  return *last_;
}

void CountChanges::add(Change& change, Status status, std::int64_t count) {
  switch (status) {
    case Status::kPending:
      break;  // what is left of the total
    case Status::kProcessing:
      change.processing += count;
      break;
    case Status::kCompleted:
      change.completed += count;
      break;
    case Status::kError:
      change.error += count;
      break;
  }
}

StatusCounts status_counts(Connection& connection, JobId job) {
  StatusCounts sum;
  for_each_split(connection, job, [&](const std::string& /*name*/, const StatusCounts& its) {
    sum.pending += its.pending;
    sum.processing += its.processing;
    sum.completed += its.completed;
    sum.error += its.error;
    if (sum.total() > kMaxSequence) {
      fail_counts(job);
    }
  });
  return sum;
}

std::map<std::string, StatusCounts> counts_by_split(Connection& connection, JobId job) {
  std::map<std::string, StatusCounts> counts;
  for_each_split(connection, job, [&](const std::string& name, const StatusCounts& its) {
    if (its.total() > 0) {
      counts.emplace(name, its);
    }
  });
  return counts;
}

Progress checkpointed_progress(Connection& connection, JobId job) {
  Progress progress;
  progress.total_images = status_counts(connection, job).total();
  Query query(connection, kSelectCheckpointSql, job);
  query.require_row();
  progress.processed_count = query.integer(0);
  progress.error_count = query.integer(1);
  if (progress.processed_count < 0 || progress.processed_count > progress.total_images ||
      progress.error_count < 0 ||
      progress.error_count > progress.total_images - progress.processed_count) {
    sqlite::fail_corrupt("the checkpoint of " + describe(job) + " counts more images than it has");
  }
  progress.pending_count = progress.total_images - progress.processed_count - progress.error_count;
  return progress;
}

void checkpoint(Connection& connection, JobId job, std::int64_t now) {
  const StatusCounts counts = status_counts(connection, job);
  Query(connection, kCheckpointSql, counts.completed, counts.error, now, job).run();
}

std::int64_t split_id(Connection& connection, JobId job, std::string_view name) {
  Query select(connection, kSelectSplitSql, job, name);
  if (select.next()) {
    return select.integer(0);
  }
  Query(connection, kInsertSplitSql, job, name).run();
  return connection.last_insert_rowid();
}

}  // namespace progress_tracker::store

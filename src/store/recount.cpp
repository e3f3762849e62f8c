#include "store/recount.h"

#include <algorithm>
#include <unordered_map>

#include "store/counts.h"
#include "store/jobs.h"
#include "store/schema.h"

namespace progress_tracker::store {
namespace {

using sqlite::Connection;
using sqlite::Query;

constexpr char kSelectJobsSql[] = "SELECT id FROM job WHERE name IS NOT NULL ORDER BY id";

// Params: job.
constexpr char kSelectMarksSql[] =
    "SELECT name, published, started FROM job WHERE id = ? AND name IS NOT NULL";
constexpr char kSelectSplitsSql[] =
    "SELECT id, name, total, processing, completed, error FROM split WHERE job_id = ? ORDER BY "
    "name";

// Params: first id, last id.
constexpr char kWalkImagesSql[] =
    "SELECT image.id, image.split, state.status FROM image LEFT JOIN state ON state.id = image.id "
    "WHERE image.id BETWEEN ? AND ? ORDER BY image.id";

// Params: total, processing, completed, error, id.
constexpr char kSetCountsSql[] =
    "UPDATE split SET total = ?, processing = ?, completed = ?, error = ? WHERE id = ?";
// Params: started, job.
constexpr char kSetStartedSql[] = "UPDATE job SET started = ? WHERE id = ?";

void count(StatusCounts& counts, Status status) {
  switch (status) {
    case Status::kPending:
      ++counts.pending;
      break;
    case Status::kProcessing:
      ++counts.processing;
      break;
    case Status::kCompleted:
      ++counts.completed;
      break;
    case Status::kError:
      ++counts.error;
      break;
  }
}

std::vector<Recount::Split> stored_counts(Connection& connection, JobId job) {
  std::vector<Recount::Split> splits;
  Query query(connection, kSelectSplitsSql, job);
  while (query.next()) {
    Recount::Split& split = splits.emplace_back();
    split.id = query.integer(0);
    split.name = query.text(1);
    split.stored.processing = query.integer(3);
    split.stored.completed = query.integer(4);
    split.stored.error = query.integer(5);
    // Whatever they are, and unsigned, so that none overflows: they are only shown.
    const auto as_unsigned = [&](int column) {
      return static_cast<std::uint64_t>(query.integer(column));
    };
    split.stored.pending = static_cast<std::int64_t>(as_unsigned(2) - as_unsigned(3) -
                                                     as_unsigned(4) - as_unsigned(5));
  }
  return splits;
}

}  // namespace

std::vector<JobId> countable_jobs(Connection& connection) {
  std::vector<JobId> jobs;
  Query query(connection, kSelectJobsSql);
  while (query.next()) {
    jobs.push_back(JobId{query.integer(0)});
  }
  return jobs;
}

Recount recount(Connection& connection, JobId job) {
  Recount found;
  found.job = job;
  Query marks(connection, kSelectMarksSql, job);
  if (!marks.next()) {
    return found;
  }
  found.name = marks.text(0);
  found.published = published_in(marks, 1, job);
  found.started = marks.integer(2);
  found.all_started = found.published;

  std::vector<Recount::Split> splits = stored_counts(connection, job);
  std::unordered_map<std::int64_t, StatusCounts*> counts_of;
  for (Recount::Split& split : splits) {
    counts_of[split.id] = &split.counted;
  }
  // Neighbours share their split.
  std::int64_t last_split = 0;
  StatusCounts* counts = nullptr;
  bool gap = false;
  Query images(connection, kWalkImagesSql, image_id(job, 1), image_id(job, found.published));
  while (images.next()) {
    ++found.images;
    if (images.is_null(2) && !gap) {
      gap = true;
      found.all_started = sequence_of(ImageId{images.integer(0)}) - 1;
    }
    if (counts == nullptr || images.integer(1) != last_split) {
      last_split = images.integer(1);
      const auto place = counts_of.find(last_split);
      counts = place == counts_of.end() ? nullptr : place->second;
    }
    if (counts == nullptr) {
      ++found.without_split;
    } else {
      count(*counts, images.is_null(2) ? Status::kPending : static_cast<Status>(images.integer(2)));
    }
  }
  std::erase_if(splits, [](const Recount::Split& split) { return split.stored == split.counted; });
  found.differing = std::move(splits);
  return found;
}

void correct(Connection& connection, const Recount& found, std::int64_t now) {
  Query set_counts(connection, kSetCountsSql);
  for (const Recount::Split& split : found.differing) {
    set_counts.bind(1, split.counted.total());
    set_counts.bind(2, split.counted.processing);
    set_counts.bind(3, split.counted.completed);
    set_counts.bind(4, split.counted.error);
    set_counts.bind(5, split.id);
    set_counts.run_again();
  }
  if (!found.mark_is_sound()) {
    Query(connection, kSetStartedSql, found.all_started, found.job).run();
  }
  checkpoint(connection, found.job, now);
}

}  // namespace progress_tracker::store

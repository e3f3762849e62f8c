#include "store/state.h"

#include <limits>
#include <string>

#include "store/jobs.h"

namespace progress_tracker::store {
namespace {

using sqlite::Connection;
using sqlite::Query;

// Params: status, worker, now, first, last.
constexpr char kInsertStatesSql[] =
    "INSERT INTO state (id, status, split, attempts, deaths, worker, started_at, changed_at) "
    "SELECT id, ?1, split, 1, 0, ?2, ?3, ?3 FROM image WHERE id BETWEEN ?4 AND ?5";
// Params: worker, now, id.
constexpr char kStartAgainSql[] =
    "UPDATE state SET status = 1, attempts = attempts + 1, worker = ?1, started_at = ?2, "
    "changed_at = ?2 WHERE id = ?3 AND status = 0";
// Params: started, job.
constexpr char kSetStartedSql[] = "UPDATE job SET started = ? WHERE id = ?";

}  // namespace

bool are_neighbours(ImageId image, ImageId next) {
  // Unsigned, so that no number overflows.
  return static_cast<std::uint64_t>(next) - static_cast<std::uint64_t>(image) == 1;
}

std::size_t neighbours(std::span<const ImageId> images) {
  std::size_t length = 1;
  while (length < images.size() && are_neighbours(images[length - 1], images[length])) {
    ++length;
  }
  return length;
}

Status status_in(const Query& query, int column, ImageId image) {
  const std::int64_t status = query.integer(column);
  if (status < static_cast<int>(Status::kPending) || status > static_cast<int>(Status::kError)) {
    sqlite::fail_corrupt(describe(image) + " cannot have status " + std::to_string(status));
  }
  return static_cast<Status>(status);
}

int times_in(const Query& query, int column, ImageId image) {
  const std::int64_t times = query.integer(column);
  if (times < 0 || times > std::numeric_limits<int>::max()) {
    sqlite::fail_corrupt(describe(image) + " cannot have " + std::to_string(times) +
                         " attempts or deaths");
  }
  return static_cast<int>(times);
}

void insert_rows(Connection& connection, ImageId first, ImageId last, Status status,
                 std::optional<WorkerId> worker, std::int64_t now) {
  Query(connection, kInsertStatesSql, status, worker, now, first, last).run();
  check_met_each(connection, first, last);
}

void check_met_each(Connection& connection, ImageId first, ImageId last) {
  if (connection.changes() !=
      static_cast<std::int64_t>(last) - static_cast<std::int64_t>(first) + 1) {
    sqlite::fail_corrupt("the images of " + describe(job_of(first)) + " are out of order");
  }
}

void start_row_again(Connection& connection, ImageId image, WorkerId worker, std::int64_t now) {
  Query(connection, kStartAgainSql, worker, now, image).run();
  if (connection.changes() == 0) {
    // Its index said that it was pending. A completed image stays completed.
    sqlite::fail_corrupt(describe(image) + " is not pending");
  }
}

void set_started(Connection& connection, JobId job, std::int64_t started) {
  Query(connection, kSetStartedSql, started, job).run();
}

}  // namespace progress_tracker::store

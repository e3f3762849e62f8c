#include "store/state.h"

#include <string>

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

void insert_rows(Connection& connection, ImageId first, ImageId last, Status status,
                 std::optional<WorkerId> worker, std::int64_t now) {
  Query(connection, kInsertStatesSql, status, worker, now, first, last).run();
}

void start_row_again(Connection& connection, ImageId image, WorkerId worker, std::int64_t now) {
  Query(connection, kStartAgainSql, worker, now, image).run();
  if (connection.changes() == 0) {
    // Its index said that it was pending. A completed image stays completed.
    sqlite::fail_corrupt("image " + std::to_string(static_cast<std::int64_t>(image)) +
                         " is not pending");
  }
}

void set_started(Connection& connection, JobId job, std::int64_t started) {
  Query(connection, kSetStartedSql, started, job).run();
}

}  // namespace progress_tracker::store

#include "store/claim.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "store/counts.h"
#include "store/images.h"
#include "store/state.h"

namespace progress_tracker::store {
namespace {

using sqlite::Connection;
using sqlite::Query;

// Pending images, each with: id, directory, name, split, attempts.
//
// Given back, below the mark `started`. Params: after, last, limit.
constexpr char kSelectReturnedSql[] =
    "SELECT image.id, image.directory, image.name, image.split, state.attempts "
    "FROM state JOIN image ON image.id = state.id "
    "WHERE state.status = 0 AND state.deaths = 0 AND state.id > ? AND state.id <= ? "
    "ORDER BY state.id LIMIT ?";
// Above it: never started, or started out of turn and given back.
constexpr char kSelectUnstartedSql[] =
    "SELECT image.id, image.directory, image.name, image.split, coalesce(state.attempts, 0) "
    "FROM image LEFT JOIN state ON state.id = image.id "
    "WHERE image.id > ? AND image.id <= ? "
    "AND (state.id IS NULL OR (state.status = 0 AND state.deaths = 0)) "
    "ORDER BY image.id LIMIT ?";
// The same where nothing above the mark has a state row, which is the rule.
constexpr char kSelectUntouchedSql[] =
    "SELECT id, directory, name, split, 0 FROM image WHERE id > ? AND id <= ? ORDER BY id LIMIT ?";
// Those whose worker died.
constexpr char kSelectDiedSql[] =
    "SELECT image.id, image.directory, image.name, image.split, state.attempts "
    "FROM state INDEXED BY state_returned JOIN image ON image.id = state.id "
    "WHERE state.status = 0 AND state.deaths > 0 AND state.id > ? AND state.id <= ? "
    "ORDER BY state.id LIMIT ?";

// Params: after, last.
constexpr char kAnyStateSql[] = "SELECT 1 FROM state WHERE id > ? AND id <= ? LIMIT 1";

// Images that may be handed out, in order; the attempt of each is the number of those it had.
struct Candidates {
  std::vector<Image> images;
  std::vector<std::int64_t> splits;
};

void append(Connection& connection, ImageReader& reader, const char* sql, std::int64_t after,
            std::int64_t last, std::int64_t limit, Candidates& candidates) {
  const auto wanted = limit - std::ssize(candidates.images);
  if (after >= last || wanted <= 0) {
    return;
  }
  Query query(connection, sql, after, last, wanted);
  while (query.next()) {
    candidates.images.push_back(reader.read(query));
    const std::int64_t attempts = query.integer(4);
    if (attempts < 0 || attempts >= std::numeric_limits<int>::max()) {
      sqlite::fail_corrupt(describe(candidates.images.back().id) + " cannot have been started " +
                           std::to_string(attempts) + " times");
    }
    candidates.images.back().attempt = static_cast<int>(attempts);
    candidates.splits.push_back(query.integer(3));
  }
}

// Pending images without a death, in order of id.
Candidates without_death(Connection& connection, const JobRow& job, std::int64_t limit) {
  Candidates candidates;
  // Nearly all above the mark are pending.
  constexpr std::int64_t kMostExpected = 65'536;  // the mark is only what the file says
  const auto expected =
      static_cast<std::size_t>(std::min({limit, job.published - job.started, kMostExpected}));
  candidates.images.reserve(expected);
  candidates.splits.reserve(expected);
  ImageReader reader(connection);
  append(connection, reader, kSelectReturnedSql, image_id(job.id, 0), job.last_started_id(), limit,
         candidates);
  const bool untouched =
      !Query(connection, kAnyStateSql, job.last_started_id(), job.last_id()).next();
  append(connection, reader, untouched ? kSelectUntouchedSql : kSelectUnstartedSql,
         job.last_started_id(), job.last_id(), limit, candidates);
  return candidates;
}

void append_died(Connection& connection, const JobRow& job, std::int64_t limit,
                 Candidates& candidates) {
  ImageReader reader(connection);
  append(connection, reader, kSelectDiedSql, image_id(job.id, 0), job.last_id(), limit, candidates);
}

// How many at the beginning are neighbours that were never started: at least 1.
std::size_t unstarted_in_a_row(std::span<const Image> images) {
  std::size_t length = 1;
  while (length < images.size() && images[length].attempt == 0 &&
         are_neighbours(images[length - 1].id, images[length].id)) {
    ++length;
  }
  return length;
}

}  // namespace

std::vector<Image> pending_images(Connection& connection, const JobRow& job, std::int64_t limit) {
  Candidates candidates = without_death(connection, job, limit);
  append_died(connection, job, limit, candidates);
  for (Image& image : candidates.images) {
    image.attempt = 0;
  }
  return std::move(candidates.images);
}

std::vector<Image> claim(Connection& connection, JobRow job, WorkerId worker, std::int64_t limit,
                         std::int64_t now) {
  Candidates candidates = without_death(connection, job, limit);
  std::vector<Image>& images = candidates.images;
  if (images.empty()) {
    append_died(connection, job, 1, candidates);
  }
  CountChanges counts;
  for (std::size_t i = 0; i < images.size();) {
    const ImageId first = images[i].id;
    std::size_t length = 1;
    if (images[i].attempt == 0) {
      length = unstarted_in_a_row(std::span(images).subspan(i));
      insert_rows(connection, first, images[i + length - 1].id, Status::kProcessing, worker, now);
    } else {
      start_row_again(connection, first, worker, now);
    }
    for (const std::size_t end = i + length; i < end; ++i) {
      counts.move(candidates.splits[i], Status::kPending, Status::kProcessing);
      ++images[i].attempt;
    }
  }
  counts.write(connection);
  // All up to the last one now has a state row: what was above the mark was taken without a gap.
  if (!images.empty() && sequence_of(images.back().id) > job.started) {
    set_started(connection, job.id, sequence_of(images.back().id));
  }
  return std::move(images);
}

}  // namespace progress_tracker::store

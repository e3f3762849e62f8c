#include "store/claim.h"

#include <span>
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

struct Candidate {
  Image image;
  std::int64_t split;
  int attempts;
};

void append_candidates(Connection& connection, ImageReader& reader, const char* sql,
                       std::int64_t after, std::int64_t last, std::int64_t limit,
                       std::vector<Candidate>& candidates) {
  if (after >= last) {
    return;
  }
  const auto wanted = limit - static_cast<std::int64_t>(candidates.size());
  Query query(connection, sql, after, last, wanted);
  while (query.next()) {
    candidates.push_back(
        {reader.read(query), query.integer(3), static_cast<int>(query.integer(4))});
  }
}

// Pending images without a death, in order of id.
std::vector<Candidate> candidates_without_death(Connection& connection, const JobRow& job,
                                                std::int64_t limit) {
  std::vector<Candidate> candidates;
  ImageReader reader(connection);
  append_candidates(connection, reader, kSelectReturnedSql, image_id(job.id, 0),
                    job.last_started_id(), limit, candidates);
  const bool untouched =
      !Query(connection, kAnyStateSql, job.last_started_id(), job.last_id()).next();
  append_candidates(connection, reader, untouched ? kSelectUntouchedSql : kSelectUnstartedSql,
                    job.last_started_id(), job.last_id(), limit, candidates);
  return candidates;
}

void append_died(Connection& connection, const JobRow& job, std::int64_t limit,
                 std::vector<Candidate>& candidates) {
  ImageReader reader(connection);
  append_candidates(connection, reader, kSelectDiedSql, image_id(job.id, 0), job.last_id(), limit,
                    candidates);
}

// How many at the beginning are neighbours that were never started: at least 1.
std::size_t unstarted_in_a_row(std::span<const Candidate> candidates) {
  std::size_t length = 1;
  while (length < candidates.size() && candidates[length].attempts == 0 &&
         are_neighbours(candidates[length - 1].image.id, candidates[length].image.id)) {
    ++length;
  }
  return length;
}

}  // namespace

std::vector<Image> pending_images(Connection& connection, const JobRow& job, std::int64_t limit) {
  auto candidates = candidates_without_death(connection, job, limit);
  append_died(connection, job, limit, candidates);
  std::vector<Image> images;
  images.reserve(candidates.size());
  for (Candidate& candidate : candidates) {
    images.push_back(std::move(candidate.image));
  }
  return images;
}

std::vector<Image> claim(Connection& connection, JobRow job, WorkerId worker, std::int64_t limit,
                         std::int64_t now) {
  auto candidates = candidates_without_death(connection, job, limit);
  if (candidates.empty()) {
    append_died(connection, job, 1, candidates);
  }
  CountChanges counts;
  std::vector<Image> images;
  images.reserve(candidates.size());
  for (std::size_t i = 0; i < candidates.size();) {
    const ImageId first = candidates[i].image.id;
    std::size_t length = 1;
    if (candidates[i].attempts == 0) {
      length = unstarted_in_a_row(std::span(candidates).subspan(i));
      insert_rows(connection, first, candidates[i + length - 1].image.id, Status::kProcessing,
                  worker, now);
    } else {
      start_row_again(connection, first, worker, now);
    }
    for (const std::size_t end = i + length; i < end; ++i) {
      counts.move(candidates[i].split, Status::kPending, Status::kProcessing);
      candidates[i].image.attempt = candidates[i].attempts + 1;
      images.push_back(std::move(candidates[i].image));
    }
  }
  counts.write(connection);
  // All up to the last one now has a state row: what was above the mark was taken without a gap.
  if (!images.empty() && sequence_of(images.back().id) > job.started) {
    set_started(connection, job.id, sequence_of(images.back().id));
  }
  return images;
}

}  // namespace progress_tracker::store

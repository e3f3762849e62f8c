#include "store/work.h"

#include <algorithm>
#include <limits>

#include "store/batches.h"
#include "store/images.h"

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

// First state rows for a run of images. Params: status, worker, now, first, last.
constexpr char kInsertStatesSql[] =
    "INSERT INTO state (id, status, split, attempts, deaths, worker, started_at, changed_at) "
    "SELECT id, ?1, split, 1, 0, ?2, ?3, ?3 FROM image WHERE id BETWEEN ?4 AND ?5";
// Params: worker, now, id.
constexpr char kStartAgainSql[] =
    "UPDATE state SET status = 1, attempts = attempts + 1, worker = ?1, started_at = ?2, "
    "changed_at = ?2 WHERE id = ?3";

// Params: id.
constexpr char kSelectStateSql[] = "SELECT status, attempts, split FROM state WHERE id = ?";
constexpr char kSelectSplitSql[] = "SELECT split FROM image WHERE id = ?";
// Images and whether they have a state row. Params: first, last.
constexpr char kSelectSplitsSql[] =
    "SELECT image.id, image.split, state.id IS NOT NULL "
    "FROM image LEFT JOIN state ON state.id = image.id "
    "WHERE image.id BETWEEN ? AND ? ORDER BY image.id";
// Params: first, last.
constexpr char kSelectStatesSql[] =
    "SELECT id, status, attempts, split FROM state WHERE id BETWEEN ? AND ? ORDER BY id";
// Of an image that ends without having been started. Params: id, status, split, now.
constexpr char kInsertStateSql[] =
    "INSERT INTO state (id, status, split, attempts, deaths, started_at, changed_at) "
    "VALUES (?1, ?2, ?3, 1, 0, ?4, ?4)";
// Params: status, now, id.
constexpr char kSetStatusSql[] =
    "UPDATE state SET status = ?, worker = NULL, changed_at = ? WHERE id = ?";
// An unfenced mark of a pending image that was started before. Params: status, now, id.
constexpr char kStartAndEndSql[] =
    "UPDATE state SET status = ?1, attempts = attempts + 1, started_at = ?2, changed_at = ?2 "
    "WHERE id = ?3";
// Params: now, first, last.
constexpr char kCompleteRunSql[] =
    "UPDATE state SET status = 2, worker = NULL, changed_at = ? WHERE id BETWEEN ? AND ?";

// Params: image, message.
constexpr char kSetFailureSql[] =
    "INSERT INTO failure (image_id, message) VALUES (?, ?) "
    "ON CONFLICT (image_id) DO UPDATE SET message = excluded.message";
// Params: image.
constexpr char kDeleteFailureSql[] = "DELETE FROM failure WHERE image_id = ?";

// Params: after, last, limit.
constexpr char kNextStatesSql[] =
    "SELECT id FROM state WHERE id > ? AND id <= ? ORDER BY id LIMIT ?";
// Params: started, job.
constexpr char kSetStartedSql[] = "UPDATE job SET started = ? WHERE id = ?";

// Params: after, last, limit.
constexpr char kSelectErrorsSql[] =
    "SELECT id FROM state INDEXED BY state_error "
    "WHERE status = 3 AND id > ? AND id <= ? ORDER BY id LIMIT ?";

// How far one transaction moves the mark `started` over rows that others left: some milliseconds.
// What is left is for the next one.
constexpr std::int64_t kMostStartedAtOnce = 10'000;

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

std::int64_t number(ImageId image) { return static_cast<std::int64_t>(image); }

bool are_neighbours(ImageId image, ImageId next) {
  // Unsigned, because any number may be given for an id.
  return static_cast<std::uint64_t>(next) - static_cast<std::uint64_t>(image) == 1;
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

// How many at the beginning are neighbours: at least 1.
std::size_t neighbours(std::span<const ImageId> images) {
  std::size_t length = 1;
  while (length < images.size() && are_neighbours(images[length - 1], images[length])) {
    ++length;
  }
  return length;
}

// How many at the beginning are neighbours that completed under the same attempt; 0: the first one
// is an error.
std::size_t completions_in_a_row(std::span<const Outcome> outcomes) {
  std::size_t length = 0;
  while (length < outcomes.size() && !outcomes[length].error.has_value() &&
         outcomes[length].attempt == outcomes.front().attempt &&
         (length == 0 || are_neighbours(outcomes[length - 1].id, outcomes[length].id))) {
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
      Query(connection, kInsertStatesSql, Status::kProcessing, worker, now, first,
            candidates[i + length - 1].image.id)
          .run();
    } else {
      Query(connection, kStartAgainSql, worker, now, first).run();
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
    Query(connection, kSetStartedSql, sequence_of(images.back().id), job.id).run();
  }
  return images;
}

StateChanges::JobChanges* StateChanges::job_changes(ImageId image) {
  const JobId id = job_of(image);
  auto found = std::find_if(jobs_.begin(), jobs_.end(),
                            [&](const JobChanges& each) { return each.row.id == id; });
  if (found == jobs_.end()) {
    const auto row = find_job(connection_, id);
    if (!row.has_value()) {
      return nullptr;
    }
    jobs_.push_back({.row = *row, .feeds = {}, .started = false});
    found = std::prev(jobs_.end());
  }
  const std::int64_t sequence = sequence_of(image);
  return sequence >= 1 && sequence <= found->row.published ? &*found : nullptr;
}

bool StateChanges::read_state(ImageId image, State& state) {
  {
    Query query(connection_, kSelectStateSql, image);
    if (query.next()) {
      state = {static_cast<Status>(query.integer(0)), static_cast<int>(query.integer(1)),
               query.integer(2)};
      return true;
    }
  }
  Query query(connection_, kSelectSplitSql, image);
  if (!query.next()) {
    return false;
  }
  state = {Status::kPending, 0, query.integer(0)};
  return true;
}

StateChanges::Result StateChanges::mark(ImageId image, int attempt,
                                        const std::optional<std::string_view>& error) {
  JobChanges* job = job_changes(image);
  State state;
  if (job == nullptr || !read_state(image, state)) {
    return Result::kUnknown;
  }
  if (state.status == Status::kCompleted) {
    if (error.has_value()) {
      return Result::kCompleted;
    }
    return attempt == 0 || attempt == state.attempts ? Result::kApplied : Result::kStale;
  }
  if (attempt != 0 && (attempt != state.attempts || state.status == Status::kPending)) {
    return Result::kStale;
  }
  const Status to = error.has_value() ? Status::kError : Status::kCompleted;
  if (state.status != Status::kPending) {
    Query(connection_, kSetStatusSql, to, now_, image).run();
  } else if (state.attempts > 0) {
    Query(connection_, kStartAndEndSql, to, now_, image).run();
  } else {
    insert_state(*job, image, state.split, to);
  }
  counts_.move(state.split, state.status, to);
  if (error.has_value()) {
    Query(connection_, kSetFailureSql, image, *error).run();
    return Result::kApplied;
  }
  if (state.status == Status::kError) {
    Query(connection_, kDeleteFailureSql, image).run();
  }
  after_completion(*job, image);
  return Result::kApplied;
}

StateChanges::Marked StateChanges::mark_all(std::span<const Outcome> outcomes) {
  Marked marked;
  while (!outcomes.empty()) {
    const std::size_t length = completions_in_a_row(outcomes);
    JobChanges* job = length > 1 ? job_changes(outcomes.front().id) : nullptr;
    if (job != nullptr) {
      complete_run(*job, outcomes.first(length), marked);
      outcomes = outcomes.subspan(length);
    } else {
      mark_one(outcomes.front(), marked);
      outcomes = outcomes.subspan(1);
    }
  }
  return marked;
}

void StateChanges::mark_one(const Outcome& outcome, Marked& marked) {
  switch (mark(
      outcome.id, outcome.attempt,
      outcome.error.has_value() ? std::optional<std::string_view>(*outcome.error) : std::nullopt)) {
    case Result::kApplied:
      ++marked.applied;
      break;
    case Result::kUnknown:
      marked.unknown.push_back(outcome.id);
      break;
    case Result::kCompleted:
      ++marked.refused;
      break;
    case Result::kStale:
      break;
  }
}

// Those of the run that stand alike are completed by one statement, any other by itself.
void StateChanges::complete_run(JobChanges& job, std::span<const Outcome> run, Marked& marked) {
  while (!run.empty()) {
    std::size_t done = complete_processing(run);
    if (done == 0 && run.front().attempt == 0) {
      done = insert_states(job, run.front().id, run.size(), Status::kCompleted, std::nullopt);
    }
    after_completions(job, run.first(done));
    marked.applied += done;
    if (done == 0) {
      mark_one(run.front(), marked);
      done = 1;
    }
    run = run.subspan(done);
  }
}

// Completes the images at the beginning of the run that are processing under its attempt, or under
// any where that is 0. Returns how many.
std::size_t StateChanges::complete_processing(std::span<const Outcome> run) {
  std::size_t good = 0;
  for (Query query(connection_, kSelectStatesSql, run.front().id, run.back().id); query.next();) {
    if (query.integer(0) != number(run[good].id) ||
        static_cast<Status>(query.integer(1)) != Status::kProcessing ||
        (run.front().attempt != 0 && query.integer(2) != run.front().attempt)) {
      break;
    }
    counts_.move(query.integer(3), Status::kProcessing, Status::kCompleted);
    ++good;
  }
  if (good > 0) {
    Query(connection_, kCompleteRunSql, now_, run.front().id, run[good - 1].id).run();
  }
  return good;
}

// Gives the first state row to the images at the beginning of a run of neighbours that have none.
// Returns how many.
std::size_t StateChanges::insert_states(JobChanges& job, ImageId first, std::size_t length,
                                        Status status, std::optional<WorkerId> worker) {
  const std::int64_t end = number(first) + static_cast<std::int64_t>(length);
  std::size_t inserted = 0;
  for (Query query(connection_, kSelectSplitsSql, first, std::min(end - 1, job.row.last_id()));
       query.next() && query.integer(2) == 0; ++inserted) {
    counts_.move(query.integer(1), Status::kPending, status);
  }
  if (inserted > 0) {
    Query query(connection_, kInsertStatesSql, status);
    if (worker.has_value()) {
      query.bind(2, *worker);
    } else {
      query.bind(2, nullptr);
    }
    query.bind(3, now_);
    query.bind(4, first);
    query.bind(5, number(first) + static_cast<std::int64_t>(inserted) - 1);
    query.run();
    job.started = true;
  }
  return inserted;
}

void StateChanges::after_completions(JobChanges& job, std::span<const Outcome> completed) {
  for (const Outcome& outcome : completed) {
    after_completion(job, outcome.id);
  }
}

StateChanges::Started StateChanges::start_all(std::span<const ImageId> images, WorkerId worker) {
  Started result;
  while (!images.empty()) {
    const ImageId first = images.front();
    JobChanges* job = job_changes(first);
    std::size_t done = 0;
    if (job != nullptr) {
      done = insert_states(*job, first, neighbours(images), Status::kProcessing, worker);
    }
    if (done == 0) {
      start_again(job, first, worker, result);
      done = 1;
    }
    images = images.subspan(done);
  }
  return result;
}

// For an image that has a state row, or does not exist.
void StateChanges::start_again(const JobChanges* job, ImageId image, WorkerId worker,
                               Started& result) {
  State state;
  if (job == nullptr || !read_state(image, state)) {
    result.unknown.push_back(image);
  } else if (state.status != Status::kPending) {
    result.not_pending.push_back(image);
  } else {
    Query(connection_, kStartAgainSql, worker, now_, image).run();
    counts_.move(state.split, Status::kPending, Status::kProcessing);
  }
}

StateChanges::Result StateChanges::release(ImageId image, int attempt) {
  JobChanges* job = job_changes(image);
  State state;
  if (job == nullptr || !read_state(image, state)) {
    return Result::kUnknown;
  }
  if (state.status != Status::kProcessing || (attempt != 0 && attempt != state.attempts)) {
    return Result::kStale;
  }
  set_status(image, state, Status::kPending);
  return Result::kApplied;
}

StateChanges::Result StateChanges::retry(ImageId image) {
  JobChanges* job = job_changes(image);
  State state;
  if (job == nullptr || !read_state(image, state)) {
    return Result::kUnknown;
  }
  if (state.status != Status::kError) {
    return Result::kStale;
  }
  set_status(image, state, Status::kPending);
  Query(connection_, kDeleteFailureSql, image).run();
  return Result::kApplied;
}

void StateChanges::finish() {
  for (JobChanges& job : jobs_) {
    if (job.started) {
      advance_started(job);
    }
    if (job.feeds.has_value()) {
      for (ChainFeed& feed : *job.feeds) {
        feed.write(connection_);
      }
    }
  }
  counts_.write(connection_);
}

void StateChanges::set_status(ImageId image, const State& from, Status to) {
  Query(connection_, kSetStatusSql, to, now_, image).run();
  counts_.move(from.split, from.status, to);
}

void StateChanges::insert_state(JobChanges& job, ImageId image, std::int64_t split, Status status) {
  Query(connection_, kInsertStateSql, image, status, split, now_).run();
  job.started = true;
}

void StateChanges::after_completion(JobChanges& job, ImageId image) {
  if (sequence_of(image) <= job.row.batched) {
    note_late_completion(connection_, image);
  }
  if (!job.feeds.has_value()) {
    job.feeds = feeds_of(connection_, job.row.id);
  }
  for (ChainFeed& feed : *job.feeds) {
    feed.completed(connection_, image, counts_);
  }
}

void StateChanges::advance_started(JobChanges& job) {
  std::int64_t started = job.row.started;
  Query query(connection_, kNextStatesSql, job.row.last_started_id(), job.row.last_id(),
              kMostStartedAtOnce);
  while (query.next() && query.integer(0) == image_id(job.row.id, started + 1)) {
    ++started;
  }
  if (started > job.row.started) {
    Query(connection_, kSetStartedSql, started, job.row.id).run();
  }
}

Standing standing_of(Connection& connection, ImageId image) {
  const auto job = find_job(connection, job_of(image));
  const std::int64_t sequence = sequence_of(image);
  if (!job.has_value() || sequence < 1 || sequence > job->published) {
    return {};
  }
  Query query(connection, kSelectStateSql, image);
  return {true, query.next() ? static_cast<Status>(query.integer(0)) : Status::kPending};
}

std::size_t reset_errors(Connection& connection, const JobRow& job, std::int64_t limit,
                         std::int64_t now) {
  std::vector<std::int64_t> ids;
  {
    Query query(connection, kSelectErrorsSql, image_id(job.id, 0), job.last_id(), limit);
    while (query.next()) {
      ids.push_back(query.integer(0));
    }
  }
  StateChanges changes(connection, now);
  for (const std::int64_t id : ids) {
    changes.retry(ImageId{id});
  }
  changes.finish();
  return ids.size();
}

}  // namespace progress_tracker::store

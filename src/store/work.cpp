#include "store/work.h"

#include <algorithm>
#include <limits>

#include "store/batches.h"
#include "store/images.h"
#include "store/state.h"

namespace progress_tracker::store {
namespace {

using sqlite::Connection;
using sqlite::Query;

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
// Params: after, last, limit.
constexpr char kSelectErrorsSql[] =
    "SELECT id FROM state INDEXED BY state_error "
    "WHERE status = 3 AND id > ? AND id <= ? ORDER BY id LIMIT ?";

// How far one transaction moves the mark `started` over rows that others left: some milliseconds.
// What is left is for the next one.
constexpr std::int64_t kMostStartedAtOnce = 10'000;

std::int64_t number(ImageId image) { return static_cast<std::int64_t>(image); }

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
      state = {status_in(query, 0, image), times_in(query, 1, image), query.integer(2)};
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
    if (good == run.size() || query.integer(0) != number(run[good].id) ||
        status_in(query, 1, run[good].id) != Status::kProcessing ||
        (run.front().attempt != 0 && query.integer(2) != run.front().attempt)) {
      break;
    }
    counts_.move(query.integer(3), Status::kProcessing, Status::kCompleted);
    ++good;
  }
  if (good > 0) {
    Query(connection_, kCompleteRunSql, now_, run.front().id, run[good - 1].id).run();
    check_met_each(connection_, run.front().id, run[good - 1].id);
  }
  return good;
}

// Gives the first state row to the images at the beginning of a run of neighbours that have none.
// Returns how many.
std::size_t StateChanges::insert_states(JobChanges& job, ImageId first, std::size_t length,
                                        Status status, std::optional<WorkerId> worker) {
  const std::int64_t end = number(first) + static_cast<std::int64_t>(length);
  std::int64_t next = number(first);
  // SQLite takes for granted that each row's id is greater than the one before; damage can differ.
  for (Query query(connection_, kSelectSplitsSql, first, std::min(end - 1, job.row.last_id()));
       query.next() && query.integer(0) == next && query.integer(2) == 0; ++next) {
    counts_.move(query.integer(1), Status::kPending, status);
  }
  if (next > number(first)) {
    insert_rows(connection_, first, ImageId{next - 1}, status, worker, now_);
    job.started = true;
  }
  return static_cast<std::size_t>(next - number(first));
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
    start_row_again(connection_, image, worker, now_);
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
        feed.write(connection_, counts_);
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
    feed.completed(connection_, image);
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
    set_started(connection_, job.row.id, started);
  }
}

Standing standing_of(Connection& connection, ImageId image) {
  const auto job = find_job(connection, job_of(image));
  const std::int64_t sequence = sequence_of(image);
  if (!job.has_value() || sequence < 1 || sequence > job->published) {
    return {};
  }
  Query query(connection, kSelectStateSql, image);
  return {true, query.next() ? status_in(query, 0, image) : Status::kPending};
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

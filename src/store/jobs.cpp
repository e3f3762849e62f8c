#include "store/jobs.h"

#include <chrono>

#include "progress_tracker/error.h"
#include "store/counts.h"

namespace progress_tracker::store {
namespace {

using sqlite::Connection;
using sqlite::Query;

// Params: id.
constexpr char kSelectJobSql[] =
    "SELECT published, started, batched FROM job "
    "WHERE id = ? AND name IS NOT NULL AND ready = 1";

// Params: name.
constexpr char kSelectJobIdSql[] = "SELECT id FROM job WHERE name = ? AND ready = 1";

constexpr char kSelectJobsSql[] =
    "SELECT id, name, upstream, created_at, updated_at FROM job "
    "WHERE name IS NOT NULL AND ready = 1 ORDER BY id";

// Params: id.
constexpr char kSelectChainedSql[] =
    "SELECT 1 FROM job WHERE upstream = ? AND name IS NOT NULL LIMIT 1";

}  // namespace

std::optional<JobRow> find_job(Connection& connection, JobId job) {
  Query query(connection, kSelectJobSql, job);
  if (!query.next()) {
    return std::nullopt;
  }
  const JobRow row{.id = job,
                   .published = published_in(query, 0, job),
                   .started = query.integer(1),
                   .batched = query.integer(2)};
  if (row.started < 0 || row.started > row.published || row.batched < 0 ||
      row.batched > row.published) {
    sqlite::fail_corrupt(describe(job) + " has marks beyond its images");
  }
  return row;
}

std::int64_t published_in(const Query& query, int column, JobId job) {
  const std::int64_t published = query.integer(column);
  if (published < 0 || published > kMaxSequence) {
    sqlite::fail_corrupt(describe(job) + " cannot have " + std::to_string(published) + " images");
  }
  return published;
}

JobRow require_job(Connection& connection, std::string_view operation, JobId job) {
  if (auto row = find_job(connection, job)) {
    return *row;
  }
  throw Error(ErrorCode::kNotFound, std::string(operation) + ": no such " + describe(job));
}

std::optional<JobId> find_job_id(Connection& connection, std::string_view name) {
  Query query(connection, kSelectJobIdSql, name);
  if (!query.next()) {
    return std::nullopt;
  }
  return JobId{query.integer(0)};
}

std::vector<Job> list_jobs(Connection& connection) {
  std::vector<Job> jobs;
  Query query(connection, kSelectJobsSql);
  while (query.next()) {
    Job& job = jobs.emplace_back();
    job.id = JobId{query.integer(0)};
    job.name = query.text(1);
    if (!query.is_null(2)) {
      job.upstream = JobId{query.integer(2)};
    }
    job.counts = status_counts(connection, job.id);
    job.created_at = to_time(query.integer(3));
    job.updated_at = to_time(query.integer(4));
  }
  return jobs;
}

bool has_chained_jobs(Connection& connection, JobId job) {
  return Query(connection, kSelectChainedSql, job).next();
}

std::string describe(JobId job) { return "job " + std::to_string(static_cast<std::int64_t>(job)); }
std::string describe(ImageId image) {
  return "image " + std::to_string(static_cast<std::int64_t>(image));
}
std::string describe(BatchId batch) {
  return "batch " + std::to_string(static_cast<std::int64_t>(batch));
}

std::chrono::system_clock::time_point to_time(std::int64_t ms) {
  using Clock = std::chrono::system_clock;
  using std::chrono::milliseconds;
  constexpr auto kFirst = std::chrono::ceil<milliseconds>(Clock::time_point::min());
  constexpr auto kLast = std::chrono::floor<milliseconds>(Clock::time_point::max());
  if (ms < kFirst.time_since_epoch().count() || ms > kLast.time_since_epoch().count()) {
    sqlite::fail_corrupt("a time is out of range: " + std::to_string(ms) + " ms since 1970");
  }
  return Clock::time_point(milliseconds(ms));
}

}  // namespace progress_tracker::store

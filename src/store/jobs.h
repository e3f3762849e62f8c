// Jobs as their users see them. What is being loaded or removed is seen by nobody.
#ifndef PROGRESS_TRACKER_SRC_STORE_JOBS_H_
#define PROGRESS_TRACKER_SRC_STORE_JOBS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "progress_tracker/types.h"
#include "sqlite/connection.h"
#include "store/schema.h"

namespace progress_tracker::store {

struct JobRow {
  JobId id{};
  // The marks that schema.h explains.
  std::int64_t published{0};
  std::int64_t started{0};
  std::int64_t batched{0};

  std::int64_t first_id() const { return image_id(id, 1); }
  std::int64_t last_id() const { return image_id(id, published); }
  std::int64_t last_started_id() const { return image_id(id, started); }
  std::int64_t last_batched_id() const { return image_id(id, batched); }
};

std::optional<JobRow> find_job(sqlite::Connection& connection, JobId job);

// How many images the job's row says it has published; kCorrupt if no job can have so many.
std::int64_t published_in(const sqlite::Query& query, int column, JobId job);

// Throws Error kNotFound.
JobRow require_job(sqlite::Connection& connection, std::string_view operation, JobId job);

std::optional<JobId> find_job_id(sqlite::Connection& connection, std::string_view name);
std::vector<Job> list_jobs(sqlite::Connection& connection);

// Whether a job, loaded or still loading, is fed by this one.
bool has_chained_jobs(sqlite::Connection& connection, JobId job);

// What a message calls a job: its number, since its name may be anything.
std::string describe(JobId job);
std::string describe(ImageId image);
std::string describe(BatchId batch);

std::chrono::system_clock::time_point to_time(std::int64_t ms);

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_JOBS_H_

#include "cli/database.h"

#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <system_error>

#include "cli/exit_code.h"
#include "cli/output.h"
#include "progress_tracker/error.h"
#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"

namespace progress_tracker::cli {
namespace {

namespace fs = std::filesystem;

// SQLite needs its -wal and -shm beside the file also to read it, and makes them where they are
// not.
[[noreturn]] void explain_refused_reading(const std::string& location, const Error& error) {
  fs::path directory = fs::path(location).parent_path();
  if (directory.empty()) directory = ".";
  if (error.code() != ErrorCode::kIo || access(location.c_str(), R_OK) != 0 ||
      access(directory.c_str(), W_OK) == 0) {
    throw error;
  }
  throw Refusal(display(error.what()) + ": you may not write there", exit_code_for(error.code()),
                "who may can make a copy to read: `progress-tracker export --snapshot FILE`");
}

}  // namespace

std::unique_ptr<Tracker> open_tracker(const std::string& location, Access access) {
  Options options;
  options.read_only = access == Access::kRead;
  std::error_code unknown;  // what cannot be looked at is for the tracker to refuse
  if (access == Access::kChange &&
      fs::status(location, unknown).type() == fs::file_type::not_found) {
    throw NotFound("open: " + display(location) + ": there is no such database", kNoDatabaseAdvice);
  }
  try {
    return std::make_unique<ProgressTracker>(location, options);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) {
      throw NotFound(display(error.what()), kNoDatabaseAdvice);
    }
    if (options.read_only) explain_refused_reading(location, error);
    throw;
  }
}

void refuse_database_as_output(const std::string& location, const std::string& option,
                               const std::string& path) {
  const fs::path database(location);
  std::error_code unknown;
  for (const char* suffix : {"", "-wal", "-shm", "-workers"}) {
    const fs::path part = database.native() + suffix;
    const bool is_same = fs::equivalent(path, part, unknown) ||
                         fs::weakly_canonical(path, unknown) == fs::weakly_canonical(part, unknown);
    if (is_same) {
      throw UsageError(option + ' ' + display(path) + ": this is the database " +
                       display(location) + (*suffix != '\0' ? ", or part of it" : ""));
    }
  }
}

JobId require_job(Tracker& tracker, const Context& context, const std::string& name) {
  const std::optional<JobId> job = tracker.get_job_id(name);
  if (!job) {
    throw NotFound(display(context.database()) + ": no job called " + display(name) + ": `" +
                   line_to_type(context, "jobs") + "` lists those there are");
  }
  return *job;
}

void refuse_images_if_chained(Tracker& tracker, JobId job, const std::string& name) {
  for (const Job& each : tracker.list_jobs()) {
    if (each.id != job || !each.upstream) continue;
    throw UsageError("job " + display(name) +
                     " gets its images from the job that feeds it: leave --images and --from out");
  }
}

void copy_database(const std::string& location, const std::string& out) {
  try {
    snapshot(location, out);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    throw NotFound(display(error.what()), kNoDatabaseAdvice);
  }
}

}  // namespace progress_tracker::cli

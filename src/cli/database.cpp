#include "cli/database.h"

#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <system_error>

#include "cli/output.h"
#include "progress_tracker/error.h"
#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"

namespace progress_tracker::cli {
namespace {

// SQLite needs its -wal and -shm beside the file also to read it, and makes them where they are
// not.
std::unique_ptr<Tracker> open_to_read(const std::string& location, const Options& options) {
  try {
    return std::make_unique<ProgressTracker>(location, options);
  } catch (const Error& error) {
    std::filesystem::path directory = std::filesystem::path(location).parent_path();
    if (directory.empty()) directory = ".";
    if (error.code() != ErrorCode::kIo || access(directory.c_str(), W_OK) == 0) throw;
    throw Error(error.code(), std::string(error.what()) +
                                  ": you may not write there; who may can make a copy to read: "
                                  "`progress-tracker export --snapshot FILE`");
  }
}

}  // namespace

std::unique_ptr<Tracker> open_tracker(const std::string& location, Access access) {
  Options options;
  options.read_only = access == Access::kRead;
  std::error_code unknown;  // what cannot be looked at is for the tracker to refuse
  const auto type = std::filesystem::status(location, unknown).type();
  if (access == Access::kChange && type == std::filesystem::file_type::not_found) {
    throw Error(ErrorCode::kNotFound, "open: " + display(location) + ": there is no such database");
  }
  if (options.read_only) return open_to_read(location, options);
  return std::make_unique<ProgressTracker>(location, options);
}

JobId require_job(Tracker& tracker, const Context& context, const std::string& name) {
  const std::optional<JobId> job = tracker.get_job_id(name);
  if (!job) {
    throw NotFound(display(context.database()) + ": no job called " + display(name) + ": `" +
                   line_to_type(context, {"jobs"}) + "` lists those there are");
  }
  return *job;
}

void copy_database(const std::string& location, const std::string& out) { snapshot(location, out); }

}  // namespace progress_tracker::cli

// The database behind --db. The one place that knows which engine it is.
#ifndef PROGRESS_TRACKER_CLI_DATABASE_H_
#define PROGRESS_TRACKER_CLI_DATABASE_H_

#include <memory>
#include <string>

#include "cli/context.h"
#include "progress_tracker/tracker.h"
#include "progress_tracker/types.h"

namespace progress_tracker::cli {

enum class Access {
  kRead,    // changes nothing; kNotFound if there is no database
  kChange,  // kNotFound if there is no database
  kCreate,  // makes it where there is none
};

// Throws Error as ProgressTracker does.
std::unique_ptr<Tracker> open_tracker(const std::string& location, Access access);

// Throws NotFound, and says where the jobs are listed.
JobId require_job(Tracker& tracker, const Context& context, const std::string& name);

// Writes a consistent copy of the whole database to `out`, which must not exist. Throws Error as
// snapshot() does.
void copy_database(const std::string& location, const std::string& out);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_DATABASE_H_

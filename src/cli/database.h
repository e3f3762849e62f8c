// The database behind --db. The one place but `doctor` that knows which engine it is.
#ifndef PROGRESS_TRACKER_CLI_DATABASE_H_
#define PROGRESS_TRACKER_CLI_DATABASE_H_

#include <memory>
#include <string>

#include "cli/context.h"
#include "progress_tracker/tracker.h"
#include "progress_tracker/types.h"

namespace progress_tracker::cli {

enum class Access {
  kRead,    // changes nothing; NotFound if there is no database
  kChange,  // NotFound if there is no database
  kCreate,  // makes it where there is none
};

// Throws Error as ProgressTracker does, NotFound, and Refusal for who may not make what reading
// takes.
std::unique_ptr<Tracker> open_tracker(const std::string& location, Access access);

// Throws NotFound, and says where the jobs are listed.
JobId require_job(Tracker& tracker, const Context& context, const std::string& name);

// Throws UsageError if the job gets its images from another one, and so takes none of its own.
void refuse_images_if_chained(Tracker& tracker, JobId job, const std::string& name);

// Throws UsageError if `path`, which `option` names to be written to, is the database itself.
void refuse_database_as_output(const std::string& location, const std::string& option,
                               const std::string& path);

// Writes a consistent copy of the whole database to `out`, which must not exist. Throws Error as
// snapshot() does.
void copy_database(const std::string& location, const std::string& out);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_DATABASE_H_

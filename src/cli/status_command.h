// progress-tracker status, jobs
#ifndef PROGRESS_TRACKER_CLI_STATUS_COMMAND_H_
#define PROGRESS_TRACKER_CLI_STATUS_COMMAND_H_

#include "cli/context.h"
#include "cli/settings.h"

namespace progress_tracker::cli {

// Change nothing, and make no database where there is none. Return the exit code; throw Error and
// NotFound.
int status_command(const StatusSettings& settings, const Context& context);
int jobs_command(const JobsSettings& settings, const Context& context);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_STATUS_COMMAND_H_

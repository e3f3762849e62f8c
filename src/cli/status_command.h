// progress-tracker status
#ifndef PROGRESS_TRACKER_CLI_STATUS_COMMAND_H_
#define PROGRESS_TRACKER_CLI_STATUS_COMMAND_H_

#include <string>

#include "cli/command_line.h"
#include "cli/output.h"

namespace progress_tracker::cli {

// Changes nothing, and makes no database where there is none. Returns the exit code; throws Error.
int status_command(const StatusSettings& settings, const std::string& database,
                   const Streams& streams);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_STATUS_COMMAND_H_

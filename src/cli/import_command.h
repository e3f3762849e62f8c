// progress-tracker import
#ifndef PROGRESS_TRACKER_CLI_IMPORT_COMMAND_H_
#define PROGRESS_TRACKER_CLI_IMPORT_COMMAND_H_

#include "cli/context.h"
#include "cli/settings.h"

namespace progress_tracker::cli {

// Makes the database where there is none. Returns the exit code; throws Error.
int import_command(const ImportSettings& settings, const Context& context);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_IMPORT_COMMAND_H_

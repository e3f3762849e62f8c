// progress-tracker batches
#ifndef PROGRESS_TRACKER_CLI_BATCHES_COMMAND_H_
#define PROGRESS_TRACKER_CLI_BATCHES_COMMAND_H_

#include "cli/context.h"
#include "cli/settings.h"

namespace progress_tracker::cli {

// Changes nothing. Returns the exit code; throws Error and NotFound.
int batches_command(const BatchesSettings& settings, const Context& context);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_BATCHES_COMMAND_H_

// progress-tracker run
#ifndef PROGRESS_TRACKER_CLI_RUN_COMMAND_H_
#define PROGRESS_TRACKER_CLI_RUN_COMMAND_H_

#include "cli/context.h"
#include "cli/settings.h"

namespace progress_tracker::cli {

// Call it while the process has one thread. Returns the exit code; throws UsageError and Error for
// what kept it from working.
int run_command(const RunSettings& settings, const Context& context);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_RUN_COMMAND_H_

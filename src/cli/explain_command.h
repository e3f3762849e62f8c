// progress-tracker explain
#ifndef PROGRESS_TRACKER_CLI_EXPLAIN_COMMAND_H_
#define PROGRESS_TRACKER_CLI_EXPLAIN_COMMAND_H_

#include "cli/context.h"
#include "cli/settings.h"

namespace progress_tracker::cli {

// Changes nothing. Returns the exit code; throws Error and NotFound.
int explain_command(const ExplainSettings& settings, const Context& context);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_EXPLAIN_COMMAND_H_

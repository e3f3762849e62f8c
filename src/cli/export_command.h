// progress-tracker export
#ifndef PROGRESS_TRACKER_CLI_EXPORT_COMMAND_H_
#define PROGRESS_TRACKER_CLI_EXPORT_COMMAND_H_

#include "cli/context.h"
#include "cli/settings.h"

namespace progress_tracker::cli {

// Changes nothing but the file that it writes. Returns the exit code; throws Error, NotFound and
// UsageError.
int export_command(const ExportSettings& settings, const Context& context);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_EXPORT_COMMAND_H_

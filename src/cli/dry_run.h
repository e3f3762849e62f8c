// progress-tracker run --dry-run
#ifndef PROGRESS_TRACKER_CLI_DRY_RUN_H_
#define PROGRESS_TRACKER_CLI_DRY_RUN_H_

#include "cli/context.h"
#include "cli/image_source.h"
#include "cli/settings.h"

namespace progress_tracker::cli {

// Lists the commands that `run` would start now, each with why, in the order in which it would
// begin; then what it would leave alone. Starts none, and makes and changes nothing. Returns the
// exit code; throws Error and UsageError.
int dry_run(const RunSettings& settings, ImageSource& source, const Context& context);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_DRY_RUN_H_

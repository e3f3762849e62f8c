// progress-tracker retry, reset, remove, chain: one call of the tracker each
#ifndef PROGRESS_TRACKER_CLI_CHANGE_COMMANDS_H_
#define PROGRESS_TRACKER_CLI_CHANGE_COMMANDS_H_

#include "cli/context.h"
#include "cli/settings.h"

namespace progress_tracker::cli {

// None makes a database where there is none. Each returns the exit code; throws Error and NotFound.
int retry_command(const RetrySettings& settings, const Context& context);
int reset_command(const ResetSettings& settings, const Context& context);
int remove_command(const RemoveSettings& settings, const Context& context);
int chain_command(const ChainSettings& settings, const Context& context);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_CHANGE_COMMANDS_H_

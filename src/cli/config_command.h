// progress-tracker config show
#ifndef PROGRESS_TRACKER_CLI_CONFIG_COMMAND_H_
#define PROGRESS_TRACKER_CLI_CONFIG_COMMAND_H_

#include "cli/context.h"
#include "cli/settings.h"

namespace progress_tracker::cli {

int config_command(const ConfigSettings& settings, const Context& context);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_CONFIG_COMMAND_H_

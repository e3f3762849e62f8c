// progress-tracker run
#ifndef PROGRESS_TRACKER_CLI_RUN_COMMAND_H_
#define PROGRESS_TRACKER_CLI_RUN_COMMAND_H_

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "cli/command_line.h"
#include "cli/output.h"

namespace progress_tracker::cli {

// The terminal behind Streams::err, if there is one.
struct Terminal {
  bool is_there = false;
  std::function<std::size_t()> columns;
};

// Call it while the process has one thread. `words`: what the user typed, to be shown as the line
// that goes on. Returns the exit code; throws UsageError, Error and std::system_error for what kept
// it from working.
int run_command(const RunSettings& settings, const std::string& database,
                std::span<const std::string> words, const Streams& streams,
                const Terminal& terminal);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_RUN_COMMAND_H_

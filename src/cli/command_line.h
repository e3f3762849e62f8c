// The words the user typed, understood.
#ifndef PROGRESS_TRACKER_CLI_COMMAND_LINE_H_
#define PROGRESS_TRACKER_CLI_COMMAND_LINE_H_

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/output.h"
#include "cli/settings.h"

namespace progress_tracker::cli {

// The words before the first "--", and those after it.
struct SplitWords {
  std::vector<std::string> own;
  std::optional<std::vector<std::string>> command;  // none: there was no "--"
};
SplitWords split_at_separator(const std::vector<std::string>& words);

struct CommandLine {
  Flags flags;
  Command command;
};

// `words`: as main() got them, without the program's name. If there is nothing to carry out,
// because the words are wrong or asked for help or the version, says so and returns the exit code
// instead.
std::variant<CommandLine, int> parse_command_line(const std::vector<std::string>& words,
                                                  const Streams& streams);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_COMMAND_LINE_H_

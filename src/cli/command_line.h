// The words the user typed, understood.
#ifndef PROGRESS_TRACKER_CLI_COMMAND_LINE_H_
#define PROGRESS_TRACKER_CLI_COMMAND_LINE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/output.h"
#include "cli/progress_report.h"
#include "progress_tracker/log.h"

namespace progress_tracker::cli {

// The words before the first "--", and those after it.
struct SplitWords {
  std::vector<std::string> own;
  std::optional<std::vector<std::string>> command;  // none: there was no "--"
};
SplitWords split_at_separator(const std::vector<std::string>& words);

struct RunSettings {
  std::string job;
  std::string images;  // a directory; empty: the images come from a list
  std::string from;    // a file, or "-"
  char separator = '\n';
  std::vector<std::string> extensions;
  std::size_t workers = 0;  // 0: one per core
  int retries = 0;
  std::int64_t limit = 0;
  std::int64_t max_errors = 0;
  std::optional<std::chrono::milliseconds> timeout;
  ProgressMode progress = ProgressMode::kAuto;
  std::vector<std::string> command;
};

struct StatusSettings {
  std::optional<std::string> job;  // none: all jobs
  bool json = false;
};

struct DoctorSettings {
  bool repair = false;
  bool json = false;
};

struct CommandLine {
  std::string database;
  LogLevel log_level = LogLevel::kWarn;
  std::variant<RunSettings, StatusSettings, DoctorSettings> command;
};

// `words`: as main() got them, without the program's name. If there is nothing to carry out,
// because the words are wrong or asked for help or the version, says so and returns the exit code
// instead.
std::variant<CommandLine, int> parse_command_line(const std::vector<std::string>& words,
                                                  const Streams& streams);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_COMMAND_LINE_H_

// The settings that can come from several places: a flag, else the environment, else the file given
// with --config, else a default.
//
// The file is YAML. Only its section `progress` is looked at, which is that of the pipelines this
// tool was made for:
//
//   progress:
//     db_path: logs/progress.db
//     checkpoint_interval: 100
//     log_file: logs/pipeline.log
//     log_level: INFO
#ifndef PROGRESS_TRACKER_CLI_CONFIGURATION_H_
#define PROGRESS_TRACKER_CLI_CONFIGURATION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cli/output.h"
#include "cli/progress_report.h"
#include "cli/settings.h"
#include "cli/style.h"
#include "progress_tracker/log.h"

namespace progress_tracker::cli {

template <typename Value>
struct Setting {
  Value value{};
  std::string origin;  // "--db", "PROGRESS_TRACKER_DB", "pipeline.yaml:3" or "default"
};

struct Configuration {
  Setting<std::string> database;
  Setting<std::optional<std::int64_t>> checkpoint_interval;  // in images; none: by time alone
  Setting<std::string> log_file;                             // empty: none
  Setting<LogLevel> log_level;
  Setting<ProgressMode> progress;
  Setting<ColorChoice> color;
};

// The value of an environment variable; nothing if it is not set, or empty.
using Environment = std::function<std::optional<std::string>(const char* name)>;
std::optional<std::string> process_environment(const char* name);

// Reads the file if one was given. Throws UsageError, which names the place, if the file cannot be
// read or is not one YAML document in UTF-8, if a key under `progress` is unknown, or if a value is
// not what it should be.
Configuration resolve_configuration(const Flags& flags, const Environment& environment);

// Whether the progress of `run` is asked for in JSON, also where the rest cannot be resolved.
bool wants_json_progress(const Flags& flags, const Environment& environment);

// The words of --log-level, and in any case those of Python's logging.
LogLevel parse_log_level(const std::string& origin, const std::string& text);
const char* name_of(LogLevel level);
const char* name_of(ProgressMode mode);
const char* name_of(ColorChoice choice);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_CONFIGURATION_H_

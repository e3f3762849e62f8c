// What the user asked for, by command.
#ifndef PROGRESS_TRACKER_CLI_SETTINGS_H_
#define PROGRESS_TRACKER_CLI_SETTINGS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <regex>
#include <string>
#include <variant>
#include <vector>

namespace progress_tracker::cli {

// The options of every command, as typed; configuration.h makes settings of them.
struct Flags {
  std::optional<std::string> database;
  std::optional<std::string> config_file;
  std::optional<std::string> log_level;
  std::optional<std::string> log_file;
  std::optional<std::string> color;
  std::optional<std::string> progress;             // of `run`
  std::optional<std::string> checkpoint_interval;  // of `run`
};

struct RunSettings {
  std::string job;
  std::string images;  // a directory; empty: the images come from a list
  std::string from;    // a file, or "-"; empty as well: what the job has
  char separator = '\n';
  std::vector<std::string> extensions;
  std::optional<std::regex> split_pattern;
  std::size_t workers = 0;  // 0: one per core
  int retries = 0;
  std::int64_t limit = 0;
  std::int64_t max_errors = 0;
  std::optional<std::chrono::milliseconds> timeout;
  bool wait = false;
  bool dry_run = false;
  std::string metrics_file;  // empty: none
  bool json = false;
  std::vector<std::string> command;
};

enum class StatusFormat { kText, kJson, kPrometheus };

struct StatusSettings {
  std::optional<std::string> job;  // none: all jobs
  StatusFormat format = StatusFormat::kText;
  bool watch = false;
  std::chrono::milliseconds interval{1000};  // between two readings of --watch
};

struct JobsSettings {
  bool json = false;
};

struct ErrorsSettings {
  std::string job;
  bool list = false;  // every image, not groups
  bool json = false;
};

struct ExplainSettings {
  std::string job;
  std::string path;
  bool json = false;
};

struct RetrySettings {
  std::string job;
  std::optional<std::string> message;  // none: all images in error
  bool json = false;
};

struct ResetSettings {
  std::string job;
  bool json = false;
};

struct RemoveSettings {
  std::string job;
  bool json = false;
};

struct ChainSettings {
  std::string job;
  std::string upstream;
  bool json = false;
};

struct BatchesSettings {
  std::string job;
  bool json = false;
};

struct ReportSettings {
  std::string job;
  std::string output;  // a file, or "-"
};

enum class ExportFormat { kCsv, kJson, kSnapshot };

struct ExportSettings {
  std::string job;  // empty with kSnapshot
  ExportFormat format = ExportFormat::kCsv;
  std::string output;  // a file, or "-" but with kSnapshot
};

struct ImportSettings {
  std::string old_database;
  bool json = false;
};

struct DoctorSettings {
  bool repair = false;
  bool json = false;
};

struct ConfigSettings {
  bool json = false;
};

using Command =
    std::variant<RunSettings, StatusSettings, JobsSettings, ErrorsSettings, ExplainSettings,
                 RetrySettings, ResetSettings, RemoveSettings, ChainSettings, BatchesSettings,
                 ReportSettings, ExportSettings, ImportSettings, DoctorSettings, ConfigSettings>;

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_SETTINGS_H_

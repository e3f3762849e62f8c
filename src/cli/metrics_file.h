// The file of `run --metrics-file`, kept up to date while the run goes on.
#ifndef PROGRESS_TRACKER_CLI_METRICS_FILE_H_
#define PROGRESS_TRACKER_CLI_METRICS_FILE_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "cli/metrics.h"
#include "cli/progress_line.h"
#include "progress_tracker/tracker.h"

namespace progress_tracker::cli {

class MetricsFile {
 public:
  using Note = std::function<void(const std::string&)>;

  // How old the file may be while the run goes on. Prometheus scrapes it every 15 s or less often.
  static constexpr std::chrono::seconds kInterval{5};

  // Writes the first figures. Throws UsageError if the file cannot be written. Later failures,
  // those to read the figures included, are told to `note`, the first and the last, and are no
  // reason to stop.
  MetricsFile(std::filesystem::path path, Tracker& tracker, JobId job, std::string name, Note note);
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  // Says that the run is over, if finish() did not: with the figures that were last known.
  ~MetricsFile();

  // Writes the file anew if it is due by `now`.
  void update(const ProgressFigures& figures, std::chrono::steady_clock::time_point now);

  // The last figures. `succeeded`: nothing is left to do, and no image is in error.
  void finish(const ProgressFigures& figures, bool succeeded);

 private:
  void write(const ProgressFigures& figures, bool is_active);
  void write_known(bool is_active, std::int64_t running);
  bool try_to_write(const ProgressFigures& figures, bool is_active);
  void fail(const std::string& why, bool is_last);

  const std::filesystem::path path_;
  Tracker& tracker_;
  const JobId job_;
  const std::string name_;
  const Note note_;
  std::optional<std::chrono::sys_seconds> last_success_;
  std::optional<std::chrono::steady_clock::time_point> written_;
  JobFigures known_;  // what was last read
  bool is_over_ = false;
  bool has_failed_ = false;
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_METRICS_FILE_H_

// The figures of jobs as Prometheus' text format has them, for node_exporter's textfile collector.
#ifndef PROGRESS_TRACKER_CLI_METRICS_H_
#define PROGRESS_TRACKER_CLI_METRICS_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <ostream>
#include <span>
#include <string>

#include "cli/job_figures.h"

namespace progress_tracker::cli {

// Of `run` itself, beside those of its job.
struct RunMetrics {
  bool is_active{false};
  std::int64_t running{0};  // commands at this moment
  std::optional<std::chrono::sys_seconds>
      last_success{};  // when a run last left nothing to do and no error
};

// Gauges: images by job, split and status; images a second where known; live workers. Of a run
// also whether it goes on, its commands, and the time of its last success.
void write_metrics(std::ostream& out, std::span<const JobFigures> jobs,
                   const std::optional<RunMetrics>& run = std::nullopt);

// What an earlier run wrote to the file as the time of its last success for `job`, if it did.
std::optional<std::chrono::sys_seconds> read_last_success(const std::filesystem::path& file,
                                                          const std::string& job);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_METRICS_H_

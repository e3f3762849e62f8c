#include "cli/metrics.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace progress_tracker::cli {
namespace {

constexpr char kLastSuccess[] = "progress_tracker_last_success_timestamp_seconds";

std::string label_value(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\n') {
      escaped += "\\n";
    } else {
      if (c == '\\' || c == '"') escaped += '\\';
      escaped += c;
    }
  }
  return escaped;
}

void write_head(std::ostream& out, std::string_view name, std::string_view help) {
  out << "# HELP " << name << ' ' << help << "\n# TYPE " << name << " gauge\n";
}

std::string of_job(std::string_view name, const std::string& job) {
  return std::string(name) + "{job=\"" + label_value(job) + "\"} ";
}

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return text.data();
}

void write_images(std::ostream& out, std::span<const JobFigures> jobs) {
  write_head(out, "progress_tracker_images", "Images of a job by split and status.");
  for (const JobFigures& job : jobs) {
    for (const auto& [split, counts] : job.splits) {
      const std::array<std::pair<const char*, std::int64_t>, 4> by_status{
          {{"pending", counts.pending},
           {"processing", counts.processing},
           {"completed", counts.completed},
           {"error", counts.error}}};
      for (const auto& [status, count] : by_status) {
        out << "progress_tracker_images{job=\"" << label_value(job.job) << "\",split=\""
            << label_value(split) << "\",status=\"" << status << "\"} " << count << '\n';
      }
    }
  }
}

void write_rates(std::ostream& out, std::span<const JobFigures> jobs) {
  constexpr char kName[] = "progress_tracker_images_per_second";
  bool has_head = false;
  for (const JobFigures& job : jobs) {
    if (!job.rate) continue;
    if (!std::exchange(has_head, true)) {
      write_head(out, kName, "Images finished a second, lately.");
    }
    out << of_job(kName, job.job) << number(job.rate->per_second) << '\n';
  }
}

void write_run(std::ostream& out, const std::string& job, const RunMetrics& run) {
  write_head(out, "progress_tracker_run_active", "1 while a run works on the job, 0 after it.");
  out << of_job("progress_tracker_run_active", job) << (run.is_active ? 1 : 0) << '\n';
  write_head(out, "progress_tracker_run_commands", "Commands of the run at this moment.");
  out << of_job("progress_tracker_run_commands", job) << run.running << '\n';
  if (!run.last_success) return;
  write_head(out, kLastSuccess, "When a run last ended with nothing left to do and no error.");
  out << of_job(kLastSuccess, job) << run.last_success->time_since_epoch().count() << '\n';
}

}  // namespace

void write_metrics(std::ostream& out, std::span<const JobFigures> jobs,
                   const std::optional<RunMetrics>& run) {
  write_images(out, jobs);
  write_rates(out, jobs);
  if (!jobs.empty()) {
    write_head(out, "progress_tracker_live_workers", "Live workers of the whole database.");
    out << "progress_tracker_live_workers " << jobs.front().live_workers << '\n';
  }
  if (run) write_run(out, jobs.front().job, *run);
}

std::optional<std::chrono::sys_seconds> read_last_success(const std::filesystem::path& file,
                                                          const std::string& job) {
  std::error_code unknown;
  if (!std::filesystem::is_regular_file(file, unknown)) return std::nullopt;  // a pipe would wait
  const std::string wanted = of_job(kLastSuccess, job);
  std::ifstream in(file, std::ios::binary);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(wanted)) continue;
    std::int64_t seconds = 0;
    const char* end = line.data() + line.size();
    const auto [stopped, error] = std::from_chars(line.data() + wanted.size(), end, seconds);
    if (error == std::errc() && stopped == end) {
      return std::chrono::sys_seconds(std::chrono::seconds(seconds));
    }
  }
  return std::nullopt;
}

}  // namespace progress_tracker::cli

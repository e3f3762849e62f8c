#include "cli/metrics_file.h"

#include <system_error>
#include <utility>

#include "cli/atomic_file.h"
#include "cli/output.h"
#include "progress_tracker/error.h"

namespace progress_tracker::cli {

MetricsFile::MetricsFile(std::filesystem::path path, Tracker& tracker, JobId job, std::string name,
                         Note note)
    : path_(std::move(path)),
      tracker_(tracker),
      job_(job),
      name_(std::move(name)),
      note_(std::move(note)),
      last_success_(read_last_success(path_, name_)) {
  try {
    write({}, true);
  } catch (const std::system_error& error) {
    throw UsageError(std::string("--metrics-file ") + error.what());
  }
}

void MetricsFile::update(const ProgressFigures& figures,
                         std::chrono::steady_clock::time_point now) {
  if (written_ && now - *written_ < kInterval) return;
  written_ = now;
  try_to_write(figures, true);
}

MetricsFile::~MetricsFile() {
  if (is_over_) return;
  try {
    known_.rate.reset();
    write_known(false, 0);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): there is nobody to tell
  }
}

void MetricsFile::finish(const ProgressFigures& figures, bool succeeded) {
  if (succeeded) {
    last_success_ = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  }
  is_over_ = try_to_write(figures, false);
}

bool MetricsFile::try_to_write(const ProgressFigures& figures, bool is_active) {
  try {
    write(figures, is_active);
    return true;
  } catch (const std::system_error& error) {
    fail(std::string("--metrics-file ") + error.what(), !is_active);
  } catch (const Error& error) {  // the run itself stops for it, if need be
    fail("--metrics-file: " + display(error.what()), !is_active);
  }
  return false;
}

void MetricsFile::fail(const std::string& why, bool is_last) {
  if (is_last) {
    note_(why + ": it does not have the last figures");
  } else if (!std::exchange(has_failed_, true)) {
    note_(why);
  }
}

void MetricsFile::write(const ProgressFigures& figures, bool is_active) {
  known_ = read_figures(tracker_, job_, name_);
  if (is_active) known_.rate = figures.rate;
  write_known(is_active, is_active ? figures.running : 0);
}

void MetricsFile::write_known(bool is_active, std::int64_t running) {
  const RunMetrics run{.is_active = is_active, .running = running, .last_success = last_success_};
  write_file_atomically(path_, [&](std::ostream& out) { write_metrics(out, {&known_, 1}, run); });
}

}  // namespace progress_tracker::cli

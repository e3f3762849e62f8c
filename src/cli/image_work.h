// What `run` does with one image: runs the command for it.
#ifndef PROGRESS_TRACKER_CLI_IMAGE_WORK_H_
#define PROGRESS_TRACKER_CLI_IMAGE_WORK_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "cli/child_processes.h"
#include "cli/command_template.h"
#include "cli/interruption.h"
#include "cli/progress_report.h"
#include "cli/settings.h"
#include "progress_tracker/types.h"

namespace progress_tracker::cli {

// Works on one image at a time for each of run_job()'s threads.
class ImageWork {
 public:
  // `on_finished` is called, by the thread that worked on it, for each image that is completed or
  // in error.
  ImageWork(const RunSettings& settings, ChildProcesses& children, Interruption& interruption,
            ProgressReport& report, std::function<void()> on_finished);

  // Throws what becomes the image's error, or, once a stop was requested, gives the image back.
  void operator()(const Image& image);

  // The errno that kept the command itself from starting, or 0.
  int start_error() const { return start_error_.load(); }

 private:
  std::optional<std::string> run_one(const Image& image);
  bool is_last_try(const Image& image);
  void forget_failures(const Image& image);
  void finished();

  const RunSettings& settings_;
  const CommandTemplate words_;
  ChildProcesses& children_;
  Interruption& interruption_;
  ProgressReport& report_;
  const std::function<void()> on_finished_;
  std::atomic<int> start_error_{0};

  std::mutex mutex_;
  std::unordered_map<std::int64_t, int> failures_;  // of images that are being tried; by mutex_
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_IMAGE_WORK_H_

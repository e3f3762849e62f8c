// reopen: how soon a job can go on after its worker was killed. A child process makes the job,
// holds some of its images, and is killed with SIGKILL; then this process opens the database and
// puts them back.
//
//   held=N   how many images are held. Default: 1000.
//
// reopen_ms and reset_ms are the two steps, total_ms is both; reset is how many images were put
// back.
#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>

#include "job_cases.h"
#include "killed_child.h"
#include "original_design.h"
#include "progress_tracker/progress_tracker.h"

namespace benchmark {
namespace {

using progress_tracker::JobId;
using progress_tracker::ProgressTracker;

struct ReopenSetting : JobSetting {
  explicit ReopenSetting(Arguments& arguments)
      : JobSetting(arguments), held(arguments.number("held", 1000)) {
    arguments.refuse_unknown();
    if (held == 0 || held > source.size()) {
      throw UsageError("held= is at least 1, and not more than images=");
    }
  }

  const std::size_t held;
};

void hold(ProgressTracker& tracker, JobId job, std::size_t images) {
  tracker.claim_images(job, images);
}

// What is not checkpointed is not held after a crash.
void hold(original_design::Tracker& tracker, std::int64_t job, std::size_t images) {
  tracker.mark_processing(tracker.get_pending_images(job, images));
  tracker.checkpoint(job);
}

// Otherwise whoever syncs the database first would wait for all that making the job has written.
void sync_to_disk(const std::filesystem::path& path) {
  const int file = open(path.c_str(), O_RDONLY);
  if (file < 0 || fdatasync(file) != 0) {
    throw std::runtime_error("cannot sync the database");
  }
  close(file);
}

template <typename Tracker, typename Job>
Figures reopen(const ReopenSetting& setting, const ScratchDatabase& database) {
  const Job job = run_and_kill<Job>([&](const auto& done) {
    Tracker tracker(database.path());
    const Job made = make_job(tracker, setting.source);
    hold(tracker, made, setting.held);
    done(made);
  });
  sync_to_disk(database.path());
  const Stopwatch watch;
  Tracker tracker(database.path());
  const double reopen_ms = watch.milliseconds();
  const std::size_t reset = tracker.reset_stuck_images(job);
  const double total_ms = watch.milliseconds();
  if (reset != setting.held) {
    throw std::runtime_error("not as many images were put back as were held");
  }
  Figures figures;
  figures.add("images", setting.source.size());
  figures.add("reset", reset);
  figures.add("reopen_ms", reopen_ms);
  figures.add("reset_ms", total_ms - reopen_ms);
  figures.add("total_ms", total_ms);
  return figures;
}

}  // namespace

Figures reopen_case(Arguments& arguments) {
  const ReopenSetting setting(arguments);
  const ScratchDatabase database(setting);
  switch (setting.program) {
    case Program::kLibrary:
      return reopen<ProgressTracker, JobId>(setting, database);
    case Program::kOriginal:
      return reopen<original_design::Tracker, std::int64_t>(setting, database);
    default:
      setting.refuse_program();
  }
}

}  // namespace benchmark

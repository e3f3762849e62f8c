// reopen: how soon a job can go on after its worker was killed. A child process makes the job,
// holds some of its images, and is killed with SIGKILL; then this process opens the database and
// puts them back.
//
//   held=N   how many images are held. Default: 1000.
//
// reopen_ms and reset_ms are the two steps, total_ms is both; reset is how many images were put
// back.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>

#include "job_cases.h"
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

template <typename Tracker>
[[noreturn]] void work_until_killed(const ReopenSetting& setting, const ScratchDatabase& database,
                                    int to_parent) {
  try {
    Tracker tracker(database.path());
    const auto job = make_job(tracker, setting.source);
    hold(tracker, job, setting.held);
    if (write(to_parent, &job, sizeof job) == sizeof job) {
      for (;;) {
        pause();
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "reopen: %s\n", error.what());
  }
  _exit(1);
}

// Returns the job. No database is open in this process yet: it would not outlive a fork.
template <typename Tracker, typename Job>
Job make_job_of_killed(const ReopenSetting& setting, const ScratchDatabase& database) {
  int ends[2];
  if (pipe(ends) != 0) {
    throw std::runtime_error("cannot make a pipe");
  }
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    work_until_killed<Tracker>(setting, database, ends[1]);
  }
  close(ends[1]);
  Job job{};
  const bool made = child > 0 && read(ends[0], &job, sizeof job) == sizeof job;
  close(ends[0]);
  if (child > 0) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  if (!made) {
    throw std::runtime_error("the process to be killed could not be made, or failed");
  }
  return job;
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
  const Job job = make_job_of_killed<Tracker, Job>(setting, database);
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

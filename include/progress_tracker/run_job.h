// The worker loop that everyone would otherwise write.
//
// Claims images of a job, calls a function for each of them on some threads, records what became
// of them, and stops in order. Start it in any number of processes on the same job: they share the
// work. Start it again after any kind of stop: it goes on with what is left.
#ifndef PROGRESS_TRACKER_RUN_JOB_H_
#define PROGRESS_TRACKER_RUN_JOB_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>

#include "progress_tracker/tracker.h"
#include "progress_tracker/types.h"

namespace progress_tracker {

struct RunOptions {
  // Threads that call `process`. 0: one per core.
  std::size_t workers = 0;

  // Images claimed at a time. 0: chosen as it goes, so that neither fast nor slow work waits on
  // the database.
  std::size_t claim_size = 0;

  // How often `process` is called for one image under one claim before its exception becomes the
  // image's error.
  int tries = 1;

  // The pause before the second try of an image; doubles at each further one.
  std::chrono::milliseconds retry_delay{0};

  // Works on at most so many images. 0: no limit.
  std::int64_t limit = 0;

  // Stops once so many images of this run failed. 0: never.
  std::int64_t max_errors = 0;

  // Also waits, looking every 200 ms, while another worker holds images of the job, or an upstream
  // job, at any distance, has pending or processing images. (While other workers are alive, images
  // that this same tracker claimed outside the run cannot be told from theirs.)
  bool wait_for_others = false;

  // How often the job's counts are checkpointed while images are being worked on.
  std::chrono::milliseconds checkpoint_interval{1000};

  // A request to stop: images in work are finished, or released if `process` throws; the others
  // are released.
  std::stop_token stop{};

  // Called on the thread that called run_job(), after each checkpoint and at the end.
  std::function<void(const StatusCounts&)> on_progress{};
};

struct RunSummary {
  std::int64_t completed{0};  // outcomes of this run that were applied
  std::int64_t errors{0};
  std::int64_t released{0};  // claimed, not finished, given back
  bool stopped{false};       // ended by stop, limit or max_errors with work left

  bool operator==(const RunSummary&) const = default;
};

// Works through `job` until nothing is pending, nothing is held by a dead worker, and everything
// claimed here is marked. Does not wait for other live workers.
//
// An exception of `process` is that image's error message after RunOptions::tries calls ("unknown
// exception" if it is not derived from std::exception); one thrown after a stop was requested
// releases the image instead. `process` must be safe to call from several threads at once. An
// outcome is held back for at most 100 ms after `process` returned, waiting for the database apart.
// An image whose worker died before is worked on while nothing else is.
//
// Throws Error: kInvalidArgument for a negative option or an empty `process`; kNotFound if there is
// no such job. A failure of the tracker itself ends the run: the threads join, what is finished is
// marked if possible, the rest is released, and the first error is rethrown; likewise an exception
// of on_progress. What could be neither marked nor released is still held by this tracker: call
// reset_stuck_images() before the next run with it.
RunSummary run_job(Tracker& tracker, JobId job, const std::function<void(const Image&)>& process,
                   const RunOptions& options = {});

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_RUN_JOB_H_

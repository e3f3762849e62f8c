// What is shown about a job: its counts, who works on it, how fast, and how long it may still take.
#ifndef PROGRESS_TRACKER_CLI_JOB_FIGURES_H_
#define PROGRESS_TRACKER_CLI_JOB_FIGURES_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "cli/progress_line.h"
#include "progress_tracker/tracker.h"
#include "progress_tracker/types.h"

namespace progress_tracker::cli {

// Images in work in the whole database, by whether their worker lives.
struct HeldImages {
  std::int64_t by_living{0};
  std::int64_t by_dead{0};
};

struct JobFigures {
  std::string job;
  std::map<std::string, StatusCounts> splits;
  StatusCounts total;            // of one reading with `splits`, so that they agree
  std::int64_t live_workers{0};  // of the whole database
  HeldImages held{};             // of the whole database
  std::optional<Rate> rate{};

  // How many of the job's images in work were left so by dead workers, at most: a worker's images
  // are not told apart by job. Exactly so many if no living worker holds any.
  std::int64_t most_abandoned() const;

  // Nothing while the rate is unknown.
  std::optional<TimeLeft> time_left() const;
};

StatusCounts sum_of(const std::map<std::string, StatusCounts>& splits);

// `rate` is left empty.
JobFigures read_figures(Tracker& tracker, JobId job, const std::string& name);

std::int64_t count_live_workers(Tracker& tracker);
HeldImages count_held(Tracker& tracker);

// Images a second, from the times at which the latest images were finished; nothing if none is in
// work, or fewer than five of those that were handed out lately were finished in the last five
// minutes.
//
// Work is handed out in the order of ids, so the latest are looked for beside the highest id in
// work; images that were given back and are worked on later are missed, which makes the figure
// too low rather than too high. Reads at most some thousand images.
std::optional<Rate> recent_rate(Tracker& tracker, JobId job,
                                std::chrono::system_clock::time_point now);

// Whether the job can get images from one that feeds it, at any distance, and that is not done.
bool is_fed(Tracker& tracker, JobId job);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_JOB_FIGURES_H_

// Counting again what the counters and marks say, and putting them right.
#ifndef PROGRESS_TRACKER_SRC_STORE_RECOUNT_H_
#define PROGRESS_TRACKER_SRC_STORE_RECOUNT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "progress_tracker/types.h"
#include "sqlite/connection.h"

namespace progress_tracker::store {

// What one walk over a job's published images found.
struct Recount {
  struct Split {
    std::int64_t id{0};
    std::string name;
    StatusCounts stored;
    StatusCounts counted;
  };

  JobId job{};
  std::string name;
  std::vector<Split> differing;  // by name

  std::int64_t published{0};  // the mark,
  std::int64_t images{0};     // and how many there are up to it: the same, on a sound file

  std::int64_t without_split{0};  // images whose split has no row of the job

  // The mark, and the number of the last image before the first that was never started. A mark
  // above that hides images that were never started from every claim.
  std::int64_t started{0};
  std::int64_t all_started{0};

  bool mark_is_sound() const { return started <= all_started; }
  bool can_be_corrected() const { return !differing.empty() || !mark_is_sound(); }
};

// The jobs that have counts to be checked: all but those that are being removed.
std::vector<JobId> countable_jobs(sqlite::Connection& connection);

// Walks over all images of the job. A job that is gone, or has lost its name, has none.
Recount recount(sqlite::Connection& connection, JobId job);

// Makes counters and mark what the recount found, and checkpoints the job. To be called in the
// transaction of the recount.
void correct(sqlite::Connection& connection, const Recount& found, std::int64_t now);

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_RECOUNT_H_

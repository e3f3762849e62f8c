// Which images are next, and giving them out.
#ifndef PROGRESS_TRACKER_SRC_STORE_CLAIM_H_
#define PROGRESS_TRACKER_SRC_STORE_CLAIM_H_

#include <cstdint>
#include <vector>

#include "progress_tracker/types.h"
#include "sqlite/connection.h"
#include "store/jobs.h"

namespace progress_tracker::store {

// The next pending images, at most `limit`: those without a death in order of id, then those with.
std::vector<Image> pending_images(sqlite::Connection& connection, const JobRow& job,
                                  std::int64_t limit);

// Picks and marks the next pending images for `worker`, at most `limit`: those without a death;
// where there are none, the first with one, alone.
std::vector<Image> claim(sqlite::Connection& connection, JobRow job, WorkerId worker,
                         std::int64_t limit, std::int64_t now);

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_CLAIM_H_

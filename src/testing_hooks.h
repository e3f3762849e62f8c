// What only our own tests may do to a tracker.
#ifndef PROGRESS_TRACKER_SRC_TESTING_HOOKS_H_
#define PROGRESS_TRACKER_SRC_TESTING_HOOKS_H_

#include <filesystem>
#include <memory>

#include "clock.h"
#include "progress_tracker/progress_tracker.h"

namespace progress_tracker::internal {

// A tracker that goes by this clock, which must outlive it.
std::unique_ptr<ProgressTracker> open_with_clock(const std::filesystem::path& path,
                                                 const Options& options, Clock& clock);

// Does to the tracker what a death of its process does, as far as others can see: the lock is gone,
// no farewell is said, buffered marks are lost. Afterwards it is closed.
void simulate_death(ProgressTracker& tracker);

}  // namespace progress_tracker::internal

#endif  // PROGRESS_TRACKER_SRC_TESTING_HOOKS_H_

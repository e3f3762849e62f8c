// All images of a job, however many.
#ifndef PROGRESS_TRACKER_CLI_IMAGE_PAGES_H_
#define PROGRESS_TRACKER_CLI_IMAGE_PAGES_H_

#include <functional>
#include <optional>

#include "progress_tracker/tracker.h"
#include "progress_tracker/types.h"

namespace progress_tracker::cli {

// Calls `each` for the job's images, or those in one status, in the order in which they were added,
// until it returns false. Reads a page at a time, and holds nothing open between pages.
void for_each_image(Tracker& tracker, JobId job, std::optional<Status> status,
                    const std::function<bool(const ImageRecord&)>& each);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_IMAGE_PAGES_H_

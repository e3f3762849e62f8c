// Something that is to be done at every so many images.
#ifndef PROGRESS_TRACKER_CLI_EVERY_FEW_IMAGES_H_
#define PROGRESS_TRACKER_CLI_EVERY_FEW_IMAGES_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "progress_tracker/error.h"

namespace progress_tracker::cli {

// Calls `checkpoint` at every `interval`-th image; never, if there is no interval. Any thread may
// count at any time. An Error of `checkpoint` is passed over: it would become the error of the
// image that was just finished, and run_job(), which checkpoints too, stops for what stays wrong.
class EveryFewImages {
 public:
  EveryFewImages(std::optional<std::int64_t> interval, std::function<void()> checkpoint)
      : interval_(interval), checkpoint_(std::move(checkpoint)) {}

  void count() {
    if (!interval_ || ++finished_ % *interval_ != 0) return;
    try {
      checkpoint_();
    } catch (const Error&) {  // NOLINT(bugprone-empty-catch): see above
    }
  }

 private:
  const std::optional<std::int64_t> interval_;
  const std::function<void()> checkpoint_;
  std::atomic<std::int64_t> finished_{0};
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_EVERY_FEW_IMAGES_H_

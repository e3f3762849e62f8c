// Something that is to be done at every so many images.
#ifndef PROGRESS_TRACKER_CLI_EVERY_FEW_IMAGES_H_
#define PROGRESS_TRACKER_CLI_EVERY_FEW_IMAGES_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

namespace progress_tracker::cli {

// Calls `checkpoint` for every `interval` images that were counted, or for more of them where it
// takes longer than these; never, if there is no interval. On a thread of its own: whoever counts
// does not wait for it, and what it throws is passed over: run_job() checkpoints too, and tells.
class EveryFewImages {
 public:
  EveryFewImages(std::optional<std::int64_t> interval, std::function<void()> checkpoint);
  EveryFewImages(const EveryFewImages&) = delete;
  EveryFewImages& operator=(const EveryFewImages&) = delete;
  ~EveryFewImages();  // a call that is due is still made

  // One image more. Any thread, any time.
  void count();

 private:
  void work();

  const std::optional<std::int64_t> interval_;
  const std::function<void()> checkpoint_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t counted_ = 0;  // since the last call
  bool is_ending_ = false;

  std::thread thread_;
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_EVERY_FEW_IMAGES_H_

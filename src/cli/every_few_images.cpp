#include "cli/every_few_images.h"

#include <exception>
#include <utility>

namespace progress_tracker::cli {

EveryFewImages::EveryFewImages(std::optional<std::int64_t> interval,
                               std::function<void()> checkpoint)
    : interval_(interval), checkpoint_(std::move(checkpoint)) {
  if (interval_) thread_ = std::thread([this] { work(); });
}

EveryFewImages::~EveryFewImages() {
  {
    const std::scoped_lock lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void EveryFewImages::count() {
  if (!interval_) return;
  const std::scoped_lock lock(mutex_);
  if (++counted_ >= *interval_) changed_.notify_all();
}

void EveryFewImages::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return counted_ >= *interval_ || is_ending_; });
    if (counted_ < *interval_) return;
    counted_ %= *interval_;
    lock.unlock();
    try {
      checkpoint_();
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): see the header
    }
    lock.lock();
  }
}

}  // namespace progress_tracker::cli

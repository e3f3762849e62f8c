#include "mark_buffer.h"

#include <utility>

namespace progress_tracker {

std::optional<Status> MarkBuffer::held(ImageId image) const {
  const auto found = held_.find(image);
  if (found == held_.end()) {
    return std::nullopt;
  }
  return found->second;
}

bool MarkBuffer::is_known_open(ImageId image, const std::optional<sqlite::LogState>& now) const {
  return now.has_value() && now == open_as_of_ && open_.contains(image);
}

void MarkBuffer::add(Outcome mark, Time now) {
  const Status status = mark.error.has_value() ? Status::kError : Status::kCompleted;
  const ImageId image = mark.id;
  marks_.push_back(std::move(mark));
  held_[image] = status;
  if (marks_.size() == 1) {
    oldest_ = now;
  }
}

void MarkBuffer::know_open(std::span<const ImageId> images,
                           const std::optional<sqlite::LogState>& state) {
  if (images.empty()) {
    return;
  }
  if (state != open_as_of_ || open_.size() + images.size() > kMostRemembered) {
    open_.clear();
    open_as_of_ = state;
  }
  open_.insert(images.begin(), images.end());
}

void MarkBuffer::committed(const std::optional<sqlite::LogState>& before,
                           const std::optional<sqlite::LogState>& after) {
  if (before.has_value() && before == open_as_of_) {
    // What the marks did not touch stands as it stood.
    open_as_of_ = after;
    for (const Outcome& mark : marks_) {
      open_.erase(mark.id);
    }
  }
  marks_.clear();
  held_.clear();
}

}  // namespace progress_tracker

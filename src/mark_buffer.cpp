#include "mark_buffer.h"

#include <utility>

namespace progress_tracker {

std::optional<Status> MarkBuffer::standing(ImageId image) const {
  const auto found = standings_.find(image);
  if (found == standings_.end()) {
    return std::nullopt;
  }
  return found->second;
}

void MarkBuffer::add(Outcome mark, Time now) {
  const Status status = mark.error.has_value() ? Status::kError : Status::kCompleted;
  const ImageId image = mark.id;
  marks_.push_back(std::move(mark));
  standings_[image] = status;
  if (marks_.size() == 1) {
    oldest_ = now;
  }
}

void MarkBuffer::handed_out(std::span<const Image> images) {
  if (!enabled()) {
    return;
  }
  if (standings_.size() + images.size() > kMostRemembered) {
    forget_handed_out();
  }
  for (const Image& image : images) {
    standings_.try_emplace(image.id, Status::kPending);
  }
}

void MarkBuffer::forget_handed_out() {
  standings_.clear();
  for (const Outcome& mark : marks_) {
    standings_[mark.id] = mark.error.has_value() ? Status::kError : Status::kCompleted;
  }
}

void MarkBuffer::clear() {
  for (const Outcome& mark : marks_) {
    standings_.erase(mark.id);
  }
  marks_.clear();
}

}  // namespace progress_tracker

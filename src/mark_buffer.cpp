#include "mark_buffer.h"

#include <utility>

#include "store/state.h"

namespace progress_tracker {

std::optional<Status> MarkBuffer::held(ImageId image) const {
  if (held_completed_.contains(image)) {
    return Status::kCompleted;
  }
  return held_error_.contains(image) ? std::optional(Status::kError) : std::nullopt;
}

bool MarkBuffer::is_known_open(ImageId image, const std::optional<sqlite::LogState>& now) const {
  return now.has_value() && now == open_as_of_ && open_.contains(image);
}

void MarkBuffer::add(Outcome mark, Time now) {
  if (mark.error.has_value()) {
    held_error_.add(mark.id);
  } else {
    held_completed_.add(mark.id);
  }
  marks_.push_back(std::move(mark));
  if (marks_.size() == 1) {
    oldest_ = now;
  }
}

void MarkBuffer::know_open(std::span<const ImageId> images,
                           const std::optional<sqlite::LogState>& state) {
  if (images.empty()) {
    return;
  }
  if (state != open_as_of_ || open_.runs() > kMostRemembered) {
    open_.clear();
    open_as_of_ = state;
  }
  while (!images.empty()) {
    const std::size_t length = store::neighbours(images);
    open_.add(images.front(), images[length - 1]);
    images = images.subspan(length);
  }
}

void MarkBuffer::committed(const std::optional<sqlite::LogState>& before,
                           const std::optional<sqlite::LogState>& after) {
  if (before.has_value() && before == open_as_of_) {
    // What the marks did not touch stands as it stood.
    open_as_of_ = after;
    for (std::span<const Outcome> left = marks_; !left.empty();) {
      std::size_t length = 1;
      while (length < left.size() && store::are_neighbours(left[length - 1].id, left[length].id)) {
        ++length;
      }
      open_.remove(left.front().id, left[length - 1].id);
      left = left.subspan(length);
    }
  }
  marks_.clear();
  held_completed_.clear();
  held_error_.clear();
}

}  // namespace progress_tracker

#include "mark_buffer.h"

#include <new>
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
  ImageRuns& held = mark.error.has_value() ? held_error_ : held_completed_;
  marks_.push_back(std::move(mark));
  try {
    held.add(marks_.back().id);
  } catch (...) {
    marks_.pop_back();  // all of it or nothing: what counts as held is not asked for again
    throw;
  }
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
                           const std::optional<sqlite::LogState>& after) noexcept {
  if (before.has_value() && before == open_as_of_) {
    try {
      forget_marked();
      open_as_of_ = after;
    } catch (const std::bad_alloc&) {
      open_.clear();
      open_as_of_ = std::nullopt;
    }
  }
  marks_.clear();
  held_completed_.clear();
  held_error_.clear();
}

// What the marks did not touch stands as it stood.
void MarkBuffer::forget_marked() {
  for (std::span<const Outcome> left = marks_; !left.empty();) {
    std::size_t length = 1;
    while (length < left.size() && store::are_neighbours(left[length - 1].id, left[length].id)) {
      ++length;
    }
    open_.remove(left.front().id, left[length - 1].id);
    left = left.subspan(length);
  }
}

}  // namespace progress_tracker

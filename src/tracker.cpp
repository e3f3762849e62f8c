#include "progress_tracker/tracker.h"

#include <utility>

namespace progress_tracker {

Tracker::~Tracker() = default;

bool Tracker::complete(const Image& image) {
  const Outcome outcome{image.id, image.attempt, std::nullopt};
  return mark_outcomes({&outcome, 1}) == 1;
}

bool Tracker::fail(const Image& image, std::string_view error_msg) {
  const Outcome outcome{image.id, image.attempt, std::string(error_msg)};
  return mark_outcomes({&outcome, 1}) == 1;
}

void Tracker::reset_processing_images(JobId job) { reset_stuck_images(job); }

std::optional<std::string> Tracker::get_image_split(ImageId image_id) {
  auto record = get_image(image_id);
  if (!record) return std::nullopt;
  return std::move(record->image.split);
}

}  // namespace progress_tracker

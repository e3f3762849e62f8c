#include "cli/image_pages.h"

#include <cstddef>
#include <vector>

namespace progress_tracker::cli {

void for_each_image(Tracker& tracker, JobId job, std::optional<Status> status,
                    const std::function<bool(const ImageRecord&)>& each) {
  constexpr std::size_t kPage = 1000;  // of messages of up to 64 KiB
  std::optional<ImageId> after;
  for (;;) {
    const std::vector<ImageRecord> page = tracker.get_images(job, status, kPage, after);
    for (const ImageRecord& record : page) {
      if (!each(record)) return;
    }
    if (page.size() < kPage) return;
    after = page.back().image.id;
  }
}

}  // namespace progress_tracker::cli

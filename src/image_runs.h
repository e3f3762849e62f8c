// A set of images, kept as runs of neighbours: what is claimed and marked together mostly has ids
// that follow each other, and then costs next to nothing.
#ifndef PROGRESS_TRACKER_SRC_IMAGE_RUNS_H_
#define PROGRESS_TRACKER_SRC_IMAGE_RUNS_H_

#include <cstddef>
#include <cstdint>
#include <map>

#include "progress_tracker/types.h"

namespace progress_tracker {

class ImageRuns {
 public:
  bool contains(ImageId image) const;

  // From `first` to `last`, both included; in it already, or not.
  void add(ImageId first, ImageId last);
  void add(ImageId image) { add(image, image); }
  void remove(ImageId first, ImageId last);
  void remove(ImageId image) { remove(image, image); }

  void clear() { last_by_first_.clear(); }

  // How many runs there are, which is what the set takes in memory.
  std::size_t runs() const { return last_by_first_.size(); }

 private:
  using Runs = std::map<std::int64_t, std::int64_t>;

  // The first run that ends at `id` or later.
  Runs::iterator ends_at_or_after(std::int64_t id);

  // No two overlap, or are neighbours.
  Runs last_by_first_;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_IMAGE_RUNS_H_

#include "image_runs.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace progress_tracker {
namespace {

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

// Without overflow: ids may be any number.
std::int64_t before(std::int64_t id) { return std::max(id, kLeast + 1) - 1; }
std::int64_t after(std::int64_t id) { return std::min(id, kMost - 1) + 1; }

}  // namespace

bool ImageRuns::contains(ImageId image) const {
  const auto id = static_cast<std::int64_t>(image);
  const auto next = last_by_first_.upper_bound(id);
  return next != last_by_first_.begin() && std::prev(next)->second >= id;
}

ImageRuns::Runs::iterator ImageRuns::ends_at_or_after(std::int64_t id) {
  auto run = last_by_first_.upper_bound(id);
  if (run != last_by_first_.begin() && std::prev(run)->second >= id) {
    --run;
  }
  return run;
}

void ImageRuns::add(ImageId first, ImageId last) {
  const auto begin = static_cast<std::int64_t>(first);
  auto end = static_cast<std::int64_t>(last);
  auto run = ends_at_or_after(before(begin));
  if (run != last_by_first_.end() && run->first <= begin) {
    // The usual case: the run that is there grows.
    end = std::max(end, run->second);
    run->second = end;
    ++run;
  } else {
    run = std::next(last_by_first_.emplace_hint(run, begin, end));
  }
  while (run != last_by_first_.end() && run->first <= after(end)) {
    end = std::max(end, run->second);
    run = last_by_first_.erase(run);
  }
  std::prev(run)->second = end;
}

void ImageRuns::remove(ImageId first, ImageId last) {
  const auto begin = static_cast<std::int64_t>(first);
  const auto end = static_cast<std::int64_t>(last);
  for (auto run = ends_at_or_after(begin); run != last_by_first_.end() && run->first <= end;) {
    const auto [run_begin, run_end] = *run;
    run = last_by_first_.erase(run);
    if (run_begin < begin) {
      last_by_first_.emplace_hint(run, run_begin, begin - 1);
    }
    if (run_end > end) {
      last_by_first_.emplace_hint(run, end + 1, run_end);
    }
  }
}

}  // namespace progress_tracker

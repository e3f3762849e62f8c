#include "cli/timeline.h"

#include <algorithm>
#include <array>
#include <utility>

namespace progress_tracker::cli {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

constexpr std::int64_t kMostCells = 10'000;
constexpr std::int64_t kMostBars = 120;

// What the times are counted by, until it is known how far they reach. Each divides the next, so
// that counts can be added up. With the last, everything that a time_point holds fits kMostCells.
constexpr std::array<std::int64_t, 10> kGrains{1,       10,           100,   kSecond, 10 * kSecond,
                                               kMinute, 10 * kMinute, kHour, kDay,    28 * kDay};

// Round widths of a bar, each at most twice the one before, so that half of kMostBars are used at
// least. After the last they double.
//
// The grain is this coarse because the one before it was too fine for kMostCells. So the width is
// more than kMostCells / kMostBars (83) times the grain before: a multiple of the grain.
constexpr std::array<std::int64_t, 37> kWidths{1,
                                               2,
                                               3,
                                               5,
                                               10,
                                               20,
                                               30,
                                               50,
                                               100,
                                               200,
                                               300,
                                               500,
                                               kSecond,
                                               2 * kSecond,
                                               3 * kSecond,
                                               5 * kSecond,
                                               10 * kSecond,
                                               15 * kSecond,
                                               30 * kSecond,
                                               kMinute,
                                               2 * kMinute,
                                               3 * kMinute,
                                               5 * kMinute,
                                               10 * kMinute,
                                               15 * kMinute,
                                               30 * kMinute,
                                               kHour,
                                               2 * kHour,
                                               3 * kHour,
                                               6 * kHour,
                                               12 * kHour,
                                               kDay,
                                               2 * kDay,
                                               4 * kDay,
                                               7 * kDay,
                                               14 * kDay,
                                               28 * kDay};

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// How many steps of `width` it takes from one time to another, both included.
std::int64_t steps(std::int64_t from, std::int64_t to, std::int64_t width) {
  return floor_div(to, width) - floor_div(from, width) + 1;
}

std::int64_t width_for(std::int64_t from, std::int64_t to) {
  for (const std::int64_t width : kWidths) {
    if (steps(from, to, width) <= kMostBars) return width;
  }
  std::int64_t width = kWidths.back();
  while (steps(from, to, width) > kMostBars) width *= 2;
  return width;
}

void add(Timeline::Bar& sum, const Timeline::Bar& part) {
  sum.completed += part.completed;
  sum.errors += part.errors;
}

}  // namespace

std::int64_t TimelineBuilder::grain() const { return kGrains[grain_index_]; }

std::size_t TimelineBuilder::cell_of(TimePoint time) {
  const std::int64_t ms = std::chrono::floor<milliseconds>(time).time_since_epoch().count();
  if (cells_.empty()) {
    earliest_ms_ = latest_ms_ = ms;
    first_ = floor_div(ms, grain());
    cells_.resize(1);
  }
  earliest_ms_ = std::min(earliest_ms_, ms);
  latest_ms_ = std::max(latest_ms_, ms);
  while (steps(earliest_ms_, latest_ms_, grain()) > kMostCells) coarsen();

  const std::int64_t earliest = floor_div(earliest_ms_, grain());
  if (earliest < first_) {
    cells_.insert(cells_.begin(), static_cast<std::size_t>(first_ - earliest), {});
    first_ = earliest;
  }
  const auto cell = static_cast<std::size_t>(floor_div(ms, grain()) - first_);
  if (cell >= cells_.size()) cells_.resize(cell + 1);
  return cell;
}

void TimelineBuilder::coarsen() {
  const std::int64_t old_grain = grain();
  ++grain_index_;
  const std::int64_t first = floor_div(first_ * old_grain, grain());
  std::vector<Timeline::Bar> merged;
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    const std::int64_t ms = (first_ + static_cast<std::int64_t>(i)) * old_grain;
    const auto cell = static_cast<std::size_t>(floor_div(ms, grain()) - first);
    if (cell >= merged.size()) merged.resize(cell + 1);
    add(merged[cell], cells_[i]);
  }
  cells_ = std::move(merged);
  first_ = first;
}

Timeline TimelineBuilder::build() const {
  Timeline timeline;
  if (cells_.empty()) return timeline;
  const std::int64_t width = width_for(earliest_ms_, latest_ms_);
  const std::int64_t first = floor_div(earliest_ms_, width);
  timeline.start = milliseconds(first * width);
  timeline.width = milliseconds(width);
  timeline.bars.resize(static_cast<std::size_t>(steps(earliest_ms_, latest_ms_, width)));
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    const std::int64_t ms = (first_ + static_cast<std::int64_t>(i)) * grain();
    add(timeline.bars[static_cast<std::size_t>(floor_div(ms, width) - first)], cells_[i]);
  }
  return timeline;
}

}  // namespace progress_tracker::cli

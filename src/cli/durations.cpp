#include "cli/durations.h"

#include <algorithm>
#include <cmath>

namespace progress_tracker::cli {
namespace {

using std::chrono::milliseconds;

constexpr int kCellsPerDecade = 1000;
constexpr std::size_t kCells = 17 * kCellsPerDecade;  // 10^17 ms: more than a time_point holds

constexpr std::size_t kLeastBars = 8;
constexpr std::size_t kMostBars = 40;

std::size_t cell_of(milliseconds duration) {
  const auto ms = static_cast<double>(std::max<std::int64_t>(1, duration.count()));
  // A power of ten begins its cell, also where its logarithm is rounded down.
  const double cell = std::log10(ms) * kCellsPerDecade + 1e-9;
  return std::min(static_cast<std::size_t>(cell), kCells - 1);
}

double lower_edge_ms(double cell) { return std::pow(10, cell / kCellsPerDecade); }

}  // namespace

Durations::Durations() : cells_(kCells) {}

void Durations::add(milliseconds duration) {
  duration = std::max(duration, milliseconds(0));
  shortest_ = count_ == 0 ? duration : std::min(shortest_, duration);
  longest_ = std::max(longest_, duration);
  ++cells_[cell_of(duration)];
  ++count_;
}

milliseconds Durations::quantile(double part) const {
  const double wanted = std::ceil(part * static_cast<double>(count_));
  std::int64_t seen = 0;
  for (std::size_t cell = 0; cell < kCells; ++cell) {
    seen += cells_[cell];
    if (cells_[cell] == 0 || static_cast<double>(seen) < wanted) continue;
    if (seen == count_) break;
    const double middle = lower_edge_ms(static_cast<double>(cell) + 0.5);
    return std::clamp(milliseconds(std::llround(middle)), shortest_, longest_);
  }
  return longest_;
}

std::vector<Durations::Bar> Durations::bars() const {
  if (count_ == 0) return {};
  const std::size_t first_cell = cell_of(shortest_);
  const std::size_t last_cell = cell_of(longest_);
  // As fine as fits; but a bar must have room for a whole millisecond, or it would always be empty.
  std::size_t width = 50;
  for (const std::size_t wider : {std::size_t{100}, std::size_t{200}}) {
    const std::size_t bars = last_cell / width - first_cell / width + 1;
    const double from_ms = lower_edge_ms(static_cast<double>(first_cell));
    const double room = from_ms * (lower_edge_ms(static_cast<double>(width)) - 1);
    if (bars <= kMostBars && room >= 1) break;
    width = wider;
  }
  std::size_t first = first_cell / width;
  std::size_t end = last_cell / width + 1;
  while (end - first < kLeastBars) {
    if (first > 0) --first;
    if (end < kCells / width) ++end;
  }
  std::vector<Bar> bars;
  for (std::size_t i = first; i < end; ++i) {
    Bar bar;
    bar.from_ms = lower_edge_ms(static_cast<double>(i * width));
    bar.to_ms = lower_edge_ms(static_cast<double>((i + 1) * width));
    for (std::size_t cell = i * width; cell < (i + 1) * width; ++cell) bar.count += cells_[cell];
    bars.push_back(bar);
  }
  return bars;
}

}  // namespace progress_tracker::cli

// How many images were finished when: a row of bars over the time that a job took.
#ifndef PROGRESS_TRACKER_CLI_TIMELINE_H_
#define PROGRESS_TRACKER_CLI_TIMELINE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace progress_tracker::cli {

struct Timeline {
  struct Bar {
    std::int64_t completed = 0;
    std::int64_t errors = 0;

    std::int64_t total() const { return completed + errors; }
    bool operator==(const Bar&) const = default;
  };

  // Since 1970. A bar may reach beyond what a time_point of the system's clock holds.
  std::chrono::milliseconds start{0};  // of the first bar: a multiple of the width
  std::chrono::milliseconds width{0};  // of each bar: a round one, such as 5 minutes
  std::vector<Bar> bars;               // without gaps; empty: no times are known

  std::chrono::milliseconds end() const {
    return start + width * static_cast<std::int64_t>(bars.size());
  }
};

// Makes a timeline of times that come in any order and number, in bounded memory (160 kB). Every
// image is counted in the bar that its time belongs to: nothing is estimated.
class TimelineBuilder {
 public:
  using TimePoint = std::chrono::system_clock::time_point;

  // The timeline is to reach to `time`.
  void cover(TimePoint time) { cell_of(time); }
  void add_completed(TimePoint time) { ++cells_[cell_of(time)].completed; }
  void add_error(TimePoint time) { ++cells_[cell_of(time)].errors; }

  // 60 to 120 bars; fewer if the times are less than 60 ms apart.
  Timeline build() const;

 private:
  std::size_t cell_of(TimePoint time);
  std::int64_t grain() const;
  void coarsen();

  std::size_t grain_index_ = 0;
  std::int64_t first_ = 0;            // where cells_ begins, in grains since 1970
  std::vector<Timeline::Bar> cells_;  // a grain each; empty: no time has come yet
  std::int64_t earliest_ms_ = 0;
  std::int64_t latest_ms_ = 0;
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_TIMELINE_H_

// How long images took: a histogram on a logarithmic scale, and its percentiles.
#ifndef PROGRESS_TRACKER_CLI_DURATIONS_H_
#define PROGRESS_TRACKER_CLI_DURATIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace progress_tracker::cli {

// Durations that come in any order and number, in bounded memory (136 kB).
class Durations {
 public:
  // Images that took `from` or more, and less than `to`.
  struct Bar {
    double from_ms = 0;
    double to_ms = 0;
    std::int64_t count = 0;
  };

  Durations();

  // A negative one counts as nothing: somebody set the clock back.
  void add(std::chrono::milliseconds duration);

  std::int64_t count() const { return count_; }
  std::chrono::milliseconds shortest() const { return shortest_; }
  std::chrono::milliseconds longest() const { return longest_; }

  // The smallest duration that at least `part` (0 to 1) of the images did not exceed, to 0.12%. 0
  // if there are none.
  std::chrono::milliseconds quantile(double part) const;

  // Bars of equal width on a logarithmic scale, without gaps, from the shortest duration to the
  // longest: at least 8, some at the ends empty if need be; at most 40 for durations that are less
  // than 8 powers of ten apart. What took no time is in the bar of 1 ms. Empty: no durations.
  std::vector<Bar> bars() const;

 private:
  std::vector<std::int64_t> cells_;
  std::int64_t count_ = 0;
  std::chrono::milliseconds shortest_{0};
  std::chrono::milliseconds longest_{0};
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_DURATIONS_H_

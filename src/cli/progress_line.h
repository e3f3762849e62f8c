// The words of a progress line, from the figures of a moment.
#ifndef PROGRESS_TRACKER_CLI_PROGRESS_LINE_H_
#define PROGRESS_TRACKER_CLI_PROGRESS_LINE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "progress_tracker/types.h"

namespace progress_tracker::cli {

using Seconds = std::chrono::duration<double>;

// How fast this run goes: from the images it finished itself, never from those it found finished.
//
// The rate of the last minute or so, or of the whole run while that is only a few images. Unknown
// until 5 images are finished or 10 s have passed; stalled once the next image takes far longer
// than those before it.
class RateMeter {
 public:
  // `finished`: how many images this run has finished, `elapsed` after its start. Neither ever goes
  // down.
  void update(Seconds elapsed, std::int64_t finished);

  std::optional<double> per_second() const;
  bool is_stalled() const;

 private:
  Seconds elapsed_{0};
  Seconds last_finish_{0};
  std::int64_t finished_ = 0;
  double recent_ = 0;  // finished images, the older the less they count
};

struct ProgressFigures {
  StatusCounts counts;      // of the whole job
  std::int64_t to_do{0};    // images this run may still finish
  std::int64_t running{0};  // commands running now
  Seconds elapsed{0};       // of this run
  std::optional<double> per_second;
  bool is_stalled{false};

  std::int64_t done() const { return counts.completed + counts.error; }
  // Rounded down, so that 100 means all.
  int percent() const;
  std::optional<Seconds> time_left() const;
};

// At most `width` columns, by leaving out fields, the least important first: "4 running", the bar,
// the elapsed time, the rate, the time left. What still does not fit ends in "…".
//
//   [=====>    ] 110/200 55% 2 errors 12.3/s 0:09 eta ~0:07 4 running
std::string format_bar(const ProgressFigures& figures, std::size_t width);

// The same for a log, with nothing left out.
//
//   110/200 55% 2 errors 12.3/s elapsed 0:09 eta ~0:07 4 running
std::string format_plain(const ProgressFigures& figures);

// "0:07", "12:34", "3:04:05", "2d 03:04:05".
std::string format_duration(Seconds duration);

// "12.3/s", or "4.1/min" and "4.1/h" where that is less than one.
std::string format_rate(double per_second);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_PROGRESS_LINE_H_

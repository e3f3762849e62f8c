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

// A rate in images a second, all above 0, and how much it is to be trusted.
struct Rate {
  double per_second{0};    // the best guess
  double low{0};           // low <= per_second <= high:
  double high{0};          // what other stretches of the same work give
  std::int64_t images{0};  // so many finished images it stands on, at least 1
};

// least <= expected <= most.
struct TimeLeft {
  Seconds expected{0};
  Seconds least{0};
  Seconds most{0};
};

// How long `to_do` images still take at that rate, of which `running` are in work.
//
// `least` and `most` allow for three things: for chance, which is the greater the fewer images the
// rate stands on and the fewer are left (one standard deviation and a half, with durations that
// vary as much as their mean); for rates that changed during the run; and for the last images in
// work, which may be almost done or barely begun, and whose slowest is waited for alone.
// In simulations of 100 to 3000 images the true time lay between the two at nearly every moment
// where durations were constant, at seven of ten or more where they were lognormal or exponential,
// and at more than half where the work came in quick and slow stretches: those that are still to
// come cannot be known.
TimeLeft time_left(const Rate& rate, std::int64_t to_do, std::int64_t running);

// "~7:00", or "5:00-9:00" while the two ends differ by more than a quarter. A range is rounded
// outwards, to seconds, minutes or hours after its width: more digits would only flicker.
std::string format_time_left(const TimeLeft& left);

// How fast this run goes: from the images it finished itself, never from those it found finished.
//
// The rate of the last minute or so, or of the last 20 images if that is longer. `low` and `high`
// are that and the rate of the whole run. Unknown until 5 images are finished or 10 s have passed;
// stalled once the next image takes far longer than those before it.
class RateMeter {
 public:
  // `finished`: how many images this run has finished, `elapsed` after its start. Neither ever goes
  // down.
  void update(Seconds elapsed, std::int64_t finished);

  std::optional<Rate> rate() const;
  bool is_stalled() const;

 private:
  Seconds elapsed_{0};
  Seconds last_finish_{0};
  std::int64_t finished_ = 0;
  // Finished images and the time they took, the older the less they count.
  double recent_images_ = 0;
  Seconds recent_time_{0};
};

struct ProgressFigures {
  StatusCounts counts;      // of the whole job
  std::int64_t to_do{0};    // images this run may still finish
  std::int64_t running{0};  // commands running now
  Seconds elapsed{0};       // of this run
  std::optional<Rate> rate;
  bool is_stalled{false};

  std::int64_t done() const { return counts.completed + counts.error; }
  // Rounded down, so that 100 means all.
  int percent() const;
  // Nothing while the rate is unknown or the work is stalled.
  std::optional<TimeLeft> time_left() const;
};

// At most `width` columns, by leaving out fields, the least important first: "4 running", the bar,
// the elapsed time, the rate, the time left. What still does not fit ends in "…".
//
//   [=====>    ] 110/200 55% 2 errors 12.3/s 0:09 eta 0:05-0:10 4 running
std::string format_bar(const ProgressFigures& figures, std::size_t width);

// The same for a log, with nothing left out.
//
//   110/200 55% 2 errors 12.3/s elapsed 0:09 eta 0:05-0:10 4 running
std::string format_plain(const ProgressFigures& figures);

// "0:07", "12:34", "3:04:05", "2d 03:04:05".
std::string format_duration(Seconds duration);

// "12.3/s", or "4.1/min" and "4.1/h" where that is less than one.
std::string format_rate(double per_second);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_PROGRESS_LINE_H_

// How many images run_job() claims at a time where its caller leaves that open: enough that no
// worker waits for the database, and not more than others could be working on meanwhile.
#ifndef PROGRESS_TRACKER_SRC_CLAIM_PACE_H_
#define PROGRESS_TRACKER_SRC_CLAIM_PACE_H_

#include <chrono>
#include <cstddef>
#include <optional>

namespace progress_tracker {

// Not thread-safe. Goes by what it is told and by nothing else.
class ClaimPace {
 public:
  using Duration = std::chrono::nanoseconds;

  explicit ClaimPace(std::size_t workers) : last_target_(workers) {}

  // An image took one worker so long.
  void image_took(Duration duration);

  // A call of the tracker, to claim or to mark, took so long: other processes may be writing.
  void call_took(Duration duration);

  // How many images to hold, those in work included.
  std::size_t target(std::size_t workers) const;

  // A claim is made for target(): the next one may be so many times larger and no more.
  void claiming(std::size_t workers) { last_target_ = target(workers); }

  // Whether the workers will have used up so many waiting images by the time a claim made now is
  // back, where claims bring `claimed` images.
  bool runs_out_soon(std::size_t waiting, std::size_t claimed, std::size_t workers) const;

  // Whether so many waiting images are more than we should sit on: work has become slow, others may
  // be idle, and what we hold when we die is worked on alone afterwards. `since_last_start`: how
  // long all workers have been in the images they are in; slow work shows there first.
  bool is_too_much(std::size_t waiting, std::size_t workers, Duration since_last_start) const;

  // Takes the slowness that is_too_much() saw for what work takes now.
  void slow_down(std::size_t workers, Duration since_last_start);

 private:
  double calls_ahead_ns() const;
  Duration pace(std::size_t workers, Duration since_last_start) const;

  std::optional<double> image_ns_;  // what an image takes a worker
  std::optional<double> call_ns_;   // what a call of the tracker takes
  std::size_t last_target_;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_CLAIM_PACE_H_

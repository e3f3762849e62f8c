// Marks that are held in memory until they are committed together (Options::mark_buffer).
#ifndef PROGRESS_TRACKER_SRC_MARK_BUFFER_H_
#define PROGRESS_TRACKER_SRC_MARK_BUFFER_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "image_runs.h"
#include "progress_tracker/types.h"
#include "sqlite/connection.h"

namespace progress_tracker {

// Not thread-safe.
class MarkBuffer {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit MarkBuffer(std::size_t capacity) : capacity_(capacity) {}

  bool enabled() const { return capacity_ > 0; }
  bool empty() const { return marks_.empty(); }
  std::size_t size() const { return marks_.size(); }
  bool full() const { return marks_.size() >= capacity_; }
  bool is_due(Time now) const { return full() || (!empty() && now - oldest_ >= kLongest); }

  std::span<const Outcome> marks() const { return marks_; }

  // What the latest mark held for the image makes of it; nullopt: none is held.
  std::optional<Status> held(ImageId image) const;

  // Whether it is known that the image exists and is not completed, without asking the database:
  // the tracker handed it out or started it, and nobody has committed anything since.
  bool is_known_open(ImageId image, const std::optional<sqlite::LogState>& now) const;

  void add(Outcome mark, Time now);

  // The tracker handed these images out or started them: pending or processing as of `state`.
  void know_open(std::span<const ImageId> images, const std::optional<sqlite::LogState>& state);

  // The marks were committed by the transaction that took the log from `before` to `after`, alone.
  void committed(const std::optional<sqlite::LogState>& before,
                 const std::optional<sqlite::LogState>& after) noexcept;

 private:
  void forget_marked();

  static constexpr std::chrono::seconds kLongest{1};

  // How many runs of images are remembered as handed out: some megabytes.
  static constexpr std::size_t kMostRemembered = 100'000;

  const std::size_t capacity_;
  std::vector<Outcome> marks_;
  ImageRuns held_completed_;  // by the latest mark for each
  ImageRuns held_error_;
  ImageRuns open_;  // not completed as of open_as_of_
  std::optional<sqlite::LogState> open_as_of_;
  Time oldest_;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_MARK_BUFFER_H_

// Marks that are held in memory until they are committed together (Options::mark_buffer).
#ifndef PROGRESS_TRACKER_SRC_MARK_BUFFER_H_
#define PROGRESS_TRACKER_SRC_MARK_BUFFER_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "progress_tracker/types.h"

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

  // Where the image stands as far as the buffer knows: by a mark it holds, or because the tracker
  // handed the image out. nullopt: ask the database.
  std::optional<Status> standing(ImageId image) const;

  void add(Outcome mark, Time now);

  // The tracker handed these images out, so they exist and are not completed. (What another
  // tracker does to them meanwhile shows when the marks are committed.)
  void handed_out(std::span<const Image> images);

  // Asks the database again about what was handed out: a call other than a mark may have completed
  // or removed it.
  void forget_handed_out();

  // Forgets the marks; they are committed, or lost.
  void clear();

 private:
  static constexpr std::chrono::seconds kLongest{1};

  // How many images are remembered as handed out: some megabytes.
  static constexpr std::size_t kMostRemembered = 100'000;

  const std::size_t capacity_;
  std::vector<Outcome> marks_;
  std::unordered_map<ImageId, Status> standings_;
  Time oldest_;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_MARK_BUFFER_H_

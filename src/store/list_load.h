// Adding a caller's list of images to a job, in pieces, each in a transaction of its own.
//
// The list is cut into chunks. Each chunk is walked three times:
//
//   kNames    in the order of the paths: finds or makes the directories, and leaves out what the
//             job has already
//   kImages   in the order of the list: numbers the images that are left and inserts their rows
//   kPaths    in the order of the paths: inserts their entries into `path`
//
// so that each table is written from one end to the other whatever the order of the list. A row and
// its entry written together would, in a shuffled list, touch pages all over `path` in every piece:
// measured, twice as many pages written at 60,000 images, and three times the time at a million.
#ifndef PROGRESS_TRACKER_SRC_STORE_LIST_LOAD_H_
#define PROGRESS_TRACKER_SRC_STORE_LIST_LOAD_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "progress_tracker/types.h"
#include "sqlite/connection.h"

namespace progress_tracker::store {

class ListLoad {
 public:
  // What a load has come to between two of its transactions. A transaction works on a copy, which
  // takes the place of the original when it is committed.
  struct Position {
    enum class Walk { kNames, kImages, kPaths };

    JobId job{};
    std::int64_t published{0};  // the job's mark, as the load found it
    std::int64_t last{0};       // number of the last image that was added
    std::size_t chunk{0};       // index of the chunk's first path
    Walk walk{Walk::kNames};
    std::size_t next{0};                         // how many of the chunk this walk has looked at
    std::int64_t differing{0};                   // paths that the job had with another split
    std::map<std::int64_t, std::int64_t> added;  // by split

    std::int64_t added_total() const { return last - published; }
  };

  // Images in one chunk. What a chunk takes in memory is 16 bytes for each, 8 MiB in all.
  static constexpr std::size_t kChunk = std::size_t{1} << 19;

  // `splits`: as many as paths, or none. Both must outlive the object.
  ListLoad(std::span<const std::filesystem::path> paths, std::span<const std::string> splits)
      : paths_(paths), splits_(splits) {}

  // Sorts the chunk that `position` has come to, some tenths of a second for a shuffled one. To be
  // called before each load_piece(), outside of its transaction.
  void prepare(const Position& position);

  // Goes on from `position` until the chunk ends or `is_over`, asked every few hundred images, says
  // so. True: the list has ended. May be called again for the same position: what an earlier call
  // left, in a transaction that was rolled back, counts for nothing.
  bool load_piece(sqlite::Connection& connection, Position& position,
                  const std::function<bool()>& is_over);

 private:
  // Each walks on from `position` until the chunk ends (true) or `is_over`.
  bool walk_names(sqlite::Connection& connection, Position& position,
                  const std::function<bool()>& is_over);
  bool walk_images(sqlite::Connection& connection, Position& position,
                   const std::function<bool()>& is_over);
  bool walk_paths(sqlite::Connection& connection, Position& position,
                  const std::function<bool()>& is_over);

  std::string_view path(std::size_t index) const { return paths_[chunk_ + index].native(); }
  std::string_view split(std::size_t index) const {
    return splits_.empty() ? std::string_view() : std::string_view(splits_[chunk_ + index]);
  }

  const std::span<const std::filesystem::path> paths_;
  const std::span<const std::string> splits_;

  // The chunk that is prepared. Indexes count from its first path.
  std::size_t chunk_{0};
  std::vector<std::uint32_t> order_;  // the indexes in the order of the paths
  // By index; set by kNames, the numbers finally by kImages.
  std::vector<std::uint32_t> number_;  // 0: not to be added
  // The directory's id; of a path that the job had before, its image's id, negative.
  std::vector<std::int64_t> place_;
  // Whether this load itself may have added some of these paths with an earlier chunk.
  bool overlaps_{false};
  std::string_view greatest_;  // path of all chunks so far
};

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_LIST_LOAD_H_

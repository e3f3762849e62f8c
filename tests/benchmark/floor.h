// The least code that does the library's work durably: the speed that it could have at most.
//
// The library's own tables, SQLite, and nothing else: no check of an argument, no waiting for
// others, no log, no workers, no image that fails or comes back. What is kept: every image is
// claimed once, in the order of the list; it is completed only under the attempt it was claimed
// with; the counts by split are exact in every transaction; and there are as many commits as the
// library's.
#ifndef PROGRESS_TRACKER_TESTS_BENCHMARK_FLOOR_H_
#define PROGRESS_TRACKER_TESTS_BENCHMARK_FLOOR_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plain_sqlite.h"
#include "progress_tracker/types.h"

namespace benchmark::floor {

using progress_tracker::Image;
using progress_tracker::StatusCounts;

// One connection, used by one thread, for one job.
class Tracker {
 public:
  explicit Tracker(const std::filesystem::path& database, bool full_sync = false);

  std::int64_t create_job(const std::string& name, std::span<const std::filesystem::path> paths,
                          std::span<const std::string> splits);
  void add_images(std::int64_t job, std::span<const std::filesystem::path> paths,
                  std::span<const std::string> splits);

  std::vector<Image> claim_images(std::int64_t job, std::size_t limit);
  void complete(std::int64_t job, std::span<const Image> images);
  void checkpoint(std::int64_t job);

  // By counting rows: to see that the rest was right.
  StatusCounts get_status_counts(std::int64_t job);

 private:
  // With how many images a transaction has claimed, completed or added.
  struct Split {
    std::int64_t id{0};
    std::string name;
    std::int64_t changed{0};
  };
  using DirectoryIds = std::unordered_map<std::string_view, std::int64_t>;

  void load_piece(std::int64_t job, std::int64_t first_id,
                  std::span<const std::filesystem::path> paths,
                  std::span<const std::string> splits);
  std::int64_t directory_id(DirectoryIds& known, std::int64_t job, std::string_view path);
  Split& split_called(std::int64_t job, std::string_view name);
  const std::string& directory_path(std::int64_t id);
  void write_counts(Statement& change);

  Database database_;
  std::vector<Split> splits_;
  // The directory of the latest claimed image.
  std::int64_t directory_{0};
  std::string directory_path_;

  Statement begin_;
  Statement commit_;
  Statement insert_job_;
  Statement select_job_;
  Statement publish_;
  Statement insert_split_;
  Statement insert_directory_;
  Statement select_directory_;
  Statement insert_image_;
  Statement insert_path_;
  Statement select_images_;
  Statement select_directory_path_;
  Statement insert_states_;
  Statement set_started_;
  Statement complete_run_;
  Statement count_added_;
  Statement count_claimed_;
  Statement count_completed_;
  Statement checkpoint_;
  Statement count_rows_;
};

}  // namespace benchmark::floor

#endif  // PROGRESS_TRACKER_TESTS_BENCHMARK_FLOOR_H_

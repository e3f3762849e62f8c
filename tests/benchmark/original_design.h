// The design that this library replaces, ported plainly: what the figures are compared with.
//
// The Python original keeps the status as text in the images' own rows, under five indexes; marks
// stay uncommitted until a checkpoint, which counts the rows. This does the same with the same
// statements, in C++, with each statement prepared once, so that the designs are compared and not
// the languages. Not safe to use for anything else: see what a crash costs it.
//
// A port need not be that plain: with Options::keep_counters the job's row is brought up to date by
// every mark, and a checkpoint counts nothing.
#ifndef PROGRESS_TRACKER_TESTS_BENCHMARK_ORIGINAL_DESIGN_H_
#define PROGRESS_TRACKER_TESTS_BENCHMARK_ORIGINAL_DESIGN_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plain_sqlite.h"
#include "progress_tracker/types.h"

namespace original_design {

using progress_tracker::Progress;
using progress_tracker::StatusCounts;

struct Image {
  std::int64_t id{0};
  std::filesystem::path path;
  std::string split;
};

struct Options {
  bool keep_counters{false};
  bool full_sync{false};
};

// One connection, used by one thread.
class Tracker {
 public:
  explicit Tracker(const std::filesystem::path& database, Options options = {});

  std::int64_t create_job(const std::string& name, std::span<const std::filesystem::path> paths,
                          std::span<const std::string> splits);
  void add_images(std::int64_t job, std::span<const std::filesystem::path> paths,
                  std::span<const std::string> splits);

  std::vector<Image> get_pending_images(std::int64_t job, std::size_t limit);
  void mark_processing(const std::vector<Image>& images);
  void mark_completed(std::int64_t image);
  void mark_error(std::int64_t image, std::string_view message);
  std::size_t reset_stuck_images(std::int64_t job);

  void checkpoint(std::int64_t job);
  Progress get_progress(std::int64_t job);
  StatusCounts get_status_counts(std::int64_t job);
  std::map<std::string, StatusCounts> get_progress_by_split(std::int64_t job);

 private:
  using Statement = benchmark::Statement;

  // The original's driver opens a transaction before the first statement that writes.
  void begin_if_needed();
  void commit();
  void count_mark(std::int64_t image, std::string_view status);
  std::int64_t count(std::int64_t job, std::string_view status);

  const Options options_;
  benchmark::Database database_;
  Statement insert_job_;
  Statement insert_image_;
  Statement add_to_total_;
  Statement select_pending_;
  Statement mark_processing_;
  Statement mark_completed_;
  Statement mark_error_;
  Statement select_standing_;
  Statement count_mark_;
  Statement reset_;
  Statement count_;
  Statement count_by_split_;
  Statement checkpoint_;
  Statement touch_;
  Statement select_progress_;
};

}  // namespace original_design

#endif  // PROGRESS_TRACKER_TESTS_BENCHMARK_ORIGINAL_DESIGN_H_

// The cases of job_benchmark, and what they have in common. What a case measures is said where it
// is.
#ifndef PROGRESS_TRACKER_TESTS_BENCHMARK_JOB_CASES_H_
#define PROGRESS_TRACKER_TESTS_BENCHMARK_JOB_CASES_H_

#include <cstddef>
#include <filesystem>
#include <optional>

#include "driver.h"
#include "image_list.h"
#include "progress_tracker/types.h"

namespace benchmark {

Figures create_case(Arguments& arguments);
Figures mark_case(Arguments& arguments);
Figures status_case(Arguments& arguments);
Figures reopen_case(Arguments& arguments);
Figures scale_case(Arguments& arguments);

enum class Program {
  kLibrary,
  kOriginal,          // original_design.h
  kOriginalCounters,  // the same, keeping counters
  kFloor,             // floor.h
};

// How many images are taken, marked and checkpointed together.
inline constexpr std::size_t kTurn = 500;

// The keys that every case has:
//   program=library|original|original_counters|floor images=N directory=DIRECTORY
//   [order=sorted|shuffled] [per_directory=1000]
struct JobSetting {
  explicit JobSetting(Arguments& arguments);

  [[noreturn]] void refuse_program() const;  // which this case does not have: throws UsageError

  const Program program;
  const ImageSource source;
  const std::filesystem::path directory;
};

// A database that is gone when the scope is left.
class ScratchDatabase {
 public:
  explicit ScratchDatabase(const JobSetting& setting);
  ScratchDatabase(const ScratchDatabase&) = delete;
  ScratchDatabase& operator=(const ScratchDatabase&) = delete;
  ~ScratchDatabase();

  const std::filesystem::path& path() const { return path_; }
  double bytes() const { return static_cast<double>(std::filesystem::file_size(path_)); }

 private:
  const std::filesystem::path path_;
};

// Makes a job of all images, piece by piece, so that a long list is never in memory as a whole.
template <typename Tracker>
auto make_job(Tracker& tracker, const ImageSource& source) {
  constexpr std::size_t kPiece = 1'000'000;
  ImageList list = source.piece(0, kPiece);
  const auto job = tracker.create_job("job", list.paths, list.splits);
  for (std::size_t first = kPiece; first < source.size(); first += kPiece) {
    list = {};
    list = source.piece(first, kPiece);
    tracker.add_images(job, list.paths, list.splits);
  }
  return job;
}

// Throws if the program did not do what was measured.
void require(const std::optional<progress_tracker::StatusCounts>& counts,
             const progress_tracker::StatusCounts& expected);

}  // namespace benchmark

#endif  // PROGRESS_TRACKER_TESTS_BENCHMARK_JOB_CASES_H_

// What `report` shows of a job: its counts, and what one pass over its images tells.
#ifndef PROGRESS_TRACKER_CLI_JOB_REPORT_H_
#define PROGRESS_TRACKER_CLI_JOB_REPORT_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/durations.h"
#include "cli/timeline.h"
#include "progress_tracker/tracker.h"
#include "progress_tracker/types.h"

namespace progress_tracker::cli {

// The first in order of those images that were offered, at most kMost of them.
class TopImages {
 public:
  using Before = bool (*)(const ImageRecord&, const ImageRecord&);
  static constexpr std::size_t kMost = 20;

  explicit TopImages(Before before) : before_(before) {}

  void offer(const ImageRecord& image);
  std::vector<ImageRecord> in_order() const;

 private:
  const Before before_;
  std::vector<ImageRecord> heap_;  // its front is the last in order
};

// Images in error with the same message, and some of them.
struct ErrorSample {
  ErrorGroup group;
  std::vector<std::filesystem::path> examples;  // the first ones, in the order they were added
};

// What a pass over the images of a job gathers. Its memory does not grow with their number.
class ImagePass {
 public:
  static constexpr std::size_t kMostExamples = 3;

  // Finds examples for these groups of errors.
  explicit ImagePass(const std::vector<ErrorGroup>& error_groups);

  void add(const ImageRecord& image);

  const StatusCounts& counts() const { return counts_; }
  // The latest start of an image is all that is known of it: where images were tried again, the
  // work began before. No value: no image was started, or none is finished.
  std::optional<std::chrono::system_clock::time_point> first_start() const { return first_start_; }
  std::optional<std::chrono::system_clock::time_point> last_finish() const { return last_finish_; }
  // Over all starts and finishes.
  Timeline timeline() const { return timeline_.build(); }
  // Of the images that were started and are finished, from the latest start.
  const Durations& durations() const { return durations_; }
  std::vector<ImageRecord> slowest() const { return slowest_.in_order(); }
  // Those that were started more than once or whose workers died: most deaths first, then most
  // attempts.
  std::vector<ImageRecord> most_tried() const { return most_tried_.in_order(); }
  std::int64_t tried_again() const { return tried_again_; }  // all of those
  const std::vector<ErrorSample>& errors() const { return errors_; }

 private:
  void add_finished(const ImageRecord& image);
  void add_example(const ImageRecord& image);

  StatusCounts counts_;
  std::optional<std::chrono::system_clock::time_point> first_start_;
  std::optional<std::chrono::system_clock::time_point> last_finish_;
  TimelineBuilder timeline_;
  Durations durations_;
  TopImages slowest_;
  TopImages most_tried_;
  std::int64_t tried_again_ = 0;
  std::vector<ErrorSample> errors_;
  std::map<std::string, std::size_t> error_places_;  // in errors_, by message
};

// How long the latest attempt took. No value: not finished, or never started.
std::optional<std::chrono::milliseconds> duration_of(const ImageRecord& image);

enum class JobState {
  kEmpty,        // it has no images
  kNotStarted,   // none was ever started
  kInWork,       // a live worker holds images
  kInterrupted,  // images are held, but by none that lives
  kUnfinished,   // images are pending, and nobody is at work
  kFailed,       // nothing is left to do, and images are in error
  kComplete,     // all images are completed
};

struct JobReport {
  std::string job;
  std::chrono::system_clock::time_point created_at{};
  std::chrono::system_clock::time_point taken_at{};

  std::map<std::string, StatusCounts> splits;
  StatusCounts counts;  // all splits
  StatusCounts
      passed;  // by the images of the pass: other counts, if somebody was at work meanwhile

  std::optional<std::chrono::system_clock::time_point> first_start;
  std::optional<std::chrono::system_clock::time_point> last_finish;
  Timeline timeline;
  Durations durations;
  std::vector<ImageRecord> slowest;
  std::vector<ImageRecord> most_tried;
  std::int64_t tried_again = 0;

  std::vector<ErrorSample> errors;  // the largest groups

  std::vector<Worker> workers;  // of the database, whatever their job

  JobState state() const;
  bool changed_meanwhile() const { return passed != counts; }
  std::int64_t finished() const { return counts.completed + counts.error; }
  // In error, with another message than those of `errors`.
  std::int64_t other_errors() const;
  // From the first start to the last finish; to now while the job is in work. Pauses included.
  // No value: no image was started, or none is finished.
  std::optional<std::chrono::milliseconds> elapsed() const;
  // Finished images by elapsed time. No value: unknown, or within a millisecond.
  std::optional<double> per_second() const;
};

// Reads counts, workers and errors, then all images once, a page at a time: not at one moment.
// Throws Error: kNotFound if there is no such job; as the functions of Tracker do.
JobReport collect_report(Tracker& tracker, const Job& job,
                         std::chrono::system_clock::time_point now);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_JOB_REPORT_H_

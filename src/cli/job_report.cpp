#include "cli/job_report.h"

#include <algorithm>
#include <tuple>

#include "cli/image_pages.h"
#include "cli/job_figures.h"
#include "cli/output.h"
#include "progress_tracker/error.h"

namespace progress_tracker::cli {
namespace {

using std::chrono::milliseconds;
using TimePoint = std::chrono::system_clock::time_point;

constexpr std::size_t kMostErrorGroups = 20;

// Never negative, though somebody may have set the clock back. In milliseconds, because the times
// of a file that was tampered with may be farther apart than nanoseconds reach.
milliseconds time_between(TimePoint start, TimePoint end) {
  return std::max(milliseconds(0),
                  std::chrono::floor<milliseconds>(end) - std::chrono::floor<milliseconds>(start));
}

bool is_slower(const ImageRecord& a, const ImageRecord& b) {
  return std::tuple(-duration_of(a).value(), a.image.id) <
         std::tuple(-duration_of(b).value(), b.image.id);
}

bool is_more_tried(const ImageRecord& a, const ImageRecord& b) {
  return std::tuple(-a.deaths, -a.attempts, a.image.id) <
         std::tuple(-b.deaths, -b.attempts, b.image.id);
}

void count(StatusCounts& counts, Status status) {
  switch (status) {
    case Status::kPending:
      ++counts.pending;
      return;
    case Status::kProcessing:
      ++counts.processing;
      return;
    case Status::kCompleted:
      ++counts.completed;
      return;
    case Status::kError:
      ++counts.error;
      return;
  }
}

}  // namespace

void TopImages::offer(const ImageRecord& image) {
  if (heap_.size() == kMost) {
    if (!before_(image, heap_.front())) return;
    std::pop_heap(heap_.begin(), heap_.end(), before_);
    heap_.pop_back();
  }
  heap_.push_back(image);
  std::push_heap(heap_.begin(), heap_.end(), before_);
}

std::vector<ImageRecord> TopImages::in_order() const {
  std::vector<ImageRecord> images = heap_;
  std::sort(images.begin(), images.end(), before_);
  return images;
}

ImagePass::ImagePass(const std::vector<ErrorGroup>& error_groups)
    : slowest_(is_slower), most_tried_(is_more_tried) {
  for (const ErrorGroup& group : error_groups) {
    error_places_[group.message] = errors_.size();
    errors_.push_back({group, {}});
  }
}

void ImagePass::add(const ImageRecord& image) {
  count(counts_, image.status);
  if (image.started_at) {
    first_start_ = std::min(first_start_.value_or(TimePoint::max()), *image.started_at);
    timeline_.cover(*image.started_at);
  }
  if (image.finished_at) add_finished(image);
  if (image.attempts > 1 || image.deaths > 0) {
    ++tried_again_;
    most_tried_.offer(image);
  }
  if (image.status == Status::kError) add_example(image);
}

void ImagePass::add_finished(const ImageRecord& image) {
  last_finish_ = std::max(last_finish_.value_or(TimePoint::min()), *image.finished_at);
  if (image.status == Status::kError) {
    timeline_.add_error(*image.finished_at);
  } else {
    timeline_.add_completed(*image.finished_at);
  }
  if (const auto duration = duration_of(image)) {
    durations_.add(*duration);
    slowest_.offer(image);
  }
}

void ImagePass::add_example(const ImageRecord& image) {
  const auto place = error_places_.find(image.error_message);
  if (place == error_places_.end()) return;
  std::vector<std::filesystem::path>& examples = errors_[place->second].examples;
  if (examples.size() < kMostExamples) examples.push_back(image.image.path);
}

std::optional<milliseconds> duration_of(const ImageRecord& image) {
  if (!image.started_at || !image.finished_at) return std::nullopt;
  return time_between(*image.started_at, *image.finished_at);
}

JobState JobReport::state() const {
  if (counts.total() == 0) return JobState::kEmpty;
  if (counts.processing > 0) {
    const bool is_held = std::any_of(workers.begin(), workers.end(), [](const Worker& worker) {
      return worker.alive && worker.processing > 0;
    });
    return is_held ? JobState::kInWork : JobState::kInterrupted;
  }
  if (counts.pending > 0) {
    return finished() == 0 && !first_start ? JobState::kNotStarted : JobState::kUnfinished;
  }
  return counts.error > 0 ? JobState::kFailed : JobState::kComplete;
}

std::int64_t JobReport::other_errors() const {
  std::int64_t others = counts.error;
  for (const ErrorSample& sample : errors) others -= sample.group.count;
  return std::max<std::int64_t>(0, others);
}

std::optional<milliseconds> JobReport::elapsed() const {
  if (!first_start || !last_finish) return std::nullopt;
  const bool is_in_work = state() == JobState::kInWork;
  const TimePoint end = is_in_work ? std::max(taken_at, *last_finish) : *last_finish;
  return time_between(*first_start, end);
}

std::optional<double> JobReport::per_second() const {
  const auto time = elapsed();
  if (!time || finished() == 0 || *time < milliseconds(1)) return std::nullopt;
  return static_cast<double>(finished()) / std::chrono::duration<double>(*time).count();
}

JobReport collect_report(Tracker& tracker, const Job& job, TimePoint now) {
  if (!tracker.get_status_counts(job.id)) {
    throw Error(ErrorCode::kNotFound, "report: job " + display(job.name) + ": it was removed");
  }
  JobReport report;
  report.job = job.name;
  report.created_at = job.created_at;
  report.taken_at = now;
  report.splits = tracker.get_progress_by_split(job.id);
  report.counts = sum_of(report.splits);
  report.workers = tracker.list_workers();

  ImagePass pass(tracker.get_error_summary(job.id, kMostErrorGroups));
  for_each_image(tracker, job.id, std::nullopt, [&](const ImageRecord& image) {
    pass.add(image);
    return true;
  });
  report.passed = pass.counts();
  report.first_start = pass.first_start();
  report.last_finish = pass.last_finish();
  report.timeline = pass.timeline();
  report.durations = pass.durations();
  report.slowest = pass.slowest();
  report.most_tried = pass.most_tried();
  report.tried_again = pass.tried_again();
  report.errors = pass.errors();
  return report;
}

}  // namespace progress_tracker::cli

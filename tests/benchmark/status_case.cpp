// status: how long it takes to ask how far a job is, of whose images a third is completed or, a
// few, in error.
//
// checkpoint_us, get_progress_us, get_status_counts_us and get_progress_by_split_us are medians of
// 1000 calls each, or of as many as two seconds allow. Before each call an image is completed, not
// timed, so that the call does not find everything as the one before left it.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "job_cases.h"
#include "original_design.h"
#include "progress_tracker/progress_tracker.h"

namespace benchmark {
namespace {

using progress_tracker::Image;
using progress_tracker::JobId;
using progress_tracker::Outcome;
using progress_tracker::ProgressTracker;
using progress_tracker::StatusCounts;

constexpr char kMessage[] = "not an image";
constexpr std::size_t kMostCalls = 1'000;
constexpr std::size_t kLeastCalls = 3;
constexpr double kMostSeconds = 2;

// `counts` is how the job stands, before and after.
template <typename Tracker, typename Job>
void ask(Tracker& tracker, Job job, StatusCounts& counts, Figures& figures) {
  auto images = tracker.get_pending_images(job, 4 * kMostCalls);
  const auto median_us = [&](const auto& call) {
    std::vector<double> calls_us;
    const Stopwatch all;
    while (calls_us.size() < kMostCalls &&
           (calls_us.size() < kLeastCalls || all.seconds() < kMostSeconds)) {
      tracker.mark_completed(images.back().id);
      images.pop_back();
      --counts.pending;
      ++counts.completed;
      const Stopwatch watch;
      call();
      calls_us.push_back(watch.microseconds());
    }
    return percentile(calls_us, 0.5);
  };
  figures.add("checkpoint_us", median_us([&] { tracker.checkpoint(job); }));
  figures.add("get_progress_us", median_us([&] { tracker.get_progress(job); }));
  figures.add("get_status_counts_us", median_us([&] { tracker.get_status_counts(job); }));
  figures.add("get_progress_by_split_us", median_us([&] { tracker.get_progress_by_split(job); }));
}

// Completes a turn of images, but for one that fails.
void finish_turn(ProgressTracker& tracker, JobId job) {
  std::vector<Outcome> outcomes;
  for (const Image& image : tracker.claim_images(job, kTurn)) {
    outcomes.push_back({image.id, image.attempt, {}});
  }
  outcomes.front().error = kMessage;
  tracker.mark_outcomes(outcomes);
}

void finish_turn(original_design::Tracker& tracker, std::int64_t job) {
  const auto images = tracker.get_pending_images(job, kTurn);
  tracker.mark_error(images.front().id, kMessage);
  for (const auto& image : std::span(images).subspan(1)) {
    tracker.mark_completed(image.id);
  }
}

template <typename Tracker>
void run(const JobSetting& setting, Tracker tracker, Figures& figures) {
  const auto job = make_job(tracker, setting.source);
  StatusCounts counts{.pending = static_cast<std::int64_t>(setting.source.size())};
  while (counts.pending > 2 * (counts.completed + counts.error)) {
    finish_turn(tracker, job);
    counts.pending -= kTurn;
    counts.completed += kTurn - 1;
    counts.error += 1;
  }
  tracker.checkpoint(job);
  ask(tracker, job, counts, figures);
  require(tracker.get_status_counts(job), counts);
}

}  // namespace

Figures status_case(Arguments& arguments) {
  const JobSetting setting(arguments);
  arguments.refuse_unknown();
  constexpr std::size_t kLeastImages = 10 * kMostCalls;
  if (setting.source.size() < kLeastImages) {
    throw UsageError("images= is at least " + std::to_string(kLeastImages) + " here");
  }
  const ScratchDatabase database(setting);
  Figures figures;
  figures.add("images", setting.source.size());
  switch (setting.program) {
    case Program::kLibrary:
      run(setting, ProgressTracker(database.path()), figures);
      break;
    case Program::kOriginal:
      run(setting, original_design::Tracker(database.path()), figures);
      break;
    default:
      setting.refuse_program();
  }
  return figures;
}

}  // namespace benchmark

#include "cli/job_figures.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace progress_tracker::cli {
namespace {

using std::chrono::system_clock;

// How far back an image counts as finished lately, how many make a rate, and how many are looked
// at.
constexpr std::chrono::minutes kLately{5};
constexpr std::size_t kFewest = 5;
constexpr std::int64_t kLookedAt = 2000;

// The highest id in work, or nothing.
std::optional<std::int64_t> highest_in_work(Tracker& tracker, JobId job) {
  std::optional<std::int64_t> highest;
  const auto in_work =
      tracker.get_images(job, Status::kProcessing, static_cast<std::size_t>(kLookedAt));
  for (const ImageRecord& record : in_work) {
    highest = std::max(highest.value_or(0), static_cast<std::int64_t>(record.image.id));
  }
  return highest;
}

}  // namespace

std::optional<TimeLeft> JobFigures::time_left() const {
  if (!rate) return std::nullopt;
  return cli::time_left(*rate, total.pending + total.processing, total.processing);
}

std::int64_t JobFigures::most_abandoned() const { return std::min(total.processing, held.by_dead); }

StatusCounts sum_of(const std::map<std::string, StatusCounts>& splits) {
  StatusCounts total;
  for (const auto& [split, counts] : splits) {
    total.pending += counts.pending;
    total.processing += counts.processing;
    total.completed += counts.completed;
    total.error += counts.error;
  }
  return total;
}

JobFigures read_figures(Tracker& tracker, JobId job, const std::string& name) {
  JobFigures figures;
  figures.job = name;
  figures.splits = tracker.get_progress_by_split(job);
  figures.total = sum_of(figures.splits);
  figures.live_workers = count_live_workers(tracker);
  figures.held = count_held(tracker);
  return figures;
}

std::int64_t count_live_workers(Tracker& tracker) {
  const std::vector<Worker> workers = tracker.list_workers();
  return std::count_if(workers.begin(), workers.end(),
                       [](const Worker& worker) { return worker.alive; });
}

HeldImages count_held(Tracker& tracker) {
  HeldImages held;
  for (const Worker& worker : tracker.list_workers()) {
    (worker.alive ? held.by_living : held.by_dead) += worker.processing;
  }
  return held;
}

std::optional<Rate> recent_rate(Tracker& tracker, JobId job, system_clock::time_point now) {
  const auto highest = highest_in_work(tracker, job);
  if (!highest) return std::nullopt;
  const ImageId after{std::max<std::int64_t>(0, *highest - kLookedAt)};
  std::vector<system_clock::time_point> finished;
  for (const ImageRecord& record :
       tracker.get_images(job, std::nullopt, 2 * static_cast<std::size_t>(kLookedAt), after)) {
    if (record.finished_at && *record.finished_at > now - kLately) {
      finished.push_back(*record.finished_at);
    }
  }
  if (finished.size() < kFewest) return std::nullopt;
  // From the first of them on, which itself only marks the beginning.
  const auto first = *std::min_element(finished.begin(), finished.end());
  const Seconds span = now - first;
  if (span <= Seconds(0)) return std::nullopt;
  const std::size_t images = finished.size() - 1;
  const double per_second = static_cast<double>(images) / span.count();
  return Rate{.per_second = per_second,
              .low = per_second,
              .high = per_second,
              .images = static_cast<std::int64_t>(images)};
}

bool is_fed(Tracker& tracker, JobId job) {
  const std::vector<Job> jobs = tracker.list_jobs();
  const auto find = [&](JobId id) {
    return std::find_if(jobs.begin(), jobs.end(), [id](const Job& each) { return each.id == id; });
  };
  auto at = find(job);
  // No further than there are jobs: on a damaged file they may feed each other.
  for (std::size_t left = jobs.size(); left > 0 && at != jobs.end() && at->upstream; --left) {
    at = find(*at->upstream);
    if (at != jobs.end() && at->counts.pending + at->counts.processing > 0) return true;
  }
  return false;
}

}  // namespace progress_tracker::cli

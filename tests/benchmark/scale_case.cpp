// scale: a job as large as one likes, from end to end, with the library alone. It is loaded a
// million images at a time, so that the list is never in memory as a whole; `limit` of its images
// are claimed and completed, 500 at a time with a checkpoint after each turn; its process is killed
// while it holds 1000; then another one opens it, puts these back and asks how far it is.
//
//   limit=N   how many images are completed. Default: all but the 1000 that are held.
//
// first_piece_seconds and last_piece_seconds are for a million images each; first_claim_us and
// last_claim_us medians over 100 claims; peak_memory_kib is all that the process had, the list of a
// million among it.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "job_cases.h"
#include "killed_child.h"
#include "progress_tracker/progress_tracker.h"
#include "watch.h"

namespace benchmark {
namespace {

using progress_tracker::Image;
using progress_tracker::JobId;
using progress_tracker::Outcome;
using progress_tracker::ProgressTracker;

constexpr std::size_t kPiece = 1'000'000;
constexpr std::size_t kHeld = 1'000;
constexpr std::size_t kMedianOf = 100;

struct ScaleSetting : JobSetting {
  explicit ScaleSetting(Arguments& arguments)
      : JobSetting(arguments), limit(read_limit(arguments, source.size())) {
    arguments.refuse_unknown();
    if (program != Program::kLibrary) {
      refuse_program();
    }
  }

  static std::size_t read_limit(Arguments& arguments, std::size_t images) {
    if (images <= kHeld) {
      throw UsageError("images= is more than 1000 here");
    }
    const std::size_t limit = arguments.number("limit", images - kHeld);
    if (limit == 0 || limit > images - kHeld) {
      throw UsageError("limit= is at least 1, and leaves 1000 images");
    }
    return limit;
  }

  const std::size_t limit;
};

// What the process that is killed has measured.
struct Worked {
  JobId job{};
  std::size_t completed{0};
  double load_seconds{0};
  double first_piece_seconds{0};
  double last_piece_seconds{0};
  double loaded_bytes{0};
  double mark_seconds{0};
  double first_claim_us{0};
  double last_claim_us{0};
  std::uintmax_t wal_peak_bytes{0};
  long peak_memory_kib{0};
};

void load(const ScaleSetting& setting, ProgressTracker& tracker, Worked& worked) {
  for (std::size_t first = 0; first < setting.source.size(); first += kPiece) {
    const ImageList list = setting.source.piece(first, kPiece);
    const Stopwatch watch;
    if (first == 0) {
      worked.job = tracker.create_job("job", list.paths, list.splits);
      worked.first_piece_seconds = watch.seconds();
    } else {
      tracker.add_images(worked.job, list.paths, list.splits);
    }
    worked.last_piece_seconds = watch.seconds();
    worked.load_seconds += worked.last_piece_seconds;
  }
}

void complete(const ScaleSetting& setting, ProgressTracker& tracker, Worked& worked) {
  std::vector<double> claims_us;
  std::vector<Outcome> outcomes;
  const Stopwatch watch;
  while (worked.completed < setting.limit) {
    const Stopwatch claim_watch;
    const std::vector<Image> images =
        tracker.claim_images(worked.job, std::min(kTurn, setting.limit - worked.completed));
    claims_us.push_back(claim_watch.microseconds());
    outcomes.clear();
    for (const Image& image : images) {
      outcomes.push_back({image.id, image.attempt, {}});
    }
    worked.completed += tracker.mark_outcomes(outcomes);
    tracker.checkpoint(worked.job);
  }
  worked.mark_seconds = watch.seconds();
  const std::span<const double> all = claims_us;
  const auto median = [](std::span<const double> values) {
    return percentile({values.begin(), values.end()}, 0.5);
  };
  worked.first_claim_us = median(all.first(std::min(kMedianOf, all.size())));
  worked.last_claim_us = median(all.last(std::min(kMedianOf, all.size())));
}

Worked work(const ScaleSetting& setting, const std::filesystem::path& database,
            ProgressTracker& tracker) {
  Worked worked;
  WalWatch log(database);
  load(setting, tracker, worked);
  worked.loaded_bytes = static_cast<double>(std::filesystem::file_size(database));
  complete(setting, tracker, worked);
  worked.wal_peak_bytes = log.largest();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  worked.peak_memory_kib = usage.ru_maxrss;
  return worked;
}

}  // namespace

Figures scale_case(Arguments& arguments) {
  const ScaleSetting setting(arguments);
  const ScratchDatabase database(setting);
  const auto worked = run_and_kill<Worked>([&](const auto& done) {
    ProgressTracker tracker(database.path());
    const Worked result = work(setting, database.path(), tracker);
    tracker.claim_images(result.job, kHeld);
    done(result);
  });

  const Stopwatch watch;
  ProgressTracker tracker(database.path());
  const double reopen_ms = watch.milliseconds();
  tracker.reset_stuck_images(worked.job);
  const double total_ms = watch.milliseconds();
  const Stopwatch status_watch;
  const auto counts = tracker.get_status_counts(worked.job);
  const double status_us = status_watch.microseconds();
  require(counts, {.pending = static_cast<std::int64_t>(setting.source.size() - worked.completed),
                   .completed = static_cast<std::int64_t>(worked.completed)});

  const auto images = static_cast<double>(setting.source.size());
  Figures figures;
  figures.add("images", images);
  figures.add("load_seconds", worked.load_seconds);
  figures.add("first_piece_seconds", worked.first_piece_seconds);
  figures.add("last_piece_seconds", worked.last_piece_seconds);
  figures.add("loaded_bytes_per_image", worked.loaded_bytes / images);
  figures.add("completed", worked.completed);
  figures.add("mark_seconds", worked.mark_seconds);
  figures.add("first_claim_us", worked.first_claim_us);
  figures.add("last_claim_us", worked.last_claim_us);
  figures.add("wal_peak_bytes", worked.wal_peak_bytes);
  figures.add("peak_memory_kib", worked.peak_memory_kib);
  figures.add("reopen_ms", reopen_ms);
  figures.add("reset_ms", total_ms - reopen_ms);
  figures.add("get_status_counts_us", status_us);
  tracker.close();
  figures.add("bytes", database.bytes());
  return figures;
}

}  // namespace benchmark

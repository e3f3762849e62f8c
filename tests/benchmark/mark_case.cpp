// mark: the loop of a worker. 500 images are taken, completed one and all, and checkpointed, until
// none is left. Making the job is not part of it.
//
//   limit=N            stop when N images are done. Default: all.
//   synchronous=full   every commit waits for the disk
// and for the library:
//   way=outcomes           claim_images, mark_outcomes. The default.
//   way=buffer             claim_images, mark_completed with Options::mark_buffer = 500
//   way=get_buffer         get_pending_images, mark_completed with the same buffer
//   way=get_start_buffer   the same with mark_processing before the marks
//   way=committed          get_pending_images, mark_completed, each mark committed by itself
//   chained=1              a second job is chained to the first, and fed by it
//
// first_claim_us and last_claim_us are medians over the first and the last 100 times that images
// were taken; bytes_per_image is of the database after closing; wal_peak_bytes the largest log
// seen; peak_memory_kib what the loop took beyond what making the job had left, which is a warm
// page cache; cpu_seconds what it computed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "floor.h"
#include "job_cases.h"
#include "original_design.h"
#include "progress_tracker/progress_tracker.h"
#include "watch.h"

namespace benchmark {
namespace {

using progress_tracker::Image;
using progress_tracker::ImageId;
using progress_tracker::JobId;
using progress_tracker::Options;
using progress_tracker::Outcome;
using progress_tracker::ProgressTracker;
using progress_tracker::StatusCounts;

enum class Way { kOutcomes, kBuffer, kGetBuffer, kGetStartBuffer, kCommitted };

Way read_way(Arguments& arguments) {
  const std::string way = arguments.text("way", "outcomes");
  if (way == "outcomes") {
    return Way::kOutcomes;
  }
  if (way == "buffer") {
    return Way::kBuffer;
  }
  if (way == "get_buffer") {
    return Way::kGetBuffer;
  }
  if (way == "get_start_buffer") {
    return Way::kGetStartBuffer;
  }
  if (way == "committed") {
    return Way::kCommitted;
  }
  throw UsageError("way=" + way + ": no such way");
}

bool read_full_sync(Arguments& arguments) {
  const std::string synchronous = arguments.text("synchronous", "normal");
  if (synchronous != "normal" && synchronous != "full") {
    throw UsageError("synchronous=" + synchronous + ": neither normal nor full");
  }
  return synchronous == "full";
}

struct MarkSetting : JobSetting {
  explicit MarkSetting(Arguments& arguments)
      : JobSetting(arguments),
        limit(arguments.number("limit", source.size())),
        full_sync(read_full_sync(arguments)) {
    if (program == Program::kLibrary) {
      way = read_way(arguments);
      chained = arguments.flag("chained");
    }
    arguments.refuse_unknown();
    if (limit == 0) {
      throw UsageError("limit= is at least 1");
    }
  }

  const std::size_t limit;
  const bool full_sync;
  Way way{Way::kOutcomes};
  bool chained{false};
};

double median_of(std::span<const double> values) {
  return percentile({values.begin(), values.end()}, 0.5);
}

// Runs `turn` until enough images are done, and returns how the job must stand then. A turn takes
// images, marks them, checkpoints, adds how long taking them took, and returns their number.
template <typename Turn>
StatusCounts measure(const MarkSetting& setting, const ScratchDatabase& database, const Turn& turn,
                     Figures& figures) {
  std::size_t done = 0;
  std::vector<double> takes_us;
  WalWatch log(database.path());
  const MemoryWatch memory;
  const CpuWatch cpu;
  const Stopwatch watch;
  while (done < setting.limit) {
    const std::size_t images = turn(takes_us);
    if (images == 0) {
      throw std::runtime_error("nothing is left to take, but not all images are done");
    }
    done += images;
  }
  const double seconds = watch.seconds();
  const double cpu_seconds = cpu.seconds();
  constexpr std::size_t kMedianOf = 100;
  const std::span<const double> all = takes_us;
  const std::size_t some = std::min(kMedianOf, all.size());
  figures.add("images", done);
  figures.add("seconds", seconds);
  figures.add("cpu_seconds", cpu_seconds);
  figures.add("images_per_second", static_cast<double>(done) / seconds);
  figures.add("first_claim_us", median_of(all.first(some)));
  figures.add("last_claim_us", median_of(all.last(some)));
  figures.add("wal_median_bytes", log.median());
  figures.add("wal_peak_bytes", log.largest());
  figures.add("peak_memory_kib", memory.peak_kib());
  return {.pending = static_cast<std::int64_t>(setting.source.size() - done),
          .completed = static_cast<std::int64_t>(done)};
}

// ---- The library -------------------------------------------------------------------------------

std::vector<Image> take(ProgressTracker& tracker, JobId job, Way way) {
  return way == Way::kOutcomes || way == Way::kBuffer ? tracker.claim_images(job, kTurn)
                                                      : tracker.get_pending_images(job, kTurn);
}

void complete(ProgressTracker& tracker, const std::vector<Image>& images, Way way) {
  if (way == Way::kOutcomes) {
    std::vector<Outcome> outcomes;
    outcomes.reserve(images.size());
    for (const Image& image : images) {
      outcomes.push_back({image.id, image.attempt, {}});
    }
    tracker.mark_outcomes(outcomes);
    return;
  }
  if (way == Way::kGetStartBuffer) {
    std::vector<ImageId> ids;
    ids.reserve(images.size());
    for (const Image& image : images) {
      ids.push_back(image.id);
    }
    tracker.mark_processing(ids);
  }
  for (const Image& image : images) {
    tracker.mark_completed(image.id);
  }
}

void mark_library(const MarkSetting& setting, const ScratchDatabase& database, Figures& figures) {
  Options options;
  if (setting.way != Way::kOutcomes && setting.way != Way::kCommitted) {
    options.mark_buffer = kTurn;
  }
  if (setting.full_sync) {
    options.synchronous = Options::Synchronous::kFull;
  }
  ProgressTracker tracker(database.path(), options);
  const JobId job = make_job(tracker, setting.source);
  std::optional<JobId> chained;
  if (setting.chained) {
    chained = tracker.chain_job("chained", job);
  }
  const auto turn = [&](std::vector<double>& takes_us) {
    const Stopwatch watch;
    const std::vector<Image> images = take(tracker, job, setting.way);
    takes_us.push_back(watch.microseconds());
    complete(tracker, images, setting.way);
    tracker.checkpoint(job);
    return images.size();
  };
  const StatusCounts expected = measure(setting, database, turn, figures);
  require(tracker.get_status_counts(job), expected);
  if (chained.has_value()) {
    require(tracker.get_status_counts(*chained), {.pending = expected.completed});
  }
}

// ---- The plain programs ------------------------------------------------------------------------

void mark_original(const MarkSetting& setting, const ScratchDatabase& database, Figures& figures) {
  original_design::Tracker tracker(database.path(),
                                   {.keep_counters = setting.program == Program::kOriginalCounters,
                                    .full_sync = setting.full_sync});
  const std::int64_t job = make_job(tracker, setting.source);
  const auto turn = [&](std::vector<double>& takes_us) {
    const Stopwatch watch;
    const auto images = tracker.get_pending_images(job, kTurn);
    takes_us.push_back(watch.microseconds());
    tracker.mark_processing(images);
    for (const original_design::Image& image : images) {
      tracker.mark_completed(image.id);
    }
    tracker.checkpoint(job);
    return images.size();
  };
  const StatusCounts expected = measure(setting, database, turn, figures);
  require(tracker.get_status_counts(job), expected);
}

void mark_floor(const MarkSetting& setting, const ScratchDatabase& database, Figures& figures) {
  floor::Tracker tracker(database.path(), setting.full_sync);
  const std::int64_t job = make_job(tracker, setting.source);
  const auto turn = [&](std::vector<double>& takes_us) {
    const Stopwatch watch;
    const auto images = tracker.claim_images(job, kTurn);
    takes_us.push_back(watch.microseconds());
    tracker.complete(job, images);
    tracker.checkpoint(job);
    return images.size();
  };
  const StatusCounts expected = measure(setting, database, turn, figures);
  require(tracker.get_status_counts(job), expected);
}

}  // namespace

Figures mark_case(Arguments& arguments) {
  const MarkSetting setting(arguments);
  const ScratchDatabase database(setting);
  Figures figures;
  switch (setting.program) {
    case Program::kLibrary:
      mark_library(setting, database, figures);
      break;
    case Program::kOriginal:
    case Program::kOriginalCounters:
      mark_original(setting, database, figures);
      break;
    case Program::kFloor:
      mark_floor(setting, database, figures);
      break;
  }
  figures.add("bytes_per_image", database.bytes() / static_cast<double>(setting.source.size()));
  return figures;
}

}  // namespace benchmark

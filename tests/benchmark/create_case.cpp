// create: how long making a job takes, and what it costs.
//
//   pieces=K       create_job with the first of K pieces of the list, add_images with the others:
//                  the whole list of a very large job does not fit into memory. Default: 1.
//   watch_lock=1   longest_lock_ms too, at the cost of the other figures
//
// bytes_per_image is of the database after closing; wal_peak_bytes the largest log seen.
//
// peak_memory_kib is what the process took beyond the caller's list and all else it had before, and
// sqlite_memory_kib what SQLite had of it, nearly all for its page cache; beyond_kib is the
// difference, with the holes that malloc leaves among those pages. With several pieces all three
// are too small, as a list leaves memory behind that is taken again unseen.
#include <cstddef>
#include <cstdint>
#include <optional>

#include "floor.h"
#include "job_cases.h"
#include "original_design.h"
#include "progress_tracker/progress_tracker.h"
#include "watch.h"

namespace benchmark {
namespace {

struct CreateSetting : JobSetting {
  explicit CreateSetting(Arguments& arguments)
      : JobSetting(arguments),
        pieces(arguments.number("pieces", 1)),
        watch_lock(arguments.flag("watch_lock")) {
    arguments.refuse_unknown();
    if (pieces == 0) {
      throw UsageError("pieces= is at least 1");
    }
  }

  const std::size_t pieces;
  const bool watch_lock;
};

template <typename Tracker>
void create(const CreateSetting& setting, const ScratchDatabase& database, Tracker tracker,
            Figures& figures) {
  const ImageSource& source = setting.source;
  const std::size_t piece = (source.size() + setting.pieces - 1) / setting.pieces;
  ImageList list = source.piece(0, piece);
  WalWatch log(database.path());
  std::optional<LockWatch> lock;
  if (setting.watch_lock) {
    lock.emplace(database.path());
  }
  const MemoryWatch memory;
  const CpuWatch cpu;
  const Stopwatch watch;
  const auto job = tracker.create_job("job", list.paths, list.splits);
  double seconds = watch.seconds();
  double cpu_seconds = cpu.seconds();
  for (std::size_t first = piece; first < source.size(); first += piece) {
    list = {};
    list = source.piece(first, piece);
    const CpuWatch piece_cpu;
    const Stopwatch piece_watch;
    tracker.add_images(job, list.paths, list.splits);
    seconds += piece_watch.seconds();
    cpu_seconds += piece_cpu.seconds();
  }
  const double peak_kib = memory.peak_kib();
  const double sqlite_peak_kib = memory.sqlite_peak_kib();
  figures.add("seconds", seconds);
  figures.add("cpu_seconds", cpu_seconds);
  figures.add("images_per_second", static_cast<double>(source.size()) / seconds);
  figures.add("wal_median_bytes", log.median());
  figures.add("wal_peak_bytes", log.largest());
  figures.add("peak_memory_kib", peak_kib);
  figures.add("sqlite_memory_kib", sqlite_peak_kib);
  figures.add("beyond_kib", peak_kib - sqlite_peak_kib);
  if (lock.has_value()) {
    figures.add("longest_lock_ms", lock->stop());
  }
  require(tracker.get_status_counts(job), {.pending = static_cast<std::int64_t>(source.size())});
}

}  // namespace

Figures create_case(Arguments& arguments) {
  const CreateSetting setting(arguments);
  const ScratchDatabase database(setting);
  Figures figures;
  figures.add("images", setting.source.size());
  switch (setting.program) {
    case Program::kLibrary:
      create(setting, database, progress_tracker::ProgressTracker(database.path()), figures);
      break;
    case Program::kOriginal:
      create(setting, database, original_design::Tracker(database.path()), figures);
      break;
    case Program::kFloor:
      create(setting, database, floor::Tracker(database.path()), figures);
      break;
    default:
      setting.refuse_program();
  }
  figures.add("bytes_per_image", database.bytes() / static_cast<double>(setting.source.size()));
  return figures;
}

}  // namespace benchmark

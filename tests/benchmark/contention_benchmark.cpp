// Many workers that mark images of one database, each mark a commit of its own: how long one mark
// takes, how fairly the workers share the database, and how large the write-ahead log grows.
//
//   contention_benchmark mark [program=library|busy_timeout] [kind=processes|threads]
//                             [synchronous=normal|full] [workers=16] [pause_us=1000] [seconds=8]
//                             [reader=0] directory=DIRECTORY
//
// These are the defaults, of words the first one. The images were claimed before. Between two marks
// a worker sleeps about pause_us. With reader=1 one more process asks for the counts ten times a
// second.
//
// This process only watches: what opens the database does so in children, because a connection
// must not cross a fork, and what they measure comes back through shared memory.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <new>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "busy_timeout.h"
#include "driver.h"
#include "progress_tracker/error.h"
#include "progress_tracker/progress_tracker.h"
#include "watch.h"

namespace {

namespace fs = std::filesystem;
using benchmark::Arguments;
using benchmark::Figures;
using benchmark::Stopwatch;
using benchmark::UsageError;
using progress_tracker::Error;
using progress_tracker::ErrorCode;
using progress_tracker::Image;
using progress_tracker::ImageId;
using progress_tracker::JobId;
using progress_tracker::Options;
using progress_tracker::ProgressTracker;

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostWorkers = 64;
constexpr std::size_t kMostSeconds = 60;
// More than any of the programs marks in a second.
constexpr std::size_t kImagesPerSecond = 60'000;
// What a worker takes at once, as it would by claim_images().
constexpr std::size_t kTurn = 100;
constexpr std::size_t kReadsPerSecond = 10;

struct Settings {
  bool library{false};
  bool threads{false};
  bool reader{false};
  std::size_t workers{0};
  std::chrono::microseconds pause{0};
  std::size_t seconds{0};
  Options options{};
  fs::path database;

  std::size_t images() const { return kImagesPerSecond * seconds; }
};

struct ClaimedImage {
  ImageId id;
  std::uint32_t microseconds;  // that its mark took; 0: not marked
};

struct Worker {
  std::size_t marks{0};
  std::size_t busy{0};  // marks that failed, because others held the database for too long
};

// What all processes share. Most of the images' memory is never touched, and so never there.
struct Shared {
  std::atomic<std::size_t> ready{0};  // workers, and the reader
  std::atomic<std::size_t> taken{0};  // images
  JobId job{};
  Worker workers[kMostWorkers];
  std::size_t reads{0};
  std::uint32_t read_microseconds[kMostSeconds * kReadsPerSecond];
  ClaimedImage images[kMostSeconds * kImagesPerSecond];
};

Settings settings_in(Arguments& arguments) {
  const auto is = [&](std::string_view key, std::string_view given, std::string_view usual) {
    const std::string value = arguments.text(key, usual);
    if (value != given && value != usual) {
      throw UsageError(std::string(key) + "=" + value + ": unknown");
    }
    return value == given;
  };
  if (arguments.name() != "mark") {
    throw UsageError(arguments.name() + ": no such case");
  }
  Settings settings;
  settings.library = !is("program", "busy_timeout", "library");
  settings.workers = arguments.number("workers", 16);
  settings.threads = is("kind", "threads", "processes");
  settings.pause = std::chrono::microseconds(arguments.number("pause_us", 1000));
  settings.seconds = arguments.number("seconds", 8);
  settings.reader = arguments.flag("reader");
  settings.options.synchronous = is("synchronous", "full", "normal")
                                     ? Options::Synchronous::kFull
                                     : Options::Synchronous::kNormal;
  settings.database = arguments.directory() / "contention.db";
  arguments.refuse_unknown();
  if (settings.workers < 1 || settings.workers > kMostWorkers) {
    throw UsageError("workers: 1 to " + std::to_string(kMostWorkers));
  }
  if (settings.seconds < 1 || settings.seconds > kMostSeconds) {
    throw UsageError("seconds: 1 to " + std::to_string(kMostSeconds));
  }
  return settings;
}

Shared& make_shared() {
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "mmap");
  }
  return *new (memory) Shared;
}

std::uint32_t whole(double microseconds) {
  return std::max(1U, static_cast<std::uint32_t>(microseconds));
}

// ---- What the children do ----------------------------------------------------------------------

void make_database(const Settings& settings, Shared& shared) {
  std::vector<fs::path> paths;
  for (std::size_t i = 0; i < settings.images(); ++i) {
    paths.emplace_back("/images/" + std::to_string(i / 1000) + "/" + std::to_string(i) + ".jpg");
  }
  ProgressTracker tracker(settings.database);
  shared.job = tracker.create_job("job", paths, {});
  ClaimedImage* place = shared.images;
  for (;;) {
    const std::vector<Image> images = tracker.claim_images(shared.job, 10'000);
    if (images.empty()) {
      return;
    }
    for (const Image& image : images) {
      *place++ = {image.id, 0};
    }
  }
}

// Returns once all are here, so that they begin together; then the time at which they end.
Clock::time_point begin_together(const Settings& settings, Shared& shared) {
  ++shared.ready;
  while (shared.ready < settings.workers + (settings.reader ? 1 : 0)) {
    // Before the measurement; whoever spun here would keep the others from arriving.
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return Clock::now() + std::chrono::seconds(settings.seconds);
}

// Of the library or of busy_timeout.
template <typename Tracker>
void mark_images(Tracker& tracker, const Settings& settings, Shared& shared, std::size_t number) {
  std::minstd_rand random(static_cast<unsigned>(number));
  std::uniform_int_distribution<std::int64_t> pause_us(settings.pause.count() / 2,
                                                       settings.pause.count() * 3 / 2);
  Worker& worker = shared.workers[number];
  const Clock::time_point end = begin_together(settings, shared);
  for (std::span<ClaimedImage> turn; Clock::now() < end; turn = turn.subspan(1)) {
    if (turn.empty()) {
      const std::size_t taken = shared.taken.fetch_add(kTurn);
      if (taken >= settings.images()) {
        throw std::runtime_error("no images are left: kImagesPerSecond is too low");
      }
      turn = std::span(shared.images).subspan(taken, kTurn);
    }
    try {
      const Stopwatch stopwatch;
      tracker.mark_completed(turn.front().id);
      turn.front().microseconds = whole(stopwatch.microseconds());
      ++worker.marks;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kBusy) {
        throw;
      }
      ++worker.busy;
    }
    if (settings.pause.count() > 0) {
      // The pause is what is measured: the work on an image.
      std::this_thread::sleep_for(std::chrono::microseconds(pause_us(random)));
    }
  }
}

// The workers from `first` on, each in a thread. The library's share a tracker.
void run_workers(const Settings& settings, Shared& shared, std::size_t first, std::size_t count) {
  std::unique_ptr<ProgressTracker> library;
  if (settings.library) {
    library = std::make_unique<ProgressTracker>(settings.database, settings.options);
  }
  std::vector<std::jthread> threads;
  for (std::size_t number = first; number < first + count; ++number) {
    threads.emplace_back([&, number] {
      if (settings.library) {
        mark_images(*library, settings, shared, number);
      } else {
        busy_timeout::Tracker tracker(settings.database, settings.options);
        mark_images(tracker, settings, shared, number);
      }
    });
  }
}

template <typename Tracker>
void read_counts(const Settings& settings, Shared& shared) {
  Tracker tracker(settings.database, settings.options);
  const Clock::time_point end = begin_together(settings, shared);
  while (Clock::now() < end && shared.reads < std::size(shared.read_microseconds)) {
    const Stopwatch stopwatch;
    tracker.get_status_counts(shared.job);
    shared.read_microseconds[shared.reads++] = whole(stopwatch.microseconds());
    // The rate of the reader is a part of the case.
    std::this_thread::sleep_for(std::chrono::milliseconds(1000 / kReadsPerSecond));
  }
}

// ---- What this process does --------------------------------------------------------------------

class Children {
 public:
  Children() = default;
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;
  ~Children() {
    for (const pid_t child : running_) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
  }

  // An exception ends the child, which then counts as failed.
  template <typename Work>
  void start(const Work& work) {
    const pid_t child = ::fork();
    if (child < 0) {
      throw std::system_error(errno, std::generic_category(), "fork");
    }
    if (child == 0) {
      [&]() noexcept {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        work();
      }();
      ::_exit(0);
    }
    running_.push_back(child);
  }

  // False: all have ended, and well. Throws if one has failed: the others may wait for it.
  bool are_running() {
    bool failed = false;
    std::erase_if(running_, [&](pid_t child) {
      int status = 0;
      if (::waitpid(child, &status, WNOHANG) == 0) {
        return false;
      }
      failed = failed || status != 0;
      return true;
    });
    if (failed) {
      throw std::runtime_error("a child failed");
    }
    return !running_.empty();
  }

 private:
  std::vector<pid_t> running_;
};

void wait_for(Children& children) {
  while (children.are_running()) {
    // The cores belong to the children.
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

void check_all_is_there(const Settings& settings, const Shared& shared) {
  std::size_t marks = 0;
  for (const Worker& worker : shared.workers) {
    marks += worker.marks;
  }
  ProgressTracker tracker(settings.database);
  const auto completed = static_cast<std::size_t>(tracker.get_status_counts(shared.job)->completed);
  if (completed != marks) {
    throw std::runtime_error(std::to_string(marks) + " marks were acknowledged, but " +
                             std::to_string(completed) + " images are completed");
  }
}

Figures figures_of(const Settings& settings, const Shared& shared) {
  const std::span workers(shared.workers, settings.workers);
  std::size_t busy = 0;
  for (const Worker& worker : workers) {
    busy += worker.busy;
  }
  const auto [slowest, fastest] = std::ranges::minmax(workers, {}, &Worker::marks);
  std::vector<double> latencies;
  for (const ClaimedImage& image : std::span(shared.images, settings.images())) {
    if (image.microseconds > 0) {
      latencies.push_back(image.microseconds);
    }
  }
  Figures figures;
  figures.add("marks", latencies.size());
  figures.add("marks_per_second",
              static_cast<double>(latencies.size()) / static_cast<double>(settings.seconds));
  figures.add("p50_us", benchmark::percentile(latencies, 0.5));
  figures.add("p99_us", benchmark::percentile(latencies, 0.99));
  figures.add("p999_us", benchmark::percentile(latencies, 0.999));
  figures.add("max_us", benchmark::percentile(latencies, 1));
  figures.add("fairness", static_cast<double>(slowest.marks) / static_cast<double>(fastest.marks));
  figures.add("busy_errors", busy);
  if (settings.reader) {
    const std::vector<double> reads(shared.read_microseconds,
                                    shared.read_microseconds + shared.reads);
    figures.add("reader_p50_us", benchmark::percentile(reads, 0.5));
    figures.add("reader_max_us", benchmark::percentile(reads, 1));
  }
  return figures;
}

Figures measure(Arguments& arguments) {
  const Settings settings = settings_in(arguments);
  Shared& shared = make_shared();
  benchmark::remove_database(settings.database);
  Children children;
  children.start([&] { make_database(settings, shared); });
  wait_for(children);

  const std::size_t in_each = settings.threads ? settings.workers : 1;
  for (std::size_t first = 0; first < settings.workers; first += in_each) {
    children.start([&] { run_workers(settings, shared, first, in_each); });
  }
  if (settings.reader) {
    children.start([&] {
      settings.library ? read_counts<ProgressTracker>(settings, shared)
                       : read_counts<busy_timeout::Tracker>(settings, shared);
    });
  }
  benchmark::WalWatch log(settings.database);
  wait_for(children);

  Figures figures = figures_of(settings, shared);
  figures.add("wal_median_bytes", log.median());
  figures.add("wal_peak_bytes", log.largest());
  check_all_is_there(settings, shared);
  benchmark::remove_database(settings.database);
  return figures;
}

}  // namespace

int main(int argc, char** argv) { return benchmark::run_driver(argc, argv, measure); }

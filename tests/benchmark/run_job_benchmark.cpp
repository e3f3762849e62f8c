// A driver (driver.h): the worker loop run_job, every image of which is recorded, beside the same
// work on as many threads, of which nothing is recorded.
//
//   run program=library|plain images=N threads=T [busy_us=B | sleep_us=S]
//
// An image's work is B µs of a core, or a sleep of S µs, or nothing. Figures: seconds and
// images_per_second of the loop alone; us_per_image, the time of one thread that an image costs
// (seconds * threads / images), and overhead_us, what is left of it without the image's work.
#include <time.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "driver.h"
#include "image_list.h"
#include "progress_tracker/progress_tracker.h"
#include "progress_tracker/run_job.h"

namespace {

using benchmark::Arguments;
using benchmark::Figures;
using benchmark::Stopwatch;
using benchmark::UsageError;
using progress_tracker::Image;
using progress_tracker::ProgressTracker;
using std::chrono::microseconds;

constexpr std::size_t kPerDirectory = 1000;

// Of the calling thread alone: time spent waiting for a core is not work.
std::chrono::nanoseconds cpu_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

// What an image takes.
struct Work {
  microseconds busy{0};
  microseconds sleep{0};

  void operator()() const {
    if (sleep.count() > 0) {
      // Work that waits, for a disk or a network, as the case asks for.
      std::this_thread::sleep_for(sleep);
    }
    if (busy.count() > 0) {
      const auto end = cpu_time() + busy;
      while (cpu_time() < end) {
      }
    }
  }
};

double run_library(const std::filesystem::path& database, std::size_t images, std::size_t threads,
                   const Work& work) {
  ProgressTracker tracker(database);
  const benchmark::ImageList list =
      benchmark::ImageSource(images, kPerDirectory, false).piece(0, images);
  const auto job = tracker.create_job("job", list.paths, list.splits);
  progress_tracker::RunOptions options;
  options.workers = threads;

  const Stopwatch stopwatch;
  const auto run = progress_tracker::run_job(
      tracker, job, [&work](const Image&) { work(); }, options);
  const double seconds = stopwatch.seconds();

  if (run.completed != static_cast<std::int64_t>(images)) {
    throw std::runtime_error("completed " + std::to_string(run.completed) + " images of " +
                             std::to_string(images));
  }
  return seconds;
}

double run_plain(std::size_t images, std::size_t threads, const Work& work) {
  std::atomic<std::size_t> next{0};
  const auto pull = [&] {
    while (next.fetch_add(1, std::memory_order_relaxed) < images) {
      work();
    }
  };

  const Stopwatch stopwatch;
  {
    std::vector<std::jthread> pool;
    for (std::size_t i = 0; i < threads; ++i) {
      pool.emplace_back(pull);
    }
  }
  return stopwatch.seconds();
}

Figures measure(Arguments& arguments) {
  if (arguments.name() != "run") {
    throw UsageError(arguments.name() + ": no such case");
  }
  const std::string program = arguments.text("program", "library");
  const std::size_t images = arguments.number("images");
  const std::size_t threads = arguments.number("threads");
  const Work work{microseconds(arguments.number("busy_us", 0)),
                  microseconds(arguments.number("sleep_us", 0))};
  const std::filesystem::path database = arguments.directory() / "run_job.db";
  arguments.refuse_unknown();

  double seconds = 0;
  if (program == "library") {
    seconds = run_library(database, images, threads, work);
    benchmark::remove_database(database);
  } else if (program == "plain") {
    seconds = run_plain(images, threads, work);
  } else {
    throw UsageError("program=" + program + ": no such program");
  }

  const double us_per_image =
      seconds * 1e6 * static_cast<double>(threads) / static_cast<double>(images);
  Figures figures;
  figures.add("images", images);
  figures.add("seconds", seconds);
  figures.add("images_per_second", static_cast<double>(images) / seconds);
  figures.add("us_per_image", us_per_image);
  figures.add("overhead_us", us_per_image - static_cast<double>((work.busy + work.sleep).count()));
  return figures;
}

}  // namespace

int main(int argc, char** argv) { return benchmark::run_driver(argc, argv, measure); }

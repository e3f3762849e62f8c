// A first look at the speed: create_job, and the loop of claim, mark and checkpoint, on one thread.
//
//   first_look [images] [directory]         default: 1000000, the current directory
//
// Each line is the median of three rounds on a new database. Figures are for this machine and this
// moment; compare those of one run.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "progress_tracker/progress_tracker.h"

namespace {

namespace fs = std::filesystem;
using progress_tracker::Image;
using progress_tracker::ImageId;
using progress_tracker::JobId;
using progress_tracker::Options;
using progress_tracker::Outcome;
using progress_tracker::ProgressTracker;

constexpr std::size_t kPerDirectory = 1000;
constexpr std::size_t kTurn = 500;

struct Round {
  double images_per_second{0};
  double bytes_per_image{0};
};

using Work = std::function<double(const fs::path&)>;

std::vector<fs::path> make_paths(std::size_t count) {
  std::vector<fs::path> paths;
  paths.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    char path[64];
    std::snprintf(path, sizeof path, "/data/batch/%06zu/img_%08zu.jpg", i / kPerDirectory, i);
    paths.emplace_back(path);
  }
  return paths;
}

std::vector<std::string> make_splits(std::size_t count) {
  std::vector<std::string> splits;
  splits.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    splits.emplace_back(i % 10 < 8 ? "train" : i % 10 == 8 ? "valid" : "test");
  }
  return splits;
}

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double size_of(const fs::path& database) { return static_cast<double>(fs::file_size(database)); }

void remove_database(const fs::path& database) {
  for (const char* suffix : {"", "-wal", "-shm", "-workers"}) {
    fs::remove(database.native() + suffix);
  }
}

void report(const char* name, std::size_t images, const fs::path& directory, const Work& work) {
  std::vector<Round> rounds;
  for (int i = 0; i < 3; ++i) {
    const fs::path database = directory / "first_look.db";
    remove_database(database);
    const double took = work(database);
    rounds.push_back(
        {static_cast<double>(images) / took, size_of(database) / static_cast<double>(images)});
    remove_database(database);
  }
  std::sort(rounds.begin(), rounds.end(), [](const Round& a, const Round& b) {
    return a.images_per_second < b.images_per_second;
  });
  std::printf("%-40s %10.0f images/s %8.1f bytes/image\n", name, rounds[1].images_per_second,
              rounds[1].bytes_per_image);
  std::fflush(stdout);
}

double claim_and_mark(ProgressTracker& tracker, JobId job) {
  return seconds([&] {
    std::vector<Outcome> outcomes;
    for (;;) {
      const std::vector<Image> images = tracker.claim_images(job, kTurn);
      if (images.empty()) {
        return;
      }
      outcomes.clear();
      for (const Image& image : images) {
        outcomes.push_back({image.id, image.attempt, {}});
      }
      tracker.mark_outcomes(outcomes);
      tracker.checkpoint(job);
    }
  });
}

double seeds_loop(ProgressTracker& tracker, JobId job) {
  return seconds([&] {
    for (;;) {
      const std::vector<Image> images = tracker.get_pending_images(job, kTurn);
      if (images.empty()) {
        return;
      }
      for (const Image& image : images) {
        tracker.mark_completed(image.id);
      }
      tracker.checkpoint(job);
    }
  });
}

double claim_and_mark_one_by_one(ProgressTracker& tracker, JobId job) {
  return seconds([&] {
    for (;;) {
      const std::vector<Image> images = tracker.claim_images(job, kTurn);
      if (images.empty()) {
        return;
      }
      for (const Image& image : images) {
        tracker.mark_completed(image.id);
      }
      tracker.checkpoint(job);
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t count = argc > 1 ? std::stoul(argv[1]) : 1'000'000;
  const fs::path directory = argc > 2 ? argv[2] : ".";
  const auto paths = make_paths(count);
  const auto splits = make_splits(count);
  auto shuffled = paths;
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937_64(1));

  report("create_job, sorted", count, directory, [&](const fs::path& database) {
    ProgressTracker tracker(database);
    return seconds([&] { tracker.create_job("job", paths, splits); });
  });
  report("create_job, shuffled", count, directory, [&](const fs::path& database) {
    ProgressTracker tracker(database);
    return seconds([&] { tracker.create_job("job", shuffled, splits); });
  });
  report("claim 500, mark_outcomes, checkpoint", count, directory, [&](const fs::path& database) {
    ProgressTracker tracker(database);
    return claim_and_mark(tracker, tracker.create_job("job", paths, splits));
  });
  Options buffered;
  buffered.mark_buffer = kTurn;
  report("claim 500, buffered marks, checkpoint", count, directory, [&](const fs::path& database) {
    ProgressTracker tracker(database, buffered);
    return claim_and_mark_one_by_one(tracker, tracker.create_job("job", paths, splits));
  });
  report("get_pending 500, buffered marks", count, directory, [&](const fs::path& database) {
    ProgressTracker tracker(database, buffered);
    return seeds_loop(tracker, tracker.create_job("job", paths, splits));
  });
  const std::size_t few = std::min<std::size_t>(count, 200'000);
  report("get_pending 500, every mark committed", few, directory, [&](const fs::path& database) {
    ProgressTracker tracker(database);
    return seeds_loop(tracker, tracker.create_job("job", std::span(paths).first(few),
                                                  std::span(splits).first(few)));
  });
  return 0;
}

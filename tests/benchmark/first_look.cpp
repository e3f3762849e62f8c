// A first look at the speed: create_job, and the loop of claim, mark and checkpoint, on one thread,
// beside the design that this library replaces (original_design.h).
//
//   first_look [images] [directory] [rounds]         default: 1000000, the current directory, 3
//
// Every round runs all cases in turn, each on a new database; a line is the median of its rounds,
// and its ratio that to the original's line. Figures are for this machine and this moment: what
// carries over is the ratio.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "original_design.h"
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

struct List {
  std::vector<fs::path> paths;
  std::vector<std::string> splits;

  std::size_t size() const { return paths.size(); }
};

struct Round {
  double images_per_second{0};
  double bytes_per_image{0};
};

struct Case {
  const char* name;
  std::size_t images;
  std::optional<std::size_t> original;         // index of the case to compare with
  std::function<double(const fs::path&)> run;  // seconds
  std::vector<Round> rounds{};
};

List make_list(std::size_t count) {
  List list;
  list.paths.reserve(count);
  list.splits.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    char path[64];
    std::snprintf(path, sizeof path, "/data/batch/%06zu/img_%08zu.jpg", i / kPerDirectory, i);
    list.paths.emplace_back(path);
    list.splits.emplace_back(i % 10 < 8 ? "train" : i % 10 == 8 ? "valid" : "test");
  }
  return list;
}

List shuffle(List list) {
  std::shuffle(list.paths.begin(), list.paths.end(), std::mt19937_64(1));
  return list;
}

template <typename Work>
double seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void remove_database(const fs::path& database) {
  for (const char* suffix : {"", "-wal", "-shm", "-workers"}) {
    fs::remove(database.native() + suffix);
  }
}

// ---- The library -------------------------------------------------------------------------------

double create(const fs::path& database, const List& list) {
  ProgressTracker tracker(database);
  return seconds([&] { tracker.create_job("job", list.paths, list.splits); });
}

double mark_by_outcomes(const fs::path& database, const List& list) {
  ProgressTracker tracker(database);
  const JobId job = tracker.create_job("job", list.paths, list.splits);
  std::vector<Outcome> outcomes;
  return seconds([&] {
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

// How a turn's images are taken: by claim_images; or, as in the original's example, by
// get_pending_images, with mark_processing or without.
enum class Take { kClaim, kGet, kGetAndStart };

double mark_one_by_one(const fs::path& database, const List& list, Take take,
                       std::size_t mark_buffer) {
  Options options;
  options.mark_buffer = mark_buffer;
  ProgressTracker tracker(database, options);
  const JobId job = tracker.create_job("job", list.paths, list.splits);
  std::vector<ImageId> ids;
  return seconds([&] {
    for (;;) {
      const std::vector<Image> images = take == Take::kClaim
                                            ? tracker.claim_images(job, kTurn)
                                            : tracker.get_pending_images(job, kTurn);
      if (images.empty()) {
        return;
      }
      if (take == Take::kGetAndStart) {
        ids.clear();
        for (const Image& image : images) {
          ids.push_back(image.id);
        }
        tracker.mark_processing(ids);
      }
      for (const Image& image : images) {
        tracker.mark_completed(image.id);
      }
      tracker.checkpoint(job);
    }
  });
}

// ---- The original design -----------------------------------------------------------------------

double create_original(const fs::path& database, const List& list) {
  original_design::Tracker tracker(database);
  return seconds([&] { tracker.create_job("job", list.paths, list.splits); });
}

double mark_original(const fs::path& database, const List& list) {
  original_design::Tracker tracker(database);
  const std::int64_t job = tracker.create_job("job", list.paths, list.splits);
  return seconds([&] {
    for (;;) {
      const auto images = tracker.get_pending_images(job, kTurn);
      if (images.empty()) {
        return;
      }
      tracker.mark_processing(images);
      for (const auto& image : images) {
        tracker.mark_completed(image.id);
      }
      tracker.checkpoint(job);
    }
  });
}

// ---- Running and reporting ---------------------------------------------------------------------

void run_once(Case& each, const fs::path& directory) {
  const fs::path database = directory / "first_look.db";
  remove_database(database);
  const double took = each.run(database);
  const auto images = static_cast<double>(each.images);
  each.rounds.push_back({images / took, static_cast<double>(fs::file_size(database)) / images});
  remove_database(database);
}

Round median(std::vector<Round> rounds) {
  std::sort(rounds.begin(), rounds.end(), [](const Round& a, const Round& b) {
    return a.images_per_second < b.images_per_second;
  });
  return rounds[rounds.size() / 2];
}

void report(const std::vector<Case>& cases) {
  std::printf("%-44s %12s %8s %12s\n", "", "images/s", "ratio", "bytes/image");
  for (const Case& each : cases) {
    const Round middle = median(each.rounds);
    std::printf("%-44s %12.0f ", each.name, middle.images_per_second);
    if (each.original.has_value()) {
      const Round original = median(cases[*each.original].rounds);
      std::printf("%8.2f ", middle.images_per_second / original.images_per_second);
    } else {
      std::printf("%8s ", "");
    }
    std::printf("%12.1f\n", middle.bytes_per_image);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t count = argc > 1 ? std::stoul(argv[1]) : 1'000'000;
  const fs::path directory = argc > 2 ? argv[2] : ".";
  const int rounds = argc > 3 ? std::stoi(argv[3]) : 3;

  const List sorted = make_list(count);
  const List shuffled = shuffle(sorted);
  constexpr std::size_t kCreate = 0;
  constexpr std::size_t kShuffled = 1;
  constexpr std::size_t kMark = 2;
  std::vector<Case> cases{
      {"original: create_job, sorted",
       count,
       {},
       [&](const auto& database) { return create_original(database, sorted); }},
      {"original: create_job, shuffled",
       count,
       {},
       [&](const auto& database) { return create_original(database, shuffled); }},
      {"original: get, mark, checkpoint every 500",
       count,
       {},
       [&](const auto& database) { return mark_original(database, sorted); }},
      {"create_job, sorted", count, kCreate,
       [&](const auto& database) { return create(database, sorted); }},
      {"create_job, shuffled", count, kShuffled,
       [&](const auto& database) { return create(database, shuffled); }},
      {"claim 500, mark_outcomes, checkpoint", count, kMark,
       [&](const auto& database) { return mark_by_outcomes(database, sorted); }},
      {"claim 500, buffered marks, checkpoint", count, kMark,
       [&](const auto& database) {
         return mark_one_by_one(database, sorted, Take::kClaim, kTurn);
       }},
      {"get_pending 500, buffered marks, checkpoint", count, kMark,
       [&](const auto& database) { return mark_one_by_one(database, sorted, Take::kGet, kTurn); }},
      {"the same with mark_processing", count, kMark,
       [&](const auto& database) {
         return mark_one_by_one(database, sorted, Take::kGetAndStart, kTurn);
       }},
      {"get_pending 500, every mark committed", count, kMark,
       [&](const auto& database) { return mark_one_by_one(database, sorted, Take::kGet, 0); }},
  };
  for (int round = 0; round < rounds; ++round) {
    for (Case& each : cases) {
      run_once(each, directory);
    }
  }
  report(cases);
  return 0;
}

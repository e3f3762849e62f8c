// What calls cost, counted and not timed: steps of SQLite's machine and pages written. A query that
// begins to walk, or a table that is written in the wrong order, fails here.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "progress_tracker/progress_tracker.h"
#include "statement_log.h"
#include "support.h"
#include "testing_hooks.h"

namespace progress_tracker {
namespace {

using test::StatementLog;
using test::TempDirectory;

namespace fs = std::filesystem;
using namespace std::chrono_literals;

std::vector<fs::path> paths_in_directories(std::size_t count, std::size_t per_directory) {
  std::vector<fs::path> paths;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string number = std::to_string(1'000'000 + i);
    paths.emplace_back("d" + std::to_string(1'000'000 + i / per_directory) + "/" + number + ".jpg");
  }
  return paths;
}

std::vector<fs::path> shuffled(std::vector<fs::path> paths) {
  std::shuffle(paths.begin(), paths.end(), std::mt19937_64(1));
  return paths;
}

// Each look at it takes a millisecond, so that a load is cut into pieces always at the same places:
// every 40 looks, some 10,000 images.
class SteadyClock final : public test::FakeClock {
 public:
  std::chrono::steady_clock::time_point now() override {
    advance(1ms);
    return FakeClock::now();
  }
};

class CostTest : public testing::Test {
 protected:
  // Pages written for each image of a list.
  double pages_of_loading(const std::string& name, const std::vector<fs::path>& paths) {
    SteadyClock clock;
    const auto tracker = internal::open_with_clock(directory / (name + ".db"), {}, clock);
    const int pages = StatementLog::pages_of([&] { tracker->create_job(name, paths, {}); });
    return pages / static_cast<double>(paths.size());
  }

  const StatementLog log;
  const TempDirectory directory;
};

// 62 bytes an image are 0.015 pages, if each page is written once.
TEST_F(CostTest, AListIsWrittenOnceWhateverItsOrder) {
  const auto paths = paths_in_directories(60'000, 1'000);
  EXPECT_LT(pages_of_loading("sorted", paths), 0.02);
  EXPECT_LT(pages_of_loading("shuffled", shuffled(paths)), 0.02);
}

// The same for directories, each of which has an entry of its own.
TEST_F(CostTest, SoAreItsDirectories) {
  const auto paths = paths_in_directories(30'000, 1);
  const double sorted = pages_of_loading("sorted", paths);
  EXPECT_LT(sorted, 0.06);
  EXPECT_LT(pages_of_loading("shuffled", shuffled(paths)), 1.6 * sorted);
}

TEST_F(CostTest, AMarkOfManyWritesFewPages) {
  constexpr std::size_t kImages = 20'000;
  constexpr std::size_t kTurn = 500;
  ProgressTracker tracker(directory / "jobs.db");
  const JobId job = tracker.create_job("job", paths_in_directories(kImages, 1'000), {});
  const int pages = StatementLog::pages_of([&] {
    for (;;) {
      const auto images = tracker.claim_images(job, kTurn);
      if (images.empty()) {
        break;
      }
      tracker.mark_outcomes(test::completions_of(images));
      tracker.checkpoint(job);
    }
  });
  EXPECT_EQ(tracker.get_status_counts(job)->completed, static_cast<std::int64_t>(kImages));
  EXPECT_LT(pages / static_cast<double>(kImages), 0.06);
}

TEST_F(CostTest, AMarkOfOneWritesItsRowItsIndexAndTheCounts) {
  ProgressTracker tracker(directory / "jobs.db");
  const JobId job = tracker.create_job("job", paths_in_directories(20'000, 1'000), {});
  for (const Image& image : tracker.claim_images(job, 20)) {
    EXPECT_LE(StatementLog::pages_of([&] { tracker.complete(image); }), 3);
  }
}

// Removing looks up what belongs to an image; it does not go through its directory.
TEST_F(CostTest, RemovingCostsAsMuchAsThereIsToRemove) {
  ProgressTracker tracker(directory / "jobs.db");
  const auto steps_of_removing = [&](std::size_t images) {
    const JobId job = tracker.create_job("job", paths_in_directories(images, images), {});
    return StatementLog::steps_of([&] { tracker.remove_job(job); });
  };
  const int few = steps_of_removing(10'000);
  EXPECT_GT(few, 10'000);
  EXPECT_LT(steps_of_removing(40'000), 5 * few);
}

// Everything that is not about a whole list costs the same in a job of forty times the size.
TEST_F(CostTest, ACallCostsTheSameInALargeJob) {
  using Call = std::function<void(Tracker&, JobId)>;
  const auto first = [](Tracker& tracker, JobId job) {
    return tracker.get_images(job, Status::kProcessing, 1).at(0);
  };
  const std::map<std::string, Call> calls{
      {"checkpoint", [](Tracker& tracker, JobId job) { tracker.checkpoint(job); }},
      {"get_progress", [](Tracker& tracker, JobId job) { tracker.get_progress(job); }},
      {"get_status_counts", [](Tracker& tracker, JobId job) { tracker.get_status_counts(job); }},
      {"get_progress_by_split",
       [](Tracker& tracker, JobId job) { tracker.get_progress_by_split(job); }},
      {"get_job_id", [](Tracker& tracker, JobId) { tracker.get_job_id("job"); }},
      {"list_jobs", [](Tracker& tracker, JobId) { tracker.list_jobs(); }},
      {"list_workers", [](Tracker& tracker, JobId) { tracker.list_workers(); }},
      {"get_image_id",
       [](Tracker& tracker, JobId job) { tracker.get_image_id(job, "d1000000/1000700.jpg"); }},
      {"get_pending_images",
       [](Tracker& tracker, JobId job) { tracker.get_pending_images(job, 5); }},
      {"claim_images", [](Tracker& tracker, JobId job) { tracker.claim_images(job, 5); }},
      {"mark_completed",
       [&](Tracker& tracker, JobId job) { tracker.mark_completed(first(tracker, job).image.id); }},
      {"mark_error",
       [&](Tracker& tracker, JobId job) {
         tracker.mark_error(first(tracker, job).image.id, "broken");
       }},
      {"reset_stuck_images", [](Tracker& tracker, JobId job) { tracker.reset_stuck_images(job); }},
  };
  std::map<std::string, std::vector<int>> steps;
  for (const std::size_t images : {1'000, 40'000}) {
    ProgressTracker tracker(directory / (std::to_string(images) + ".db"));
    const JobId job = tracker.create_job("job", paths_in_directories(images, 1'000), {});
    tracker.mark_processing(test::ids_of(tracker.get_pending_images(job, images / 2)));
    tracker.mark_outcomes([&] {
      std::vector<Outcome> outcomes;
      for (const ImageRecord& record : tracker.get_images(job, Status::kProcessing, images)) {
        outcomes.push_back({.id = record.image.id, .attempt = record.attempts, .error = {}});
      }
      return outcomes;
    }());
    tracker.claim_images(job, 10);
    for (const auto& each : calls) {
      steps[each.first].push_back(StatementLog::steps_of([&] { each.second(tracker, job); }));
    }
  }
  for (const auto& [name, taken] : steps) {
    EXPECT_GT(taken[0], 0) << name;
    EXPECT_LE(taken[1], taken[0] + taken[0] / 2) << name;
  }
}

}  // namespace
}  // namespace progress_tracker

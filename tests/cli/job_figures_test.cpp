#include "cli/job_figures.h"

#include <gmock/gmock.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "progress_tracker/testing/in_memory_tracker.h"
#include "progress_tracker/testing/mock_tracker.h"

namespace progress_tracker::cli {
namespace {

using namespace std::chrono_literals;
using progress_tracker_testing::InMemoryTracker;
using progress_tracker_testing::MockTracker;
using std::chrono::system_clock;
using ::testing::NiceMock;
using ::testing::Pair;
using ::testing::Return;
using ::testing::UnorderedElementsAre;

constexpr JobId kJob{1};

// A tracker whose images are exactly these.
class RecentRateTest : public ::testing::Test {
 protected:
  RecentRateTest() {
    ON_CALL(tracker_, get_images)
        .WillByDefault([this](JobId, std::optional<Status> status, std::size_t limit,
                              std::optional<ImageId> after) {
          std::vector<ImageRecord> page;
          for (const ImageRecord& record : images_) {
            if (page.size() == limit) break;
            if (status && record.status != *status) continue;
            if (!after || record.image.id > *after) page.push_back(record);
          }
          looked_at_ += page.size();
          return page;
        });
  }

  // The images come in the order of their ids.
  void add(std::int64_t id, Status status, std::optional<system_clock::duration> ago = {}) {
    ImageRecord record;
    record.image.id = ImageId{id};
    record.status = status;
    if (ago) record.finished_at = now_ - *ago;
    images_.push_back(record);
  }
  void finished(std::int64_t id, system_clock::duration ago) { add(id, Status::kCompleted, ago); }
  void in_work(std::int64_t id) { add(id, Status::kProcessing); }
  std::optional<double> rate() {
    const auto rate = recent_rate(tracker_, kJob, now_);
    return rate ? std::optional(rate->per_second) : std::nullopt;
  }

  const system_clock::time_point now_ = system_clock::time_point(1'796'000'000s);
  std::vector<ImageRecord> images_;
  std::size_t looked_at_ = 0;
  NiceMock<MockTracker> tracker_;
};

TEST_F(RecentRateTest, IsThatOfTheImagesFinishedLately) {
  for (int i = 0; i < 6; ++i) finished(i + 1, 10s - i * 2s);  // 10, 8, ... 0 s ago
  in_work(7);
  EXPECT_EQ(rate(), 0.5);  // five after the first, in 10 s
}

TEST_F(RecentRateTest, CountsErrorsAsFinishedAndPassesOverAllOthers) {
  finished(1, 10s);
  add(2, Status::kError, 9s);
  add(3, Status::kPending);
  finished(4, 8s);
  add(5, Status::kError, 7s);
  in_work(6);
  finished(7, 1s);
  add(8, Status::kPending);
  EXPECT_EQ(rate(), 0.4);
}

TEST_F(RecentRateTest, IsUnknownFromFewerThanFive) {
  for (int i = 0; i < 4; ++i) finished(i + 1, 10s - i * 1s);
  in_work(9);
  EXPECT_EQ(rate(), std::nullopt);
  images_.insert(images_.end() - 1, images_.front());
  EXPECT_EQ(rate(), 0.4);
}

TEST_F(RecentRateTest, IsUnknownWhileNothingIsInWork) {
  for (int i = 0; i < 6; ++i) finished(i + 1, 10s - i * 1s);
  EXPECT_EQ(rate(), std::nullopt);
  EXPECT_EQ(looked_at_, 0U);
}

TEST_F(RecentRateTest, LeavesOutWhatIsLongAgo) {
  for (int i = 0; i < 3; ++i) finished(i + 1, 6min);
  finished(4, 5min);
  for (int i = 4; i < 8; ++i) finished(i + 1, 20s);
  in_work(9);
  EXPECT_EQ(rate(), std::nullopt);
  finished(10, 2s);
  EXPECT_EQ(rate(), 0.2);  // four after the first, in 20 s
}

TEST_F(RecentRateTest, IsUnknownWhereTheClockSaysThatNoTimePassed) {
  for (int i = 0; i < 6; ++i) finished(i + 1, 0s);
  in_work(9);
  EXPECT_EQ(rate(), std::nullopt);
  for (ImageRecord& record : images_) record.finished_at = now_ + 1h;
  images_.back().finished_at.reset();
  EXPECT_EQ(rate(), std::nullopt);
}

TEST_F(RecentRateTest, FindsThemWhereTheIdsAreFarApart) {
  const std::int64_t base = std::int64_t{7} << 32;
  for (int i = 0; i < 6; ++i) finished(base + i * 300, 10s - i * 2s);
  in_work(base + 6 * 300);
  EXPECT_EQ(rate(), 0.5);
}

TEST_F(RecentRateTest, LooksAtSomeThousandImagesAtMost) {
  for (int i = 1; i <= 5'000; ++i) finished(i, 10s);
  in_work(5'001);
  for (int i = 5'002; i <= 20'000; ++i) add(i, Status::kPending);
  EXPECT_NEAR(rate().value(), 200, 1);  // of the last two thousand
  EXPECT_LE(looked_at_, 6'000U);
}

TEST(JobFiguresTest, AddsUpTheSplitsOfOneReading) {
  InMemoryTracker tracker;
  const std::vector<std::filesystem::path> paths{"a", "b", "c"};
  const std::vector<std::string> splits{"x", "y", "y"};
  const JobId job = tracker.create_job("j", paths, splits);
  const std::vector<Image> images = tracker.claim_images(job, 2);
  tracker.mark_completed(images[0].id);
  tracker.mark_error(images[1].id, "why");
  const JobFigures figures = read_figures(tracker, job, "name");
  EXPECT_EQ(figures.job, "name");
  EXPECT_EQ(figures.total,
            (StatusCounts{.pending = 1, .processing = 0, .completed = 1, .error = 1}));
  EXPECT_THAT(figures.splits,
              UnorderedElementsAre(Pair("x", StatusCounts{.completed = 1}),
                                   Pair("y", StatusCounts{.pending = 1, .error = 1})));
  EXPECT_FALSE(figures.rate);
  EXPECT_FALSE(figures.time_left());
}

TEST(JobFiguresTest, TimeLeftIsThatOfAllThatIsNotDone) {
  JobFigures figures;
  figures.total = {.pending = 6, .processing = 2, .completed = 100, .error = 50};
  figures.rate = Rate{.per_second = 2, .low = 2, .high = 2, .images = 100};
  EXPECT_EQ(figures.time_left().value().expected, Seconds(4));
}

TEST(JobFiguresTest, CountsTheLivingOnly) {
  NiceMock<MockTracker> tracker;
  Worker living;
  living.alive = true;
  ON_CALL(tracker, list_workers)
      .WillByDefault(Return(std::vector<Worker>{living, Worker{}, living}));
  EXPECT_EQ(count_live_workers(tracker), 2);
}

class FedTest : public ::testing::Test {
 protected:
  void jobs(std::vector<Job> jobs) {
    ON_CALL(tracker_, list_jobs).WillByDefault(Return(std::move(jobs)));
  }
  static Job job(std::int64_t id, std::optional<std::int64_t> upstream, std::int64_t pending,
                 std::int64_t processing = 0) {
    Job job;
    job.id = JobId{id};
    if (upstream) job.upstream = JobId{*upstream};
    job.counts = {.pending = pending, .processing = processing, .completed = 9, .error = 9};
    return job;
  }

  NiceMock<MockTracker> tracker_;
};

TEST_F(FedTest, IsFedWhileAnyJobAboveHasWorkLeft) {
  jobs({job(1, {}, 0), job(2, 1, 0), job(3, 2, 0)});
  EXPECT_FALSE(is_fed(tracker_, JobId{3}));
  jobs({job(1, {}, 0, 1), job(2, 1, 0), job(3, 2, 0)});
  EXPECT_TRUE(is_fed(tracker_, JobId{3}));
  jobs({job(1, {}, 0), job(2, 1, 5), job(3, 2, 0)});
  EXPECT_TRUE(is_fed(tracker_, JobId{3}));
}

TEST_F(FedTest, WhatIsLeftHereOrBelowFeedsNothing) {
  jobs({job(1, {}, 5), job(2, 1, 5)});
  EXPECT_FALSE(is_fed(tracker_, JobId{1}));
  EXPECT_FALSE(is_fed(tracker_, JobId{9}));
}

TEST_F(FedTest, ComesToAnEndWhereJobsFeedEachOther) {  // as they may in a damaged file
  jobs({job(1, 2, 0), job(2, 1, 0)});
  EXPECT_FALSE(is_fed(tracker_, JobId{1}));
  jobs({job(1, 1, 0)});
  EXPECT_FALSE(is_fed(tracker_, JobId{1}));
  jobs({job(1, 7, 0)});
  EXPECT_FALSE(is_fed(tracker_, JobId{1}));
}

}  // namespace
}  // namespace progress_tracker::cli

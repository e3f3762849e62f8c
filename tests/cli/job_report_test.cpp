#include "cli/job_report.h"

#include <gmock/gmock.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "progress_tracker/error.h"
#include "progress_tracker/testing/in_memory_tracker.h"
#include "progress_tracker/testing/mock_tracker.h"

namespace progress_tracker::cli {
namespace {

using namespace std::chrono_literals;
using progress_tracker_testing::InMemoryTracker;
using progress_tracker_testing::MockTracker;
using std::chrono::milliseconds;
using ::testing::_;
using ::testing::ElementsAre;
using ::testing::NiceMock;
using ::testing::Return;
using TimePoint = std::chrono::system_clock::time_point;

const TimePoint kStart{1'773'306'195'123ms};

ImageRecord pending(std::int64_t id) {
  ImageRecord image;
  image.image.id = ImageId{id};
  image.image.path = "d/" + std::to_string(id) + ".png";
  return image;
}

ImageRecord finished(std::int64_t id, milliseconds start, milliseconds duration,
                     Status status = Status::kCompleted) {
  ImageRecord image = pending(id);
  image.status = status;
  image.attempts = 1;
  image.started_at = kStart + start;
  image.finished_at = kStart + start + duration;
  return image;
}

ImageRecord failed(std::int64_t id, const std::string& message) {
  ImageRecord image = finished(id, 0ms, 1ms, Status::kError);
  image.error_message = message;
  return image;
}

ImagePass pass_over(const std::vector<ImageRecord>& images,
                    const std::vector<ErrorGroup>& groups = {}) {
  ImagePass pass(groups);
  for (const ImageRecord& image : images) pass.add(image);
  return pass;
}

std::vector<std::int64_t> ids(const std::vector<ImageRecord>& images) {
  std::vector<std::int64_t> list;
  for (const ImageRecord& image : images) list.push_back(static_cast<std::int64_t>(image.image.id));
  return list;
}

// ---- The pass -----------------------------------------------------------------------------------

TEST(ImagePassTest, OverNothingKnowsNothing) {
  const ImagePass pass = pass_over({});
  EXPECT_EQ(pass.counts(), StatusCounts{});
  EXPECT_EQ(pass.first_start(), std::nullopt);
  EXPECT_EQ(pass.last_finish(), std::nullopt);
  EXPECT_TRUE(pass.timeline().bars.empty());
  EXPECT_TRUE(pass.slowest().empty());
}

TEST(ImagePassTest, CountsAndFindsFirstStartAndLastFinish) {
  ImageRecord in_work = pending(4);
  in_work.status = Status::kProcessing;
  in_work.started_at = kStart + 9s;
  const ImagePass pass =
      pass_over({pending(1), finished(2, 5s, 2s), finished(3, 1s, 1s, Status::kError), in_work});
  EXPECT_EQ(pass.counts(), (StatusCounts{1, 1, 1, 1}));
  EXPECT_EQ(pass.first_start(), kStart + 1s);
  EXPECT_EQ(pass.last_finish(), kStart + 7s);
}

TEST(ImagePassTest, TellsCompletedAndErrorsApartInTime) {
  const Timeline timeline =
      pass_over({finished(1, 0s, 1s), finished(2, 0s, 100s, Status::kError)}).timeline();
  Timeline::Bar sum;
  for (const Timeline::Bar& bar : timeline.bars) {
    sum.completed += bar.completed;
    sum.errors += bar.errors;
  }
  EXPECT_EQ(sum, (Timeline::Bar{1, 1}));
  EXPECT_EQ(timeline.bars.back().errors, 1);
}

TEST(ImagePassTest, AnImageThatWasNeverStartedHasNoDuration) {
  ImageRecord marked = finished(1, 0s, 3s);
  marked.started_at = std::nullopt;
  const ImagePass pass = pass_over({marked});
  EXPECT_EQ(pass.durations().count(), 0);
  EXPECT_TRUE(pass.slowest().empty());
  EXPECT_EQ(pass.last_finish(), kStart + 3s);
  EXPECT_EQ(pass.first_start(), std::nullopt);
}

TEST(ImagePassTest, KeepsTheSlowestTwentyOfManyInOrder) {
  ImagePass pass({});
  for (std::int64_t id = 1; id <= 5000; ++id)
    pass.add(finished(id, 0s, milliseconds(id * 7 % 5000)));
  const std::vector<ImageRecord> slowest = pass.slowest();
  ASSERT_EQ(slowest.size(), 20U);
  for (std::size_t i = 0; i < slowest.size(); ++i) {
    EXPECT_EQ(duration_of(slowest[i]), milliseconds(4999 - static_cast<std::int64_t>(i)));
  }
}

TEST(ImagePassTest, OfEquallySlowImagesTheFirstCountAsSlower) {
  ImagePass pass({});
  for (std::int64_t id = 50; id >= 1; --id) pass.add(finished(id, 0s, 1s));
  const std::vector<ImageRecord> slowest = pass.slowest();
  ASSERT_EQ(slowest.size(), 20U);
  EXPECT_EQ(ids(slowest).front(), 1);
  EXPECT_EQ(ids(slowest).back(), 20);
}

TEST(ImagePassTest, ListsWhatWasTriedAgainByDeathsThenAttempts) {
  const auto tried = [](std::int64_t id, int attempts, int deaths) {
    ImageRecord image = finished(id, 0s, 1s);
    image.attempts = attempts;
    image.deaths = deaths;
    return image;
  };
  const ImagePass pass =
      pass_over({tried(1, 1, 0), tried(2, 2, 0), tried(3, 9, 0), tried(4, 2, 1), tried(5, 1, 2)});
  EXPECT_THAT(ids(pass.most_tried()), ElementsAre(5, 4, 3, 2));
  EXPECT_EQ(pass.tried_again(), 4);
}

TEST(ImagePassTest, FindsThreeExamplesOfEachError) {
  std::vector<ImageRecord> images;
  for (std::int64_t id = 1; id <= 9; ++id) images.push_back(failed(id, id % 2 ? "odd" : "even"));
  images.push_back(failed(10, "another"));
  const ImagePass pass = pass_over(images, {{"odd", 5, "d/1.png"}, {"even", 4, "d/2.png"}});
  ASSERT_EQ(pass.errors().size(), 2U);
  EXPECT_EQ(pass.errors()[0].group.message, "odd");
  EXPECT_THAT(pass.errors()[0].examples, ElementsAre("d/1.png", "d/3.png", "d/5.png"));
  EXPECT_THAT(pass.errors()[1].examples, ElementsAre("d/2.png", "d/4.png", "d/6.png"));
}

TEST(ImagePassTest, AClockThatWasSetBackMakesNoNegativeDuration) {
  EXPECT_EQ(duration_of(finished(1, 5s, -3s)), 0ms);
  ImageRecord farthest = finished(1, 0s, 0s);
  farthest.started_at = TimePoint::min();
  farthest.finished_at = TimePoint::max();
  EXPECT_GT(duration_of(farthest), 24h * 365 * 500);
}

// ---- The report ---------------------------------------------------------------------------------

class JobReportTest : public ::testing::Test {
 protected:
  JobReport report() {
    for (const Job& candidate : tracker.list_jobs()) {
      if (candidate.id == job) return collect_report(tracker, candidate, kStart);
    }
    throw std::logic_error("no such job");
  }
  void create(const std::vector<std::filesystem::path>& paths,
              const std::vector<std::string>& splits = {}) {
    job = tracker.create_job("thumbs", paths, splits);
  }

  InMemoryTracker tracker;
  JobId job{};
};

TEST_F(JobReportTest, StatesFollowTheLifeOfAJob) {
  create({});
  EXPECT_EQ(report().state(), JobState::kEmpty);
  create({"a", "b"});
  EXPECT_EQ(report().state(), JobState::kNotStarted);
  const auto images = tracker.claim_images(job, 1);
  EXPECT_EQ(report().state(), JobState::kInWork);
  EXPECT_TRUE(tracker.complete(images.at(0)));
  EXPECT_EQ(report().state(), JobState::kUnfinished);
  tracker.mark_error(*tracker.get_image_id(job, "b"), "broken");
  EXPECT_EQ(report().state(), JobState::kFailed);
  tracker.mark_completed(*tracker.get_image_id(job, "b"));
  EXPECT_EQ(report().state(), JobState::kComplete);
}

TEST_F(JobReportTest, WhatOnlyADeadWorkerHoldsIsInterrupted) {
  JobReport report;
  report.counts = {.pending = 1, .processing = 2, .completed = 0, .error = 0};
  EXPECT_EQ(report.state(), JobState::kInterrupted);
  report.workers = {{.id = WorkerId{1}, .host = "h", .pid = 1, .alive = false, .processing = 2},
                    {.id = WorkerId{2}, .host = "h", .pid = 2, .alive = true, .processing = 0}};
  EXPECT_EQ(report.state(), JobState::kInterrupted);
  report.workers[1].processing = 1;
  EXPECT_EQ(report.state(), JobState::kInWork);
}

TEST_F(JobReportTest, CollectsWhatTheTrackerKnows) {
  create({"a", "b", "c", "d"}, {"train", "train", "val", ""});
  for (const char* path : {"a", "b"}) {
    tracker.mark_error(*tracker.get_image_id(job, path), "broken");
  }
  tracker.mark_completed(*tracker.get_image_id(job, "c"));
  const JobReport report = this->report();
  EXPECT_EQ(report.job, "thumbs");
  EXPECT_EQ(report.taken_at, kStart);
  EXPECT_EQ(report.counts, (StatusCounts{1, 0, 1, 2}));
  EXPECT_EQ(report.passed, report.counts);
  EXPECT_FALSE(report.changed_meanwhile());
  EXPECT_EQ(report.splits.at("train"), (StatusCounts{0, 0, 0, 2}));
  ASSERT_EQ(report.errors.size(), 1U);
  EXPECT_THAT(report.errors[0].examples, ElementsAre("a", "b"));
  EXPECT_EQ(report.other_errors(), 0);
  EXPECT_TRUE(report.last_finish.has_value());
}

TEST_F(JobReportTest, ReadsEveryImageOnceHoweverManyPagesTheyTake) {
  std::vector<std::filesystem::path> paths;
  for (int i = 0; i < 4000; ++i) paths.push_back(std::to_string(i));  // two pages, both full
  create(paths);
  tracker.create_job("another", std::vector<std::filesystem::path>{"a", "b", "c"}, {});
  EXPECT_EQ(report().passed.pending, 4000);
  tracker.add_images(job, std::vector<std::filesystem::path>{"one", "more"}, {});
  EXPECT_EQ(report().passed.pending, 4002);
}

TEST_F(JobReportTest, AJobThatIsRemovedMeanwhileIsNotFound) {
  create({"a"});
  const Job known = tracker.list_jobs().at(0);
  tracker.remove_job(job);
  try {
    collect_report(tracker, known, kStart);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
}

TEST_F(JobReportTest, ErrorsBeyondTheGroupsShownAreCounted) {
  std::vector<std::filesystem::path> paths;
  for (int i = 0; i < 25; ++i) paths.push_back(std::to_string(i));
  create(paths);
  for (const auto& path : paths) {
    tracker.mark_error(*tracker.get_image_id(job, path), "error " + path.native());
  }
  const JobReport report = this->report();
  EXPECT_EQ(report.errors.size(), 20U);
  EXPECT_EQ(report.other_errors(), 5);
}

TEST_F(JobReportTest, SaysThatTheJobWentOnMeanwhile) {
  NiceMock<MockTracker> moving;
  const std::map<std::string, StatusCounts> before{{"", {.pending = 2}}};
  ON_CALL(moving, get_status_counts(_)).WillByDefault(Return(StatusCounts{.pending = 2}));
  ON_CALL(moving, get_progress_by_split(_)).WillByDefault(Return(before));
  EXPECT_CALL(moving, get_images(JobId{7}, _, _, _))
      .WillOnce(Return(std::vector{pending(1), finished(2, 0s, 1s)}));
  Job known;
  known.id = JobId{7};
  const JobReport report = collect_report(moving, known, kStart);
  EXPECT_TRUE(report.changed_meanwhile());
  EXPECT_EQ(report.counts.pending, 2);
  EXPECT_EQ(report.passed.completed, 1);
}

TEST(JobReportFiguresTest, ElapsedGoesOnToNowOnlyWhileTheJobIsInWork) {
  JobReport report;
  EXPECT_EQ(report.elapsed(), std::nullopt);
  EXPECT_EQ(report.per_second(), std::nullopt);
  report.counts = {.pending = 10, .processing = 0, .completed = 30, .error = 10};
  report.first_start = kStart;
  report.last_finish = kStart + 20s;
  report.taken_at = kStart + 40s;
  EXPECT_EQ(report.elapsed(), 20s);
  EXPECT_DOUBLE_EQ(report.per_second().value(), 2);
  report.counts.processing = 1;
  report.workers = {{.id = WorkerId{1}, .host = "h", .pid = 1, .alive = true, .processing = 1}};
  EXPECT_EQ(report.elapsed(), 40s);
  EXPECT_DOUBLE_EQ(report.per_second().value(), 1);
  report.taken_at = kStart + 10s;  // before the last finish: the clock was set back
  EXPECT_EQ(report.elapsed(), 20s);
  report.first_start = kStart + 30s;
  EXPECT_EQ(report.elapsed(), 0s);
  EXPECT_EQ(report.per_second(), std::nullopt);
}

}  // namespace
}  // namespace progress_tracker::cli

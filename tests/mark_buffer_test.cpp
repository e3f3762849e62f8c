// Marks that are held back (Options::mark_buffer): when they are committed, what a mark still says
// at once, and what becomes of them when something goes wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "progress_tracker/progress_tracker.h"
#include "support.h"
#include "testing_hooks.h"

namespace progress_tracker {
namespace {

using namespace std::chrono_literals;
using test::image_paths;
using test::LogCapture;
using test::Outsider;
using test::TempDirectory;
using test::ThrowsError;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

namespace fs = std::filesystem;

class MarkBufferTest : public testing::Test {
 protected:
  static constexpr std::size_t kCapacity = 5;

  MarkBufferTest() : tracker(open()), job(tracker->create_job("job", image_paths(20), {})) {}

  std::unique_ptr<ProgressTracker> open() {
    return internal::open_with_clock(path, {.busy_timeout = 0ms, .mark_buffer = kCapacity}, clock);
  }

  // What anybody else sees.
  StatusCounts committed() { return other.get_status_counts(job).value(); }
  std::int64_t completed() { return committed().completed; }

  ImageId claimed() { return tracker->claim_images(job, 1).at(0).id; }
  std::vector<ImageId> claimed(std::size_t count) {
    return test::ids_of(tracker->claim_images(job, count));
  }

  TempDirectory directory;
  const fs::path path = directory / "jobs.db";
  test::FakeClock clock;
  std::unique_ptr<ProgressTracker> tracker;
  const JobId job;
  ProgressTracker other{path};
};

// ---- When they are committed -------------------------------------------------------------------

TEST_F(MarkBufferTest, WithoutItEveryMarkIsCommittedWhenItReturns) {
  ProgressTracker plain(path);
  plain.mark_completed(plain.claim_images(job, 1).at(0).id);
  EXPECT_EQ(completed(), 1);
}

TEST_F(MarkBufferTest, TheNthMarkCommitsAll) {
  const auto ids = claimed(kCapacity);
  for (std::size_t i = 0; i + 1 < kCapacity; ++i) {
    tracker->mark_completed(ids[i]);
    EXPECT_EQ(completed(), 0);
  }
  tracker->mark_completed(ids.back());
  EXPECT_EQ(completed(), static_cast<std::int64_t>(kCapacity));
}

TEST_F(MarkBufferTest, ErrorsAreHeldAsWell) {
  const auto ids = claimed(kCapacity);
  for (const ImageId id : ids) {
    EXPECT_EQ(committed().error, 0);
    tracker->mark_error(id, "broken");
  }
  EXPECT_EQ(committed().error, static_cast<std::int64_t>(kCapacity));
  EXPECT_EQ(other.get_image(ids[0])->error_message, "broken");
}

TEST_F(MarkBufferTest, TheNextMarkCommitsOnceTheOldestIsASecondOld) {
  const auto ids = claimed(4);
  tracker->mark_completed(ids[0]);
  clock.advance(500ms);
  tracker->mark_completed(ids[1]);
  clock.advance(499ms);
  tracker->mark_completed(ids[2]);
  EXPECT_EQ(completed(), 0);
  clock.advance(1ms);
  tracker->mark_completed(ids[3]);
  EXPECT_EQ(completed(), 4);
}

TEST_F(MarkBufferTest, TheSecondIsCountedAnewAfterACommit) {
  const auto ids = claimed(3);
  tracker->mark_completed(ids[0]);
  clock.advance(900ms);
  tracker->checkpoint(job);
  tracker->mark_completed(ids[1]);
  clock.advance(900ms);
  tracker->mark_completed(ids[2]);
  EXPECT_EQ(completed(), 1);
}

TEST_F(MarkBufferTest, AMarkThatChangesNothingCommitsOldOnesToo) {
  const ImageId id = claimed();
  tracker->mark_completed(id);
  clock.advance(2s);
  tracker->mark_completed(id);
  EXPECT_EQ(completed(), 1);
}

TEST_F(MarkBufferTest, TimeAloneCommitsNothing) {
  tracker->mark_completed(claimed());
  clock.advance(1h);
  EXPECT_EQ(completed(), 0);
}

struct Call {
  std::string name;
  std::function<void(ProgressTracker&, JobId, ImageId spare)> call;
  friend std::ostream& operator<<(std::ostream& out, const Call& each) { return out << each.name; }
};

class AnyOtherCall : public MarkBufferTest, public testing::WithParamInterface<Call> {};

TEST_P(AnyOtherCall, CommitsFirst) {
  const auto ids = claimed(3);
  tracker->mark_completed(ids[0]);
  tracker->mark_error(ids[1], "broken");
  ASSERT_EQ(completed(), 0);

  GetParam().call(*tracker, job, ids[2]);

  Outsider outsider(path);
  EXPECT_EQ(outsider.number("SELECT count(*) FROM state WHERE status = 2 AND id = " +
                            std::to_string(static_cast<std::int64_t>(ids[0]))),
            1);
}

TEST_P(AnyOtherCall, CommitsFirstWhicheverThreadItComesFrom) {
  const auto ids = claimed(3);
  tracker->mark_completed(ids[0]);

  std::thread([&] { GetParam().call(*tracker, job, ids[2]); }).join();

  EXPECT_EQ(Outsider(path).number("SELECT count(*) FROM state WHERE status = 2 AND id = " +
                                  std::to_string(static_cast<std::int64_t>(ids[0]))),
            1);
}

const std::vector<Call> kOtherCalls{
    {"create_job", [](auto& t, JobId, ImageId) { t.create_job("new", image_paths(1), {}); }},
    {"add_images", [](auto& t, JobId job, ImageId) { t.add_images(job, image_paths(1, "n"), {}); }},
    {"chain_job", [](auto& t, JobId job, ImageId) { t.chain_job("chained", job); }},
    {"get_job_id", [](auto& t, JobId, ImageId) { t.get_job_id("job"); }},
    {"list_jobs", [](auto& t, JobId, ImageId) { t.list_jobs(); }},
    {"remove_job",
     [](auto& t, JobId, ImageId) { t.remove_job(t.create_job("gone", image_paths(1), {})); }},
    {"get_pending_images", [](auto& t, JobId job, ImageId) { t.get_pending_images(job); }},
    {"mark_processing", [](auto& t, JobId, ImageId) { t.mark_processing({}); }},
    {"claim_images", [](auto& t, JobId job, ImageId) { t.claim_images(job, 1); }},
    {"claim_images_of_nothing", [](auto& t, JobId job, ImageId) { t.claim_images(job, 0); }},
    {"mark_outcomes",
     [](auto& t, JobId, ImageId spare) {
       t.mark_outcomes(std::vector<Outcome>{{.id = spare, .attempt = 0, .error = {}}});
     }},
    {"release_images", [](auto& t, JobId, ImageId) { t.release_images({}); }},
    {"reset_stuck_images", [](auto& t, JobId job, ImageId) { t.reset_stuck_images(job); }},
    {"reset_error_images", [](auto& t, JobId job, ImageId) { t.reset_error_images(job); }},
    {"retry_images", [](auto& t, JobId, ImageId) { t.retry_images({}); }},
    {"checkpoint", [](auto& t, JobId job, ImageId) { t.checkpoint(job); }},
    {"get_progress", [](auto& t, JobId job, ImageId) { t.get_progress(job); }},
    {"get_status_counts", [](auto& t, JobId job, ImageId) { t.get_status_counts(job); }},
    {"get_progress_by_split", [](auto& t, JobId job, ImageId) { t.get_progress_by_split(job); }},
    {"get_image_id", [](auto& t, JobId job, ImageId) { t.get_image_id(job, "a"); }},
    {"get_image", [](auto& t, JobId, ImageId spare) { t.get_image(spare); }},
    {"get_image_split", [](auto& t, JobId, ImageId spare) { t.get_image_split(spare); }},
    {"get_images", [](auto& t, JobId job, ImageId) { t.get_images(job); }},
    {"get_error_summary", [](auto& t, JobId job, ImageId) { t.get_error_summary(job); }},
    {"list_workers", [](auto& t, JobId, ImageId) { t.list_workers(); }},
    {"create_batch", [](auto& t, JobId job, ImageId) { t.create_batch(job, 1, 1); }},
    {"get_unbatched_images", [](auto& t, JobId job, ImageId) { t.get_unbatched_images(job); }},
    {"get_pending_batches", [](auto& t, JobId job, ImageId) { t.get_pending_batches(job); }},
    {"get_uploaded_batches", [](auto& t, JobId job, ImageId) { t.get_uploaded_batches(job); }},
    {"get_batch_images", [](auto& t, JobId, ImageId) { t.get_batch_images(BatchId{1}); }},
    {"sync", [](auto& t, JobId, ImageId) { t.sync(); }},
    {"close", [](auto& t, JobId, ImageId) { t.close(); }},
};

INSTANTIATE_TEST_SUITE_P(Each, AnyOtherCall, testing::ValuesIn(kOtherCalls),
                         [](const auto& each) { return each.param.name; });

TEST_F(MarkBufferTest, TheDestructorCommits) {
  tracker->mark_completed(claimed());
  tracker.reset();
  EXPECT_EQ(completed(), 1);
}

TEST_F(MarkBufferTest, ADeathCostsWhatIsHeldAndNoMore) {
  const auto ids = claimed(kCapacity + 2);
  for (const ImageId id : ids) {
    tracker->mark_completed(id);
  }
  internal::simulate_death(*tracker);

  EXPECT_EQ(committed(), (StatusCounts{.pending = 13, .processing = 2, .completed = 5}));
  EXPECT_EQ(other.reset_stuck_images(job), 2U);
}

TEST_F(MarkBufferTest, ThisTrackerSeesItsMarks) {
  const ImageId id = claimed();
  tracker->mark_error(id, "broken");
  EXPECT_EQ(tracker->get_image(id)->status, Status::kError);
  tracker->mark_completed(id);
  EXPECT_EQ(tracker->get_status_counts(job)->completed, 1);
}

// ---- What a mark says at once ------------------------------------------------------------------

TEST_F(MarkBufferTest, AnUnknownImageIsRefusedByTheMarkItself) {
  EXPECT_THAT([&] { tracker->mark_completed(ImageId{99}); }, ThrowsError(ErrorCode::kNotFound));
  EXPECT_THAT([&] { tracker->mark_error(ImageId{99}, "x"); }, ThrowsError(ErrorCode::kNotFound));
  const ImageId id = claimed();
  const ImageId beyond{static_cast<std::int64_t>(id) + 20};
  EXPECT_THAT([&] { tracker->mark_completed(beyond); }, ThrowsError(ErrorCode::kNotFound));
}

TEST_F(MarkBufferTest, AnErrorForAnImageWhoseCompletionIsHeldIsRefusedByTheMarkItself) {
  const ImageId id = claimed();
  tracker->mark_completed(id);
  EXPECT_THAT([&] { tracker->mark_error(id, "late"); }, ThrowsError(ErrorCode::kInvalidTransition));
}

// Not only what this tracker did: whatever anybody had committed when the mark is made.
TEST_F(MarkBufferTest, AnErrorForAnImageThatAnotherCompletedBeforeIsRefusedByTheMarkItself) {
  const auto ids = claimed(3);
  tracker->mark_error(ids[1], "held");
  other.mark_completed(ids[0]);
  other.mark_completed(ids[1]);

  EXPECT_THAT([&] { tracker->mark_error(ids[0], "late"); },
              ThrowsError(ErrorCode::kInvalidTransition));
  EXPECT_THAT([&] { tracker->mark_error(ids[1], "late"); },
              ThrowsError(ErrorCode::kInvalidTransition));
  tracker->mark_error(ids[2], "broken");
}

TEST_F(MarkBufferTest, AMarkForAnImageThatAnotherRemovedBeforeIsRefusedByTheMarkItself) {
  const JobId doomed = other.create_job("doomed", image_paths(3), {});
  const auto pending = tracker->get_pending_images(doomed, 3);
  other.remove_job(doomed);

  EXPECT_THAT([&] { tracker->mark_completed(pending[0].id); }, ThrowsError(ErrorCode::kNotFound));
}

TEST_F(MarkBufferTest, AThreadThatComesNewSeesWhatAnotherCompletedBefore) {
  const auto ids = claimed(2);
  other.mark_completed(ids[0]);

  std::thread([&] {
    EXPECT_THAT([&] { tracker->mark_error(ids[0], "late"); },
                ThrowsError(ErrorCode::kInvalidTransition));
    tracker->mark_error(ids[1], "broken");
  }).join();
}

TEST_F(MarkBufferTest, AnErrorForACompletedImageIsRefusedByTheMarkItself) {
  const ImageId id = claimed();
  tracker->mark_completed(id);
  tracker->checkpoint(job);
  EXPECT_THAT([&] { tracker->mark_error(id, "late"); }, ThrowsError(ErrorCode::kInvalidTransition));
}

TEST_F(MarkBufferTest, AnErrorForAnImageThatThisTrackerCompletedOtherwiseIsRefusedByTheMarkItself) {
  const auto claims = tracker->claim_images(job, 2);
  ASSERT_TRUE(tracker->complete(claims[0]));
  EXPECT_THAT([&] { tracker->mark_error(claims[0].id, "late"); },
              ThrowsError(ErrorCode::kInvalidTransition));
  tracker->mark_outcomes(std::vector<Outcome>{{.id = claims[1].id, .attempt = 0, .error = {}}});
  EXPECT_THAT([&] { tracker->mark_error(claims[1].id, "late"); },
              ThrowsError(ErrorCode::kInvalidTransition));
}

TEST_F(MarkBufferTest, AnImageOfAJobThatThisTrackerRemovedIsRefusedByTheMarkItself) {
  const ImageId id = claimed();
  tracker->remove_job(job);
  EXPECT_THAT([&] { tracker->mark_completed(id); }, ThrowsError(ErrorCode::kNotFound));
}

TEST_F(MarkBufferTest, ARefusedMarkIsNotHeld) {
  const ImageId id = claimed();
  tracker->mark_completed(id);
  EXPECT_THAT([&] { tracker->mark_error(id, "late"); }, ThrowsError(ErrorCode::kInvalidTransition));
  EXPECT_THAT([&] { tracker->mark_completed(ImageId{99}); }, ThrowsError(ErrorCode::kNotFound));
  tracker->checkpoint(job);
  EXPECT_EQ(committed(), (StatusCounts{.pending = 19, .completed = 1}));
}

TEST_F(MarkBufferTest, AnErrorCanBeFollowedByACompletion) {
  const ImageId id = claimed();
  tracker->mark_error(id, "broken");
  tracker->mark_completed(id);
  tracker->checkpoint(job);
  EXPECT_EQ(other.get_image(id)->status, Status::kCompleted);
  EXPECT_EQ(other.get_image(id)->error_message, "");
}

TEST_F(MarkBufferTest, MarksFromPendingWorkWithoutAClaim) {
  const ImageId id = tracker->get_pending_images(job, 1).at(0).id;
  tracker->mark_completed(id);
  tracker->checkpoint(job);
  const auto record = other.get_image(id).value();
  EXPECT_EQ(record.status, Status::kCompleted);
  EXPECT_EQ(record.attempts, 1);
  EXPECT_TRUE(record.started_at.has_value());
}

TEST_F(MarkBufferTest, AMessageIsCleaned) {
  const ImageId id = claimed();
  tracker->mark_error(id, std::string("a\0b\xff", 4));
  tracker->checkpoint(job);
  EXPECT_EQ(other.get_image(id)->error_message,
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD");
}

// ---- What another tracker made impossible ------------------------------------------------------

TEST_F(MarkBufferTest, WhatBecameImpossibleIsDroppedWithOneWarningAndTheOthersAreCommitted) {
  const auto ids = claimed(4);
  for (const ImageId id : ids) {
    tracker->mark_error(id, "broken");
  }
  other.mark_completed(ids[0]);
  other.mark_completed(ids[2]);
  const LogCapture log;

  tracker->checkpoint(job);

  EXPECT_EQ(committed(), (StatusCounts{.pending = 16, .completed = 2, .error = 2}));
  EXPECT_THAT(log.lines(), ElementsAre(Pair(LogLevel::kWarn, HasSubstr("2"))));
}

TEST_F(MarkBufferTest, ACallThatHasMoreToWarnOfWarnsOfBoth) {
  const ImageId id = claimed();
  const auto paths = image_paths(1);
  const std::vector<std::string> splits{"another"};
  tracker->mark_error(id, "broken");
  other.mark_completed(id);
  const LogCapture log;

  tracker->create_job("job", paths, splits);

  EXPECT_THAT(log.lines(), ElementsAre(Pair(LogLevel::kWarn, HasSubstr("dropped 1")),
                                       Pair(LogLevel::kWarn, HasSubstr("keeps the split of 1"))));
}

TEST_F(MarkBufferTest, MarksForAJobThatIsGoneAreDropped) {
  const ImageId of_job = claimed();
  const JobId doomed = other.create_job("doomed", image_paths(3), {});
  const auto pending = tracker->get_pending_images(doomed, 3);
  tracker->mark_completed(pending[0].id);
  tracker->mark_error(pending[1].id, "broken");
  tracker->mark_completed(of_job);
  other.remove_job(doomed);
  const LogCapture log;

  tracker->checkpoint(job);

  EXPECT_EQ(completed(), 1);
  EXPECT_THAT(log.lines(), ElementsAre(Pair(LogLevel::kWarn, HasSubstr("2"))));
}

TEST_F(MarkBufferTest, ACompletionThatAnotherMadeTooIsNoReasonToWarn) {
  const ImageId id = claimed();
  tracker->mark_completed(id);
  other.mark_completed(id);
  const LogCapture log;

  tracker->checkpoint(job);

  EXPECT_EQ(completed(), 1);
  EXPECT_THAT(log.lines(), IsEmpty());
}

TEST_F(MarkBufferTest, TheWarningIsGivenWithNothingHeld) {
  const ImageId id = claimed();
  tracker->mark_error(id, "broken");
  other.mark_completed(id);
  std::future<void> closing;
  int calls = 0;
  set_log_handler([&](LogLevel, std::string_view) {
    ++calls;
    // A handler may wait for a thread that uses the tracker.
    closing = std::async(std::launch::async, [&] { tracker->close(); });
    EXPECT_EQ(closing.wait_for(10s), std::future_status::ready) << "close() waits for the handler";
  });

  tracker->close();

  set_log_handler({});
  EXPECT_EQ(calls, 1);
}

TEST_F(MarkBufferTest, TheHandlerMayUseTheTracker) {
  const ImageId id = claimed();
  tracker->mark_error(id, "broken");
  other.mark_completed(id);
  std::int64_t seen = 0;
  set_log_handler([&](LogLevel, std::string_view) {
    tracker->mark_completed(id);
    seen = tracker->get_status_counts(job)->completed;
  });

  tracker->checkpoint(job);

  set_log_handler({});
  EXPECT_EQ(seen, 1);
}

// ---- When the commit fails ---------------------------------------------------------------------

class MarkBufferBlocked : public MarkBufferTest {
 protected:
  MarkBufferBlocked() : ids(claimed(kCapacity + 2)) {
    for (std::size_t i = 0; i + 1 < kCapacity; ++i) {
      tracker->mark_completed(ids[i]);
    }
    blocker.run("BEGIN IMMEDIATE");
  }

  const std::vector<ImageId> ids;
  Outsider blocker{path};
};

TEST_F(MarkBufferBlocked, TheCallThatTriedItThrowsAndTheMarksStay) {
  EXPECT_THAT([&] { tracker->checkpoint(job); }, ThrowsError(ErrorCode::kBusy));
  EXPECT_THAT([&] { tracker->get_status_counts(job); }, ThrowsError(ErrorCode::kBusy));
  EXPECT_EQ(completed(), 0);

  blocker.run("ROLLBACK");
  tracker->checkpoint(job);

  EXPECT_EQ(completed(), 4);
}

TEST_F(MarkBufferBlocked, TheNthMarkThrowsAndStaysToo) {
  EXPECT_THAT([&] { tracker->mark_completed(ids[4]); }, ThrowsError(ErrorCode::kBusy));

  blocker.run("ROLLBACK");
  tracker->checkpoint(job);

  EXPECT_EQ(completed(), 5);
}

TEST_F(MarkBufferBlocked, NoMoreThanNAreEverHeld) {
  EXPECT_THAT([&] { tracker->mark_completed(ids[4]); }, ThrowsError(ErrorCode::kBusy));
  EXPECT_THAT([&] { tracker->mark_completed(ids[5]); }, ThrowsError(ErrorCode::kBusy));
  EXPECT_THAT([&] { tracker->mark_completed(ids[6]); }, ThrowsError(ErrorCode::kBusy));

  blocker.run("ROLLBACK");
  tracker->checkpoint(job);

  EXPECT_EQ(completed(), 5) << "those beyond were not taken";
}

TEST_F(MarkBufferBlocked, ACloseThatThrowsLeavesTheTrackerOpen) {
  EXPECT_THAT([&] { tracker->close(); }, ThrowsError(ErrorCode::kBusy));

  blocker.run("ROLLBACK");
  EXPECT_EQ(tracker->get_status_counts(job)->completed, 4);
  tracker->mark_completed(ids[4]);
  tracker->close();
  EXPECT_EQ(completed(), 5);
  EXPECT_THAT([&] { tracker->get_status_counts(job); }, ThrowsError(ErrorCode::kClosed));
}

TEST_F(MarkBufferBlocked, TheDestructorSaysHowManyItLost) {
  const LogCapture log;

  tracker.reset();

  EXPECT_THAT(log.lines(),
              ElementsAre(Pair(LogLevel::kError, AllOf(HasSubstr("lost 4"), HasSubstr("mark"),
                                                       HasSubstr("jobs.db")))));
  blocker.run("ROLLBACK");
  EXPECT_EQ(completed(), 0);
}

TEST_F(MarkBufferBlocked, AMarkBelowNWaitsForNobody) {
  // Four are held already; with one dropped from the list there would be room. Here a fresh
  // tracker.
  auto fresh = open();
  EXPECT_THAT([&] { fresh->mark_completed(ids[5]); }, testing::Not(ThrowsError(ErrorCode::kBusy)));
  const LogCapture log;
  fresh.reset();
}

// ---- Threads -----------------------------------------------------------------------------------

TEST_F(MarkBufferTest, ThreadsShareIt) {
  constexpr std::size_t kImages = 2'000;
  const JobId many = tracker->create_job("many", image_paths(kImages), {});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (;;) {
        // busy_timeout is 0 in this fixture, so threads would refuse each other.
        const auto images = other.claim_images(many, 50);
        if (images.empty()) {
          return;
        }
        for (const Image& image : images) {
          other.mark_completed(image.id);
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(other.get_status_counts(many)->completed, static_cast<std::int64_t>(kImages));
}

TEST_F(MarkBufferTest, ThreadsThatEndLoseNothing) {
  ProgressTracker shared(path, {.mark_buffer = 64});
  constexpr std::size_t kImages = 2'000;
  const JobId many = shared.create_job("many", image_paths(kImages), {});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (;;) {
        const auto images = shared.claim_images(many, 50);
        if (images.empty()) {
          return;
        }
        for (const Image& image : images) {
          shared.mark_completed(image.id);
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  shared.close();
  EXPECT_EQ(other.get_status_counts(many)->completed, static_cast<std::int64_t>(kImages));
}

}  // namespace
}  // namespace progress_tracker

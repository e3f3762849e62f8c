// What InMemoryTracker has beyond Tracker; the rest is in the conformance suite.
#include "progress_tracker/testing/in_memory_tracker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "support.h"

namespace progress_tracker_testing {
namespace {

using progress_tracker::ErrorCode;
using progress_tracker::JobId;
using progress_tracker::Status;
using progress_tracker::Tracker;
using progress_tracker::test::ThrowsError;
using testing::IsEmpty;
using testing::SizeIs;

const std::vector<std::filesystem::path> kPaths{"a", "b", "c"};

JobId create_three(Tracker& tracker) { return tracker.create_job("job", kPaths, {}); }

TEST(InMemoryTrackerTest, BeginsEmpty) {
  InMemoryTracker tracker;

  EXPECT_THAT(tracker.list_jobs(), IsEmpty());
  EXPECT_THAT(tracker.list_workers(), IsEmpty());
}

TEST(InMemoryTrackerTest, TwoThatWereMadeApartShareNothing) {
  InMemoryTracker first;
  InMemoryTracker second;
  create_three(first);

  EXPECT_THAT(second.list_jobs(), IsEmpty());
}

TEST(InMemoryTrackerTest, AnotherIsASecondWorkerOnTheSameStore) {
  InMemoryTracker tracker;
  const auto job = create_three(tracker);
  auto second = tracker.another();
  tracker.claim_images(job, 1);
  second->claim_images(job, 1);

  EXPECT_EQ(tracker.get_status_counts(job)->processing, 2);
  EXPECT_EQ(second->reset_stuck_images(job), 1U);
}

TEST(InMemoryTrackerTest, ReopenIsADeathAndANewWorker) {
  InMemoryTracker tracker;
  const auto job = create_three(tracker);
  const auto held = tracker.claim_images(job, 1);
  const auto restarted = tracker.reopen();

  EXPECT_EQ(restarted->reset_stuck_images(job), 1U);
  EXPECT_EQ(restarted->get_image(held.at(0).id)->deaths, 1);
}

TEST(InMemoryTrackerTest, ReopenClosesTheDeadTracker) {
  InMemoryTracker tracker;
  const auto restarted = tracker.reopen();

  EXPECT_THAT([&] { tracker.list_jobs(); }, ThrowsError(ErrorCode::kClosed));
  EXPECT_THAT(restarted->list_jobs(), IsEmpty());
}

TEST(InMemoryTrackerTest, ReopenAfterCloseCountsNoDeath) {
  InMemoryTracker tracker;
  const auto job = create_three(tracker);
  const auto held = tracker.claim_images(job, 1);
  tracker.close();
  const auto restarted = tracker.reopen();

  EXPECT_EQ(restarted->reset_stuck_images(job), 1U);
  EXPECT_EQ(restarted->get_image(held.at(0).id)->deaths, 0);
}

TEST(InMemoryTrackerTest, TheStoreLivesAsLongAsOneOfItsTrackers) {
  auto first = std::make_unique<InMemoryTracker>();
  const auto job = create_three(*first);
  const std::unique_ptr<Tracker> second = first->another();
  first.reset();

  EXPECT_THAT(second->get_pending_images(job), SizeIs(3));
}

TEST(InMemoryTrackerTest, AnotherOfAClosedTrackerIsOpen) {
  InMemoryTracker tracker;
  const auto job = create_three(tracker);
  tracker.close();

  EXPECT_THAT(tracker.another()->get_pending_images(job), SizeIs(3));
}

TEST(InMemoryTrackerTest, MaxDeathsGoesOnToTheWorkersMadeFromIt) {
  InMemoryTracker tracker(2);
  const auto job = create_three(tracker);
  tracker.claim_images(job);
  auto second = tracker.reopen();
  EXPECT_THAT(second->claim_images(job), SizeIs(1));
  EXPECT_EQ(second->get_status_counts(job)->pending, 2);

  auto third = second->reopen();
  third->reset_stuck_images(job);
  const auto failed = third->get_images(job, Status::kError);
  ASSERT_THAT(failed, SizeIs(1));
  EXPECT_EQ(failed[0].error_message, "worker died 2 times while processing");
  EXPECT_EQ(third->get_progress(job)->error_count, 1);
}

TEST(InMemoryTrackerTest, WithoutMaxDeathsAnImageComesBackForEver) {
  auto tracker = std::make_unique<InMemoryTracker>();
  const auto job = create_three(*tracker);
  for (int i = 0; i < 20; ++i) {
    tracker->claim_images(job);
    tracker = tracker->reopen();
    tracker->reset_stuck_images(job);
  }
  EXPECT_EQ(tracker->get_status_counts(job)->pending, 3);
}

}  // namespace
}  // namespace progress_tracker_testing

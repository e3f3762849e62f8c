// MockTracker used as its users do: to see how code meets a tracker that misbehaves.
#include "progress_tracker/testing/mock_tracker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <type_traits>
#include <vector>

#include "progress_tracker/error.h"

namespace progress_tracker_testing {
namespace {

using progress_tracker::Error;
using progress_tracker::ErrorCode;
using progress_tracker::Image;
using progress_tracker::ImageId;
using progress_tracker::ImageRecord;
using progress_tracker::JobId;
using progress_tracker::Outcome;
using progress_tracker::Tracker;
using testing::_;
using testing::ElementsAre;
using testing::NiceMock;
using testing::Return;
using testing::StrictMock;
using testing::Throw;

// The code under test: claims one image and completes it. False: the database was busy.
bool work_once(Tracker& tracker, JobId job) try {
  for (const Image& image : tracker.claim_images(job, 1)) tracker.complete(image);
  return true;
} catch (const Error& error) {
  if (error.code() != ErrorCode::kBusy) throw;
  return false;
}

const Image kImage{ImageId{7}, "a.png", "train", 1};

static_assert(!std::is_abstract_v<MockTracker>, "every pure virtual function is mocked");

TEST(MockTrackerTest, ShowsWhatTheCodeUnderTestDoesWhenTheDatabaseIsBusy) {
  StrictMock<MockTracker> tracker;
  EXPECT_CALL(tracker, claim_images(JobId{1}, 1)).WillOnce(Return(std::vector{kImage}));
  EXPECT_CALL(tracker, mark_outcomes)
      .WillOnce(Throw(Error(ErrorCode::kBusy, "mark_outcomes: pipeline.db: busy")));

  EXPECT_FALSE(work_once(tracker, JobId{1}));
}

TEST(MockTrackerTest, PassesOnWhatTheCodeUnderTestDoesNotHandle) {
  NiceMock<MockTracker> tracker;
  ON_CALL(tracker, claim_images(_, _))
      .WillByDefault(Throw(Error(ErrorCode::kFull, "claim_images: pipeline.db: disk full")));

  EXPECT_THROW(work_once(tracker, JobId{1}), Error);
}

TEST(MockTrackerTest, CompleteIsOneFencedOutcome) {
  StrictMock<MockTracker> tracker;
  EXPECT_CALL(tracker, mark_outcomes(ElementsAre(Outcome{ImageId{7}, 1, std::nullopt})))
      .WillOnce(Return(1))
      .WillOnce(Return(0));

  EXPECT_TRUE(tracker.complete(kImage));
  EXPECT_FALSE(tracker.complete(kImage));
}

TEST(MockTrackerTest, FailIsOneFencedOutcomeWithItsMessage) {
  StrictMock<MockTracker> tracker;
  EXPECT_CALL(tracker, mark_outcomes(ElementsAre(Outcome{ImageId{7}, 1, "broken"})))
      .WillOnce(Return(1))
      .WillOnce(Return(0));

  EXPECT_TRUE(tracker.fail(kImage, "broken"));
  EXPECT_FALSE(tracker.fail(kImage, "broken"));
}

TEST(MockTrackerTest, ResetProcessingImagesIsResetStuckImages) {
  StrictMock<MockTracker> tracker;
  EXPECT_CALL(tracker, reset_stuck_images(JobId{3})).WillOnce(Return(5));

  tracker.reset_processing_images(JobId{3});
}

TEST(MockTrackerTest, GetImageSplitComesFromGetImage) {
  StrictMock<MockTracker> tracker;
  ImageRecord record;
  record.image = kImage;
  EXPECT_CALL(tracker, get_image(ImageId{7})).WillOnce(Return(record));
  EXPECT_CALL(tracker, get_image(ImageId{8})).WillOnce(Return(std::nullopt));

  EXPECT_EQ(tracker.get_image_split(ImageId{7}), "train");
  EXPECT_EQ(tracker.get_image_split(ImageId{8}), std::nullopt);
}

TEST(MockTrackerTest, HasTheDefaultArgumentsOfTracker) {
  StrictMock<MockTracker> tracker;
  constexpr JobId kJob{1};
  EXPECT_CALL(tracker, get_pending_images(kJob, 100)).Times(2);
  EXPECT_CALL(tracker, claim_images(kJob, 100)).Times(2);
  EXPECT_CALL(tracker, get_images(kJob, testing::Eq(std::nullopt), 1000, testing::Eq(std::nullopt)))
      .Times(2);
  EXPECT_CALL(tracker, get_error_summary(kJob, 20)).Times(2);
  EXPECT_CALL(tracker, get_unbatched_images(kJob, 100)).Times(2);

  const auto call_all = [](auto& any) {
    any.get_pending_images(kJob);
    any.claim_images(kJob);
    any.get_images(kJob);
    any.get_error_summary(kJob);
    any.get_unbatched_images(kJob);
  };
  call_all(tracker);
  call_all(static_cast<Tracker&>(tracker));
}

}  // namespace
}  // namespace progress_tracker_testing

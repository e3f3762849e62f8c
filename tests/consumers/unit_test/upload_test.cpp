#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "progress_tracker/testing/conformance.h"  // included without being used: must do no harm
#include "progress_tracker/testing/in_memory_tracker.h"
#include "progress_tracker/testing/mock_tracker.h"

namespace {

using progress_tracker::Image;
using progress_tracker::ImageId;
using progress_tracker::JobId;
using progress_tracker::Tracker;
using progress_tracker_testing::InMemoryTracker;
using progress_tracker_testing::MockTracker;
using testing::_;
using testing::Return;

// What this pipeline does: uploads what is pending, one image at a time.
template <typename Upload>
void upload_pending(Tracker& tracker, JobId job, Upload upload) {
  for (const Image& image : tracker.get_pending_images(job, 10)) {
    try {
      upload(image);
      tracker.mark_completed(image.id);
    } catch (const std::exception& error) {
      tracker.mark_error(image.id, error.what());
    }
  }
  tracker.checkpoint(job);
}

TEST(UploadTest, MarksAFailedUploadWithItsReason) {
  MockTracker tracker;
  const Image good{ImageId{1}, "good.jpg", "train", 0};
  const Image bad{ImageId{2}, "bad.jpg", "train", 0};
  EXPECT_CALL(tracker, get_pending_images(JobId{7}, 10))
      .WillOnce(Return(std::vector<Image>{good, bad}));
  EXPECT_CALL(tracker, mark_completed(good.id));
  EXPECT_CALL(tracker, mark_error(bad.id, "no such bucket"));
  EXPECT_CALL(tracker, checkpoint(JobId{7}));

  upload_pending(tracker, JobId{7}, [](const Image& image) {
    if (image.path == "bad.jpg") throw std::runtime_error("no such bucket");
  });
}

TEST(UploadTest, LeavesNothingPending) {
  InMemoryTracker tracker;
  const std::array<std::filesystem::path, 2> images{"a.jpg", "b.jpg"};
  const JobId job = tracker.create_job("upload", images, {});

  upload_pending(tracker, job, [](const Image&) {});

  EXPECT_EQ(tracker.get_status_counts(job)->completed, 2);
}

}  // namespace

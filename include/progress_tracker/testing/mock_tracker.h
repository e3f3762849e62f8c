// MockTracker: a Tracker whose every function is a GoogleMock expectation.
//
// For code that must be tested against a tracker that misbehaves, or whose exact calls matter. To
// see what became of the images rather than which calls were made, use InMemoryTracker
// (in_memory_tracker.h).
//
//   #include <gmock/gmock.h>
//   #include <gtest/gtest.h>
//
//   #include <progress_tracker/error.h>
//   #include <progress_tracker/testing/mock_tracker.h>
//
//   using progress_tracker::Error;
//   using progress_tracker::ErrorCode;
//   using progress_tracker::Image;
//   using progress_tracker::ImageId;
//   using progress_tracker::JobId;
//   using progress_tracker_testing::MockTracker;
//   using testing::Return;
//   using testing::Throw;
//
//   // The code under test: claims one image and completes it. False: the database was busy.
//   bool work_once(progress_tracker::Tracker& tracker, JobId job);
//
//   TEST(WorkOnce, LeavesTheImageToOthersWhenTheDatabaseIsBusy) {
//     MockTracker tracker;
//     const Image image{ImageId{7}, "a.png", "train", 1};
//     EXPECT_CALL(tracker, claim_images(JobId{1}, 1)).WillOnce(Return(std::vector{image}));
//     EXPECT_CALL(tracker, mark_outcomes)
//         .WillOnce(Throw(Error(ErrorCode::kBusy, "mark_outcomes: pipeline.db: busy")));
//
//     EXPECT_FALSE(work_once(tracker, JobId{1}));
//   }
//
// The non-virtual functions of Tracker reach the mock through the virtual ones they are made of:
// complete() and fail() through mark_outcomes(), reset_processing_images() through
// reset_stuck_images(), get_image_split() through get_image().
#ifndef PROGRESS_TRACKER_TESTING_MOCK_TRACKER_H_
#define PROGRESS_TRACKER_TESTING_MOCK_TRACKER_H_

#include <gmock/gmock.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "progress_tracker/tracker.h"
#include "progress_tracker/types.h"

namespace progress_tracker_testing {

class MockTracker : public progress_tracker::Tracker {
 public:
  using Batch = progress_tracker::Batch;
  using BatchId = progress_tracker::BatchId;
  using ErrorGroup = progress_tracker::ErrorGroup;
  using Image = progress_tracker::Image;
  using ImageId = progress_tracker::ImageId;
  using ImageRecord = progress_tracker::ImageRecord;
  using Job = progress_tracker::Job;
  using JobId = progress_tracker::JobId;
  using Outcome = progress_tracker::Outcome;
  using Progress = progress_tracker::Progress;
  using Status = progress_tracker::Status;
  using StatusCounts = progress_tracker::StatusCounts;
  using Worker = progress_tracker::Worker;

  // Jobs
  MOCK_METHOD(JobId, create_job,
              (std::string_view name, std::span<const std::filesystem::path> image_paths,
               std::span<const std::string> splits),
              (override));
  MOCK_METHOD(std::int64_t, add_images,
              (JobId job, std::span<const std::filesystem::path> image_paths,
               std::span<const std::string> splits),
              (override));
  MOCK_METHOD(JobId, chain_job, (std::string_view name, JobId upstream), (override));
  MOCK_METHOD(std::optional<JobId>, get_job_id, (std::string_view name), (override));
  MOCK_METHOD(std::vector<Job>, list_jobs, (), (override));
  MOCK_METHOD(void, remove_job, (JobId job), (override));

  // Work
  MOCK_METHOD(std::vector<Image>, get_pending_images, (JobId job, std::size_t limit), (override));
  MOCK_METHOD(void, mark_processing, (std::span<const ImageId> image_ids), (override));
  MOCK_METHOD(std::vector<Image>, claim_images, (JobId job, std::size_t limit), (override));
  MOCK_METHOD(void, mark_completed, (ImageId image_id), (override));
  MOCK_METHOD(void, mark_error, (ImageId image_id, std::string_view error_msg), (override));
  MOCK_METHOD(std::size_t, mark_outcomes, (std::span<const Outcome> outcomes), (override));
  MOCK_METHOD(std::size_t, release_images, (std::span<const Image> images), (override));

  // Resume
  MOCK_METHOD(std::size_t, reset_stuck_images, (JobId job), (override));
  MOCK_METHOD(std::size_t, reset_error_images, (JobId job), (override));
  MOCK_METHOD(std::size_t, retry_images, (std::span<const ImageId> image_ids), (override));

  // Progress
  MOCK_METHOD(void, checkpoint, (JobId job), (override));
  MOCK_METHOD(std::optional<Progress>, get_progress, (JobId job), (override));
  MOCK_METHOD(std::optional<StatusCounts>, get_status_counts, (JobId job), (override));
  MOCK_METHOD((std::map<std::string, StatusCounts>), get_progress_by_split, (JobId job),
              (override));
  MOCK_METHOD(std::optional<ImageId>, get_image_id, (JobId job, const std::filesystem::path& path),
              (override));
  MOCK_METHOD(std::optional<ImageRecord>, get_image, (ImageId image_id), (override));
  MOCK_METHOD(std::vector<ImageRecord>, get_images,
              (JobId job, std::optional<Status> status, std::size_t limit,
               std::optional<ImageId> after),
              (override));
  MOCK_METHOD(std::vector<ErrorGroup>, get_error_summary, (JobId job, std::size_t limit),
              (override));
  MOCK_METHOD(std::vector<Worker>, list_workers, (), (override));

  // Upload batches
  MOCK_METHOD(BatchId, create_batch, (JobId job, int batch_num, std::int64_t image_count),
              (override));
  MOCK_METHOD(BatchId, create_batch_of,
              (JobId job, int batch_num, std::span<const ImageId> image_ids), (override));
  MOCK_METHOD(std::vector<Image>, get_unbatched_images, (JobId job, std::size_t limit), (override));
  MOCK_METHOD(void, mark_batch_uploaded, (BatchId batch_id), (override));
  MOCK_METHOD(void, mark_batch_error, (BatchId batch_id, std::string_view error_msg), (override));
  MOCK_METHOD(std::vector<Batch>, get_pending_batches, (JobId job), (override));
  MOCK_METHOD(std::vector<Batch>, get_uploaded_batches, (JobId job), (override));
  MOCK_METHOD(std::vector<Image>, get_batch_images, (BatchId batch_id), (override));

  MOCK_METHOD(void, close, (), (override));

  // The default arguments of Tracker, which a mocked function cannot have: a call that leaves an
  // argument out meets the expectation for all of them, limit 100 and so on.
  std::vector<Image> get_pending_images(JobId job) { return get_pending_images(job, 100); }
  std::vector<Image> claim_images(JobId job) { return claim_images(job, 100); }
  std::vector<ImageRecord> get_images(JobId job, std::optional<Status> status = {},
                                      std::size_t limit = 1000) {
    return get_images(job, status, limit, std::nullopt);
  }
  std::vector<ErrorGroup> get_error_summary(JobId job) { return get_error_summary(job, 20); }
  std::vector<Image> get_unbatched_images(JobId job) { return get_unbatched_images(job, 100); }
};

}  // namespace progress_tracker_testing

#endif  // PROGRESS_TRACKER_TESTING_MOCK_TRACKER_H_

// Defects that failing calls and failing allocations have found, each by its name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "armed.h"
#include "failing_memory.h"
#include "fault_vfs.h"
#include "progress_tracker/error.h"
#include "progress_tracker/log.h"
#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"
#include "script.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

using test::image_paths;
using test::ThrowsError;
using testing::IsEmpty;
using testing::Not;

class FoundDefectsTest : public testing::Test {
 protected:
  FoundDefectsTest() {
    install_failing_memory();
    install_fault_vfs();
    set_log_level(LogLevel::kOff);
  }
  ~FoundDefectsTest() override {
    memory_is_back();
    set_log_level(LogLevel::kWarn);
  }

  std::unique_ptr<ProgressTracker> open_new(const Options& options = {}) {
    directory = std::make_unique<ScratchDirectory>();
    auto tracker = std::make_unique<ProgressTracker>(directory->database(), options);
    job = tracker->create_job("job", image_paths(20), {});
    images = tracker->claim_images(job, 10);
    return tracker;
  }

  // False: out of memory.
  static bool there_is_memory_for(const std::function<void()>& call) {
    try {
      const Armed armed;
      call();
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }

  std::unique_ptr<ScratchDirectory> directory;
  JobId job{};
  std::vector<Image> images;
};

TEST_F(FoundDefectsTest, ASyncThatFailsBeforeTheDiskIsAskedLeavesTheTrackerUsable) {
  const auto tracker = open_new();
  {
    const ScopedVfsHook hook([](const VfsEvent& event) {
      return event.call == VfsCall::kShmLock && (event.flags & SQLITE_SHM_LOCK) != 0
                 ? SQLITE_IOERR_SHMLOCK
                 : SQLITE_OK;
    });
    const Armed armed;
    EXPECT_THAT([&] { tracker->sync(); }, ThrowsError(ErrorCode::kIo));
  }
  tracker->sync();
  EXPECT_TRUE(tracker->complete(images[0]));
}

TEST_F(FoundDefectsTest, AJobWhoseRowsCannotBeClearedAwayIsRemovedAllTheSame) {
  int removed_with_rows_left = 0;
  bool met = true;
  for (int n = 1; met; ++n) {
    SCOPED_TRACE("write " + std::to_string(n) + " and all after it fail");
    const auto tracker = open_new();
    bool returned = true;
    {
      int writes = 0;
      const ScopedVfsHook hook([&](const VfsEvent& event) {
        return event.call == VfsCall::kWrite && ++writes >= n ? SQLITE_IOERR_WRITE : SQLITE_OK;
      });
      const Armed armed;
      try {
        tracker->remove_job(job);
      } catch (const Error&) {
        returned = false;
      }
      met = writes >= n;
    }
    ProgressTracker other(directory->database());
    EXPECT_EQ(other.get_job_id("job").has_value(), !returned);
    removed_with_rows_left += returned && !examine(directory->database()).leftovers.empty() ? 1 : 0;
    other.create_job("job", image_paths(3), {});
    EXPECT_THAT(examine(directory->database()).leftovers, IsEmpty());
  }
  EXPECT_GT(removed_with_rows_left, 0);
}

TEST_F(FoundDefectsTest, AMarkThatTheBufferCouldNotTakeIsNotHeld) {
  Options options;
  options.mark_buffer = 10;
  for (std::int64_t n = 1;; ++n) {
    SCOPED_TRACE("allocation " + std::to_string(n));
    const auto tracker = open_new(options);
    fail_allocation(Memory::kCpp, n, false);
    const auto mark = [&] { tracker->mark_completed(images[0].id); };
    const bool failed = !there_is_memory_for(mark);
    memory_is_back();
    if (failed) {
      mark();
    }
    tracker->checkpoint(job);
    EXPECT_EQ(tracker->get_status_counts(job)->completed, 1);
    if (!failed) {
      ASSERT_GT(n, 1) << "nothing was tried";
      break;
    }
  }
}

// The first commit of a tracker with kFull syncs the directory too, whose name it had to build.
TEST_F(FoundDefectsTest, OutOfMemoryIsNotTakenForADiskThatRefuses) {
  Options options;
  options.synchronous = Options::Synchronous::kFull;
  for (std::int64_t n = 1;; ++n) {
    SCOPED_TRACE("allocation " + std::to_string(n));
    open_new();
    ProgressTracker tracker(directory->database(), options);
    fail_allocation(Memory::kCpp, n, false);
    const bool failed = !there_is_memory_for([&] { tracker.mark_completed(images[0].id); });
    memory_is_back();
    // Committed or not: it was told, and the tracker works on.
    EXPECT_EQ(tracker.get_image(images[0].id)->status,
              failed ? Status::kProcessing : Status::kCompleted);
    tracker.mark_completed(images[1].id);
    if (!failed) {
      ASSERT_GT(n, 1) << "nothing was tried";
      break;
    }
  }
}

}  // namespace
}  // namespace progress_tracker::reliability

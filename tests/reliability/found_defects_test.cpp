// Defects that failing calls and failing allocations have found, each by its name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "armed.h"
#include "failing_memory.h"
#include "fault_vfs.h"
#include "progress_tracker/error.h"
#include "progress_tracker/log.h"
#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"
#include "progress_tracker/run_job.h"
#include "script.h"
#include "sqlite/connection.h"
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

  // What the call, which makes memory run out, throws; nothing: it returned, or was out of memory.
  static std::optional<ErrorCode> code_of(const std::function<void()>& call) {
    std::optional<ErrorCode> code;
    try {
      const Armed armed;
      call();
    } catch (const Error& error) {
      code = error.code();
    } catch (const std::bad_alloc&) {
    }
    memory_is_back();
    return code;
  }

  // The attempt once for each allocation that it can be made to fail at, until none fails any more:
  // it says whether one did. What it swallows is no reason to end.
  static void at_each_allocation(std::int64_t at_least,
                                 const std::function<bool(std::int64_t n)>& attempt) {
    std::int64_t failed = 0;
    for (bool met = true; met && !HasFailure(); failed += met ? 1 : 0) {
      SCOPED_TRACE("allocation " + std::to_string(failed + 1));
      met = attempt(failed + 1);
    }
    EXPECT_TRUE(HasFailure() || failed >= at_least) << failed << " allocations failed";
  }

  // From such a call on there is no memory to say that it failed.
  static ScopedVfsHook refusal_that_takes_memory_away(VfsCall call, int code) {
    return ScopedVfsHook([call, code](const VfsEvent& event) {
      if (event.call != call) {
        return SQLITE_OK;
      }
      fail_allocation(Memory::kBoth, 1, true);
      return code;
    });
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
  for (const bool is_repeated : {false, true}) {
    SCOPED_TRACE(is_repeated ? "and then repeated" : "and not repeated");
    at_each_allocation(2, [&](std::int64_t n) {
      const auto tracker = open_new(options);
      fail_allocation(Memory::kCpp, n, false);
      const auto mark = [&] { tracker->mark_completed(images[0].id); };
      const bool failed = !there_is_memory_for(mark);
      const bool met = an_allocation_failed();
      memory_is_back();
      if (failed && is_repeated) {
        mark();
      }
      tracker->checkpoint(job);
      EXPECT_EQ(tracker->get_status_counts(job)->completed, failed && !is_repeated ? 0 : 1);
      return met;
    });
  }
}

// The first commit of a tracker with kFull syncs the directory too, whose name it had to build.
TEST_F(FoundDefectsTest, OutOfMemoryIsNotTakenForADiskThatRefuses) {
  Options options;
  options.synchronous = Options::Synchronous::kFull;
  at_each_allocation(10, [&](std::int64_t n) {
    open_new();
    ProgressTracker tracker(directory->database(), options);
    fail_allocation(Memory::kCpp, n, false);
    const bool failed = !there_is_memory_for([&] { tracker.mark_completed(images[0].id); });
    const bool met = an_allocation_failed();
    memory_is_back();
    // Committed or not: it was told, and the tracker works on.
    EXPECT_EQ(tracker.get_image(images[0].id)->status,
              failed ? Status::kProcessing : Status::kCompleted);
    tracker.mark_completed(images[1].id);
    return met;
  });
}

TEST_F(FoundDefectsTest, ADestructorOutOfMemoryEndsTheTrackerAndNotTheProgram) {
  Options options;
  options.mark_buffer = 10;
  set_log_level(LogLevel::kError);
  set_log_handler([](LogLevel, std::string_view) {});
  at_each_allocation(100, [&](std::int64_t n) {
    auto tracker = open_new(options);
    tracker->mark_completed(images[0].id);
    fail_allocation(Memory::kBoth, n, true);
    {
      const Armed armed;
      tracker.reset();
    }
    const bool met = an_allocation_failed();
    memory_is_back();
    ProgressTracker other(directory->database());
    EXPECT_GE(other.reset_stuck_images(job), 9U);
    return met;
  });
  set_log_handler({});
}

TEST_F(FoundDefectsTest, AStartThatIsCommittedIsNotCalledOutOfMemory) {
  Options options;
  options.mark_buffer = 10;
  at_each_allocation(5, [&](std::int64_t n) {
    const auto tracker = open_new(options);
    const auto pending = tracker->get_pending_images(job);
    const std::vector<ImageId> chosen{pending[0].id, pending[4].id, pending[9].id};
    fail_allocation(Memory::kCpp, n, false);
    const bool failed = !there_is_memory_for([&] { tracker->mark_processing(chosen); });
    const bool met = an_allocation_failed();
    memory_is_back();
    EXPECT_EQ(tracker->get_image(chosen[0])->status,
              failed ? Status::kPending : Status::kProcessing);
    return met;
  });
}

TEST_F(FoundDefectsTest, ImagesThatWereAddedAreNotCalledOutOfMemory) {
  auto paths = image_paths(20);
  paths.emplace_back("a new one.png");
  const std::vector<std::string> splits(paths.size(), "another");
  at_each_allocation(10, [&](std::int64_t n) {
    const auto tracker = open_new();
    fail_allocation(Memory::kCpp, n, false);
    const bool failed = !there_is_memory_for([&] { tracker->add_images(job, paths, splits); });
    const bool met = an_allocation_failed();
    memory_is_back();
    EXPECT_EQ(tracker->get_status_counts(job)->total(), failed ? 20 : 21);
    return met;
  });
}

TEST_F(FoundDefectsTest, ACommitThatFailsWithoutMemoryToSaySoIsStillOfUnknownOutcome) {
  const auto tracker = open_new();
  const auto hook = refusal_that_takes_memory_away(VfsCall::kWrite, SQLITE_IOERR_WRITE);
  EXPECT_EQ(code_of([&] { tracker->mark_completed(images[0].id); }), ErrorCode::kOutcomeUnknown);
}

TEST_F(FoundDefectsTest, ADiskThatRefusesWithoutMemoryToSaySoLeavesAnUnknownOutcome) {
  Options options;
  options.synchronous = Options::Synchronous::kFull;
  const auto tracker = open_new(options);
  const auto hook = refusal_that_takes_memory_away(VfsCall::kSync, SQLITE_IOERR_FSYNC);
  EXPECT_EQ(code_of([&] { tracker->mark_completed(images[0].id); }), ErrorCode::kOutcomeUnknown);
}

// The buffer remembers which images are open; what it has no memory for, it asks the file again.
TEST_F(FoundDefectsTest, MarksAreCommittedThoughTheBufferHasNoMemoryToRememberTheRest) {
  Options options;
  options.mark_buffer = 10;
  int committed_all_the_same = 0;
  at_each_allocation(5, [&](std::int64_t n) {
    const auto tracker = open_new(options);
    tracker->mark_completed(images[4].id);  // in the midst of those that are open
    fail_allocation(Memory::kCpp, n, false);
    const bool returned = there_is_memory_for([&] { tracker->checkpoint(job); });
    const bool met = an_allocation_failed();
    memory_is_back();
    committed_all_the_same += met && returned ? 1 : 0;

    tracker->checkpoint(job);
    EXPECT_EQ(ProgressTracker(directory->database()).get_status_counts(job)->completed, 1);
    EXPECT_THAT([&] { tracker->mark_error(images[4].id, "late"); },
                ThrowsError(ErrorCode::kInvalidTransition));
    for (const Image& image : images) {
      tracker->mark_completed(image.id);
    }
    tracker->checkpoint(job);
    EXPECT_EQ(tracker->get_status_counts(job)->completed, 10);
    return met;
  });
  EXPECT_GT(committed_all_the_same, 0);
}

// Its text cannot be copied when it is asked for.
class TooLongToCopy final : public std::exception {
 public:
  const char* what() const noexcept override {
    armed_.emplace();
    fail_allocation(Memory::kCpp, 1, true);
    return "more than fits into a string without an allocation";
  }
  TooLongToCopy() = default;
  TooLongToCopy(const TooLongToCopy& /*other*/) {}
  TooLongToCopy& operator=(const TooLongToCopy&) = delete;
  ~TooLongToCopy() override {
    if (armed_.has_value()) {
      memory_is_back();
    }
  }

 private:
  mutable std::optional<Armed> armed_;
};

TEST_F(FoundDefectsTest, AnErrorWhoseMessageCannotBeCopiedIsAnErrorAllTheSame) {
  const auto tracker = open_new();
  const auto process = [&](const Image& image) {
    if (image.id == ImageId{static_cast<std::int64_t>(images.back().id) + 1}) {
      throw TooLongToCopy();
    }
  };

  const RunSummary summary = run_job(*tracker, job, process, {.workers = 1});

  EXPECT_EQ(summary.completed, 9);
  EXPECT_EQ(summary.errors, 1);
  const auto errors = tracker->get_images(job, Status::kError);
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].error_message, "out of memory");
}

// The thread that worked on an image has no memory to keep what came of it.
TEST_F(FoundDefectsTest, ARunOutOfMemoryInOneOfItsThreadsIsOverAndGivesBackTheRest) {
  const auto tracker = open_new();
  int worked_on = 0;
  const auto process = [&](const Image&) {
    if (++worked_on == 1) {
      thread_local const Armed until_the_thread_ends;
      fail_allocation(Memory::kCpp, 1, false);
    }
  };

  EXPECT_THROW(run_job(*tracker, job, process, {.workers = 1, .claim_size = 5}), std::bad_alloc);

  EXPECT_TRUE(an_allocation_failed());
  memory_is_back();
  EXPECT_EQ(worked_on, 1);
  EXPECT_EQ(tracker->get_status_counts(job), (StatusCounts{.pending = 9, .processing = 11}))
      << "beside what was held before, the one of which nothing could be kept";
  EXPECT_EQ(tracker->reset_stuck_images(job), 11U);
}

// SQLite says nothing of it but in its error code, and "" would be taken for what the file holds.
TEST_F(FoundDefectsTest, AValueForWhichThereIsNoMemoryIsNotTakenForAnEmptyOne) {
  open_new();
  sqlite::Connection connection(directory->database(), sqlite::OpenMode::kReadOnly);
  // So that SQLite asks for memory that can run out.
  ASSERT_EQ(sqlite3_db_config(connection.handle(), SQLITE_DBCONFIG_LOOKASIDE, nullptr, 0, 0),
            SQLITE_OK);
  sqlite::Query query(connection, "SELECT 12345678901, NULL");
  ASSERT_TRUE(query.next());
  EXPECT_EQ(query.bytes(1), "");
  fail_allocation(Memory::kSqlite, 1, true);

  EXPECT_FALSE(there_is_memory_for([&] { query.bytes(0); }));

  memory_is_back();
}

TEST_F(FoundDefectsTest, ACloseOutOfMemoryLeavesTheTrackerToBeClosedAgain) {
  Options options;
  options.mark_buffer = 10;
  at_each_allocation(3, [&](std::int64_t n) {
    const auto tracker = open_new(options);
    tracker->mark_completed(images[0].id);
    {
      const ScopedVfsHook hook([](const VfsEvent& event) {
        return event.call == VfsCall::kWrite ? SQLITE_IOERR_WRITE : SQLITE_OK;
      });
      const Armed armed;
      EXPECT_THAT([&] { tracker->checkpoint(job); }, ThrowsError(ErrorCode::kOutcomeUnknown));
    }
    fail_allocation(Memory::kBoth, n, true);
    there_is_memory_for([&] { tracker->close(); });
    const bool met = an_allocation_failed();
    memory_is_back();
    tracker->close();
    ProgressTracker other(directory->database());
    EXPECT_EQ(other.reset_stuck_images(job), 10U);
    return met;
  });
}

}  // namespace
}  // namespace progress_tracker::reliability

// What mutation_test and the fuzzers found, each by itself: files that no sound writer leaves, and
// that once made a call go on for ever, throw what is no Error, or give a wrong answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "mutation.h"
#include "progress_tracker/error.h"
#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"
#include "progress_tracker/run_job.h"
#include "support.h"
#include "watchdog.h"

namespace progress_tracker::reliability {
namespace {

using test::Outsider;
using test::ThrowsError;

class TamperedTest : public testing::Test {
 protected:
  // A job of four images that were all given out to a worker which is gone.
  TamperedTest() {
    watchdog_.begin("a call on a file that was tampered with");
    ProgressTracker tracker(database());
    job_ = tracker.create_job("job", test::image_paths(4), {});
    images_ = test::ids_of(tracker.claim_images(job_, 4));
  }

  std::filesystem::path database() const { return directory_ / "jobs.db"; }

  // As somebody does who need not follow the rules of the schema.
  void run(const std::string& sql) const {
    Outsider outsider(database());
    outsider.run(
        "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; "
        "PRAGMA legacy_alter_table = ON;" +
        sql);
  }

  // One string for another of the same length, on the first page of a table or index.
  void overwrite_in(const std::string& tree, const std::string& was, const std::string& is) const {
    Outsider outsider(database());
    const auto number = [&](const std::string& sql) {
      return std::stoul(outsider.run(sql).at(0).at(0).value());
    };
    const auto root = number("SELECT rootpage FROM sqlite_schema WHERE name = '" + tree + "'");
    const auto size = number("PRAGMA page_size");
    std::fstream file(database(), std::ios::in | std::ios::out | std::ios::binary);
    std::string page(size, '\0');
    file.seekg(static_cast<std::streamoff>((root - 1) * size));
    file.read(page.data(), static_cast<std::streamsize>(size));
    const auto at = page.find(was);
    ASSERT_NE(at, std::string::npos);
    file.seekp(static_cast<std::streamoff>((root - 1) * size + at));
    file << is << std::flush;
    ASSERT_TRUE(file.good());
  }

  const test::TempDirectory directory_;
  Watchdog watchdog_;
  JobId job_{};
  std::vector<ImageId> images_;
};

TEST_F(TamperedTest, AFinishedJobAmongTheUnfinishedIsCorruptAndNotClearedForEver) {
  run("DROP INDEX job_unfinished; CREATE INDEX job_unfinished ON job (ready) WHERE id > 0;"
      "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX job_unfinished "
      "ON job (ready) WHERE name IS NULL OR loader IS NOT NULL' WHERE name = 'job_unfinished'");
  ProgressTracker tracker(database());

  EXPECT_THAT([&] { tracker.create_job("another", {}, {}); }, ThrowsError(ErrorCode::kCorrupt));
  EXPECT_THAT([&] { repair(database()); }, ThrowsError(ErrorCode::kCorrupt));
}

TEST_F(TamperedTest, AnAbandonedLoadMissingAmongTheUnfinishedIsCorruptAndNotAwaitedForEver) {
  run("UPDATE job SET loader = 77; DROP INDEX job_unfinished;"
      "CREATE INDEX job_unfinished ON job (ready) WHERE id < 0;"
      "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX job_unfinished "
      "ON job (ready) WHERE name IS NULL OR loader IS NOT NULL' WHERE name = 'job_unfinished'");
  ProgressTracker tracker(database());

  EXPECT_THAT([&] { tracker.create_job("job", {}, {}); }, ThrowsError(ErrorCode::kCorrupt));
  EXPECT_THAT([&] { tracker.add_images(job_, {}, {}); }, ThrowsError(ErrorCode::kCorrupt));
  EXPECT_THAT([&] { tracker.chain_job("job", job_); }, ThrowsError(ErrorCode::kCorrupt));
}

TEST_F(TamperedTest, AHolderThatIsNoNumberIsCorruptAndNotAskedForEver) {
  ProgressTracker tracker(database());  // the door would refuse it afterwards
  run("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') "
      "WHERE name = 'state'");
  run("UPDATE state SET worker = 'nobody'");

  EXPECT_THAT([&] { tracker.reset_stuck_images(job_); }, ThrowsError(ErrorCode::kCorrupt));
  EXPECT_THAT([&] { tracker.claim_images(job_); }, ThrowsError(ErrorCode::kCorrupt));
  EXPECT_THAT([&] { tracker.remove_job(job_); }, ThrowsError(ErrorCode::kCorrupt));
}

TEST_F(TamperedTest, MarksThatNoJobCanHaveAreCorrupt) {
  for (const char* marks :
       {"published = -1", "published = 9223372036854775807", "started = 9223372036854775807",
        "started = -9223372036854775807", "batched = 5"}) {
    SCOPED_TRACE(marks);
    run("UPDATE job SET published = 4, started = 4, batched = 0; UPDATE job SET " +
        std::string(marks));
    ProgressTracker tracker(database());

    EXPECT_THAT([&] { tracker.get_pending_images(job_); }, ThrowsError(ErrorCode::kCorrupt));
    EXPECT_THAT([&] { tracker.claim_images(job_); }, ThrowsError(ErrorCode::kCorrupt));
  }
}

TEST_F(TamperedTest, MoreImagesThanThereAreTakeNoMemory) {
  run("UPDATE job SET published = 4294967295");
  ProgressTracker tracker(database());

  EXPECT_THAT(tracker.get_pending_images(job_, std::numeric_limits<std::size_t>::max()),
              testing::IsEmpty());
}

TEST_F(TamperedTest, CountsThatDoNotAddUpAreNotShown) {
  run("UPDATE split SET completed = total + 1");
  ProgressTracker tracker(database());

  EXPECT_THAT([&] { tracker.get_status_counts(job_); }, ThrowsError(ErrorCode::kCorrupt));
  EXPECT_THAT([&] { tracker.get_progress_by_split(job_); }, ThrowsError(ErrorCode::kCorrupt));
  repair(database());
  EXPECT_EQ(tracker.get_status_counts(job_), (StatusCounts{0, 4, 0, 0}));
}

TEST_F(TamperedTest, MoreImagesThanAJobCanHaveAreNotShown) {
  for (const char* tamper : {"UPDATE split SET total = 4294967296",
                             "UPDATE split SET total = 4294967295; "
                             "INSERT INTO split (job_id, name, total) VALUES (1, 'another', 1)"}) {
    SCOPED_TRACE(tamper);
    run(tamper);
    ProgressTracker tracker(database());

    EXPECT_THAT([&] { tracker.get_status_counts(job_); }, ThrowsError(ErrorCode::kCorrupt));
    EXPECT_THAT([&] { tracker.list_jobs(); }, ThrowsError(ErrorCode::kCorrupt));
  }
}

TEST_F(TamperedTest, ACompletionThatFillsAChainedJobBeyondItsRoomIsRefused) {
  JobId fed{};
  {
    ProgressTracker tracker(database());
    fed = tracker.chain_job("fed", job_);
  }
  run("UPDATE job SET published = 4294967295, started = 4294967295 WHERE name = 'fed';"
      "INSERT INTO split (job_id, name, total, completed)"
      " VALUES (2, '', 4294967295, 4294967295)");
  ProgressTracker tracker(database());
  tracker.reset_stuck_images(job_);

  EXPECT_THAT([&] { tracker.mark_completed(images_[0]); }, ThrowsError(ErrorCode::kFull));
  EXPECT_EQ(tracker.get_image(images_[0])->status, Status::kPending);
  EXPECT_EQ(tracker.get_status_counts(fed)->total(), 4294967295);
}

TEST_F(TamperedTest, APathThatLeadsToAnotherJobsImageIsCorrupt) {
  {
    ProgressTracker tracker(database());
    tracker.create_job("another", test::image_paths(4), {});
  }
  run("UPDATE path SET image_id = image_id + (1 << 32) WHERE image_id >> 32 = 1");
  ProgressTracker tracker(database());

  EXPECT_THAT([&] { tracker.add_images(job_, test::image_paths(4), {}); },
              ThrowsError(ErrorCode::kCorrupt));
  EXPECT_EQ(tracker.get_status_counts(job_)->total(), 4);
}

// A split without images is left out; one that has fewer than none is damage.
TEST_F(TamperedTest, ASplitOfFewerThanNoImagesIsNotPassedOver) {
  run("INSERT INTO split (job_id, name, total) VALUES (1, 'another', -1)");
  ProgressTracker tracker(database());

  EXPECT_THAT([&] { tracker.get_progress_by_split(job_); }, ThrowsError(ErrorCode::kCorrupt));
}

TEST_F(TamperedTest, ASplitThatIsFoundTwiceIsNotCountedTwice) {
  {
    ProgressTracker tracker(database());
    const std::vector<std::filesystem::path> more{"more/1.jpg", "more/2.jpg"};
    tracker.add_images(job_, more, std::vector<std::string>{"split-a", "split-b"});
  }
  overwrite_in("sqlite_autoindex_split_1", "split-b", "split-a");
  ProgressTracker tracker(database());

  EXPECT_THAT([&] { tracker.get_progress_by_split(job_); }, ThrowsError(ErrorCode::kCorrupt));
  EXPECT_THAT([&] { tracker.get_status_counts(job_); }, ThrowsError(ErrorCode::kCorrupt));
  EXPECT_THAT([&] { tracker.get_progress(job_); }, ThrowsError(ErrorCode::kCorrupt));
  EXPECT_THAT([&] { tracker.checkpoint(job_); }, ThrowsError(ErrorCode::kCorrupt));
}

TEST_F(TamperedTest, AStateThatNoImageCanHaveIsNotShown) {
  for (const char* state : {"status = -1", "status = 4", "status = 4294967298", "attempts = -1",
                            "attempts = 4294967297", "deaths = -1", "deaths = 4294967296",
                            "attempts = 1, deaths = 2"}) {
    SCOPED_TRACE(state);
    run("UPDATE state SET status = 1, attempts = 1, deaths = 0; UPDATE state SET " +
        std::string(state));
    ProgressTracker tracker(database());

    EXPECT_THAT([&] { tracker.get_image(images_[0]); }, ThrowsError(ErrorCode::kCorrupt));
    EXPECT_THAT([&] { tracker.get_images(job_); }, ThrowsError(ErrorCode::kCorrupt));
  }
}

// Cut to an int, these would be the attempt that is asked for, and an image in work.
TEST_F(TamperedTest, AnAttemptOrAStatusOutOfRangeIsNotTakenForAnother) {
  for (const char* state : {"attempts = 4294967297", "status = 4294967297"}) {
    SCOPED_TRACE(state);
    run("UPDATE state SET status = 1, attempts = 1; UPDATE state SET " + std::string(state));
    ProgressTracker tracker(database());

    EXPECT_THAT(
        [&] {
          tracker.mark_outcomes(std::vector<Outcome>{{images_[0], 1, {}}});
        },
        ThrowsError(ErrorCode::kCorrupt));
  }
}

TEST_F(TamperedTest, ABatchThatCannotBeIsNotShown) {
  ProgressTracker(database()).create_batch(job_, 1, 10);
  for (const char* batch : {"status = 3", "status = -1", "status = 4294967296", "image_count = -1",
                            "batch_num = 4294967297"}) {
    SCOPED_TRACE(batch);
    run("UPDATE batch SET status = 0, image_count = 10, batch_num = 1; UPDATE batch SET " +
        std::string(batch));
    ProgressTracker tracker(database());

    EXPECT_THAT([&] { tracker.get_pending_batches(job_); }, ThrowsError(ErrorCode::kCorrupt));
  }
}

TEST_F(TamperedTest, ACheckpointOfMoreImagesThanThereAreIsNotShown) {
  for (const char* counts : {"processed_count = 5", "processed_count = 3, error_count = 2"}) {
    SCOPED_TRACE(counts);
    run("UPDATE job SET " + std::string(counts));
    ProgressTracker tracker(database());

    EXPECT_THAT([&] { tracker.get_progress(job_); }, ThrowsError(ErrorCode::kCorrupt));
  }
}

TEST_F(TamperedTest, AnImageWithoutItsDirectoryIsNotGivenAWrongPath) {
  run("DELETE FROM directory");
  ProgressTracker tracker(database());

  EXPECT_THAT([&] { tracker.get_image(images_[0]); }, ThrowsError(ErrorCode::kCorrupt));
  EXPECT_THAT([&] { tracker.claim_images(job_); }, ThrowsError(ErrorCode::kCorrupt));
}

TEST_F(TamperedTest, AnImageThatIsMissingIsNotGivenAnother) {
  run("DELETE FROM image WHERE id = (SELECT min(id) FROM image)");
  ProgressTracker tracker(database());

  EXPECT_THAT([&] { tracker.get_image(images_[0]); }, ThrowsError(ErrorCode::kCorrupt));
}

TEST_F(TamperedTest, ACompletedImageIsNotClaimedForAnIndexThatSaysItIsPending) {
  {
    ProgressTracker tracker(database());
    for (const ImageId image : images_) tracker.mark_completed(image);
    tracker.add_images(job_, test::image_paths(1, "another/"), {});  // the counts have room
  }
  run("DROP INDEX state_returned; CREATE INDEX state_returned ON state (deaths) WHERE id > 0;"
      "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX state_returned "
      "ON state (deaths) WHERE status = 0' WHERE name = 'state_returned'");
  ProgressTracker tracker(database());

  EXPECT_THAT([&] { tracker.claim_images(job_, 1); }, ThrowsError(ErrorCode::kCorrupt));
  EXPECT_EQ(tracker.get_image(images_[0]).value().status, Status::kCompleted);
}

TEST_F(TamperedTest, AnAttemptThatCannotBeCountedUpIsCorrupt) {
  run("UPDATE state SET status = 0, worker = NULL, attempts = 2147483647;"
      "UPDATE split SET processing = 0");
  ProgressTracker tracker(database());

  EXPECT_THAT([&] { tracker.claim_images(job_); }, ThrowsError(ErrorCode::kCorrupt));
}

TEST_F(TamperedTest, ATimeOutOfRangeIsCorrupt) {
  run("UPDATE job SET created_at = 9223372036854775807");
  ProgressTracker tracker(database());

  EXPECT_THAT([&] { tracker.list_jobs(); }, ThrowsError(ErrorCode::kCorrupt));
}

// One row more than the run that is completed has images.
TEST_F(TamperedTest, AStateThatIsThereTwiceIsNotReadBeyondTheListOfOutcomes) {
  overwrite_in("state", "\x90\x80\x80\x80\x04", "\x90\x80\x80\x80\x03");  // of job 1
  ProgressTracker tracker(database());
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < 3; ++i) outcomes.push_back({images_[i], 1, {}});

  EXPECT_THAT([&] { tracker.mark_outcomes(outcomes); }, ThrowsError(ErrorCode::kCorrupt));
}

// SQLite gives what follows the third as one that comes before it.
TEST_F(TamperedTest, ImagesOutOfOrderAreNotReadBeyondTheListThatWasGiven) {
  {
    ProgressTracker tracker(database());
    tracker.create_job("another", test::image_paths(4), {});
  }
  overwrite_in("image", "\xa0\x80\x80\x80\x04", "\xa0\x80\x80\x80\x01");  // of job 2
  ProgressTracker tracker(database());
  const ImageId second{(std::int64_t{2} << 32) + 2};
  const ImageId third{(std::int64_t{2} << 32) + 3};

  EXPECT_THAT([&] { tracker.mark_processing({&third, 1}); }, ThrowsError(ErrorCode::kCorrupt));
  EXPECT_THAT(
      [&] {
        tracker.mark_outcomes(std::vector<Outcome>{{second, 0, {}}, {third, 0, {}}});
      },
      ThrowsError(ErrorCode::kCorrupt));
}

TEST_F(TamperedTest, StatesOutOfOrderAreNotCompletedWithThoseOfTheList) {
  overwrite_in("state", "\x90\x80\x80\x80\x04", "\x90\x80\x80\x80\x01");  // of job 1
  ProgressTracker tracker(database());

  EXPECT_THAT(
      [&] {
        tracker.mark_outcomes(std::vector<Outcome>{{images_[1], 1, {}}, {images_[2], 1, {}}});
      },
      ThrowsError(ErrorCode::kCorrupt));
  EXPECT_EQ(tracker.get_image(images_[1])->status, Status::kProcessing);
}

TEST_F(TamperedTest, ImagesOutOfOrderAreNotHandedOnToAChainedJob) {
  JobId fed{};
  {
    ProgressTracker tracker(database());
    fed = tracker.chain_job("fed", job_);
  }
  overwrite_in("image", "\x90\x80\x80\x80\x04", "\x90\x80\x80\x80\x01");  // of job 1
  ProgressTracker tracker(database());

  EXPECT_THAT([&] { tracker.mark_completed(images_[2]); }, ThrowsError(ErrorCode::kCorrupt));
  EXPECT_EQ(tracker.get_status_counts(fed)->total(), 0);
}

TEST_F(TamperedTest, ARunEndsThoughItsJobsFeedEachOther) {
  JobId fed{};
  {
    ProgressTracker tracker(database());
    for (const ImageId image : images_) tracker.mark_completed(image);
    fed = tracker.chain_job("fed", job_);
    for (const Image& image : tracker.claim_images(fed)) tracker.complete(image);
  }
  run("UPDATE job SET upstream = 2 WHERE id = 1");
  ProgressTracker tracker(database());
  RunOptions options;
  options.wait_for_others = true;

  EXPECT_EQ(run_job(
                tracker, fed, [](const Image&) {}, options)
                .completed,
            0);
}

constexpr const char* kEndlessWorkers =
    "ALTER TABLE worker RENAME TO hidden; CREATE VIEW worker AS WITH RECURSIVE n(id) AS "
    "(SELECT 1 UNION ALL SELECT id FROM n) SELECT id, '' AS host, 1 AS pid, 0 AS started_at, "
    "0 AS farewell FROM n";

TEST_F(TamperedTest, AViewInPlaceOfATableIsNotRun) {
  ProgressTracker tracker(database());
  run(kEndlessWorkers);

  EXPECT_THAT([&] { tracker.list_workers(); }, ThrowsError(ErrorCode::kCorrupt));
  EXPECT_THAT([&] { examine(database()); }, ThrowsError(ErrorCode::kCorrupt));
}

TEST_F(TamperedTest, AViewInPlaceOfATableIsNotRunToMigrateIt) {
  test::make_version_1_of(database());
  run(kEndlessWorkers);

  EXPECT_THAT([&] { ProgressTracker{database()}; }, ThrowsError(ErrorCode::kCorrupt));
}

}  // namespace
}  // namespace progress_tracker::reliability

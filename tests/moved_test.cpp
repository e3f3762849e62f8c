// A database that is deleted, renamed or replaced while it is open: SQLite would write on into a
// file that nobody can find any more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "progress_tracker/progress_tracker.h"
#include "support.h"

namespace progress_tracker {
namespace {

using test::image_paths;
using test::Outsider;
using test::TempDirectory;
using test::ThrowsError;

namespace fs = std::filesystem;

// One way in which the file that is open is not the file at its path any more.
struct Move {
  std::string name;
  std::function<void(const fs::path& database)> happen;
  friend std::ostream& operator<<(std::ostream& out, const Move& move) { return out << move.name; }
};

void make_another(const fs::path& path) {
  ProgressTracker other(path);
  other.create_job("job", image_paths(10), {});
}

const std::vector<Move> kMoves{
    {"Deleted", [](const fs::path& database) { fs::remove(database); }},
    {"DeletedWithItsSideFiles",
     [](const fs::path& database) {
       for (const char* side : {"", "-wal", "-shm", "-workers"}) {
         fs::remove(database.native() + side);
       }
     }},
    {"Renamed", [](const fs::path& database) { fs::rename(database, database.native() + ".old"); }},
    {"ReplacedByACopy",
     [](const fs::path& database) {
       fs::copy_file(database, database.native() + ".new");
       fs::rename(database.native() + ".new", database);
     }},
    {"ReplacedByAnotherOfOurs",
     [](const fs::path& database) {
       const fs::path other = database.parent_path() / "other.db";
       make_another(other);
       fs::rename(other, database);
     }},
    {"ReplacedByAForeignDatabase",
     [](const fs::path& database) {
       const fs::path other = database.parent_path() / "other.db";
       Outsider(other).run("PRAGMA journal_mode = WAL; CREATE TABLE t (x)");
       fs::rename(other, database);
     }},
    {"ReplacedByText",
     [](const fs::path& database) {
       fs::remove(database);
       test::write_file(database, "text");
     }},
    {"DirectoryRenamed",
     [](const fs::path& database) {
       fs::rename(database.parent_path(), database.parent_path().native() + ".old");
     }},
};

class MovedTest : public testing::TestWithParam<Move> {
 protected:
  MovedTest() {
    fs::create_directories(path.parent_path());
    ProgressTracker(path).create_job("job", image_paths(10), {});
  }

  void move() { GetParam().happen(path); }

  // What is in the file now, if it is there and one of ours.
  std::int64_t completed_in_what_lies_there() const {
    if (!fs::exists(path)) {
      return 0;
    }
    try {
      return Outsider(path, SQLITE_OPEN_READWRITE).number("SELECT sum(completed) FROM progress");
    } catch (const std::exception&) {
      return 0;
    }
  }

  TempDirectory directory;
  const fs::path path = directory / "sub/jobs.db";
  const JobId job{1};
};

TEST_P(MovedTest, IsNoticedBeforeTheNextAcknowledgement) {
  const test::LogCapture quiet;
  ProgressTracker tracker(path);
  const auto images = tracker.claim_images(job, 5);
  move();

  EXPECT_THAT([&] { tracker.mark_completed(images.at(0).id); },
              ThrowsError(ErrorCode::kDatabaseMoved));
  EXPECT_THAT([&] { tracker.mark_error(images.at(1).id, "broken"); },
              ThrowsError(ErrorCode::kDatabaseMoved));
  EXPECT_THAT([&] { tracker.complete(images.at(2)); }, ThrowsError(ErrorCode::kDatabaseMoved));
  EXPECT_THAT([&] { tracker.checkpoint(job); }, ThrowsError(ErrorCode::kDatabaseMoved));
  EXPECT_THAT([&] { tracker.create_job("new", image_paths(1), {}); },
              ThrowsError(ErrorCode::kDatabaseMoved));
  EXPECT_THAT([&] { tracker.create_batch(job, 1, 1); }, ThrowsError(ErrorCode::kDatabaseMoved));
  EXPECT_THAT([&] { tracker.remove_job(job); }, ThrowsError(ErrorCode::kDatabaseMoved));
  EXPECT_THAT([&] { tracker.reset_stuck_images(job); }, ThrowsError(ErrorCode::kDatabaseMoved));
}

// Or a display would show the old file for ever.
TEST_P(MovedTest, IsNoticedByReaders) {
  ProgressTracker writer(path);
  ProgressTracker reader(path, {.read_only = true});
  for (ProgressTracker* tracker : {&writer, &reader}) {
    ASSERT_EQ(tracker->get_status_counts(job)->pending, 10);
  }
  move();

  for (ProgressTracker* tracker : {&writer, &reader}) {
    EXPECT_THAT([&] { tracker->get_status_counts(job); }, ThrowsError(ErrorCode::kDatabaseMoved));
    EXPECT_THAT([&] { tracker->list_jobs(); }, ThrowsError(ErrorCode::kDatabaseMoved));
  }
}

TEST_P(MovedTest, IsNoticedByAClaim) {
  const test::LogCapture quiet;  // the destructor cannot say farewell
  ProgressTracker tracker(path);
  tracker.claim_images(job, 5);
  move();

  EXPECT_THAT([&] { tracker.claim_images(job, 1); }, ThrowsError(ErrorCode::kDatabaseMoved));
}

TEST_P(MovedTest, IsNoticedByTheFirstClaim) {
  ProgressTracker tracker(path);
  move();

  EXPECT_THAT([&] { tracker.claim_images(job, 1); }, ThrowsError(ErrorCode::kDatabaseMoved));
}

TEST_P(MovedTest, IsNoticedByAThreadThatComesNew) {
  const test::LogCapture quiet;
  ProgressTracker tracker(path);
  const auto images = tracker.claim_images(job, 2);
  move();
  const std::int64_t before = completed_in_what_lies_there();

  std::thread([&] {
    EXPECT_THAT([&] { tracker.mark_completed(images.at(0).id); },
                ThrowsError(ErrorCode::kDatabaseMoved));
  }).join();

  EXPECT_EQ(completed_in_what_lies_there(), before) << "written to somebody else's file";
}

TEST_P(MovedTest, IsNoticedBySync) {
  ProgressTracker tracker(path);
  tracker.checkpoint(job);
  move();

  EXPECT_THAT([&] { tracker.sync(); }, ThrowsError(ErrorCode::kDatabaseMoved));
}

TEST_P(MovedTest, KeepsBufferedMarksAndTheTrackerOpen) {
  const test::LogCapture quiet;  // the destructor will say what it lost
  ProgressTracker tracker(path, {.mark_buffer = 10});
  const auto images = tracker.claim_images(job, 2);
  tracker.mark_completed(images.at(0).id);
  move();

  EXPECT_THAT([&] { tracker.checkpoint(job); }, ThrowsError(ErrorCode::kDatabaseMoved));
  EXPECT_THAT([&] { tracker.close(); }, ThrowsError(ErrorCode::kDatabaseMoved));
}

TEST_P(MovedTest, CanBeClosed) {
  const test::LogCapture quiet;
  ProgressTracker tracker(path);
  tracker.claim_images(job, 2);
  move();

  tracker.close();

  EXPECT_THAT([&] { tracker.checkpoint(job); }, ThrowsError(ErrorCode::kClosed));
}

INSTANTIATE_TEST_SUITE_P(Database, MovedTest, testing::ValuesIn(kMoves),
                         [](const auto& each) { return each.param.name; });

TEST(Moved, AndPutBackIsFine) {
  const TempDirectory directory;
  const fs::path path = directory / "jobs.db";
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(10), {});
  fs::rename(path, directory / "elsewhere.db");
  EXPECT_THAT([&] { tracker.checkpoint(job); }, ThrowsError(ErrorCode::kDatabaseMoved));
  fs::rename(directory / "elsewhere.db", path);

  tracker.mark_completed(tracker.claim_images(job, 1).at(0).id);

  EXPECT_EQ(ProgressTracker(path).get_status_counts(job)->completed, 1);
}

}  // namespace
}  // namespace progress_tracker

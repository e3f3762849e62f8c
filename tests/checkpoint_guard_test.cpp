// The write-ahead log: checkpointed in one place, under the write lock, and small.
#include "sqlite/checkpoint_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "open_database.h"
#include "progress_tracker/progress_tracker.h"
#include "support.h"

namespace progress_tracker {
namespace {

using namespace std::chrono_literals;
using sqlite::CheckpointGuard;
using sqlite::Connection;
using sqlite::OpenMode;
using test::FakeClock;
using test::image_paths;
using test::Outsider;
using test::TempDirectory;
using testing::ElementsAre;
using testing::IsEmpty;

namespace fs = std::filesystem;

constexpr std::uintmax_t kMostLog = 16U << 20U;

// ---- In one place ------------------------------------------------------------------------------

class SourcesTest : public testing::Test {
 protected:
  SourcesTest() {
    if (!fs::is_directory(sources)) {
      return;
    }
    for (const auto& entry : fs::recursive_directory_iterator(sources)) {
      if (entry.path().extension() == ".cpp" || entry.path().extension() == ".h") {
        files.push_back(entry.path());
      }
    }
  }
  void SetUp() override {
    if (files.empty()) {
      GTEST_SKIP() << "the sources are not here";
    }
  }

  // The files that contain `text`, once for each time.
  std::vector<std::string> places_of(const std::string& text) const {
    std::vector<std::string> places;
    for (const fs::path& file : files) {
      const std::string contents = test::contents_of(file);
      for (auto at = contents.find(text); at != std::string::npos;
           at = contents.find(text, at + 1)) {
        places.push_back(file.lexically_relative(sources));
      }
    }
    return places;
  }

  const fs::path sources = fs::path(__FILE__).parent_path().parent_path() / "src";
  std::vector<fs::path> files;
};

TEST_F(SourcesTest, CheckpointInOnePlaceOnly) {
  EXPECT_THAT(places_of("sqlite3_wal_checkpoint"), ElementsAre("sqlite/checkpoint_guard.cpp"));
  EXPECT_THAT(places_of("wal_checkpoint("), IsEmpty());
  EXPECT_THAT(places_of("PRAGMA wal_checkpoint"), IsEmpty());
}

TEST_F(SourcesTest, OpenConnectionsInOnePlaceOnly) {
  EXPECT_THAT(places_of("sqlite3_open"), ElementsAre("sqlite/connection.cpp"));
}

// ---- Every connection --------------------------------------------------------------------------

// The connections that this process has opened while this object exists.
class OpenedConnections {
 public:
  OpenedConnections() {
    opened().clear();
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(&note));
  }
  OpenedConnections(const OpenedConnections&) = delete;
  OpenedConnections& operator=(const OpenedConnections&) = delete;
  ~OpenedConnections() {
    sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(&note));
    opened().clear();
  }

  static std::vector<sqlite3*>& opened() {
    static std::vector<sqlite3*> all;
    return all;
  }

 private:
  static int note(sqlite3* db, char** /*error*/, const void* /*api*/) {
    opened().push_back(db);
    return SQLITE_OK;
  }
};

std::string ask(sqlite3* db, const std::string& pragma) {
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(db, ("PRAGMA " + pragma).c_str(), -1, &statement, nullptr),
            SQLITE_OK);
  std::string value;
  if (sqlite3_step(statement) == SQLITE_ROW) {
    value = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
  }
  sqlite3_finalize(statement);
  return value;
}

TEST(EveryConnection, IsSetUpAlike) {
  const TempDirectory directory;
  { const ProgressTracker maker(directory / "jobs.db"); }
  for (const bool read_only : {false, true}) {
    for (const auto synchronous : {Options::Synchronous::kNormal, Options::Synchronous::kFull}) {
      Options options;
      options.read_only = read_only;
      options.synchronous = synchronous;
      options.cache_size_kib = 4321;
      FakeClock clock;
      const Database database = open_database(directory / "jobs.db", options, clock);
      sqlite3* db = database.connection->handle();
      EXPECT_EQ(ask(db, "wal_autocheckpoint"), "0");
      EXPECT_THAT(ask(db, "mmap_size"), testing::AnyOf("0", ""));
      EXPECT_EQ(ask(db, "journal_mode"), "wal");
      EXPECT_EQ(ask(db, "foreign_keys"), "1");
      EXPECT_EQ(ask(db, "temp_store"), "2");
      EXPECT_EQ(ask(db, "cache_size"), "-4321");
      EXPECT_EQ(ask(db, "synchronous"), "1") << "what kFull syncs, SharedSync does";
      EXPECT_EQ(ask(db, "cell_size_check"), "1");
      EXPECT_EQ(ask(db, "trusted_schema"), "0");
      EXPECT_EQ(ask(db, "locking_mode"), "normal");
      EXPECT_EQ(ask(db, "query_only"), "0");
    }
  }
}

TEST(EveryConnection, OfATrackerHasAutoCheckpointOff) {
  const TempDirectory directory;
  const OpenedConnections connections;
  ProgressTracker tracker(directory / "jobs.db");
  const std::size_t at_construction = OpenedConnections::opened().size();
  tracker.create_job("job", image_paths(3), {});
  ASSERT_EQ(OpenedConnections::opened().size(), at_construction + 1);
  sqlite3* mine = OpenedConnections::opened().back();
  EXPECT_EQ(ask(mine, "wal_autocheckpoint"), "0");
  EXPECT_EQ(ask(mine, "cache_size"), "-64000");
  EXPECT_EQ(ask(mine, "synchronous"), "1");
  // The one that checkpoints, the last one opened by the constructor.
  EXPECT_EQ(ask(OpenedConnections::opened().at(at_construction - 1), "wal_autocheckpoint"), "0");
}

TEST(EveryConnection, TakesACacheLargerThanSQLiteCanCount) {
  // Which must not come out as a small one.
  const TempDirectory directory;
  { const ProgressTracker maker(directory / "jobs.db"); }
  FakeClock clock;
  Options options;
  options.cache_size_kib = std::int64_t{1} << 40U;
  const Database database = open_database(directory / "jobs.db", options, clock);
  EXPECT_LE(std::stoll(ask(database.connection->handle(), "cache_size")), -1'000'000);
}

// ---- The guard ---------------------------------------------------------------------------------

class GuardTest : public testing::Test {
 protected:
  static fs::path made(const fs::path& path) {
    Outsider(path).run(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; "
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x)");
    return path;
  }

  std::unique_ptr<Connection> connect() {
    auto connection = std::make_unique<Connection>(path.native(), OpenMode::kReadWrite);
    connection->configure({});
    connection->execute("SELECT * FROM t");  // a connection that never read knows of no log
    return connection;
  }

  // One commit of about so many pages.
  void commit(Connection& on, int pages) {
    on.execute("BEGIN IMMEDIATE");
    for (int i = 0; i < pages; ++i) {
      sqlite::Query(on, "INSERT INTO t (x) VALUES (randomblob(3800))").run();
    }
    on.execute("COMMIT");
  }

  std::uintmax_t log_size() const { return fs::file_size(path.native() + "-wal"); }

  // The number of pages of the file itself.
  std::uintmax_t database_pages() const { return fs::file_size(path) / 4096; }

  TempDirectory directory;
  const fs::path path = made(directory / "any.db");
  Outsider keeper{path};
  FakeClock clock;
  std::unique_ptr<Connection> writer = connect();
  std::unique_ptr<Connection> checkpointer = connect();
  CheckpointGuard guard{*checkpointer, clock};
};

TEST_F(GuardTest, LeavesASmallLogAlone) {
  commit(*writer, 500);
  EXPECT_EQ(guard.after_commit(*writer), "");
  EXPECT_LT(database_pages(), 100U);
}

TEST_F(GuardTest, CheckpointsAThousandPages) {
  commit(*writer, 1'100);
  EXPECT_EQ(guard.after_commit(*writer), "");
  EXPECT_GT(database_pages(), 1'000U);
  EXPECT_FALSE(writer->in_transaction());
}

// To a connection that never read SQLite says that all is well, and does nothing.
TEST_F(GuardTest, SaysSoWhereNothingWasCheckpointed) {
  Connection unread(path.native(), OpenMode::kReadWrite);
  CheckpointGuard idle(unread, clock);
  commit(*writer, 1100);
  const auto before = database_pages();

  EXPECT_EQ(idle.after_commit(*writer),
            "checkpoint of the write-ahead log: nothing was checkpointed: not in WAL mode");

  EXPECT_FALSE(idle.disk_has_refused());
  EXPECT_EQ(database_pages(), before);
  EXPECT_FALSE(writer->in_transaction()) << "and lets go of the write lock";
}

TEST_F(GuardTest, TheNextWriterBeginsTheLogAnew) {
  commit(*writer, 1'100);
  guard.after_commit(*writer);
  const auto size = log_size();
  commit(*writer, 10);
  EXPECT_LT(writer->wal_frames(), 50);
  EXPECT_EQ(log_size(), size);
}

TEST_F(GuardTest, DoesNotCheckpointWhileSomebodyElseWrites) {
  commit(*writer, 1'100);
  Outsider other(path);
  other.run("BEGIN IMMEDIATE");

  EXPECT_EQ(guard.after_commit(*writer), "");

  EXPECT_LT(database_pages(), 100U) << "without the write lock the checkpoint is not safe";
  EXPECT_THAT(clock.sleeps(), IsEmpty()) << "not worth a wait yet";
  EXPECT_FALSE(writer->in_transaction());
}

TEST_F(GuardTest, TriesAgainAtTheNextCommit) {
  commit(*writer, 1'100);
  Outsider other(path);
  other.run("BEGIN IMMEDIATE");
  guard.after_commit(*writer);
  other.run("ROLLBACK");

  commit(*writer, 1);
  guard.after_commit(*writer);

  EXPECT_GT(database_pages(), 1'000U);
}

TEST_F(GuardTest, WaitsOnceTheLogIsLarge) {
  commit(*writer, 4'100);
  Outsider other(path);
  other.run("BEGIN IMMEDIATE");
  sqlite::WaitBudget budget(clock, 10min);
  writer->set_budget(&budget);

  EXPECT_EQ(guard.after_commit(*writer), "");

  EXPECT_GT(clock.total_slept(), 0ms);
  EXPECT_LE(clock.total_slept(), 1s);
  EXPECT_EQ(writer->budget(), &budget);
}

TEST_F(GuardTest, WaitsNoLongerThanItsTransactionMay) {
  commit(*writer, 4'100);
  Outsider other(path);
  other.run("BEGIN IMMEDIATE");
  sqlite::WaitBudget budget(clock, 10ms);
  writer->set_budget(&budget);

  EXPECT_EQ(guard.after_commit(*writer), "");

  EXPECT_LE(clock.total_slept(), 10ms);
}

TEST_F(GuardTest, DoesNotWaitWhereNobodyMay) {
  commit(*writer, 4'100);
  Outsider other(path);
  other.run("BEGIN IMMEDIATE");
  sqlite::WaitBudget none(clock, 0ms);
  writer->set_budget(&none);

  EXPECT_EQ(guard.after_commit(*writer), "");

  EXPECT_THAT(clock.sleeps(), IsEmpty());
}

TEST_F(GuardTest, AReaderOnlyDelaysIt) {
  Outsider reader(path);
  reader.run("BEGIN; SELECT * FROM t");
  commit(*writer, 1'100);
  EXPECT_EQ(guard.after_commit(*writer), "");
  commit(*writer, 1'100);
  EXPECT_EQ(guard.after_commit(*writer), "");
  reader.run("COMMIT");

  commit(*writer, 1'100);
  EXPECT_EQ(guard.after_commit(*writer), "");
  commit(*writer, 1);

  EXPECT_LT(writer->wal_frames(), 50);
  EXPECT_EQ(keeper.number("SELECT count(*) FROM t"), 3'301);
}

TEST_F(GuardTest, NothingIsLost) {
  for (int i = 0; i < 30; ++i) {
    commit(*writer, 400);
    guard.after_commit(*writer);
  }
  EXPECT_EQ(keeper.number("SELECT count(*) FROM t"), 12'000);
  EXPECT_EQ(keeper.value("PRAGMA integrity_check"), "ok");
  EXPECT_LE(log_size(), kMostLog);
}

// ---- The log of a tracker ----------------------------------------------------------------------

class WriteAheadLogTest : public testing::Test {
 protected:
  std::uintmax_t log_size() const { return fs::file_size(path.native() + "-wal"); }

  TempDirectory directory;
  const fs::path path = directory / "jobs.db";
};

TEST_F(WriteAheadLogTest, StaysSmallUnderManyCommits) {
  // Pages for 50,000 commits of one mark, with fewer calls: the images lie far apart.
  constexpr int kImages = 20'000;
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(kImages), {});
  const auto images = tracker.claim_images(job, kImages);
  std::uintmax_t largest = 0;
  std::uint64_t pages = 0;
  for (int round = 0; pages < 100'000; ++round) {
    // Each of these changes a page of `state` for each image it names, and of the counts.
    std::vector<Image> spread;
    for (std::size_t i = static_cast<std::size_t>(round) % 100; i < images.size(); i += 100) {
      spread.push_back(images[i]);
      spread.back().attempt = 0;
    }
    tracker.release_images(spread);
    tracker.mark_processing(test::ids_of(spread));
    pages += 2 * spread.size();
    largest = std::max(largest, log_size());
  }
  EXPECT_LE(largest, kMostLog);
}

TEST_F(WriteAheadLogTest, StaysSmallUnderSeveralThreads) {
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(40'000), {});
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::uintmax_t largest = 0;  // guarded by mutex
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (;;) {
        const auto images = tracker.claim_images(job, 20);
        if (images.empty()) {
          return;
        }
        for (std::size_t k = 0; k < images.size(); k += 10) {
          tracker.complete(images[k]);
        }
        const std::lock_guard lock(mutex);
        largest = std::max(largest, log_size());
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_LE(largest, kMostLog);
}

TEST_F(WriteAheadLogTest, StaysSmallUnderALongLoad) {
  std::vector<fs::path> paths;
  for (int i = 0; i < 200'000; ++i) {
    // Shuffled: each insert touches another page of the index.
    paths.emplace_back("d" + std::to_string((i * 7919) % 1000) + "/" +
                       std::to_string((i * 104'729LL) % 1'000'003) + ".png");
  }
  ProgressTracker tracker(path);
  tracker.create_job("job", paths, {});
  EXPECT_LE(log_size(), kMostLog);
}

TEST_F(WriteAheadLogTest, IsGoneAfterTheLastClose) {
  {
    ProgressTracker tracker(path);
    tracker.create_job("job", image_paths(10), {});
  }
  EXPECT_FALSE(fs::exists(path.native() + "-wal"));
}

}  // namespace
}  // namespace progress_tracker

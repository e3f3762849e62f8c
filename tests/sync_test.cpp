// What is asked of the disk, and when: calls of fsync() and fdatasync() are noted, and refused on
// demand, in front of the system's own.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"
#include "sqlite/checkpoint_guard.h"
#include "sqlite/connection.h"
#include "sqlite/durable.h"
#include "sqlite/shared_sync.h"
#include "support.h"

namespace progress_tracker {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// The disk as this process sees it.
struct Disk {
  std::mutex mutex;
  std::vector<std::string> synced;                  // guarded by mutex: the files, in order
  std::function<bool(const std::string&)> refuses;  // guarded by mutex
};

Disk& disk() {
  static Disk the_disk;
  return the_disk;
}

// Whether the disk does it.
bool note_sync(int fd) {
  std::string file(4096, '\0');
  const ssize_t length =
      ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), file.data(), file.size());
  file.resize(static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  std::function<bool(const std::string&)> refuses;
  {
    const std::lock_guard lock(disk().mutex);
    disk().synced.push_back(file);
    refuses = disk().refuses;
  }
  return !refuses || !refuses(file);
}

int sync_by(const char* name, int fd) {
  if (!note_sync(fd)) {
    errno = EIO;
    return -1;
  }
  return reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, name))(fd);
}

}  // namespace
}  // namespace progress_tracker

extern "C" int fsync(int fd) { return progress_tracker::sync_by("fsync", fd); }
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the system's is reserved
extern "C" int fdatasync(int fd) { return progress_tracker::sync_by("fdatasync", fd); }

namespace progress_tracker {
namespace {

using test::image_paths;
using test::TempDirectory;
using test::ThrowsError;
using testing::Contains;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class SyncTest : public testing::Test {
 protected:
  ~SyncTest() override { refuse({}); }

  static void refuse(std::function<bool(const std::string&)> refuses) {
    const std::lock_guard lock(disk().mutex);
    disk().refuses = std::move(refuses);
  }
  static void refuse_what_ends_with(const std::string& end) {
    refuse([end](const std::string& file) { return file.ends_with(end); });
  }

  // The files synced since the last call.
  static std::vector<std::string> synced() {
    const std::lock_guard lock(disk().mutex);
    return std::exchange(disk().synced, {});
  }

  TempDirectory directory;
  const fs::path path = directory / "jobs.db";
  const std::string log = path.string() + "-wal";
};

TEST_F(SyncTest, SyncsTheLogAndTheDirectoryThatHasItsName) {
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(3), {});
  tracker.mark_completed(tracker.get_pending_images(job, 1).front().id);
  synced();

  tracker.sync();
  EXPECT_THAT(synced(), ElementsAre(log, directory.path().string()));

  // Another may have committed meanwhile, so there is always something to sync.
  tracker.sync();
  EXPECT_THAT(synced(), Contains(log));
}

TEST_F(SyncTest, CommitsBufferedMarksFirst) {
  ProgressTracker tracker(path, {.mark_buffer = 100});
  const JobId job = tracker.create_job("job", image_paths(3), {});
  tracker.mark_completed(tracker.claim_images(job, 1).front().id);
  tracker.sync();
  EXPECT_EQ(ProgressTracker(path).get_status_counts(job)->completed, 1);
}

TEST_F(SyncTest, ANormalCommitSyncsNothingAndAFullOneTheLog) {
  for (const bool full : {false, true}) {
    ProgressTracker tracker(
        path, {.synchronous = full ? Options::Synchronous::kFull : Options::Synchronous::kNormal});
    const JobId job = tracker.create_job("job", image_paths(4), {});
    for (const Image& image : tracker.claim_images(job, 2)) {
      synced();
      tracker.complete(image);
      if (full) {
        EXPECT_THAT(synced(), Contains(log));
      } else {
        EXPECT_THAT(synced(), IsEmpty());
      }
    }
  }
}

// While the disk works for the first, all others commit; and one more sync does for them.
TEST_F(SyncTest, FullCommitsOfThreadsShareSyncsAndReturnAfterThem) {
  constexpr std::size_t kThreads = 8;
  ProgressTracker tracker(path, {.synchronous = Options::Synchronous::kFull});
  const JobId job = tracker.create_job("job", image_paths(kThreads), {});
  const auto images = tracker.claim_images(job, kThreads);
  std::promise<void> may_sync;
  std::atomic<bool> is_syncing{false};
  refuse([&, may = may_sync.get_future().share()](const std::string&) {
    is_syncing = true;
    may.wait();
    return false;
  });
  synced();
  std::atomic<std::size_t> returned{0};
  std::vector<std::thread> threads;
  for (const Image& image : images) {
    threads.emplace_back([&] {
      tracker.complete(image);
      ++returned;
    });
    // All could be committed together otherwise, and one sync would do.
    while (!is_syncing) {
      std::this_thread::yield();
    }
  }
  ProgressTracker watcher(path, {.read_only = true});
  while (watcher.get_status_counts(job)->completed < static_cast<std::int64_t>(kThreads)) {
    std::this_thread::yield();
  }
  EXPECT_EQ(returned, 0U) << "acknowledged before the disk had it";

  may_sync.set_value();
  for (std::thread& thread : threads) {
    thread.join();
  }
  // Beside the directory, at the first sync of each connection.
  const auto files = synced();
  EXPECT_EQ(std::count(files.begin(), files.end(), log), 2);
}

TEST_F(SyncTest, AFullCallThatFindsAllSyncedSyncsNothing) {
  ProgressTracker tracker(path, {.synchronous = Options::Synchronous::kFull});
  const JobId job = tracker.create_job("job", image_paths(3), {});
  const Image image = tracker.claim_images(job, 1).front();
  tracker.complete(image);
  synced();
  tracker.complete(image);  // is completed
  EXPECT_THAT(synced(), IsEmpty());

  // What another left to the system is what this one's answer rests on.
  ProgressTracker other(path);
  const Image others = other.claim_images(job, 1).front();
  other.complete(others);
  tracker.complete(others);
  EXPECT_THAT(synced(), Contains(log));
}

// As SQLite does. Its name then rests on what the directory's owner does for it.
TEST_F(SyncTest, ADirectoryThatMayNotBeReadIsPassedOver) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "takes root";
  }
  EXPECT_EQ(test::in_child([&] {
              constexpr uid_t kNobody = 65'534;
              if (::chown(directory.path().c_str(), kNobody, kNobody) != 0 ||
                  ::chmod(directory.path().c_str(), 0300) != 0 || ::setuid(kNobody) != 0) {
                throw std::runtime_error("cannot become nobody");
              }
              ProgressTracker tracker(path, {.synchronous = Options::Synchronous::kFull});
              const JobId job = tracker.create_job("job", image_paths(3), {});
              tracker.complete(tracker.claim_images(job, 1).front());
            }),
            0);
}

// Neither a thread's first call.
TEST_F(SyncTest, AFullCallThatChangedNothingWaitsForNoDisk) {
  ProgressTracker tracker(path, {.busy_timeout = 0ms, .synchronous = Options::Synchronous::kFull});
  const JobId job = tracker.create_job("job", image_paths(3), {});
  const Image image = tracker.claim_images(job, 1).front();
  test::Outsider outsider(path);
  outsider.run("BEGIN IMMEDIATE");
  synced();
  std::thread([&] {
    EXPECT_THAT([&] { tracker.complete(image); }, ThrowsError(ErrorCode::kBusy));
  }).join();
  outsider.run("COMMIT");
  EXPECT_THAT([&] { tracker.mark_completed(ImageId{5}); }, ThrowsError(ErrorCode::kNotFound));
  EXPECT_THAT(synced(), IsEmpty());
  EXPECT_TRUE(tracker.complete(image));
}

TEST_F(SyncTest, WhatTheDiskRefusesAFullCommitHasAnUnknownOutcome) {
  constexpr std::size_t kThreads = 4;
  ProgressTracker tracker(path, {.synchronous = Options::Synchronous::kFull});
  const JobId job = tracker.create_job("job", image_paths(kThreads), {});
  const auto images = tracker.claim_images(job, kThreads);
  refuse_what_ends_with("-wal");
  std::vector<std::thread> threads;
  // What is committed together is refused together, and each is told so of its own call.
  const auto message_of = [](const std::function<void()>& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kOutcomeUnknown);
      return error.what();
    }
    return "";
  };
  for (const Image& image : images) {
    threads.emplace_back([&] {
      EXPECT_THAT(message_of([&] { tracker.complete(image); }), StartsWith("mark_outcomes: "));
    });
    threads.emplace_back([&] {
      EXPECT_THAT(message_of([&] { tracker.checkpoint(job); }), StartsWith("checkpoint: "));
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  // The kernel has forgotten what it could not write: the next sync would succeed, and lie.
  refuse({});
  EXPECT_THAT([&] { tracker.complete(images[0]); }, ThrowsError(ErrorCode::kOutcomeUnknown));
  tracker.close();
}

TEST_F(SyncTest, ARefusedSyncIsAnIoErrorAndTheTrackerOnlyCloses) {
  JobId job{};
  {
    ProgressTracker tracker(path);
    job = tracker.create_job("job", image_paths(3), {});
    const Image image = tracker.claim_images(job, 1).front();
    refuse_what_ends_with("-wal");
    EXPECT_THAT([&] { tracker.sync(); }, ThrowsError(ErrorCode::kIo));

    // The kernel has forgotten what it could not write: the next sync would succeed, and lie.
    refuse({});
    EXPECT_THAT([&] { tracker.sync(); }, ThrowsError(ErrorCode::kOutcomeUnknown));
    EXPECT_THAT([&] { tracker.complete(image); }, ThrowsError(ErrorCode::kOutcomeUnknown));
    EXPECT_THAT([&] { tracker.get_progress(job); }, ThrowsError(ErrorCode::kOutcomeUnknown));
    tracker.close();
  }
  ProgressTracker again(path);
  again.sync();
  EXPECT_EQ(again.get_status_counts(job)->total(), 3);
}

TEST_F(SyncTest, ARefusedSyncOfTheDirectoryIsAnIoErrorToo) {
  ProgressTracker tracker(path);
  tracker.create_job("job", image_paths(3), {});
  refuse_what_ends_with(directory.path().filename().string());
  EXPECT_THAT([&] { tracker.sync(); }, ThrowsError(ErrorCode::kIo));
}

// The name of the log is what the commit's durability rests on as well.
TEST_F(SyncTest, WhereTheDirectoryIsRefusedAFullCommitHasAnUnknownOutcomeToo) {
  JobId job{};
  {
    ProgressTracker before(path);
    job = before.create_job("job", image_paths(3), {});
  }
  ProgressTracker tracker(path, {.synchronous = Options::Synchronous::kFull});
  refuse_what_ends_with(directory.path().filename().string());

  const auto error = test::error_of([&] { tracker.checkpoint(job); });

  refuse({});
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kOutcomeUnknown);
  EXPECT_THAT(error->what(), StartsWith("checkpoint: " + path.string() + ": "));
  EXPECT_THAT(error->what(), HasSubstr("cannot sync " + directory.path().string()));
  EXPECT_THAT([&] { tracker.checkpoint(job); }, ThrowsError(ErrorCode::kOutcomeUnknown));
  tracker.close();
}

// Those that come after it, too: of them another sync would say what is not so.
TEST_F(SyncTest, ADiskThatRefusedASharedSyncIsNotAskedAgain) {
  { ProgressTracker(path).create_job("job", image_paths(3), {}); }
  sqlite::Connection connection(path, sqlite::OpenMode::kReadWrite);
  connection.configure({});
  connection.execute("UPDATE job SET updated_at = updated_at + 1");
  sqlite::SharedSync shared(path);
  refuse_what_ends_with("-wal");
  EXPECT_THROW(shared.wait(connection), sqlite::Failure);
  refuse({});
  synced();

  try {
    shared.wait(connection);
    FAIL() << "said to be on the disk";
  } catch (const sqlite::Failure& failure) {
    EXPECT_EQ(failure.code(), SQLITE_IOERR_FSYNC);
    EXPECT_STREQ(failure.what(), "the disk has refused to sync the write-ahead log");
  }

  EXPECT_THAT(synced(), IsEmpty());
}

TEST_F(SyncTest, AFileWithoutALogIsNotSaidToBeSynced) {
  test::Outsider(path).run("CREATE TABLE t (x)");
  sqlite::Connection connection(path, sqlite::OpenMode::kReadWrite);
  connection.execute("INSERT INTO t VALUES (1)");
  synced();

  try {
    sqlite::sync_log(connection);
    FAIL() << "said to be on the disk";
  } catch (const sqlite::Failure& failure) {
    EXPECT_EQ(failure.code(), SQLITE_IOERR_FSYNC);
    EXPECT_STREQ(failure.what(), "SQLite has no write-ahead log open");
  }

  EXPECT_THAT(synced(), IsEmpty());
}

// A checkpoint syncs the log before it copies it. If that is refused once, later syncs lie.
TEST_F(SyncTest, AfterARefusedSyncForACheckpointNothingIsAcknowledged) {
  for (const auto synchronous : {Options::Synchronous::kNormal, Options::Synchronous::kFull}) {
    const fs::path database = directory / (synchronous == Options::Synchronous::kFull ? "f" : "n");
    const std::string its_log = database.string() + "-wal";
    ProgressTracker tracker(database, {.synchronous = synchronous});
    const JobId job = tracker.create_job("job", image_paths(100), {});
    const auto images = tracker.claim_images(job, 100);
    // The first sync in a call that checkpoints, and only that one: SQLite writes the pages to the
    // database afterwards, and those of a commit to the log before.
    bool refused = false;
    const std::string message(60'000, 'm');
    std::optional<ErrorCode> code;
    std::size_t next = 0;
    for (; next < images.size() && !refused && !code.has_value(); ++next) {
      refuse([&](const std::string& file) {
        return file == its_log &&
               fs::file_size(its_log) >= sqlite::CheckpointGuard::kTryPages * 4'120U &&
               !std::exchange(refused, true);
      });
      try {
        tracker.fail(images[next], message);
      } catch (const Error& error) {
        code = error.code();
      }
    }
    refuse({});
    EXPECT_TRUE(refused);
    // What only has to survive deaths was done; what has to be on the disk, nobody knows.
    EXPECT_EQ(code, synchronous == Options::Synchronous::kFull
                        ? std::optional(ErrorCode::kOutcomeUnknown)
                        : std::nullopt);
    EXPECT_THAT([&] { tracker.fail(images[next], message); },
                ThrowsError(ErrorCode::kOutcomeUnknown));
    EXPECT_THAT([&] { tracker.sync(); }, ThrowsError(ErrorCode::kOutcomeUnknown));
    tracker.close();
    ProgressTracker again(database);
    EXPECT_EQ(again.get_status_counts(job)->error, static_cast<std::int64_t>(next));
  }
}

// The log that a killed worker left is gone on with, not copied into the file and begun anew.
TEST_F(SyncTest, OpeningAfterACrashWaitsForNoDisk) {
  ASSERT_EQ(test::in_child([&] {
              ProgressTracker tracker(path);
              tracker.claim_images(tracker.create_job("job", image_paths(30), {}), 10);
              test::end_child(0);
            }),
            0);
  const auto log_size = fs::file_size(log);
  ASSERT_GT(log_size, 0U);
  synced();

  ProgressTracker tracker(path);

  EXPECT_EQ(tracker.get_status_counts(*tracker.get_job_id("job"))->processing, 10);
  EXPECT_THAT(synced(), IsEmpty());
  EXPECT_EQ(fs::file_size(log), log_size);
}

// ---- The checkpoint ----------------------------------------------------------------------------

// One that polls for the write lock reads for a moment, and is behind. It is gone when SQLite,
// which has looked at the readers by then, syncs the log.
TEST_F(SyncTest, ACheckpointThatAReaderHeldUpForAMomentIsRunOnceMore) {
  test::Outsider reader(path);
  reader.run("PRAGMA journal_mode = WAL; CREATE TABLE t (x); BEGIN; SELECT * FROM t");
  test::FakeClock clock;
  sqlite::Connection writer(path, sqlite::OpenMode::kReadWrite);
  sqlite::Connection checkpointer(path, sqlite::OpenMode::kReadWrite);
  for (sqlite::Connection* each : {&writer, &checkpointer}) {
    each->configure({});
    each->execute("SELECT * FROM t");
  }
  sqlite::CheckpointGuard guard(checkpointer, clock);
  writer.execute(
      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100) "
      "INSERT INTO t SELECT randomblob(3800) FROM n");
  bool reading = true;
  refuse([&](const std::string& file) {
    if (file == log && std::exchange(reading, false)) {
      reader.run("COMMIT");
    }
    return false;
  });

  EXPECT_EQ(guard.after_commit(writer), "");

  refuse({});
  EXPECT_FALSE(reading);
  writer.execute("INSERT INTO t VALUES (1)");
  EXPECT_LT(writer.wal_frames(), 50) << "the log did not begin anew";
}

// ---- snapshot() --------------------------------------------------------------------------------

class SnapshotSyncTest : public SyncTest {
 protected:
  SnapshotSyncTest() { ProgressTracker(path).create_job("job", image_paths(3), {}); }

  // What begins with the copy's name.
  std::vector<std::string> copies() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory.path())) {
      if (entry.path().filename().string().find("copy.db") != std::string::npos) {
        names.push_back(entry.path().filename());
      }
    }
    return names;
  }

  const fs::path copy = directory / "copy.db";
};

TEST_F(SnapshotSyncTest, SyncsTheCopyBeforeItHasItsNameAndTheNameAfterwards) {
  bool had_name_too_early = false;
  bool copy_was_synced = false;
  refuse([&](const std::string& file) {
    if (file == directory.path()) {
      return false;
    }
    copy_was_synced = copy_was_synced || file.find("copy.db") != std::string::npos;
    had_name_too_early = had_name_too_early || fs::exists(copy);
    return false;
  });
  synced();

  snapshot(path, copy);

  EXPECT_TRUE(copy_was_synced);
  EXPECT_FALSE(had_name_too_early);
  const auto files = synced();
  EXPECT_EQ(files.back(), directory.path());
}

TEST_F(SnapshotSyncTest, ACopyThatCannotBeSyncedLeavesNothing) {
  refuse([&](const std::string& file) { return file != directory.path(); });
  EXPECT_THAT([&] { snapshot(path, copy); }, ThrowsError(ErrorCode::kIo));
  EXPECT_THAT(copies(), IsEmpty());
}

// SQLite has synced the copy by then; so the last sync of it is ours.
TEST_F(SnapshotSyncTest, ACopyThatCannotBeSyncedAtTheEndLeavesNothing) {
  const auto is_of_copy = [](const std::string& file) {
    return file.find(".db.partial-") != std::string::npos && !file.ends_with("-journal");
  };
  synced();
  snapshot(path, directory / "first.db");
  const auto files = synced();
  auto left = std::count_if(files.begin(), files.end(), is_of_copy);
  ASSERT_GT(left, 0);
  refuse([&](const std::string& file) { return is_of_copy(file) && --left == 0; });

  const auto error = test::error_of([&] { snapshot(path, copy); });

  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kIo);
  EXPECT_THAT(error->what(), StartsWith("snapshot: " + copy.string() + ".partial-"));
  EXPECT_THAT(error->what(), EndsWith(std::string(": cannot sync it: ") + std::strerror(EIO)));
  EXPECT_THAT(copies(), IsEmpty());
}

// It is complete and on the disk, and only its name might not outlive a power loss.
TEST_F(SnapshotSyncTest, ACopyWhoseNameCannotBeSyncedStaysWhole) {
  refuse([&](const std::string& file) { return file == directory.path(); });

  const auto error = test::error_of([&] { snapshot(path, copy); });

  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kIo);
  EXPECT_EQ(error->what(),
            "snapshot: " + directory.path().string() + ": cannot sync it: " + std::strerror(EIO));
  EXPECT_THAT(copies(), ElementsAre("copy.db"));
  EXPECT_TRUE(examine(copy).healthy());
}

TEST_F(SnapshotSyncTest, WhatTakesItsNameMeanwhileStays) {
  refuse([&](const std::string& file) {
    if (file != directory.path()) {
      test::write_file(copy, "somebody else's");
    }
    return false;
  });
  EXPECT_THAT([&] { snapshot(path, copy); }, ThrowsError(ErrorCode::kInvalidArgument));
  EXPECT_EQ(test::contents_of(copy), "somebody else's");
  EXPECT_THAT(copies(), ElementsAre("copy.db"));
}

}  // namespace
}  // namespace progress_tracker

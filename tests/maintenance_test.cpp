// examine(), repair() and snapshot(): what they find, what they mend, and what they leave alone.
#include "progress_tracker/maintenance.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "progress_tracker/progress_tracker.h"
#include "sqlite/version.h"
#include "support.h"
#include "testing_hooks.h"

namespace progress_tracker {
namespace {

using std::chrono::milliseconds;
using test::Outsider;
using test::ThrowsError;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A database with 6 images in two splits: 2 pending, 1 processing, 2 completed, 1 error.
class MaintenanceTest : public testing::Test {
 protected:
  MaintenanceTest() {
    ProgressTracker tracker(database);
    const std::vector<std::string> splits{"train", "train", "test", "train", "test", "train"};
    job = tracker.create_job("job", test::image_paths(6), splits);
    const auto claimed = tracker.claim_images(job, 4);
    tracker.complete(claimed[0]);
    tracker.complete(claimed[1]);
    tracker.fail(claimed[2], "broken");
    tracker.checkpoint(job);
  }

  // What the sqlite3 shell would do, which checks no foreign keys.
  void falsify(const std::string& sql) const { Outsider(database).run(sql); }

  // Leaves a write-ahead log of some 70 MiB, as processes do that are killed.
  void leave_large_log() const {
    Outsider outsider(database);
    sqlite3_db_config(outsider.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    outsider.run(
        "PRAGMA wal_autocheckpoint = 0; CREATE TABLE big (x);"
        "INSERT INTO big VALUES (zeroblob(70 << 20))");
  }

  // An index that lists jobs among the unfinished ones that are not.
  void call_all_jobs_unfinished() const {
    falsify(
        "DROP INDEX job_unfinished; CREATE INDEX job_unfinished ON job (ready) WHERE id > 0;"
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX job_unfinished "
        "ON job (ready) WHERE name IS NULL OR loader IS NOT NULL' WHERE name = 'job_unfinished'");
  }

  StatusCounts counts() const {
    return ProgressTracker(database, {.read_only = true}).get_status_counts(job).value();
  }

  const test::TempDirectory directory;
  const std::filesystem::path database = directory / "jobs.db";
  const std::filesystem::path copy = directory / "copy.db";
  JobId job{};
  const StatusCounts true_counts{.pending = 2, .processing = 1, .completed = 2, .error = 1};
};

// Claims, fails and resets the images of a job of its own until it is destroyed.
class LiveWriter {
 public:
  explicit LiveWriter(const std::filesystem::path& database)
      : tracker_(database), job_(tracker_.create_job("busy", test::image_paths(100), {})) {
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        std::vector<Outcome> outcomes;
        for (const Image& image : tracker_.claim_images(job_, 10)) {
          outcomes.push_back({image.id, image.attempt, "again"});
        }
        tracker_.mark_outcomes(outcomes);
        tracker_.reset_error_images(job_);
      }
    });
  }

 private:
  ProgressTracker tracker_;
  JobId job_;
  std::jthread thread_;
};

// What no program can store, however it writes.
TEST_F(MaintenanceTest, TheTablesRefuseWhatCannotBe) {
  for (const char* sql : {
           "UPDATE state SET deaths = attempts + 1",
           "UPDATE state SET deaths = -1",
           "UPDATE state SET attempts = 0",
           "UPDATE state SET status = 4",
           "UPDATE state SET worker = NULL WHERE status = 1",
           "UPDATE state SET worker = 1 WHERE status = 2",
           "UPDATE job SET name = ''",
           "UPDATE job SET processed_count = published + 1",
           "UPDATE job SET processed_count = published, error_count = 1",
           "UPDATE job SET started = published + 1",
           "UPDATE job SET upstream = id",
           "UPDATE split SET completed = total + 1",
           "UPDATE split SET error = -1",
           "INSERT INTO path SELECT directory, name, 9 FROM path LIMIT 1",
           "UPDATE image SET name = NULL",
           "UPDATE image SET name = 5",
       }) {
    EXPECT_THAT([&] { falsify(sql); },
                testing::Throws<std::runtime_error>(testing::Property(
                    &std::runtime_error::what, testing::HasSubstr("constraint failed"))))
        << sql;
  }
}

// ---- examine -----------------------------------------------------------------------------------

TEST_F(MaintenanceTest, AHealthyFileIsHealthy) {
  const Examination found = examine(database);

  EXPECT_TRUE(found.healthy());
  EXPECT_THAT(found.problems, IsEmpty());
  EXPECT_THAT(found.damage, IsEmpty());
  EXPECT_THAT(found.dangling_references, IsEmpty());
  EXPECT_THAT(found.count_differences, IsEmpty());
  EXPECT_THAT(found.leftovers, IsEmpty());
  EXPECT_EQ(found.mendable, 0);
  EXPECT_THAT(found.jobs, ElementsAre(testing::Pair(job, "job")));
  EXPECT_EQ(found.images, 6);
}

TEST_F(MaintenanceTest, ExamineDescribesTheFileAndItsPlace) {
  std::filesystem::create_symlink(database, directory / "link.db");

  const Examination found = examine(directory / "link.db");

  EXPECT_EQ(found.path, database);
  EXPECT_EQ(found.sqlite_version, sqlite3_libversion());
  EXPECT_EQ(found.application_id, 0x5054726b);
  EXPECT_EQ(found.schema_version, 2);
  EXPECT_EQ(found.database_bytes, static_cast<std::int64_t>(std::filesystem::file_size(database)));
  EXPECT_NE(found.filesystem, "");
  EXPECT_EQ(found.pragmas.at("journal_mode"), "wal");
  EXPECT_EQ(found.pragmas.at("wal_autocheckpoint"), "0");
  EXPECT_EQ(found.pragmas.at("mmap_size"), "0");
  EXPECT_EQ(found.pragmas.at("foreign_keys"), "1");
}

TEST_F(MaintenanceTest, ExamineTellsLiveWorkersFromDeadOnes) {
  ProgressTracker live(database);
  ProgressTracker dying(database);
  live.claim_images(job, 1);
  dying.claim_images(job, 1);
  internal::simulate_death(dying);

  const Examination found = examine(database);

  // The first is the fixture's, which closed while it held an image.
  ASSERT_EQ(found.workers.size(), 3U);
  EXPECT_FALSE(found.workers[0].alive);
  EXPECT_TRUE(found.workers[1].alive);
  EXPECT_EQ(found.workers[1].pid, getpid());
  EXPECT_EQ(found.workers[1].processing, 1);
  EXPECT_FALSE(found.workers[2].alive);
  EXPECT_EQ(found.workers[2].processing, 1);
  EXPECT_THAT(found.notes, Contains(HasSubstr("2 workers that are gone hold 2 images")));
  EXPECT_TRUE(found.healthy()) << "a death is what the tracker is for";
}

TEST_F(MaintenanceTest, ExamineMeasuresTheWriteAheadLog) {
  ProgressTracker tracker(database);
  tracker.create_job("another", test::image_paths(1000), {});

  EXPECT_EQ(examine(database).wal_bytes,
            static_cast<std::int64_t>(std::filesystem::file_size(database.native() + "-wal")));
}

TEST_F(MaintenanceTest, ExamineFindsCountsThatAreWrong) {
  falsify("UPDATE split SET completed = completed - 1 WHERE name = 'train'");

  const Examination found = examine(database);

  const CountDifference difference{
      .job_id = job,
      .split = "train",
      .stored = {.pending = 2, .processing = 1, .completed = 1, .error = 0},
      .counted = {.pending = 1, .processing = 1, .completed = 2, .error = 0}};
  EXPECT_THAT(found.count_differences, ElementsAre(difference));
  EXPECT_FALSE(found.healthy());
  EXPECT_THAT(found.problems, ElementsAre(AllOf(HasSubstr("job 1 \"job\", split \"train\""),
                                                HasSubstr("a repair"))));
  EXPECT_EQ(found.mendable, 1);
}

TEST_F(MaintenanceTest, ExamineFindsImagesThatWouldNeverBeClaimed) {
  falsify("UPDATE job SET started = published");

  EXPECT_THAT(examine(database).problems, ElementsAre(HasSubstr("never be claimed")));
  EXPECT_EQ(examine(database).mendable, 1);
}

TEST_F(MaintenanceTest, ExamineFindsRowsRemovedFromOutside) {
  falsify("DELETE FROM image WHERE id = (SELECT min(id) FROM image)");

  const Examination found = examine(database);

  EXPECT_THAT(found.dangling_references, ElementsAre(HasSubstr("of state refers to a row of image"),
                                                     HasSubstr("row of path refers to image")));
  EXPECT_THAT(found.problems, Contains(HasSubstr("should have 6 images and has 5")));
  EXPECT_EQ(found.mendable, 1) << "the counts";
  repair(database);
  EXPECT_FALSE(examine(database).healthy());
  EXPECT_EQ(examine(database).mendable, 0);
}

TEST_F(MaintenanceTest, ProblemsAreFitForDisplayWhateverTheFileIsMadeOf) {
  falsify(
      "CREATE TABLE \"a\x1b[31m\" (id REFERENCES image (id));"
      "INSERT INTO \"a\x1b[31m\" VALUES (77)");

  EXPECT_THAT(examine(database).problems, ElementsAre(HasSubstr("of a\\x1B[31m refers")));
}

TEST_F(MaintenanceTest, ExamineFindsImagesThatNoPathLeadsTo) {
  falsify("DELETE FROM path WHERE image_id = (SELECT min(id) FROM image)");

  EXPECT_THAT(examine(database).dangling_references,
              ElementsAre(HasSubstr("cannot be found by its path")));
}

TEST_F(MaintenanceTest, ExamineFindsWhatACutOffLoadLeft) {
  falsify(
      "UPDATE split SET total = total - 1 WHERE name = 'train';"
      "UPDATE job SET published = published - 1, loader = 0");

  const Examination found = examine(database);

  EXPECT_THAT(found.leftovers, ElementsAre(Leftover{.job_id = job, .images = 1}));
  EXPECT_TRUE(found.healthy()) << "nobody sees it";
}

TEST_F(MaintenanceTest, ExamineFindsImagesOfASplitThatIsNotThere) {
  falsify("UPDATE image SET split = 999 WHERE id = (SELECT min(id) FROM image)");

  EXPECT_THAT(examine(database).problems,
              Contains(HasSubstr("1 image of a split that is not there")));
}

TEST_F(MaintenanceTest, ALoadThatIsGoingOnIsNoLeftover) {
  ProgressTracker loader(database);
  loader.claim_images(job, 1);
  const auto id = std::to_string(static_cast<std::int64_t>(loader.list_workers().back().id));
  falsify(
      "UPDATE split SET total = total - 1 WHERE name = 'train';"
      "UPDATE job SET published = published - 1, loader = " +
      id);

  EXPECT_THAT(examine(database).notes, Contains(HasSubstr("is being loaded by worker " + id)));
  EXPECT_THAT(examine(database).leftovers, IsEmpty());
  EXPECT_EQ(repair(database).leftovers_cleared, 0);
  EXPECT_EQ(Outsider(database).number("SELECT count(*) FROM image"), 6);
}

TEST_F(MaintenanceTest, ExamineChangesNothing) {
  const std::string before = test::contents_of(database);

  examine(database);

  EXPECT_EQ(test::contents_of(database), before);
}

TEST_F(MaintenanceTest, ExamineSeesOneMomentBesideALiveWriter) {
  const LiveWriter writer(database);

  for (int i = 0; i < 30; ++i) {
    EXPECT_THAT(examine(database).problems, IsEmpty());
  }
}

// ---- repair ------------------------------------------------------------------------------------

TEST_F(MaintenanceTest, RepairCorrectsCounts) {
  falsify("UPDATE split SET completed = completed + 1, error = 0, total = total + 1");

  const Repair report = repair(database);

  EXPECT_EQ(report.corrected.size(), 2U);
  EXPECT_EQ(report.done.size(), 2U);
  EXPECT_EQ(counts(), true_counts);
  EXPECT_TRUE(examine(database).healthy());
}

TEST_F(MaintenanceTest, RepairCheckpointsWhatItCorrected) {
  falsify("UPDATE split SET completed = 0; UPDATE job SET processed_count = 0");

  repair(database);

  EXPECT_EQ(ProgressTracker(database).get_progress(job)->processed_count, true_counts.completed);
}

TEST_F(MaintenanceTest, RepairMakesEveryImageClaimable) {
  falsify("UPDATE job SET started = published");

  repair(database);

  EXPECT_TRUE(examine(database).healthy());
  EXPECT_EQ(ProgressTracker(database).claim_images(job, 10).size(), 2U);
}

TEST_F(MaintenanceTest, RepairForgetsDeadWorkersThatHoldNothingAndNoOthers) {
  ProgressTracker live(database);
  ProgressTracker dying(database);
  live.complete(live.claim_images(job, 1).at(0));
  dying.complete(dying.claim_images(job, 1).at(0));
  internal::simulate_death(dying);

  const Repair report = repair(database);

  EXPECT_EQ(report.workers_forgotten, 1);
  const std::vector<Worker> workers = examine(database).workers;
  ASSERT_EQ(workers.size(), 2U);
  EXPECT_EQ(workers[0].processing, 1) << "what it holds counts its death";
  EXPECT_TRUE(workers[1].alive);
}

TEST_F(MaintenanceTest, RepairClearsAwayWhatACutOffLoadLeft) {
  falsify(
      "UPDATE split SET total = total - 1 WHERE name = 'train';"
      "UPDATE job SET published = published - 1, loader = 0");

  const Repair report = repair(database);

  EXPECT_EQ(report.leftovers_cleared, 1);
  EXPECT_EQ(Outsider(database).number("SELECT count(*) FROM image"), 5);
  EXPECT_EQ(Outsider(database).value("SELECT loader FROM job"), "NULL");
}

TEST_F(MaintenanceTest, RepairBringsAnOldFileUpToDate) {
  falsify("UPDATE split SET completed = completed - 1 WHERE name = 'train'");
  test::make_version_1_of(database);

  EXPECT_THAT(repair(database).done, ElementsAre(HasSubstr("up to date"), HasSubstr("train")));

  EXPECT_TRUE(examine(database).healthy());
}

TEST_F(MaintenanceTest, RepairLeavesAHealthyFileAlone) {
  const std::string before = test::contents_of(database);

  EXPECT_THAT(repair(database).done, IsEmpty());

  EXPECT_EQ(test::contents_of(database), before);
}

TEST_F(MaintenanceTest, RepairWaitsForOtherWritersNoLongerThanItIsTold) {
  falsify("UPDATE split SET completed = 0");
  Outsider writer(database);
  writer.run("BEGIN IMMEDIATE");

  EXPECT_THAT([&] { repair(database, milliseconds(0)); }, ThrowsError(ErrorCode::kBusy));
}

TEST_F(MaintenanceTest, RepairTellsWhatItDidBeforeItFailed) {
  falsify(
      "UPDATE split SET completed = 0, error = 0;"
      "UPDATE worker SET started_at = 9000000000000000");
  Repair report;

  EXPECT_THAT([&] { repair(database, report); }, ThrowsError(ErrorCode::kCorrupt));

  EXPECT_EQ(report.corrected.size(), 2U);
  EXPECT_EQ(report.done.size(), 2U);
  EXPECT_EQ(counts(), true_counts);
}

TEST_F(MaintenanceTest, RepairTellsOfWhatItClearedAwayBeforeItFailed) {
  ProgressTracker(database).create_job("sound", test::image_paths(3), {});
  falsify("UPDATE job SET name = NULL WHERE name = 'job'");
  call_all_jobs_unfinished();
  Repair report;

  EXPECT_THAT([&] { repair(database, report); }, ThrowsError(ErrorCode::kCorrupt));

  EXPECT_THAT(report.done, ElementsAre(HasSubstr("cleared away a part")));
  EXPECT_EQ(Outsider(database).number("SELECT count(*) FROM image"), 3);
}

TEST_F(MaintenanceTest, RepairAddsToAReport) {
  Repair report;
  report.done = {"something before"};
  ProgressTracker(database).reset_stuck_images(job);

  repair(database, report);

  EXPECT_THAT(report.done, ElementsAre("something before", HasSubstr("forgot 1 worker")));
  EXPECT_EQ(report.workers_forgotten, 1);
}

// ---- A large write-ahead log -------------------------------------------------------------------

TEST_F(MaintenanceTest, RepairEmptiesALargeLogThatNobodyHasOpen) {
  leave_large_log();

  EXPECT_THAT(examine(database).problems, ElementsAre(HasSubstr("write-ahead log has grown to")));
  EXPECT_EQ(examine(database).mendable, 1);
  EXPECT_THAT(repair(database).done,
              ElementsAre("the write-ahead log had 70 MiB and is empty now"));

  EXPECT_TRUE(examine(database).healthy());
  EXPECT_EQ(examine(database).wal_bytes, 0);
  EXPECT_EQ(counts(), true_counts);
}

TEST_F(MaintenanceTest, ALargeLogStaysAProblemWhileOthersReadIt) {
  leave_large_log();
  Outsider reader(database);
  reader.run("BEGIN; SELECT * FROM job");

  EXPECT_THAT(repair(database).done, IsEmpty());

  EXPECT_THAT(examine(database).problems,
              ElementsAre(HasSubstr("a repair empties it once no program has the file open")));
}

TEST_F(MaintenanceTest, ADamagedFileIsNotToBeRepairedForItsLog) {
  constexpr std::int64_t kPage = 4096;
  const std::int64_t page =
      Outsider(database).number("SELECT rootpage FROM sqlite_schema WHERE name = 'state_error'");
  leave_large_log();
  {
    std::fstream file(database, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp((page - 1) * kPage);
    file << std::string(kPage, '\x55');
  }
  const std::string before = test::contents_of(database);

  EXPECT_THAT(examine(database).problems, ElementsAre(HasSubstr("the file is damaged")));
  EXPECT_EQ(examine(database).mendable, 0);
  EXPECT_THAT([&] { repair(database); }, ThrowsError(ErrorCode::kCorrupt));

  EXPECT_EQ(test::contents_of(database), before);
}

// ---- snapshot ----------------------------------------------------------------------------------

TEST_F(MaintenanceTest, ASnapshotIsOneFileInDeleteMode) {
  snapshot(database, copy);

  EXPECT_EQ(Outsider(copy, SQLITE_OPEN_READONLY).value("PRAGMA journal_mode"), "delete");
  EXPECT_TRUE(examine(copy).healthy());
  EXPECT_THAT(examine(copy).notes, Contains(HasSubstr("journal_mode is delete")));
  for (const char* suffix : {"-wal", "-shm", "-journal", "-workers"}) {
    EXPECT_FALSE(std::filesystem::exists(copy.native() + suffix)) << suffix;
  }
}

TEST_F(MaintenanceTest, ASnapshotHoldsWhatWasCommittedByThen) {
  ProgressTracker tracker(database);  // keeps the write-ahead log in use
  tracker.complete(tracker.claim_images(job, 1).at(0));
  snapshot(database, copy);
  tracker.complete(tracker.claim_images(job, 1).at(0));

  Outsider reader(copy, SQLITE_OPEN_READONLY);

  EXPECT_EQ(reader.number("SELECT sum(completed) FROM progress"), 3);
  EXPECT_EQ(reader.number("SELECT count(*) FROM images"), 6);
}

TEST_F(MaintenanceTest, ASnapshotTakenBesideALiveWriterIsSound) {
  const LiveWriter writer(database);

  for (int i = 0; i < 10; ++i) {
    const auto out = directory / ("copy" + std::to_string(i) + ".db");
    snapshot(database, out);
    EXPECT_THAT(examine(out).problems, IsEmpty());
  }
}

TEST_F(MaintenanceTest, ASnapshotCanBeReadInADirectoryThatMayNotBeWritten) {
  const auto sealed = directory / "sealed";
  std::filesystem::create_directory(sealed);
  snapshot(database, sealed / "copy.db");
  ::chmod(directory.path().c_str(), 0755);
  ::chmod(sealed.c_str(), 0555);

  const int result = test::in_child([&] {
    test::require(geteuid() != 0 || ::setuid(65534) == 0, "another user");
    for (const char* mode : {"ro", "immutable"}) {
      const std::string parameter = mode == std::string("ro") ? "mode=ro" : "immutable=1";
      Outsider reader("file:" + (sealed / "copy.db").native() + "?" + parameter,
                      SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
      test::require(reader.number("SELECT count(*) FROM images") == 6, "all images");
    }
  });

  ::chmod(sealed.c_str(), 0755);
  EXPECT_EQ(result, 0);
}

TEST_F(MaintenanceTest, ASnapshotIsADatabaseThatATrackerCanGoOnWith) {
  snapshot(database, copy);

  ProgressTracker tracker(copy);

  EXPECT_EQ(tracker.get_status_counts(job), true_counts);
  EXPECT_EQ(tracker.reset_stuck_images(job), 1U);
  for (const Image& image : tracker.claim_images(job, 10)) {
    tracker.complete(image);
  }
  EXPECT_EQ(tracker.get_status_counts(job)->completed, 5);
  EXPECT_EQ(counts(), true_counts) << "the original goes its own way";
}

TEST_F(MaintenanceTest, AReadOnlyTrackerShowsASnapshot) {
  snapshot(database, copy);
  const std::string before = test::contents_of(copy);

  EXPECT_EQ(ProgressTracker(copy, {.read_only = true}).get_status_counts(job), true_counts);
  EXPECT_EQ(test::contents_of(copy), before);
}

TEST_F(MaintenanceTest, ASnapshotHasTheModeOfTheDatabase) {
  ::chmod(database.c_str(), 0600);

  snapshot(database, copy);

  EXPECT_EQ(std::filesystem::status(copy).permissions(), std::filesystem::perms(0600));
}

TEST_F(MaintenanceTest, ASnapshotMayHaveAnyName) {
  for (const std::string name : {"it's.db", "file:x?mode=ro", "\xff.db", "a b\n.db"}) {
    snapshot(database, directory / name);
    EXPECT_EQ(Outsider(directory / name).number("SELECT count(*) FROM images"), 6) << name;
  }
}

TEST_F(MaintenanceTest, SnapshotReplacesNothing) {
  test::write_file(copy, "precious");
  const auto before = test::snapshot_of(directory.path());

  EXPECT_THAT([&] { snapshot(database, copy); }, ThrowsError(ErrorCode::kInvalidArgument));
  EXPECT_THAT([&] { snapshot(database, database); }, ThrowsError(ErrorCode::kInvalidArgument));
  EXPECT_THAT([&] { snapshot(database, directory.path()); },
              ThrowsError(ErrorCode::kInvalidArgument));

  EXPECT_EQ(test::snapshot_of(directory.path()), before);
}

TEST_F(MaintenanceTest, SnapshotRefusesANameWhoseSideFilesExist) {
  for (const std::string suffix : {"-wal", "-shm", "-journal"}) {
    test::write_file(copy.native() + suffix, "of another database");
    EXPECT_THAT([&] { snapshot(database, copy); }, ThrowsError(ErrorCode::kInvalidArgument))
        << suffix;
    std::filesystem::remove(copy.native() + suffix);
  }
}

TEST_F(MaintenanceTest, SnapshotRefusesTheNameOfASideFileOfTheDatabaseItself) {
  for (const std::string suffix : {"-wal", "-shm", "-journal", "-workers"}) {
    std::filesystem::remove(database.native() + suffix);
    EXPECT_THAT([&] { snapshot(database, database.native() + suffix); },
                ThrowsError(ErrorCode::kInvalidArgument))
        << suffix;
    std::filesystem::create_symlink(directory.path(), directory / "link");
    EXPECT_THAT(
        [&] { snapshot(database, directory / "link" / (database.filename().native() + suffix)); },
        ThrowsError(ErrorCode::kInvalidArgument))
        << suffix;
    std::filesystem::remove(directory / "link");
  }
}

TEST_F(MaintenanceTest, SnapshotRefusesWhatIsNoName) {
  EXPECT_THAT([&] { snapshot(database, ""); }, ThrowsError(ErrorCode::kInvalidArgument));
  EXPECT_THAT([&] { snapshot(database, std::string("a\0b", 3)); },
              ThrowsError(ErrorCode::kInvalidArgument));
  EXPECT_THAT([&] { snapshot(database, directory.path() / ""); },
              ThrowsError(ErrorCode::kInvalidArgument));
  EXPECT_THAT([&] { snapshot(database, directory / "missing" / "copy.db"); },
              ThrowsError(ErrorCode::kIo));
}

// A relative name says nothing where the current directory is gone.
TEST_F(MaintenanceTest, SnapshotRefusesANameThatLeadsNowhere) {
  EXPECT_EQ(test::in_child([&] {  // the current directory is all threads'
              const auto gone = directory / "gone";
              std::filesystem::create_directory(gone);
              std::filesystem::current_path(gone);
              std::filesystem::remove(gone);
              const auto error = test::error_of([&] { snapshot(database, "copy.db"); });
              test::require(error.has_value() && error->code() == ErrorCode::kIo, "io");
              test::require(error->what() == std::string("snapshot: copy.db: cannot find it: ") +
                                                 std::strerror(ENOENT),
                            error->what());
            }),
            0);
}

TEST_F(MaintenanceTest, ASnapshotThatFailsLeavesNothingBehind) {
  const auto place = directory / "place";
  std::filesystem::create_directory(place);

  const int result = test::in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{.rlim_cur = 40'000, .rlim_max = 40'000};  // room for the log's index
    test::require(::setrlimit(RLIMIT_FSIZE, &small) == 0, "a limit");
    const auto error = test::error_of([&] { snapshot(database, place / "copy.db"); });
    test::require(error.has_value() && error->code() == ErrorCode::kIo, "the copy fails");
  });

  EXPECT_EQ(result, 0);
  EXPECT_TRUE(std::filesystem::is_empty(place));
}

// ---- Files that are not ours, and files that are damaged ---------------------------------------

struct Refused {
  const char* name;
  ErrorCode code;
  std::function<void(const std::filesystem::path&)> make;
};

class RefusedFileTest : public testing::TestWithParam<Refused> {};

TEST_P(RefusedFileTest, IsRefusedByAllAndLeftAsItWas) {
  const test::TempDirectory directory;
  const auto file = directory / "file.db";
  GetParam().make(file);
  const auto before = test::snapshot_of(directory.path());

  EXPECT_THAT([&] { examine(file); }, ThrowsError(GetParam().code));
  EXPECT_THAT([&] { repair(file); }, ThrowsError(GetParam().code));
  EXPECT_THAT([&] { snapshot(file, directory / "copy.db"); }, ThrowsError(GetParam().code));

  EXPECT_EQ(test::snapshot_of(directory.path()), before);
}

void make_tracker_file(const std::filesystem::path& path) { ProgressTracker tracker(path); }

INSTANTIATE_TEST_SUITE_P(
    Maintenance, RefusedFileTest,
    testing::Values(Refused{"Missing", ErrorCode::kNotFound, [](const auto&) {}},
                    Refused{"Empty", ErrorCode::kNotFound,
                            [](const auto& path) { test::write_file(path, ""); }},
                    Refused{
                        "Text", ErrorCode::kNotADatabase,
                        [](const auto& path) { test::write_file(path, std::string(5000, 'x')); }},
                    Refused{"Directory", ErrorCode::kNotADatabase,
                            [](const auto& path) { std::filesystem::create_directory(path); }},
                    Refused{"ForeignDatabase", ErrorCode::kForeignDatabase,
                            [](const auto& path) {
                              Outsider(path).run("CREATE TABLE t (a); PRAGMA user_version = 1");
                            }},
                    Refused{"NewerSchema", ErrorCode::kSchemaTooNew,
                            [](const auto& path) {
                              make_tracker_file(path);
                              Outsider(path).run(
                                  "PRAGMA journal_mode = DELETE; PRAGMA user_version = 999");
                            }}),
    [](const auto& refused) { return refused.param.name; });

TEST_F(MaintenanceTest, EveryDamagedPageIsFoundAndNothingIsRepairedOverIt) {
  constexpr std::size_t kPage = 4096;
  const std::string sound = test::contents_of(database);
  const auto file = directory / "damaged.db";
  std::size_t in_words = 0;
  for (std::size_t page = 1; page < sound.size() / kPage; ++page) {
    std::string damaged = sound;
    damaged.replace(page * kPage, kPage, kPage, '\x55');
    test::write_file(file, damaged);

    try {
      const Examination found = examine(file);
      EXPECT_FALSE(found.healthy()) << "page " << page + 1;
      EXPECT_THAT(found.damage, testing::Not(IsEmpty())) << "page " << page + 1;
      ++in_words;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << error.what();
    }
    EXPECT_THAT([&] { repair(file); }, ThrowsError(ErrorCode::kCorrupt)) << "page " << page + 1;
    EXPECT_EQ(test::contents_of(file), damaged) << "page " << page + 1;
    std::filesystem::remove(file.native() + "-shm");
    std::filesystem::remove(file.native() + "-wal");
  }
  EXPECT_GT(in_words, 0U);
}

TEST_F(MaintenanceTest, ACutOffFileIsCorrupt) {
  std::filesystem::resize_file(database, std::filesystem::file_size(database) / 2);

  EXPECT_THAT([&] { repair(database); }, ThrowsError(ErrorCode::kCorrupt));
}

TEST_F(MaintenanceTest, ANegativeTimeoutIsRefused) {
  EXPECT_THAT([&] { examine(database, milliseconds(-1)); },
              ThrowsError(ErrorCode::kInvalidArgument));
}

// ---- The WAL-reset fix -------------------------------------------------------------------------

TEST(SqliteVersionTest, KnowsWhichNumbersProveTheWalResetFix) {
  using sqlite::has_wal_reset_fix;
  for (const int fixed : {3'051'003, 3'052'000, 4'000'000, 3'050'007, 3'050'999, 3'044'006}) {
    EXPECT_TRUE(has_wal_reset_fix(fixed)) << fixed;
  }
  for (const int unknown : {3'040'001, 3'044'005, 3'045'000, 3'050'006, 3'051'000, 3'051'002}) {
    EXPECT_FALSE(has_wal_reset_fix(unknown)) << unknown;
  }
}

}  // namespace
}  // namespace progress_tracker

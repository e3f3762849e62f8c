// What the constructor opens, what it makes, and what it refuses and leaves alone.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"
#include "schema_of_0_1_0.h"
#include "store/schema.h"
#include "support.h"

namespace progress_tracker {
namespace {

using namespace std::chrono_literals;
using test::contents_of;
using test::image_paths;
using test::in_child;
using test::Outsider;
using test::require;
using test::snapshot_of;
using test::TempDirectory;
using test::ThrowsError;
using test::write_file;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::Not;

namespace fs = std::filesystem;

class OpenTest : public testing::Test {
 protected:
  static std::function<void()> opening(const fs::path& path, const Options& options = {}) {
    return [=] { const ProgressTracker tracker(path, options); };
  }
  static std::function<void()> reading(const fs::path& path) {
    return opening(path, {.read_only = true});
  }

  // Tries to open `path`, for writing and for reading, and expects both to be refused with nothing
  // in the directory added, removed or changed.
  void expect_refused(const fs::path& path, ErrorCode code) {
    const auto before = snapshot_of(directory.path());
    EXPECT_THAT(opening(path), ThrowsError(code));
    EXPECT_EQ(snapshot_of(directory.path()), before) << "after opening for writing";
    EXPECT_THAT(reading(path), ThrowsError(code));
    EXPECT_EQ(snapshot_of(directory.path()), before) << "after opening for reading";
  }

  // The same where SQLite has to read the log to know, and makes its index of it, the -shm file.
  static void expect_refused_with_its_log(const fs::path& path, ErrorCode code) {
    const std::string before = contents_of(path);
    const std::string log = contents_of(path.native() + "-wal");
    ASSERT_NE(log, "");
    for (const bool read_only : {false, true, false}) {
      EXPECT_THAT(opening(path, {.read_only = read_only}), ThrowsError(code));
      EXPECT_TRUE(contents_of(path) == before) << "changed, read_only " << read_only;
      EXPECT_TRUE(contents_of(path.native() + "-wal") == log) << "changed, read_only " << read_only;
    }
  }

  // A database of ours with two images, one of them completed.
  JobId make_database(const fs::path& path) {
    ProgressTracker tracker(path);
    const JobId job = tracker.create_job("job", image_paths(2), {});
    tracker.mark_completed(tracker.claim_images(job, 1).at(0).id);
    return job;
  }

  TempDirectory directory;
};

// ---- What is made ------------------------------------------------------------------------------

TEST_F(OpenTest, MakesTheDatabaseAndItsParentDirectories) {
  const fs::path path = directory / "a/b/c/jobs.db";

  const ProgressTracker tracker(path);

  EXPECT_TRUE(fs::is_regular_file(path));
}

TEST_F(OpenTest, ANewFileSaysWhoseItIsBeforeThereIsALog) {
  const fs::path path = directory / "jobs.db";
  const ProgressTracker tracker(path);

  // Not closed: what the file itself holds now, a crash would leave.
  const std::string header = contents_of(path).substr(0, 100);
  EXPECT_EQ(header.substr(68, 4), "PTrk");
  EXPECT_EQ(header.substr(60, 4), std::string("\0\0\0\2", 4));
}

// The journal of a first transaction that was cut off, and what had come of the file by then.
void cut_off_creation(const fs::path& path, std::string_view contents) {
  std::string journal("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", 8);  // "there was no page before"
  journal.resize(20);
  journal += std::string("\x00\x00\x02\x00\x00\x00\x10\x00", 8);  // sectors and pages
  journal.resize(512);
  test::write_file(path.native() + "-journal", journal);
  test::write_file(path, contents);
}

TEST_F(OpenTest, AFirstTransactionThatWasCutOffHappenedNotAtAll) {
  for (const std::string& contents : {std::string(), std::string(100, '\0'),
                                      std::string(4'096, '\0'), std::string(12'288, 'x')}) {
    SCOPED_TRACE(std::to_string(contents.size()) + " bytes");
    const fs::path path = directory / std::to_string(contents.size()) / "jobs.db";
    fs::create_directory(path.parent_path());
    cut_off_creation(path, contents);
    Options read_only;
    read_only.read_only = true;
    EXPECT_THAT([&] { const ProgressTracker reader(path, read_only); },
                ThrowsError(ErrorCode::kNotFound));
    EXPECT_EQ(test::contents_of(path), contents);

    ProgressTracker tracker(path);

    EXPECT_THAT(tracker.list_jobs(), IsEmpty());
    tracker.create_job("job", image_paths(3), {});
    EXPECT_EQ(tracker.list_jobs().size(), 1U);
  }
}

TEST_F(OpenTest, AZeroByteFileIsNew) {
  const fs::path path = directory / "jobs.db";
  write_file(path, "");

  make_database(path);

  EXPECT_EQ(Outsider(path).value("PRAGMA journal_mode"), "wal");
}

// Somebody moved the database and left the log, with its latest commits.
TEST_F(OpenTest, KeepsALogWhoseDatabaseIsGone) {
  const fs::path path = directory / "jobs.db";
  {
    ProgressTracker tracker(path);
    tracker.create_job("job", image_paths(2), {});
    fs::copy_file(path, directory / "moved.db");
    fs::copy_file(path.native() + "-wal", directory / "moved.db-wal");
  }
  fs::rename(directory / "moved.db", directory / "elsewhere.db");
  for (const bool empty_file : {false, true}) {
    const fs::path here = directory / "moved.db";
    const std::string log = contents_of(here.native() + "-wal");
    ASSERT_NE(log, "");
    if (empty_file) {
      write_file(here, "");
    }
    const test::LogCapture captured;

    { EXPECT_THAT(ProgressTracker(here).list_jobs(), IsEmpty()); }

    const std::string kept = here.native() + "-wal-lost-" + (empty_file ? "2" : "1");
    EXPECT_TRUE(contents_of(kept) == log);
    EXPECT_THAT(captured.lines(), ElementsAre(testing::Pair(LogLevel::kWarn, HasSubstr(kept))));
    fs::remove(here);
    fs::copy_file(kept, here.native() + "-wal", fs::copy_options::overwrite_existing);
  }
  fs::rename(directory / "moved.db-wal-lost-1", directory / "elsewhere.db-wal");
  EXPECT_EQ(ProgressTracker(directory / "elsewhere.db").list_jobs().size(), 1U);
}

TEST_F(OpenTest, MakesNothingWhereALogOfAnotherCannotBeKept) {
  const fs::path path = directory / "jobs.db";
  write_file(path.native() + "-wal", "commits of a database that was moved away");
  for (int number = 1; number <= 1000; ++number) {
    write_file(path.native() + "-wal-lost-" + std::to_string(number), "");
  }
  const auto before = snapshot_of(directory.path());

  const auto error = test::error_of(opening(path));

  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kIo);
  EXPECT_EQ(error->what(), "open: " + path.native() +
                               ": is missing, and its write-ahead log, which is there, cannot be "
                               "kept: " +
                               std::strerror(EEXIST));
  EXPECT_EQ(snapshot_of(directory.path()), before);
}

TEST_F(OpenTest, FindsEverythingAgain) {
  const fs::path path = directory / "jobs.db";
  const JobId job = make_database(path);

  ProgressTracker tracker(path);

  EXPECT_EQ(tracker.get_job_id("job"), job);
  EXPECT_EQ(tracker.get_status_counts(job), (StatusCounts{.pending = 1, .completed = 1}));
}

TEST_F(OpenTest, OpeningADatabaseOfOursChangesNothingInIt) {
  const fs::path path = directory / "jobs.db";
  make_database(path);
  const std::size_t before = std::hash<std::string>{}(contents_of(path));

  { const ProgressTracker tracker(path); }

  EXPECT_EQ(std::hash<std::string>{}(contents_of(path)), before);
}

TEST_F(OpenTest, OpensWhileAnotherProgramWrites) {
  const fs::path path = directory / "jobs.db";
  const JobId job = make_database(path);
  Outsider writer(path);
  writer.run("BEGIN IMMEDIATE");

  ProgressTracker tracker(path, {.busy_timeout = 0ms});

  EXPECT_EQ(tracker.get_status_counts(job)->total(), 2);
}

TEST_F(OpenTest, ManyProcessesMayMakeTheSameDatabaseAtOnce) {
  constexpr int kRounds = 5;
  constexpr int kProcesses = 8;
  for (int round = 0; round < kRounds; ++round) {
    const fs::path path = directory / ("jobs" + std::to_string(round) + ".db");
    int start[2];
    ASSERT_EQ(::pipe(start), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < kProcesses; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        ::close(start[1]);
        char byte = 0;
        static_cast<void>(::read(start[0], &byte, 1));  // until all are there
        int result = 0;
        try {
          ProgressTracker tracker(path);
          tracker.create_job("job", image_paths(3), {});
        } catch (const std::exception& error) {
          std::fprintf(stderr, "in the child: %s\n", error.what());
          result = 1;
        }
        test::end_child(result);
      }
      children.push_back(child);
    }
    ::close(start[0]);
    ::close(start[1]);
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      EXPECT_EQ(status, 0);
    }
    Outsider outsider(path);
    EXPECT_EQ(outsider.number("SELECT count(*) FROM images"), 3);
    EXPECT_EQ(outsider.value("PRAGMA integrity_check"), "ok");
  }
}

TEST_F(OpenTest, FinishesACreationThatWasCutOff) {
  // What a kill between making the schema and switching to a write-ahead log leaves.
  const fs::path path = directory / "jobs.db";
  const JobId job = make_database(path);
  Outsider(path).run("PRAGMA journal_mode = DELETE");

  ProgressTracker tracker(path);

  EXPECT_EQ(tracker.get_status_counts(job)->total(), 2);
  EXPECT_EQ(Outsider(path).value("PRAGMA journal_mode"), "wal");
}

// ---- Names -------------------------------------------------------------------------------------

class OpenName : public OpenTest, public testing::WithParamInterface<std::string> {};

TEST_P(OpenName, IsUsedAsItIs) {
  const fs::path path = directory / GetParam();
  const JobId job = make_database(path);

  ProgressTracker tracker(path);

  EXPECT_EQ(tracker.get_status_counts(job)->total(), 2);
  const auto found = snapshot_of(directory.path());
  EXPECT_THAT(found, Contains(Key(GetParam())));
  for (const auto& [name, contents] : found) {
    EXPECT_TRUE(name.starts_with(GetParam())) << "a stray file: " << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Hostile, OpenName,
                         testing::Values("100%25.db", "what?mode=memory", "a#b.db",
                                         "file:jobs.db?mode=ro", "file:", ":memory:", "-rf", " ",
                                         "line\nbreak", "\xff\xfe.db", "\xc3.db", "'quote\".db",
                                         "e\xcc\x81.db", ".hidden", "\x1b[31m.db"));

TEST_F(OpenTest, ARelativePathIsMadeAbsoluteOnce) {
  const auto in_other_directories = [&] {
    fs::create_directories(directory / "here");
    fs::create_directories(directory / "there");
    fs::current_path(directory / "here");
    ProgressTracker tracker("file:jobs.db");
    fs::current_path(directory / "there");
    const JobId job = tracker.create_job("job", image_paths(3), {});
    std::thread([&] { tracker.claim_images(job, 2); }).join();
    tracker.close();
  };

  ASSERT_EQ(in_child(in_other_directories), 0);  // the current directory is all threads'

  EXPECT_THAT(snapshot_of(directory / "there"), IsEmpty());
  EXPECT_EQ(Outsider(directory / "here/file:jobs.db").number("SELECT count(*) FROM images"), 3);
}

TEST_F(OpenTest, ASymbolicLinkIsFollowedToTheOneName) {
  fs::create_directories(directory / "real");
  fs::create_directories(directory / "links");
  const fs::path real = directory / "real/jobs.db";
  const fs::path link = directory / "links/jobs.db";
  make_database(real);
  fs::create_symlink(real, link);

  ProgressTracker tracker(link);
  ProgressTracker other(real);
  tracker.claim_images(*tracker.get_job_id("job"), 1);

  EXPECT_EQ(other.reset_stuck_images(*other.get_job_id("job")), 0U) << "held by a live worker";
  EXPECT_THAT(snapshot_of(directory / "links"), ElementsAre(Key("jobs.db")));
}

TEST_F(OpenTest, ADanglingSymbolicLinkIsFollowedToTheOneNameToo) {
  fs::create_directories(directory / "real");
  fs::create_directories(directory / "links");
  const fs::path real = directory / "real/jobs.db";
  const fs::path link = directory / "links/jobs.db";
  fs::create_symlink("../real/jobs.db", link);

  ProgressTracker tracker(link);
  const JobId job = tracker.create_job("job", image_paths(2), {});
  tracker.claim_images(job, 1);
  ProgressTracker other(real);

  EXPECT_EQ(other.reset_stuck_images(job), 0U) << "held by a live worker";
  EXPECT_THAT(snapshot_of(directory / "links"), ElementsAre(Key("jobs.db")));
}

TEST_F(OpenTest, ALinkedDirectoryIsFollowed) {
  fs::create_directories(directory / "real");
  fs::create_directory_symlink(directory / "real", directory / "link");

  ProgressTracker tracker(directory / "link/new/jobs.db");
  const JobId job = tracker.create_job("job", image_paths(2), {});
  tracker.claim_images(job, 1);
  ProgressTracker other(directory / "real/new/jobs.db");

  EXPECT_EQ(other.reset_stuck_images(job), 0U);
}

TEST_F(OpenTest, TheSideFileHasTheModeOfTheDatabase) {
  const fs::path path = directory / "jobs.db";
  make_database(path);
  fs::remove(directory / "jobs.db-workers");
  ASSERT_EQ(::chmod(path.c_str(), 0660), 0);

  ProgressTracker tracker(path);
  tracker.claim_images(*tracker.get_job_id("job"), 1);

  struct stat info {};
  ASSERT_EQ(::stat((directory / "jobs.db-workers").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0660U);
}

// ---- Arguments ---------------------------------------------------------------------------------

TEST_F(OpenTest, RefusesPathsThatNameNoFile) {
  EXPECT_THAT(opening(""), ThrowsError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(reading(""), ThrowsError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(opening(":memory:"), ThrowsError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(reading(":memory:"), ThrowsError(ErrorCode::kInvalidArgument));
  const fs::path with_nul = (directory / "a").native() + std::string("\0.db", 4);
  expect_refused(with_nul, ErrorCode::kInvalidArgument);
}

struct OptionsCase {
  std::string name;
  Options options;
  friend std::ostream& operator<<(std::ostream& out, const OptionsCase& each) {
    return out << each.name;
  }
};

class OpenOptions : public OpenTest, public testing::WithParamInterface<OptionsCase> {};

TEST_P(OpenOptions, OutOfRangeAreRefusedBeforeAnythingIsMade) {
  EXPECT_THAT(opening(directory / "sub/jobs.db", GetParam().options),
              ThrowsError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(snapshot_of(directory.path()), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Each, OpenOptions,
                         testing::Values(OptionsCase{"busy_timeout", {.busy_timeout = -1ms}},
                                         OptionsCase{"max_retries", {.max_retries = -1}},
                                         OptionsCase{"retry_delay", {.retry_delay = -1ms}},
                                         OptionsCase{"cache_size_kib", {.cache_size_kib = -1}},
                                         OptionsCase{"synchronous",
                                                     {.synchronous = Options::Synchronous{2}}},
                                         OptionsCase{"max_deaths", {.max_deaths = -1}}),
                         [](const auto& each) { return each.param.name; });

TEST_F(OpenTest, TheLargestOptionsAreFine) {
  Options options;
  options.busy_timeout = std::chrono::milliseconds::max();
  options.retry_delay = std::chrono::milliseconds::max();
  options.max_retries = std::numeric_limits<int>::max();
  options.cache_size_kib = std::numeric_limits<std::int64_t>::max();
  options.mark_buffer = std::numeric_limits<std::size_t>::max();
  options.max_deaths = std::numeric_limits<int>::max();

  ProgressTracker tracker(directory / "jobs.db", options);
  const JobId job = tracker.create_job("job", image_paths(2), {});
  tracker.mark_completed(tracker.claim_images(job, 1).at(0).id);

  EXPECT_EQ(tracker.get_status_counts(job)->completed, 1);
}

TEST_F(OpenTest, TheSmallestOptionsAreFine) {
  Options options;
  options.busy_timeout = 0ms;
  options.retry_delay = 0ms;
  options.max_retries = 0;
  options.cache_size_kib = 0;

  ProgressTracker tracker(directory / "jobs.db", options);

  EXPECT_EQ(tracker.create_job("job", image_paths(2), {}), JobId{1});
}

// ---- Not a database ----------------------------------------------------------------------------

struct FileCase {
  std::string name;
  std::string contents;
  ErrorCode code{ErrorCode::kNotADatabase};
  friend std::ostream& operator<<(std::ostream& out, const FileCase& each) {
    return out << each.name;
  }
};

class OpenFile : public OpenTest, public testing::WithParamInterface<FileCase> {};

TEST_P(OpenFile, IsRefusedAndLeftAsItWas) {
  write_file(directory / "file", GetParam().contents);

  expect_refused(directory / "file", GetParam().code);
}

std::string with_header(std::string contents, std::size_t size) {
  contents.resize(size, '\0');
  return contents;
}

INSTANTIATE_TEST_SUITE_P(
    OfAnotherKind, OpenFile,
    testing::Values(FileCase{"Text", "a list of images\n"}, FileCase{"OneByte", "x"},
                    FileCase{"OneNul", std::string(1, '\0')},
                    FileCase{"Zeros", std::string(8192, '\0')},
                    FileCase{"LongText", std::string(100'000, 'x')},
                    FileCase{"Png", with_header("\x89PNG\r\n\x1a\n", 5000)},
                    FileCase{"Jpeg", with_header("\xff\xd8\xff\xe0", 5000)},
                    FileCase{"CutOffMagic", "SQLite format 3"},
                    FileCase{"MagicOfSQLite2",
                             with_header("** This file contains an SQLite 2.1", 5000)},
                    FileCase{"OnlyTheMagic", std::string("SQLite format 3\0", 16)},
                    FileCase{"MagicAndZeros", with_header("SQLite format 3", 4096),
                             ErrorCode::kForeignDatabase}),
    [](const auto& each) { return each.param.name; });

TEST_F(OpenTest, RefusesADirectory) {
  fs::create_directories(directory / "sub");
  expect_refused(directory / "sub", ErrorCode::kNotADatabase);
  expect_refused(directory / "sub/", ErrorCode::kNotADatabase);
  expect_refused(directory / "sub/.", ErrorCode::kNotADatabase);
  expect_refused(directory / "sub/..", ErrorCode::kNotADatabase);
  expect_refused("/", ErrorCode::kNotADatabase);
}

TEST_F(OpenTest, RefusesAFifoWithoutBlocking) {
  ASSERT_EQ(::mkfifo((directory / "fifo").c_str(), 0600), 0);
  expect_refused(directory / "fifo", ErrorCode::kNotADatabase);
}

TEST_F(OpenTest, RefusesASocket) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = directory / "socket";
  ASSERT_LT(name.size(), sizeof address.sun_path);
  name.copy(address.sun_path, name.size());
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  expect_refused(directory / "socket", ErrorCode::kNotADatabase);
  ::close(fd);
}

TEST_F(OpenTest, RefusesADevice) {
  expect_refused("/dev/null", ErrorCode::kNotADatabase);
  expect_refused("/dev/zero", ErrorCode::kNotADatabase);
}

TEST_F(OpenTest, RefusesALinkThatLeadsInACircle) {
  fs::create_symlink(directory / "b", directory / "a");
  fs::create_symlink(directory / "a", directory / "b");
  expect_refused(directory / "a", ErrorCode::kIo);
}

TEST_F(OpenTest, RefusesAFileAsADirectory) {
  write_file(directory / "file", "text");
  expect_refused(directory / "file/jobs.db", ErrorCode::kIo);
}

TEST_F(OpenTest, RefusesANameThatTheSystemRefuses) {
  expect_refused(directory / std::string(300, 'x'), ErrorCode::kIo);
}

TEST_F(OpenTest, RefusesAFileWithSeveralHardLinks) {
  make_database(directory / "jobs.db");
  fs::create_hard_link(directory / "jobs.db", directory / "other.db");
  expect_refused(directory / "jobs.db", ErrorCode::kUnsupportedFilesystem);
  expect_refused(directory / "other.db", ErrorCode::kUnsupportedFilesystem);
}

TEST_F(OpenTest, SaysWhatIsWrongWithWhat) {
  write_file(directory / "notes.txt", "text");
  const auto error = test::error_of(opening(directory / "notes.txt"));
  ASSERT_TRUE(error.has_value());
  EXPECT_THAT(error->what(), HasSubstr((directory / "notes.txt").native()));
  EXPECT_THAT(error->what(), HasSubstr("not an SQLite file"));
}

// ---- Somebody else's database ------------------------------------------------------------------

TEST_F(OpenTest, RefusesAForeignDatabase) {
  Outsider(directory / "foreign.db")
      .run(
          "CREATE TABLE bookmarks (url); "
          "INSERT INTO bookmarks VALUES ('x')");
  expect_refused(directory / "foreign.db", ErrorCode::kForeignDatabase);
}

TEST_F(OpenTest, RefusesAForeignDatabaseWithNothingInIt) {
  Outsider(directory / "foreign.db").run("CREATE TABLE t (x); DROP TABLE t; VACUUM");
  expect_refused(directory / "foreign.db", ErrorCode::kForeignDatabase);
}

TEST_F(OpenTest, RefusesAForeignDatabaseWithAnotherApplicationId) {
  Outsider(directory / "foreign.db").run("PRAGMA application_id = 1; CREATE TABLE t (x)");
  expect_refused(directory / "foreign.db", ErrorCode::kForeignDatabase);
}

TEST_F(OpenTest, RefusesAForeignDatabaseInWalModeAfterItWasClosed) {
  Outsider(directory / "foreign.db").run("PRAGMA journal_mode = WAL; CREATE TABLE t (x)");
  expect_refused(directory / "foreign.db", ErrorCode::kForeignDatabase);
}

TEST_F(OpenTest, RefusesAForeignDatabaseInWalModeWhileItIsInUse) {
  Outsider foreign(directory / "foreign.db");
  foreign.run("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)");
  ASSERT_TRUE(fs::exists(directory / "foreign.db-wal"));
  foreign.run("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)");

  expect_refused(directory / "foreign.db", ErrorCode::kForeignDatabase);

  foreign.run("COMMIT");
  EXPECT_EQ(foreign.number("SELECT count(*) FROM t"), 2);
}

TEST_F(OpenTest, RefusesAForeignDatabaseWithALogThatACrashLeft) {
  // Copied while in use: a database, its log, and nobody who has them open.
  {
    Outsider foreign(directory / "live.db");
    foreign.run("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    fs::copy_file(directory / "live.db", directory / "foreign.db");
    fs::copy_file(directory / "live.db-wal", directory / "foreign.db-wal");
  }
  expect_refused(directory / "foreign.db", ErrorCode::kForeignDatabase);
}

TEST_F(OpenTest, DoesNotDisturbTheLocksOfAForeignDatabaseOfThisProcess) {
  // Closing a file drops this process's locks on it, so what looks must not open it by itself.
  Outsider foreign(directory / "foreign.db");
  foreign.run("CREATE TABLE t (x); BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)");

  EXPECT_THAT(opening(directory / "foreign.db"), ThrowsError(ErrorCode::kForeignDatabase));

  EXPECT_EQ(in_child([&] {
              ::execlp("python3", "python3", "-c",
                       "import sqlite3, sys\n"
                       "try: sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM t')\n"
                       "except sqlite3.OperationalError: sys.exit(7)\n",
                       (directory / "foreign.db").c_str(), nullptr);
              ::_exit(7);  // no python3 here
            }),
            7)
      << "the lock is gone";
}

TEST_F(OpenTest, RefusesANewerSchema) {
  make_database(directory / "jobs.db");
  Outsider(directory / "jobs.db")
      .run("PRAGMA user_version = " + std::to_string(store::kSchemaVersion + 1));
  expect_refused(directory / "jobs.db", ErrorCode::kSchemaTooNew);
}

// What only the log says, as a crash may leave it: the header is older.
TEST_F(OpenTest, RefusesANewerSchemaThatOnlyTheLogKnowsOf) {
  make_database(directory / "live.db");
  {
    Outsider live(directory / "live.db");
    live.run("PRAGMA user_version = " + std::to_string(store::kSchemaVersion + 1));
    fs::copy_file(directory / "live.db", directory / "jobs.db");
    fs::copy_file(directory / "live.db-wal", directory / "jobs.db-wal");
  }
  expect_refused_with_its_log(directory / "jobs.db", ErrorCode::kSchemaTooNew);
}

TEST_F(OpenTest, RefusesADatabaseOfOursWithTheLogOfAnother) {
  make_database(directory / "jobs.db");
  {
    Outsider foreign(directory / "foreign.db");
    foreign.run("PRAGMA journal_mode = WAL; CREATE TABLE t (x)");
    fs::copy_file(directory / "foreign.db-wal", directory / "jobs.db-wal");
  }
  expect_refused_with_its_log(directory / "jobs.db", ErrorCode::kForeignDatabase);

  fs::remove(directory / "jobs.db-wal");
  EXPECT_EQ(ProgressTracker(directory / "jobs.db").get_status_counts(JobId{1})->completed, 1);
}

TEST_F(OpenTest, RefusesASchemaVersionThatIsNegative) {
  make_database(directory / "jobs.db");
  Outsider(directory / "jobs.db").run("PRAGMA user_version = -1");
  expect_refused(directory / "jobs.db", ErrorCode::kSchemaTooNew);
}

TEST_F(OpenTest, RefusesASchemaOlderThanTheFirst) {
  make_database(directory / "jobs.db");
  Outsider(directory / "jobs.db").run("PRAGMA user_version = 0");
  expect_refused(directory / "jobs.db", ErrorCode::kSchemaTooOld);
}

TEST_F(OpenTest, BringsADatabaseOfVersion1UpToDate) {
  const std::vector<fs::path> paths{"b/2.png", "a/1.png", "b/1.png", "3.png", "a/\xff.png"};
  const auto old = directory / "old.db";
  JobId job{};
  {
    ProgressTracker tracker(old);
    job = tracker.create_job("job", paths, {});
    tracker.claim_images(job, 1);
    tracker.mark_error(tracker.claim_images(job, 1).front().id, "broken");
    tracker.mark_completed(tracker.claim_images(job, 1).front().id);
  }
  const auto images = Outsider(old).run("SELECT * FROM images");
  test::make_version_1_of(old);
  EXPECT_THAT([&] { ProgressTracker(old, {.read_only = true}); },
              ThrowsError(ErrorCode::kSchemaTooOld));
  EXPECT_EQ(Outsider(old).value("PRAGMA user_version"), "1") << "left untouched";

  ProgressTracker tracker(old);

  EXPECT_EQ(Outsider(old).run("SELECT * FROM images"), images);
  for (const fs::path& path : paths) {
    const auto id = tracker.get_image_id(job, path);
    ASSERT_TRUE(id.has_value()) << path;
    EXPECT_EQ(tracker.get_image(*id)->image.path, path);
  }
  EXPECT_EQ(tracker.add_images(job, paths, {}), 0);
  EXPECT_TRUE(examine(old).healthy());
  ProgressTracker(directory / "new.db").list_jobs();
  const char* schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";
  EXPECT_EQ(Outsider(old).run(schema), Outsider(directory / "new.db").run(schema));
}

// Two images, of which one was completed.
constexpr const char* kJobOf010 = R"sql(
INSERT INTO job (name, ready, published, started, created_at, updated_at)
VALUES ('old', 1, 2, 1, 0, 0);
INSERT INTO split (id, job_id, name, total, completed) VALUES (1, 1, 'train', 2, 1);
INSERT INTO directory (id, job_id, path) VALUES (1, 1, 'd/');
INSERT INTO image (id, directory, name, split) VALUES (4294967297, 1, 'a.png', 1),
                                                      (4294967298, 1, 'b.png', 1);
INSERT INTO state (id, status, split, attempts, deaths, started_at, changed_at)
VALUES (4294967297, 2, 1, 1, 0, 0, 0);
)sql";

TEST_F(OpenTest, AFileOfRelease010IsUsed) {
  const auto old = directory / "old.db";
  Outsider(old).run(std::string(test::kSchemaOf010) + kJobOf010);

  for (const char* when : {"brought up to date", "opened again"}) {
    SCOPED_TRACE(when);
    ProgressTracker tracker(old);
    EXPECT_EQ(tracker.get_status_counts(JobId{1}), (StatusCounts{1, 0, 1, 0}));
    EXPECT_EQ(tracker.get_image_id(JobId{1}, "d/b.png"), ImageId{4294967298});
    EXPECT_TRUE(examine(old).healthy());
  }
  ProgressTracker tracker(old);
  tracker.complete(tracker.claim_images(JobId{1}).at(0));
  EXPECT_EQ(tracker.get_status_counts(JobId{1}), (StatusCounts{0, 0, 2, 0}));
}

TEST_F(OpenTest, IsBroughtUpToDateWithoutItsViewsToo) {
  const auto old = directory / "old.db";
  Outsider(old).run(std::string(test::kSchemaOf010) + kJobOf010 + "DROP VIEW progress");

  EXPECT_EQ(ProgressTracker(old).list_jobs().size(), 1U);

  EXPECT_EQ(Outsider(old).number("SELECT pending FROM progress"), 1);
}

// What it writes stays in the log, whatever its size: only our own checkpoint is safe.
TEST_F(OpenTest, BringingUpToDateCheckpointsNothing) {
  const auto old = directory / "old.db";
  ProgressTracker(old).create_job("job", image_paths(60'000), {});
  test::make_version_1_of(old);
  Outsider keeper(old);  // so that closing does not checkpoint either
  keeper.run("PRAGMA wal_autocheckpoint = 0; SELECT * FROM job");
  const auto size = fs::file_size(old);

  const ProgressTracker tracker(old);

  EXPECT_GT(fs::file_size(old.native() + "-wal"), 4'500'000U);
  EXPECT_EQ(fs::file_size(old), size);
}

TEST_F(OpenTest, IsNotBroughtUpToDateUnderALivingWorker) {
  const auto old = directory / "old.db";
  ProgressTracker worker(old);
  worker.claim_images(worker.create_job("job", image_paths(3), {}), 1);
  test::make_version_1_of(old);

  EXPECT_THAT([&] { ProgressTracker{old}; }, ThrowsError(ErrorCode::kBusy));

  EXPECT_EQ(Outsider(old).value("PRAGMA user_version"), "1") << "left untouched";
  worker.close();
  EXPECT_EQ(ProgressTracker(old).list_jobs().size(), 1U);
}

TEST_F(OpenTest, ADatabaseThatIsCutOffIsCorrupt) {
  make_database(directory / "jobs.db");
  fs::resize_file(directory / "jobs.db", 8192);

  EXPECT_THAT(
      [&] {
        ProgressTracker tracker(directory / "jobs.db");
        tracker.list_jobs();
        tracker.create_job("job", image_paths(1), {});
      },
      ThrowsError(ErrorCode::kCorrupt));
}

TEST_F(OpenTest, WhatWasChangedInTheTablesIsNamed) {
  make_database(directory / "jobs.db");
  const auto opening = [&] { ProgressTracker tracker(directory / "jobs.db"); };
  const std::string start = "open: " + (directory / "jobs.db").native() + ": ";
  const std::string end =
      ": another program changed the schema, or the file is damaged: undo the change, or restore a "
      "copy";

  Outsider(directory / "jobs.db").run("ALTER TABLE worker ADD COLUMN more INTEGER");
  EXPECT_EQ(test::error_of(opening)->what(), start + "table worker is not as it was made" + end);

  Outsider(directory / "jobs.db")
      .run("ALTER TABLE worker DROP COLUMN more; DROP INDEX state_error");
  EXPECT_EQ(test::error_of(opening)->what(), start + "index state_error is missing" + end);
}

TEST_F(OpenTest, WhatOthersAddToAFileIsLeftAlone) {
  make_database(directory / "jobs.db");
  Outsider(directory / "jobs.db")
      .run(
          "CREATE TABLE notes (x); CREATE INDEX notes_x ON notes (x); INSERT INTO notes VALUES (7);"
          "CREATE VIEW mine AS SELECT path FROM images;"
          "CREATE INDEX later ON state (changed_at);"
          "CREATE TRIGGER telling AFTER UPDATE ON state BEGIN DELETE FROM notes; END;"
          "DROP VIEW progress; ANALYZE");

  ProgressTracker tracker(directory / "jobs.db");
  const JobId job = tracker.create_job("another", image_paths(3), {});
  tracker.complete(tracker.claim_images(job, 1).front());

  EXPECT_EQ(Outsider(directory / "jobs.db").number("SELECT x FROM notes"), 7);
  EXPECT_TRUE(examine(directory / "jobs.db").healthy());
}

TEST_F(OpenTest, ADatabaseOfVersion1WithAnotherSchemaStaysOfVersion1) {
  const auto old = directory / "old.db";
  make_database(old);
  test::make_version_1_of(old);
  Outsider(old).run("DROP INDEX state_error");
  const std::string before = test::contents_of(old);

  EXPECT_THAT([&] { ProgressTracker{old}; }, ThrowsError(ErrorCode::kCorrupt));

  EXPECT_EQ(test::contents_of(old), before);
  EXPECT_EQ(Outsider(old).value("PRAGMA user_version"), "1");
}

TEST_F(OpenTest, ADatabaseWithoutItsTablesIsCorrupt) {
  // Nothing but our header: everything else was removed.
  Outsider(directory / "jobs.db")
      .run("PRAGMA application_id = " + std::to_string(store::kApplicationId) +
           "; PRAGMA user_version = " + std::to_string(store::kSchemaVersion) +
           "; CREATE TABLE t (x)");

  EXPECT_THAT(
      [&] {
        ProgressTracker tracker(directory / "jobs.db");
        tracker.create_job("job", image_paths(1), {});
      },
      ThrowsError(ErrorCode::kCorrupt));
}

TEST_F(OpenTest, ALinkOrAPipeInPlaceOfTheWorkersFileIsATrap) {
  const fs::path path = directory / "jobs.db";
  const fs::path side = directory / "jobs.db-workers";
  const JobId job = make_database(path);
  fs::remove(side);
  write_file(directory / "victim", "short");
  fs::create_symlink(directory / "victim", side);
  {
    ProgressTracker tracker(path);
    EXPECT_THAT([&] { tracker.claim_images(job); }, ThrowsError(ErrorCode::kIo));
  }
  EXPECT_EQ(contents_of(directory / "victim"), "short");

  fs::remove(side);
  ASSERT_EQ(::mkfifo(side.c_str(), 0666), 0);
  ProgressTracker tracker(path);
  EXPECT_THAT([&] { tracker.claim_images(job); }, ThrowsError(ErrorCode::kIo));

  fs::remove(side);
  EXPECT_EQ(tracker.claim_images(job).size(), 1U);
}

// ---- Read-only ---------------------------------------------------------------------------------

TEST_F(OpenTest, ReadOnlyMakesNothingWhereThereIsNothing) {
  EXPECT_THAT(reading(directory / "a/b/jobs.db"), ThrowsError(ErrorCode::kNotFound));
  EXPECT_THAT(reading(directory / "jobs.db"), ThrowsError(ErrorCode::kNotFound));
  EXPECT_THAT(snapshot_of(directory.path()), IsEmpty());
}

TEST_F(OpenTest, ReadOnlyFindsNothingInAnEmptyFile) {
  write_file(directory / "jobs.db", "");
  EXPECT_THAT(reading(directory / "jobs.db"), ThrowsError(ErrorCode::kNotFound));
  EXPECT_EQ(contents_of(directory / "jobs.db"), "");
}

TEST_F(OpenTest, ReadOnlyReads) {
  const JobId job = make_database(directory / "jobs.db");
  ProgressTracker writer(directory / "jobs.db");
  writer.claim_images(job, 1);

  ProgressTracker tracker(directory / "jobs.db", {.read_only = true});

  EXPECT_EQ(tracker.get_status_counts(job), (StatusCounts{.processing = 1, .completed = 1}));
  EXPECT_EQ(tracker.list_jobs().size(), 1U);
  EXPECT_EQ(tracker.get_images(job).size(), 2U);
  EXPECT_THAT(tracker.list_workers(), ElementsAre(testing::Field(&Worker::alive, true)));
  writer.mark_completed(tracker.get_images(job, Status::kProcessing).at(0).image.id);
  EXPECT_EQ(tracker.get_status_counts(job)->completed, 2);
}

TEST_F(OpenTest, ReadOnlyRefusesEveryWritingCall) {
  const fs::path path = directory / "jobs.db";
  const JobId job = make_database(path);
  const std::size_t before = std::hash<std::string>{}(contents_of(path));
  for (const std::size_t mark_buffer : {0, 10}) {
    ProgressTracker tracker(path, {.mark_buffer = mark_buffer, .read_only = true});
    const Image image = tracker.get_pending_images(job).at(0);
    const std::vector<ImageId> ids{image.id};
    const std::vector<Image> images{image};
    const std::vector<Outcome> outcomes{{.id = image.id, .attempt = 0, .error = {}}};
    const auto paths = image_paths(1, "new");

    const std::vector<std::pair<std::string, std::function<void()>>> calls{
        {"create_job", [&] { tracker.create_job("job", paths, {}); }},
        {"create_job, nothing new", [&] { tracker.create_job("job", {}, {}); }},
        {"add_images", [&] { tracker.add_images(job, paths, {}); }},
        {"chain_job", [&] { tracker.chain_job("chained", job); }},
        {"remove_job", [&] { tracker.remove_job(job); }},
        {"mark_processing", [&] { tracker.mark_processing(ids); }},
        {"mark_processing of nothing", [&] { tracker.mark_processing({}); }},
        {"claim_images", [&] { tracker.claim_images(job); }},
        {"claim_images of nothing", [&] { tracker.claim_images(job, 0); }},
        {"claim_images, unknown job", [&] { tracker.claim_images(JobId{99}); }},
        {"mark_completed", [&] { tracker.mark_completed(image.id); }},
        {"mark_error", [&] { tracker.mark_error(image.id, "broken"); }},
        {"mark_outcomes", [&] { tracker.mark_outcomes(outcomes); }},
        {"mark_outcomes of nothing", [&] { tracker.mark_outcomes({}); }},
        {"complete", [&] { tracker.complete(image); }},
        {"fail", [&] { tracker.fail(image, "broken"); }},
        {"release_images", [&] { tracker.release_images(images); }},
        {"reset_stuck_images", [&] { tracker.reset_stuck_images(job); }},
        {"reset_processing_images", [&] { tracker.reset_processing_images(job); }},
        {"reset_error_images", [&] { tracker.reset_error_images(job); }},
        {"retry_images", [&] { tracker.retry_images(ids); }},
        {"checkpoint", [&] { tracker.checkpoint(job); }},
        {"create_batch", [&] { tracker.create_batch(job, 1, 1); }},
        {"create_batch_of", [&] { tracker.create_batch_of(job, 1, ids); }},
        {"mark_batch_uploaded", [&] { tracker.mark_batch_uploaded(BatchId{1}); }},
        {"mark_batch_error", [&] { tracker.mark_batch_error(BatchId{1}, "broken"); }},
        {"sync", [&] { tracker.sync(); }},
    };
    for (const auto& [name, call] : calls) {
      EXPECT_THAT(call, ThrowsError(ErrorCode::kReadOnly)) << name;
    }
    // Wrong arguments come first.
    EXPECT_THAT([&] { tracker.create_job("", paths, {}); },
                ThrowsError(ErrorCode::kInvalidArgument));
    EXPECT_THAT([&] { tracker.create_batch(job, 1, -1); },
                ThrowsError(ErrorCode::kInvalidArgument));
    tracker.close();
  }
  EXPECT_EQ(std::hash<std::string>{}(contents_of(path)), before);
}

TEST_F(OpenTest, ReadOnlyMakesNoWorkersFile) {
  const fs::path path = directory / "jobs.db";
  { ProgressTracker(path).create_job("job", {}, {}); }
  ASSERT_FALSE(fs::exists(directory / "jobs.db-workers"));

  {
    ProgressTracker tracker(path, {.read_only = true});
    EXPECT_THAT(tracker.list_workers(), IsEmpty());
  }

  EXPECT_FALSE(fs::exists(directory / "jobs.db-workers"));
}

// ---- What SQLite cannot do there ---------------------------------------------------------------

// A layer of SQLite below which there is no shared memory, and where nobody's locks count.
constexpr const char* kWithoutLocks = "unix-none";

// While it exists, connections are opened through this layer.
class DefaultVfs {
 public:
  explicit DefaultVfs(const char* name) : usual_(sqlite3_vfs_find(nullptr)) {
    sqlite3_vfs_register(sqlite3_vfs_find(name), 1);
  }
  DefaultVfs(const DefaultVfs&) = delete;
  DefaultVfs& operator=(const DefaultVfs&) = delete;
  ~DefaultVfs() { sqlite3_vfs_register(usual_, 1); }

 private:
  sqlite3_vfs* usual_;
};

TEST_F(OpenTest, WithoutSharedMemoryItIsAnUnsupportedFilesystem) {
  if (sqlite3_vfs_find(kWithoutLocks) == nullptr) {
    GTEST_SKIP() << "this SQLite has no such layer";
  }
  const fs::path path = directory / "jobs.db";
  {
    const DefaultVfs without_shared_memory(kWithoutLocks);
    const auto error = test::error_of(opening(path));
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code(), ErrorCode::kUnsupportedFilesystem);
    EXPECT_EQ(error->what(), "open: " + path.native() +
                                 ": SQLite cannot use a write-ahead log there: no shared memory");
  }
  // What had been made by then is a beginning.
  EXPECT_THAT(ProgressTracker(path).list_jobs(), IsEmpty());
}

// By a program that passes over the locks, such as one on another machine.
TEST_F(OpenTest, AThreadThatComesNewRefusesAFileThatIsNotInWalModeAnyMore) {
  if (sqlite3_vfs_find(kWithoutLocks) == nullptr) {
    GTEST_SKIP() << "this SQLite has no such layer";
  }
  const fs::path path = directory / "jobs.db";
  make_database(path);
  ProgressTracker tracker(path);
  {
    const DefaultVfs without_locks(kWithoutLocks);
    Outsider reckless(path);
    reckless.run("PRAGMA locking_mode = EXCLUSIVE");
    ASSERT_EQ(reckless.value("PRAGMA journal_mode = DELETE"), "delete");
  }

  std::thread([&] {
    const auto error = test::error_of([&] { tracker.create_job("new", image_paths(1), {}); });
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code(), ErrorCode::kIo);
    EXPECT_EQ(error->what(), "open: " + path.native() + ": is not in WAL mode any more");
  }).join();

  EXPECT_EQ(Outsider(path).number("SELECT count(*) FROM job"), 1);
}

// As where a policy of the system forbids what the file's mode allows.
TEST_F(OpenTest, AFileThatSQLiteMayOnlyReadIsReadOnlyAndNotChanged) {
  const fs::path path = directory / "jobs.db";
  make_database(path);
  const auto before = snapshot_of(directory.path());
  sqlite3_vfs* const system = sqlite3_vfs_find(nullptr);
  ASSERT_GE(system->iVersion, 3);
  const auto refuse_to_write = [](const char* name, int flags, int mode) {
    if ((flags & O_ACCMODE) != O_RDONLY) {
      errno = EACCES;
      return -1;
    }
    return ::open(name, flags, mode);
  };
  int (*const open_to_read)(const char*, int, int) = refuse_to_write;
  ASSERT_EQ(
      system->xSetSystemCall(system, "open", reinterpret_cast<sqlite3_syscall_ptr>(open_to_read)),
      SQLITE_OK);

  const auto error = test::error_of(opening(path));

  system->xSetSystemCall(system, "open", nullptr);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kReadOnly);
  EXPECT_EQ(error->what(), "open: " + path.native() + ": cannot be written");
  EXPECT_EQ(snapshot_of(directory.path()), before);
}

// ---- Without the right to ----------------------------------------------------------------------

// Runs `work` as a user who may do little: root may do everything, whatever the mode.
int as_nobody(const std::function<void()>& work) {
  return in_child([&] {
    const bool is_root = ::geteuid() == 0;
    if (is_root) {
      constexpr uid_t kNobody = 65534;
      require(::setgroups(0, nullptr) == 0 && ::setresgid(kNobody, kNobody, kNobody) == 0 &&
                  ::setresuid(kNobody, kNobody, 0) == 0,
              "becoming somebody else");
    }
    work();
    // The files of a measurement are the test's.
    require(!is_root || ::seteuid(0) == 0, "becoming root again");
  });
}

void expect_code(const std::function<void()>& action, std::string_view code) {
  const std::string got = test::code_of(action);
  require(got == code, "expected " + std::string(code) + ", got " + got);
}

class OpenUnprivileged : public OpenTest {
 protected:
  OpenUnprivileged() { fs::permissions(directory.path(), fs::perms{0777}); }
  ~OpenUnprivileged() override {
    fs::permissions(directory.path(), fs::perms{0777});
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(directory.path())) {
      fs::permissions(entry.path(), fs::perms{0777}, ignored);
    }
  }
};

TEST_F(OpenUnprivileged, AFileWeMayNotWriteIsReadOnly) {
  make_database(directory / "jobs.db");
  fs::permissions(directory / "jobs.db", fs::perms{0444});
  const auto before = snapshot_of(directory.path());

  EXPECT_EQ(as_nobody([&] { expect_code(opening(directory / "jobs.db"), "read_only"); }), 0);

  EXPECT_EQ(snapshot_of(directory.path()), before);
}

TEST_F(OpenUnprivileged, ADirectoryWeMayNotWriteIsReadOnly) {
  make_database(directory / "sub/jobs.db");
  fs::permissions(directory / "sub/jobs.db", fs::perms{0666});
  fs::permissions(directory / "sub", fs::perms{0555});
  const auto before = snapshot_of(directory.path());

  EXPECT_EQ(as_nobody([&] {
              expect_code(opening(directory / "sub/jobs.db"), "read_only");
              expect_code(opening(directory / "sub/new.db"), "read_only");
              expect_code(opening(directory / "sub/new/new.db"), "read_only");
            }),
            0);

  EXPECT_EQ(snapshot_of(directory.path()), before);
}

TEST_F(OpenUnprivileged, ASideFileWeMayNotWriteIsReadOnlyAndNamed) {
  make_database(directory / "jobs.db");
  fs::permissions(directory / "jobs.db", fs::perms{0666});
  for (const std::string side : {"jobs.db-wal", "jobs.db-shm", "jobs.db-workers"}) {
    write_file(directory / side, "");
    fs::permissions(directory / side, fs::perms{0444});

    EXPECT_EQ(as_nobody([&] {
                const auto error = test::error_of(opening(directory / "jobs.db"));
                require(error.has_value() && error->code() == ErrorCode::kReadOnly, "read-only");
                require(std::string(error->what()).find(side) != std::string::npos, "named");
              }),
              0)
        << side;
    fs::permissions(directory / side, fs::perms{0666});
  }
}

// SQLite passes over it too.
TEST_F(OpenUnprivileged, ADirectoryThatCannotBeSyncedTakesNewDirectoriesAllTheSame) {
  fs::create_directory(directory / "drop");
  fs::permissions(directory / "drop", fs::perms{0333});

  EXPECT_EQ(as_nobody([&] {
              ProgressTracker tracker(directory / "drop/new/jobs.db");
              tracker.create_job("job", image_paths(2), {});
            }),
            0);

  EXPECT_EQ(Outsider(directory / "drop/new/jobs.db").number("SELECT count(*) FROM images"), 2);
}

// The log needs its -shm file, which cannot be made here.
TEST_F(OpenUnprivileged, AFileInADirectoryWeMayNotWriteIsReadAsASnapshotOnly) {
  make_database(directory / "sub/jobs.db");
  fs::permissions(directory / "sub", fs::perms{0555});

  EXPECT_EQ(as_nobody([&] {
              const auto error = test::error_of(reading(directory / "sub/jobs.db"));
              require(error.has_value() && error->code() == ErrorCode::kIo, "io");
              require(std::string(error->what()).find("snapshot()") != std::string::npos, "advice");
            }),
            0);
}

TEST_F(OpenUnprivileged, AFileWeMayOnlyReadCanBeReadBesideItsWriter) {
  const fs::path path = directory / "jobs.db";
  const JobId job = make_database(path);
  ProgressTracker writer(path);
  writer.claim_images(job, 1);
  for (const char* side : {"", "-wal", "-shm", "-workers"}) {
    fs::permissions(path.native() + side, fs::perms{0644});
  }

  EXPECT_EQ(as_nobody([&] {
              ProgressTracker tracker(path, {.read_only = true});
              require(tracker.get_status_counts(job)->processing == 1, "one is processing");
              require(tracker.list_workers().at(0).alive, "its worker is alive");
            }),
            0);
}

TEST_F(OpenUnprivileged, AFileWeMayNotReadIsAnIoError) {
  make_database(directory / "jobs.db");
  fs::permissions(directory / "jobs.db", fs::perms{0000});
  const auto before = snapshot_of(directory.path());

  EXPECT_EQ(as_nobody([&] {
              expect_code(opening(directory / "jobs.db"), "read_only");
              expect_code(reading(directory / "jobs.db"), "io");
            }),
            0);

  EXPECT_EQ(snapshot_of(directory.path()), before);
}

TEST_F(OpenUnprivileged, AFileInADirectoryWeMayNotEnterIsNotSaidToBeMissing) {
  make_database(directory / "sub/jobs.db");
  fs::permissions(directory / "sub", fs::perms{0000});

  EXPECT_EQ(as_nobody([&] { expect_code(reading(directory / "sub/jobs.db"), "io"); }), 0);
}

// ---- Too little of something -------------------------------------------------------------------

TEST_F(OpenTest, WithoutFileDescriptorsItIsAnIoError) {
  make_database(directory / "jobs.db");
  EXPECT_EQ(in_child([&] {
              const rlimit few{3, 3};
              require(::setrlimit(RLIMIT_NOFILE, &few) == 0, "setting the limit");
              expect_code(opening(directory / "jobs.db"), "io");
            }),
            0);
}

TEST_F(OpenTest, ARefusedFileLeavesNoDescriptorOpen) {
  write_file(directory / "text", "text");
  Outsider(directory / "foreign.db").run("CREATE TABLE t (x)");
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator{});
  };
  const auto before = open_files();
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(opening(directory / "text"), ThrowsError(ErrorCode::kNotADatabase));
    EXPECT_THAT(opening(directory / "foreign.db"), ThrowsError(ErrorCode::kForeignDatabase));
  }
  EXPECT_EQ(open_files(), before);
}

}  // namespace
}  // namespace progress_tracker

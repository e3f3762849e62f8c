// Files that are not ours to use: refused by whatever opens a database, and not one byte, time or
// name in their directory is another one afterwards.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "campaign.h"
#include "foreign_schemas.h"
#include "progress_tracker/error.h"
#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

namespace fs = std::filesystem;
using test::Outsider;
using Codes = std::set<std::string>;

// Everything that stat tells of a file but the time of the last reading, and its contents.
std::string state_of(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    return "gone";
  }
  const auto time = [](const timespec& when) {
    return std::to_string(when.tv_sec) + "." + std::to_string(when.tv_nsec);
  };
  std::string state = "inode " + std::to_string(info.st_ino) + " mode " +
                      std::to_string(info.st_mode) + " links " + std::to_string(info.st_nlink) +
                      " size " + std::to_string(info.st_size) + " modified " + time(info.st_mtim) +
                      " changed " + time(info.st_ctim);
  if (S_ISREG(info.st_mode)) {
    state += " hash " + std::to_string(std::hash<std::string>{}(test::contents_of(path)));
  }
  return state;
}

// The directory itself is in it: its times tell of a file that came and went.
std::map<std::string, std::string> state_of_all(const fs::path& directory) {
  std::map<std::string, std::string> all{{".", state_of(directory)}};
  for (const auto& entry : fs::directory_iterator(directory)) {
    all[entry.path().filename()] = state_of(entry.path());
  }
  return all;
}

struct Door {
  std::string name;
  std::function<void(const fs::path&)> open;
};

class RefusedFilesTest : public testing::Test {
 protected:
  RefusedFilesTest() {
    fs::create_directory(directory_);
    fs::create_directory(elsewhere_);
  }

  std::vector<Door> doors() const {
    const fs::path out = elsewhere_ / "copy.db";
    return {
        {"for writing", [](const fs::path& path) { const ProgressTracker tracker(path); }},
        {"for reading",
         [](const fs::path& path) {
           Options options;
           options.read_only = true;
           const ProgressTracker tracker(path, options);
         }},
        {"examine", [](const fs::path& path) { examine(path); }},
        {"repair", [](const fs::path& path) { repair(path); }},
        {"snapshot", [out](const fs::path& path) { snapshot(path, out); }},
    };
  }

  // At every door but those left out.
  void expect_refused(const fs::path& path, const Codes& codes, const Codes& without = {}) {
    for (const Door& door : doors()) {
      if (without.contains(door.name)) {
        continue;
      }
      SCOPED_TRACE(path.native() + " " + door.name);
      ++tried_;
      const auto before = state_of_all(directory_);
      const std::string code = test::code_of([&] { door.open(path); });
      const auto after = state_of_all(directory_);
      EXPECT_TRUE(codes.contains(code)) << code;
      EXPECT_EQ(after, before);
      EXPECT_TRUE(fs::is_empty(elsewhere_)) << "a copy of it was made";
      wrong_ += codes.contains(code) && after == before && fs::is_empty(elsewhere_) ? 0 : 1;
    }
  }

  // It may get side files, as SQLite has to read it to know; it itself is evidence.
  void expect_kept(const fs::path& path, const Codes& codes) {
    for (const Door& door : doors()) {
      SCOPED_TRACE(door.name);
      ++tried_;
      const std::string before = state_of(path);
      const std::string code = test::code_of([&] { door.open(path); });
      const bool fits = codes.contains(code);
      EXPECT_TRUE(fits) << code;
      EXPECT_EQ(state_of(path), before);
      wrong_ += fits && state_of(path) == before ? 0 : 1;
    }
  }

  void report_as(const std::string& what) const { report("G15", what, tried_, wrong_); }

  fs::path make(const std::string& name, std::string_view contents) const {
    test::write_file(directory_ / name, contents);
    return directory_ / name;
  }

  // One of ours, closed.
  fs::path make_database(const std::string& name) const {
    ProgressTracker tracker(directory_ / name);
    tracker.create_job("job", test::image_paths(50), {});
    tracker.claim_images(JobId{1}, 10);
    return directory_ / name;
  }

  test::TempDirectory root_;
  const fs::path directory_ = root_ / "with it";
  const fs::path elsewhere_ = root_ / "elsewhere";
  int tried_{0};
  int wrong_{0};
};

// ---- Other programs' databases -----------------------------------------------------------------

// Their last connection stays open, so that the log stays too.
enum class Journal { kRollback, kWalClosed, kWalInUse, kWalAfterACrash };

TEST_F(RefusedFilesTest, OtherProgramsDatabases) {
  ASSERT_GE(kForeignSchemas.size(), 50U);
  for (const ForeignSchema& schema : kForeignSchemas) {
    for (const auto journal :
         {Journal::kRollback, Journal::kWalClosed, Journal::kWalInUse, Journal::kWalAfterACrash}) {
      SCOPED_TRACE(std::string(schema.program) + ", journal " +
                   std::to_string(static_cast<int>(journal)));
      const fs::path path = directory_ / "app.db";
      const fs::path origin = elsewhere_ / "origin.db";
      {
        const fs::path made = journal == Journal::kWalAfterACrash ? origin : path;
        Outsider program(made);
        program.run(schema.setup);
        program.run(journal == Journal::kRollback ? "PRAGMA journal_mode = DELETE"
                                                  : "PRAGMA journal_mode = WAL");
        program.run(schema.sql);
        if (journal == Journal::kWalAfterACrash) {
          // As the crash left it: the log is full, and nobody has its index.
          fs::copy_file(origin, path);
          fs::copy_file(origin.native() + "-wal", path.native() + "-wal");
        } else if (journal == Journal::kWalInUse) {
          expect_refused(path, {"foreign_database"});
        }
      }
      fs::remove(origin);
      if (journal != Journal::kWalInUse) {
        expect_refused(path, {"foreign_database"});
      }
      for (const auto& entry : fs::directory_iterator(directory_)) {
        fs::remove(entry.path());
      }
    }
  }
  report_as("other programs' databases at five doors");
}

// ---- Ours, but not for us ----------------------------------------------------------------------

TEST_F(RefusedFilesTest, NewerSchemas) {
  for (const char* version : {"4", "5", "1000", "2147483647"}) {
    for (const char* journal : {"DELETE", "WAL"}) {
      const fs::path path = make_database("jobs.db");
      Outsider(path).run(std::string("PRAGMA user_version = ") + version +
                         "; PRAGMA journal_mode = " + journal);
      expect_refused(path, {"schema_too_new"});
      fs::remove(path);
    }
  }
  report_as("newer schemas at five doors");
}

TEST_F(RefusedFilesTest, SeveralHardLinks) {
  const fs::path path = make_database("jobs.db");
  for (int links = 2; links <= 4; ++links) {
    fs::create_hard_link(path, directory_ / ("link" + std::to_string(links)));
    expect_refused(path, {"unsupported_filesystem"});
    expect_refused(directory_ / ("link" + std::to_string(links)), {"unsupported_filesystem"});
  }
  report_as("files with several hard links at five doors");
}

// ---- No databases ------------------------------------------------------------------------------

TEST_F(RefusedFilesTest, WhateverElseLiesAround) {
  using namespace std::string_literals;
  const Codes kNone{"not_a_database"};
  expect_refused(make("notes.txt", "a text\nwith lines\n" + std::string(5'000, '.')), kNone);
  expect_refused(make("one byte", "S"), kNone);
  expect_refused(make("photo.jpg", "\xFF\xD8\xFF\xE0\0\x10JFIF\0"s + std::string(9'000, '\x7F')),
                 kNone);
  expect_refused(make("image.png", "\x89PNG\r\n\x1A\n\0\0\0\rIHDR"s + std::string(700, '\0')),
                 kNone);
  expect_refused(make("archive.gz", "\x1F\x8B\x08"s + std::string(4'096, '\xA5')), kNone);
  expect_refused(make("zeros", std::string(8'192, '\0')), kNone);
  expect_refused(make("nearly", "SQLite format 2\0"s + std::string(4'096, '\0')), kNone);
  expect_refused(make("version 2", "** This file contains an SQLite 2.1 database **"s +
                                       std::string(1'024, '\0')),
                 kNone);

  fs::create_directory(directory_ / "folder");
  expect_refused(directory_ / "folder", kNone);
  expect_refused(directory_ / "folder/", kNone);
  ASSERT_EQ(::mkfifo((directory_ / "fifo").c_str(), 0600), 0);
  expect_refused(directory_ / "fifo", kNone);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "socket";
  name.copy(address.sun_path, name.size());
  const fs::path here = fs::current_path();
  fs::current_path(directory_);  // the name of a socket may not be long
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  fs::current_path(here);
  expect_refused(directory_ / "socket", kNone);
  for (const char* device : {"/dev/null", "/dev/zero", "/dev/full", "/dev/tty"}) {
    expect_refused(device, kNone);
    fs::create_symlink(device, directory_ / "device");
    expect_refused(directory_ / "device", kNone);
    fs::remove(directory_ / "device");
  }
  ::close(socket);
  expect_refused(directory_ / "notes.txt/jobs.db", {"io", "not_found", "not_a_database"});
  expect_refused(directory_ / std::string(300, 'n'), {"io", "not_found"});
  report_as("files that are no database at five doors");
}

TEST_F(RefusedFilesTest, LinksThatLeadNowhere) {
  fs::create_symlink("a", directory_ / "b");
  fs::create_symlink("b", directory_ / "a");
  expect_refused(directory_ / "a", {"io", "not_found"});
  fs::create_symlink(directory_ / "myself", directory_ / "myself");
  expect_refused(directory_ / "myself", {"io", "not_found"});
  expect_refused(directory_ / "a/jobs.db", {"io", "not_found"});
  // Opening it for writing makes what it leads to.
  fs::create_symlink(elsewhere_ / "not there", directory_ / "dangling");
  expect_refused(directory_ / "dangling", {"not_found"}, {"for writing"});
  report_as("links that lead nowhere at five doors");
}

TEST_F(RefusedFilesTest, FilesThatAreNotThere) {
  expect_refused(directory_ / "missing.db", {"not_found"}, {"for writing"});
  expect_refused(directory_ / "no/such/folder/missing.db", {"not_found"}, {"for writing"});
  test::write_file(directory_ / "empty", "");
  expect_refused(directory_ / "empty", {"not_found"}, {"for writing"});
  report_as("files that are not there at five doors");
}

// Of every length that ends within the header or the first page.
TEST_F(RefusedFilesTest, DatabasesCutOff) {
  const fs::path made = elsewhere_ / "made.db";
  Outsider(made).run("CREATE TABLE t (x)");
  const std::string foreign = test::contents_of(made);
  fs::remove(made);
  const std::int64_t step = sized(37, 1);
  for (std::int64_t length = 1; length < 4'096; length += length < 16 ? 1 : step) {
    expect_refused(make("cut.db", foreign.substr(0, static_cast<std::size_t>(length))),
                   {"not_a_database", "foreign_database"});
  }
  report_as("foreign databases cut off in their first page at five doors");
}

TEST_F(RefusedFilesTest, DatabasesOfOursCutOff) {
  const fs::path ours = make_database("ours.db");
  const std::string contents = test::contents_of(ours);
  const auto expect_left_alone = [&](const std::string& cut) {
    SCOPED_TRACE(std::to_string(cut.size()) + " bytes");
    expect_kept(make("cut.db", cut), {"corrupt", "not_a_database"});
  };
  const std::int64_t step = sized(37, 1);
  for (std::int64_t length = 1; length < 4'096; length += length < 16 ? 1 : step) {
    expect_left_alone(contents.substr(0, static_cast<std::size_t>(length)));
  }
  // And with the bytes that say whose it is, and nothing true behind them.
  expect_left_alone(contents.substr(0, 100) + std::string(3'996, '\0'));
  expect_left_alone(contents.substr(0, 100) + std::string(65'436, '\xFF'));
  report_as("databases of ours cut off in their first page at five doors");
}

// Ours by its header, with tables that have become something else.
TEST_F(RefusedFilesTest, DatabasesOfOursWithAnotherSchema) {
  const fs::path ours = make_database("ours.db");
  const std::string contents = test::contents_of(ours);
  const std::string rewrite = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = ";
  const std::vector<std::string> changes{
      "DROP INDEX state_error",
      "DROP INDEX state_error; CREATE INDEX state_error ON state (changed_at) WHERE status = 3",
      "DROP INDEX job_unfinished; CREATE INDEX job_unfinished ON job (ready)",
      "DROP TABLE chain_backlog",
      "ALTER TABLE job ADD COLUMN more BLOB AS (zeroblob(100000000))",
      "ALTER TABLE worker ADD COLUMN more INTEGER DEFAULT 1 CHECK (length(host) < 3)",
      "ALTER TABLE worker RENAME TO hidden; CREATE VIEW worker AS SELECT * FROM hidden",
      "ALTER TABLE job RENAME TO hidden; CREATE TABLE job AS SELECT * FROM hidden",
      rewrite + "replace(sql, 'STRICT', '') WHERE name = 'state'",
      rewrite + "replace(sql, 'UNIQUE (job_id, batch_num),', '') WHERE name = 'batch'",
      rewrite + "replace(sql, 'WHERE', 'WHERE 1 OR') WHERE type = 'index'",
  };
  for (const std::string& change : changes) {
    const fs::path path = make("changed.db", contents);
    {
      Outsider outsider(path);
      sqlite3_db_config(outsider.handle(), SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
      outsider.run("PRAGMA legacy_alter_table = ON; PRAGMA foreign_keys = OFF; " + change);
    }
    SCOPED_TRACE(change);
    expect_kept(path, {"corrupt"});
  }
  report_as("databases of ours with another schema at five doors");
}

}  // namespace
}  // namespace progress_tracker::reliability

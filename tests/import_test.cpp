// import_original(): what a database of the Python original becomes in a tracker, and that it stays
// as it was itself.
#include "progress_tracker/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "progress_tracker/progress_tracker.h"
#include "progress_tracker/rules.h"
#include "progress_tracker/testing/in_memory_tracker.h"
#include "progress_tracker/testing/mock_tracker.h"
#include "reliability/foreign_schemas.h"
#include "support.h"

namespace progress_tracker {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;
using progress_tracker_testing::InMemoryTracker;
using progress_tracker_testing::MockTracker;
using std::chrono::milliseconds;
using test::Outsider;
using test::ThrowsError;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::NiceMock;
using testing::Not;
using testing::SizeIs;

// The tables as the original publishes them.
constexpr const char* kJobs =
    "CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL,"
    " status TEXT DEFAULT 'running', created_at TIMESTAMP, updated_at TIMESTAMP,"
    " total_images INTEGER DEFAULT 0, processed_count INTEGER DEFAULT 0,"
    " error_count INTEGER DEFAULT 0);";
constexpr const char* kImages =
    "CREATE TABLE images (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " job_id INTEGER NOT NULL REFERENCES jobs(id), path TEXT NOT NULL,"
    " status TEXT DEFAULT 'pending', split TEXT, processed_at TIMESTAMP, error_message TEXT,"
    " UNIQUE(job_id, path));";
constexpr const char* kBatches =
    "CREATE TABLE batches (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " job_id INTEGER NOT NULL REFERENCES jobs(id), batch_num INTEGER NOT NULL,"
    " status TEXT DEFAULT 'pending', image_count INTEGER DEFAULT 0, created_at TIMESTAMP,"
    " uploaded_at TIMESTAMP, upload_error TEXT);";
constexpr const char* kIndexes =
    "CREATE INDEX idx_images_status ON images(status);"
    "CREATE INDEX idx_images_job ON images(job_id);"
    "CREATE INDEX idx_images_job_status ON images(job_id, status);"
    "CREATE INDEX idx_batches_status ON batches(status);"
    "CREATE INDEX idx_batches_job ON batches(job_id);";

// The same as an older or a repaired file may have them: nothing is declared, so anything goes.
constexpr const char* kBareTables =
    "CREATE TABLE jobs (id INTEGER PRIMARY KEY, name, total_images);"
    "CREATE TABLE images (id INTEGER PRIMARY KEY, job_id, path, status, split, error_message);"
    "CREATE TABLE batches (id INTEGER PRIMARY KEY, job_id, batch_num, status, image_count, "
    "upload_error);";

std::string published_tables() { return std::string(kJobs) + kImages + kBatches + kIndexes; }

// Bytes as a literal of SQL, stored as TEXT or as BLOB whatever they are.
std::string blob(std::string_view bytes) {
  std::string literal = "x'";
  for (const char c : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    literal += {kDigits[byte >> 4U], kDigits[byte & 15U]};
  }
  return literal + "'";
}
std::string text(std::string_view bytes) { return "CAST(" + blob(bytes) + " AS TEXT)"; }

// All that a tracker has, but for ids and times; of two trackers the same if they say the same.
std::vector<std::string> contents(Tracker& tracker) {
  std::vector<std::string> lines;
  for (const Job& job : tracker.list_jobs()) {
    const Progress progress = tracker.get_progress(job.id).value();
    lines.push_back("job " + job.name + " " + std::to_string(progress.processed_count) + " " +
                    std::to_string(progress.error_count) + " of " +
                    std::to_string(progress.total_images));
    for (const ImageRecord& record : tracker.get_images(job.id, std::nullopt, SIZE_MAX)) {
      lines.push_back("image " + record.image.path.native() + " [" + record.image.split + "] " +
                      std::string(to_string(record.status)) + " " + record.error_message);
    }
    std::vector<Batch> batches = tracker.get_pending_batches(job.id);
    std::ranges::copy(tracker.get_uploaded_batches(job.id), std::back_inserter(batches));
    for (const Batch& batch : batches) {
      lines.push_back("batch " + std::to_string(batch.batch_num) + " of " +
                      std::to_string(batch.image_count) + " " +
                      std::string(to_string(batch.status)) + " " + batch.upload_error);
    }
  }
  return lines;
}

struct Kind {
  const char* name;
  std::function<std::unique_ptr<Tracker>(const fs::path& database)> make;
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

std::string name_of_kind(const testing::TestParamInfo<Kind>& info) { return info.param.name; }

class OldFile : public testing::Test {
 protected:
  // Makes the old file, in the journal mode that it has then, and closes it.
  void make(const std::string& sql, const std::string& tables = published_tables()) const {
    Outsider(old).run("PRAGMA journal_mode = DELETE; BEGIN; " + tables + sql + "; COMMIT");
  }
  void change(const std::string& sql) const { Outsider(old).run(sql); }

  const test::TempDirectory directory;
  const fs::path old = directory / "old.db";
};

// What it becomes, in every tracker.
class ImportTest : public OldFile, public testing::WithParamInterface<Kind> {
 protected:
  ImportTest() : tracker_(GetParam().make(directory / "new.db")), tracker(*tracker_) {}

  ImportSummary import() { return import_original(old, tracker); }
  JobId job(const std::string& name) { return tracker.get_job_id(name).value(); }
  ImageRecord image(const std::string& name, const fs::path& path) {
    return tracker.get_image(tracker.get_image_id(job(name), path).value()).value();
  }
  Status status(const fs::path& path) { return image("a", path).status; }
  ImageId id(const fs::path& path) { return image("a", path).image.id; }

 private:
  std::unique_ptr<Tracker> tracker_;

 protected:
  Tracker& tracker;
};

INSTANTIATE_TEST_SUITE_P(Trackers, ImportTest,
                         testing::Values(Kind{"Sqlite",
                                              [](const fs::path& path) {
                                                return std::make_unique<ProgressTracker>(path);
                                              }},
                                         Kind{"InMemory",
                                              [](const fs::path&) {
                                                return std::make_unique<InMemoryTracker>();
                                              }}),
                         name_of_kind);

// ---- Images ------------------------------------------------------------------------------------

TEST_P(ImportTest, BringsAWholeFileOver) {
  make(
      "INSERT INTO jobs (id, name, total_images) VALUES (3, 'a', 4), (7, 'b', 1);"
      "INSERT INTO images (id, job_id, path, status, split, error_message) VALUES"
      " (1, 3, 'z.png', 'completed', 'train', NULL), (2, 7, 'only.png', 'pending', 'all', NULL),"
      " (5, 3, 'm.png', 'error', 'valid', 'broken'), (9, 3, 'b.png', 'pending', 'neither', NULL),"
      " (11, 3, 'a.png', 'completed', NULL, NULL);"
      "INSERT INTO batches (job_id, batch_num, status, image_count, upload_error) VALUES"
      " (3, 0, 'uploaded', 40, NULL), (3, 1, 'error', 30, 'refused'), (7, 0, 'pending', 7, NULL)");

  const ImportSummary summary = import();

  EXPECT_EQ(
      contents(tracker),
      (std::vector<std::string>{
          "job a 2 1 of 4", "image z.png [train] completed ", "image m.png [valid] error broken",
          "image b.png [neither] pending ", "image a.png [] completed ",
          "batch 1 of 30 error refused", "batch 0 of 40 uploaded ", "job b 0 0 of 1",
          "image only.png [all] pending ", "batch 0 of 7 pending "}));
  EXPECT_EQ(summary, (ImportSummary{.jobs = 2,
                                    .images = 5,
                                    .completed = 2,
                                    .errors = 1,
                                    .batches = 3,
                                    .already_there = 0,
                                    .listed_twice = 0,
                                    .images_left_out = 0,
                                    .batches_left_out = 0,
                                    .notes = {}}));
}

TEST_P(ImportTest, AFileWithoutJobsGivesNone) {
  make("");

  EXPECT_EQ(import(), ImportSummary{});
  EXPECT_THAT(tracker.list_jobs(), IsEmpty());
}

TEST_P(ImportTest, WhatIsPendingAndOnlyThatIsClaimedNext) {
  make(
      "INSERT INTO jobs (name, total_images) VALUES ('a', 4);"
      "INSERT INTO images (job_id, path, status) VALUES (1, '1', 'completed'), (1, '2', 'pending'),"
      " (1, '3', 'error'), (1, '4', 'processing')");

  import();

  const std::vector<Image> claimed = tracker.claim_images(job("a"), 10);
  ASSERT_THAT(claimed, SizeIs(2));
  EXPECT_EQ(claimed[0].path, "2");
  EXPECT_EQ(claimed[1].path, "4");
}

TEST_P(ImportTest, ImagesInWorkArePending) {
  make(
      "INSERT INTO jobs (name, total_images) VALUES ('a', 2);"
      "INSERT INTO images (job_id, path, status) VALUES (1, '1', 'processing'),"
      " (1, '2', 'processing')");

  EXPECT_THAT(import().notes, ElementsAre("job \"a\": 2 images in work, pending now"));
  EXPECT_EQ(tracker.get_status_counts(job("a")),
            (StatusCounts{.pending = 2, .processing = 0, .completed = 0, .error = 0}));
}

TEST_P(ImportTest, AStatusThatIsUnknownIsPending) {
  make(
      "INSERT INTO jobs (name, total_images) VALUES ('a', 5);"
      "INSERT INTO images (job_id, path, status) VALUES (1, '1', 'do\x1bne'),"
      " (1, '2', 'Completed'), (1, '3', NULL), (1, '4', 2), (1, '5', '')");

  EXPECT_THAT(import().notes,
              ElementsAre("job \"a\": 5 images in a status that is unknown, such as "
                          "\"do\\x1Bne\", pending now"));
  EXPECT_EQ(tracker.get_status_counts(job("a"))->pending, 5);
}

TEST_P(ImportTest, MessagesAreThoseOfErrorsOnly) {
  make(
      "INSERT INTO jobs (name, total_images) VALUES ('a', 5);"
      "INSERT INTO images (job_id, path, status, error_message) VALUES"
      " (1, '1', 'completed', 'once'), (1, '2', 'pending', 'before the reset'),"
      " (1, '3', 'processing', 'before'), (1, '4', 'error', 'now'), (1, '5', 'error', NULL)");

  EXPECT_THAT(
      import().notes,
      ElementsAre("job \"a\": 1 image in work, pending now",
                  "job \"a\": 3 images with the message of an error that is over, dropped"));

  EXPECT_EQ(image("a", "1").error_message, "");
  EXPECT_EQ(image("a", "2").error_message, "");
  EXPECT_EQ(image("a", "3").error_message, "");
  EXPECT_EQ(image("a", "4").error_message, "now");
  EXPECT_EQ(image("a", "5").error_message, "");
  EXPECT_EQ(status("5"), Status::kError);
}

TEST_P(ImportTest, MessagesOfAnyLengthAndBytes) {
  const std::string longest(kMaxMessageBytes, 'e');
  make(
      "INSERT INTO jobs (name, total_images) VALUES ('a', 4);"
      "INSERT INTO images (job_id, path, status, error_message) VALUES (1, '1', 'error', '" +
      longest + "'), (1, '2', 'error', '" + longest + "e'), (1, '3', 'error', " +
      blob("bad \xFF\0 bytes"s) + "), (1, '4', 'error', " + text("line\nline\x1b[31m") + ")");

  EXPECT_EQ(import().errors, 4);
  EXPECT_EQ(image("a", "1").error_message, longest);
  EXPECT_EQ(image("a", "2").error_message, clean_message(longest + "e"));
  EXPECT_THAT(image("a", "2").error_message, testing::EndsWith("[cut]"));
  EXPECT_EQ(image("a", "3").error_message, "bad \xEF\xBF\xBD\xEF\xBF\xBD bytes");
  EXPECT_EQ(image("a", "4").error_message, "line\nline\x1b[31m");
}

TEST_P(ImportTest, PathsComeOverByteForByte) {
  const std::vector<std::string> paths{"a b",          "new\nline",        "\x1b[31m",
                                       "\xFF\xFE",     "gr\xC3\xBC",       "/x/../y/",
                                       "\xED\xA0\x80", "x'; DROP TABLE y", std::string(5'000, 'p')};
  std::string sql = "INSERT INTO jobs (name, total_images) VALUES ('a', 9), ('b', 9);";
  for (const std::string& path : paths) {
    sql += "INSERT INTO images (job_id, path, status) VALUES (1, " + blob(path) +
           ", 'completed'), (2, " + text(path) + ", 'completed');";
  }
  make(sql);

  EXPECT_THAT(import().notes, IsEmpty());
  for (const char* name : {"a", "b"}) {
    std::vector<std::string> found;
    for (const ImageRecord& record : tracker.get_images(job(name), Status::kCompleted)) {
      found.push_back(record.image.path.native());
    }
    EXPECT_EQ(found, paths) << name;
  }
}

TEST_P(ImportTest, PathsThatCannotBeAreLeftOutAndTold) {
  make(
      "INSERT INTO jobs VALUES (1, 'a', 5);"
      "INSERT INTO images (id, job_id, path, status) VALUES (11, 1, '1', 'completed'),"
      " (12, 1, NULL, 'completed'), (13, 1, '', 'completed'), (14, 1, " +
          blob("a\0b"s) + ", 'completed'), (15, 1, " + text("\0"s) + ", 'error')",
      kBareTables);

  const ImportSummary summary = import();

  EXPECT_EQ(summary.images, 1);
  EXPECT_EQ(summary.images_left_out, 4);
  EXPECT_THAT(summary.notes, ElementsAre("job \"a\": 4 images without a path, or with a NUL in it, "
                                         "left out; the first has the old id 12"));
}

TEST_P(ImportTest, SplitsThatCannotBeAreEscaped) {
  make(
      "INSERT INTO jobs (name, total_images) VALUES ('a', 4);"
      "INSERT INTO images (job_id, path, split) VALUES (1, '1', " +
      text("tr\nain") + "), (1, '2', " + blob("val\xFF") + "), (1, '3', " + blob("gr\xC3\xBC") +
      "), (1, '4', '')");

  EXPECT_THAT(import().notes, ElementsAre(AllOf(HasSubstr("2 images of a split"),
                                                HasSubstr("such as \"tr\\nain\""))));
  EXPECT_EQ(image("a", "1").image.split, "tr\\nain");
  EXPECT_EQ(image("a", "2").image.split, "val\\xFF");
  EXPECT_EQ(image("a", "3").image.split, "gr\xC3\xBC");
  EXPECT_EQ(image("a", "4").image.split, "");
}

TEST_P(ImportTest, NamesThatCannotBeAreEscapedAndNoTwoJobsBecomeOne) {
  make("INSERT INTO jobs (id, name) VALUES (1, " + text("a\x01") +
       "), (2, 'a\\x01'), (3, ''), (4, " + blob("\xFF") + "), (5, " + text("\xFF") +
       "), (6, 'x'), (7, " + blob("x") + "), (8, 'job 3');" +
       "INSERT INTO images (job_id, path) VALUES (1, '1'), (2, '2'), (3, '3'), (4, '4'), (5, '5'),"
       " (6, '6'), (7, '7'), (8, '8'); UPDATE jobs SET total_images = 1");

  const ImportSummary summary = import();

  std::map<std::string, std::string> path_of;
  for (const Job& each : tracker.list_jobs()) {
    path_of[each.name] = tracker.get_images(each.id).at(0).image.path.native();
  }
  EXPECT_EQ(path_of, (std::map<std::string, std::string>{{"a\\x01 (job 1)", "1"},
                                                         {"a\\x01", "2"},
                                                         {"job 3 (job 3)", "3"},
                                                         {"\\xFF", "4"},
                                                         {"\\xFF (job 5)", "5"},
                                                         {"x", "6"},
                                                         {"x (job 7)", "7"},
                                                         {"job 3", "8"}}));
  EXPECT_THAT(summary.notes, SizeIs(5));
  EXPECT_THAT(summary.notes, Contains("job 1 of the old file, \"a\\x01\", is called "
                                      "\"a\\x01 (job 1)\" now"));
  EXPECT_EQ(import().jobs, 0) << "the same names again";
}

TEST_P(ImportTest, WhatBelongsToNoJobIsLeftOutAndTold) {
  make(
      "INSERT INTO jobs VALUES (1, 'a', 1);"
      "INSERT INTO images (id, job_id, path, status) VALUES (1, 1, '1', 'completed'),"
      " (2, 2, '2', 'completed'), (3, NULL, '3', 'pending'), (4, '1a', '4', 'pending');"
      "INSERT INTO batches (id, job_id, batch_num, status) VALUES (8, 5, 1, 'pending')",
      kBareTables);

  const ImportSummary summary = import();

  EXPECT_EQ(summary.images, 1);
  EXPECT_EQ(summary.images_left_out, 3);
  EXPECT_EQ(summary.batches_left_out, 1);
  EXPECT_THAT(
      summary.notes,
      ElementsAre("3 images of jobs that are not there, left out; the first has the old id 2",
                  "1 batch of jobs that are not there, left out; the first has the old id 8"));
}

// A load that was cut off; and a job that was created again with another list, whose pending count
// went below zero.
TEST_P(ImportTest, TotalsAreThoseOfTheRowsAndTheDifferenceIsTold) {
  make(
      "INSERT INTO jobs (name, total_images, processed_count) VALUES ('a', 12000, 0), ('b', 1, 3),"
      " ('c', NULL, 0), ('d', 'many', 0);"
      "INSERT INTO images (job_id, path, status) VALUES (1, '1', 'pending'), (2, '1', 'completed'),"
      " (2, '2', 'completed'), (2, '3', 'completed')");

  EXPECT_THAT(import().notes,
              ElementsAre("job \"a\": the old file announces 12000 images and lists 1",
                          "job \"b\": the old file announces 1 image and lists 3"));
  EXPECT_EQ(
      tracker.get_progress(job("a")),
      (Progress{.total_images = 1, .processed_count = 0, .error_count = 0, .pending_count = 1}));
  EXPECT_EQ(
      tracker.get_progress(job("b")),
      (Progress{.total_images = 3, .processed_count = 3, .error_count = 0, .pending_count = 0}));
}

// UNIQUE does not keep them apart: a TEXT never equals a BLOB.
TEST_P(ImportTest, OfAnImageThatIsListedTwiceTheFirstEndCounts) {
  const auto pair = [](const std::string& path, const std::string& first,
                       const std::string& second) {
    return "INSERT INTO images (job_id, path, status, error_message) VALUES (1, '" + path + "', '" +
           first + "', 'first'), (1, " + blob(path) + ", '" + second + "', 'second');";
  };
  make("INSERT INTO jobs (name, total_images) VALUES ('a', 8);" +
       pair("1", "pending", "completed") + pair("2", "completed", "error") +
       pair("3", "error", "completed") + pair("4", "error", "error"));

  const ImportSummary summary = import();

  EXPECT_EQ(status("1"), Status::kCompleted);
  EXPECT_EQ(status("2"), Status::kCompleted);
  EXPECT_EQ(status("3"), Status::kError);
  EXPECT_EQ(image("a", "4").error_message, "first");
  EXPECT_EQ(summary.images, 4);
  EXPECT_EQ(summary.already_there, 0);
  EXPECT_EQ(summary.listed_twice, 4);
  EXPECT_EQ(summary.completed, 2);
  EXPECT_EQ(summary.errors, 2);
  EXPECT_THAT(summary.notes, Contains("job \"a\": lists 4 images twice"));

  const ImportSummary again = import();

  EXPECT_EQ(again.images, 0);
  EXPECT_EQ(again.already_there, 4);
  EXPECT_EQ(again.listed_twice, 4);
  EXPECT_THAT(again.notes, AllOf(Contains("job \"a\": was there already, with 4 of these 4 images"),
                                 Contains("job \"a\": lists 4 images twice")));
}

// Listed again in another piece, pending, and in a job that is there in another order.
TEST_P(ImportTest, WhatWasThereAndWhatIsListedTwiceAreToldApart) {
  make(
      "INSERT INTO jobs VALUES (1, 'a', 60000);"
      "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 59999)"
      "INSERT INTO images (job_id, path, status) SELECT 1, (i % 50000) || '', 'pending' FROM n",
      kBareTables);
  tracker.create_job("a", std::vector<fs::path>{"49999", "x", "3", "25000", "4"}, {});

  const ImportSummary summary = import();

  EXPECT_EQ(summary.images, 49'996);
  EXPECT_EQ(summary.already_there, 4);
  EXPECT_EQ(summary.listed_twice, 10'000);
}

// More than is brought over at a time, and the jobs' rows mixed.
TEST_P(ImportTest, LongListsKeepTheirOrder) {
  make(
      "INSERT INTO jobs (name, total_images) VALUES ('a', 15000), ('b', 15000), ('c', 15000);"
      "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 44999)"
      "INSERT INTO images (job_id, path, status, error_message)"
      " SELECT i % 3 + 1, ((i * 7919) % 45000) || '.png',"
      " CASE i % 7 WHEN 0 THEN 'error' WHEN 1 THEN 'pending' ELSE 'completed' END, i FROM n");

  const ImportSummary summary = import();

  EXPECT_EQ(summary.images, 45'000);
  EXPECT_EQ(summary.errors, 6'429);
  EXPECT_EQ(summary.completed, 32'142);
  for (int number = 0; number < 3; ++number) {
    const auto images =
        tracker.get_images(job(std::string(1, static_cast<char>('a' + number))), {}, SIZE_MAX);
    ASSERT_EQ(images.size(), 15'000U);
    for (std::size_t i = 0; i < images.size(); ++i) {
      const std::size_t row = i * 3 + static_cast<std::size_t>(number);
      const Status expected = row % 7 == 0   ? Status::kError
                              : row % 7 == 1 ? Status::kPending
                                             : Status::kCompleted;
      ASSERT_EQ(images[i].image.path, std::to_string(row * 7919 % 45'000) + ".png");
      ASSERT_EQ(images[i].status, expected);
      ASSERT_EQ(images[i].error_message, row % 7 == 0 ? std::to_string(row) : "");
    }
  }
}

// ---- Batches -----------------------------------------------------------------------------------

TEST_P(ImportTest, BatchesKeepStatusCountAndMessageInError) {
  make(
      "INSERT INTO jobs (name) VALUES ('a');"
      "INSERT INTO batches (job_id, batch_num, status, image_count, upload_error) VALUES"
      " (1, 5, 'uploaded', 10, 'left over'), (1, 2, 'error', 20, 'refused'),"
      " (1, 9, 'pending', 30, 'left over'), (1, 10, 'error', 0, NULL), (1, 11, 'sent', 1, NULL)");

  EXPECT_THAT(
      import().notes,
      ElementsAre("job \"a\": 2 batches with the message of an error that is over, dropped",
                  "job \"a\": 1 batch in a status that is unknown, such as \"sent\", pending now"));
  EXPECT_EQ(contents(tracker),
            (std::vector<std::string>{"job a 0 0 of 0", "batch 2 of 20 error refused",
                                      "batch 9 of 30 pending ", "batch 10 of 0 error ",
                                      "batch 11 of 1 pending ", "batch 5 of 10 uploaded "}));
}

TEST_P(ImportTest, NoBatchIsLostToARepeatedNumber) {
  make(
      "INSERT INTO jobs (name) VALUES ('a'), ('b');"
      "INSERT INTO batches (id, job_id, batch_num, status, image_count) VALUES"
      " (1, 1, 1, 'error', 10), (2, 1, 1, 'uploaded', 10), (3, 2, 1, 'uploaded', 10),"
      " (4, 1, 2, 'uploaded', 20), (5, 1, 1, 'pending', 5)");

  const ImportSummary summary = import();

  EXPECT_EQ(summary.batches, 5);
  EXPECT_THAT(summary.notes, ElementsAre(AllOf(HasSubstr("job \"a\": 2 batches whose number"),
                                               HasSubstr("the first is -2"))));
  const std::vector<std::string> expected{"job a 0 0 of 0",          "batch -5 of 5 pending ",
                                          "batch 1 of 10 error ",    "batch -2 of 10 uploaded ",
                                          "batch 2 of 20 uploaded ", "job b 0 0 of 0",
                                          "batch 1 of 10 uploaded "};
  EXPECT_EQ(contents(tracker), expected);

  // The original goes on, and takes the next number.
  change("INSERT INTO batches (id, job_id, batch_num, status) VALUES (6, 1, 3, 'pending')");
  EXPECT_EQ(import().batches, 1);
  EXPECT_EQ(tracker.get_pending_batches(job("a")).back().batch_num, 3);
  EXPECT_EQ(tracker.get_uploaded_batches(job("a")).size(), 2U);
}

// Both the number and minus the old id belong to a batch of another old file.
TEST_P(ImportTest, NoBatchIsLostToOneOfAnotherFile) {
  const auto make_file = [&](const std::string& batches) {
    fs::remove(old);
    make(
        "INSERT INTO jobs (name) VALUES ('x');"
        "INSERT INTO batches (id, job_id, batch_num, status, image_count, upload_error) VALUES " +
        batches);
  };
  make_file("(1, 1, 0, 'uploaded', 1000, NULL), (2, 1, 0, 'error', 11, 'A2')");
  import();
  make_file(
      "(1, 1, 0, 'pending', 1000, NULL), (2, 1, 0, 'error', 21, 'B2'),"
      " (3, 1, 1, 'uploaded', 5, NULL), (4, 1, 0, 'error', 21, 'B4')");

  const ImportSummary summary = import();

  EXPECT_EQ(summary.batches, 3);
  EXPECT_EQ(summary.batches_left_out, 0);
  const std::vector<std::string> expected{
      "job x 0 0 of 0",          "batch -2147483648 of 21 error B2", "batch -4 of 21 error B4",
      "batch -2 of 11 error A2", "batch 0 of 1000 uploaded ",        "batch 1 of 5 uploaded "};
  EXPECT_EQ(contents(tracker), expected);
  EXPECT_THAT(summary.notes, Contains(AllOf(HasSubstr("2 batches whose number another batch has"),
                                            HasSubstr("the first is -2147483648"))));

  EXPECT_EQ(import().batches, 0);
  EXPECT_EQ(contents(tracker), expected) << "found again";

  make_file("(1, 1, 0, 'uploaded', 1000, NULL), (2, 1, 0, 'error', 31, 'C2')");
  EXPECT_EQ(import().batches, 1);
  EXPECT_THAT(contents(tracker), Contains("batch -2147483647 of 31 error C2"));
}

TEST_P(ImportTest, ABatchThatEndedOtherwiseHereIsTold) {
  make(
      "INSERT INTO jobs (name) VALUES ('a');"
      "INSERT INTO batches (job_id, batch_num, status, image_count, upload_error) VALUES"
      " (1, 1, 'uploaded', 10, NULL), (1, 2, 'pending', 10, NULL), (1, 3, 'error', 10, 'there'),"
      " (1, 4, 'error', 10, 'same'), (1, 5, 'uploaded', 10, NULL), (1, 6, 'sent', 10, NULL)");
  const JobId job = tracker.create_job("a", {}, {});
  const auto batch = [&](int number) { return tracker.create_batch(job, number, 10); };
  batch(1);
  tracker.mark_batch_uploaded(batch(2));
  tracker.mark_batch_error(batch(3), "here");
  tracker.mark_batch_error(batch(4), "same");
  tracker.mark_batch_uploaded(batch(5));
  tracker.mark_batch_uploaded(batch(6));

  EXPECT_THAT(import().notes,
              Contains("job \"a\": 3 batches that are taken for those that were there, with the "
                       "same numbers, but had ended otherwise or with another message, which "
                       "stays; the first is 2"));
  EXPECT_EQ(contents(tracker),
            (std::vector<std::string>{"job a 0 0 of 0", "batch 3 of 10 error here",
                                      "batch 4 of 10 error same", "batch 1 of 10 uploaded ",
                                      "batch 2 of 10 uploaded ", "batch 5 of 10 uploaded ",
                                      "batch 6 of 10 uploaded "}));
}

TEST_P(ImportTest, BatchesWithoutAUsableNumberOrCount) {
  make(
      "INSERT INTO jobs VALUES (1, 'a', 0);"
      "INSERT INTO batches (id, job_id, batch_num, status, image_count) VALUES"
      " (-3, 1, 'none', 'pending', 1), (1, 1, NULL, 'pending', 1), (2, 1, -7, 'pending', 1),"
      " (3, 1, 2147483648, 'pending', 1), (4, 1, 1.5, 'pending', 1), (5, 1, 'x', 'pending', NULL),"
      " (6, 1, 2147483647, 'pending', -1), (3000000000, 1, NULL, 'uploaded', 1)",
      kBareTables);

  const ImportSummary summary = import();

  EXPECT_EQ(summary.batches, 6);
  EXPECT_EQ(summary.batches_left_out, 2);
  EXPECT_THAT(summary.notes, ElementsAre(HasSubstr("5 batches whose number another batch has"),
                                         HasSubstr("2 batches without a number of images, 0 now; "
                                                   "the first has the old id 5"),
                                         HasSubstr("2 batches that no number could be found for, "
                                                   "left out; the first has the old id -3")));
  std::vector<int> numbers;
  for (const Batch& batch : tracker.get_pending_batches(job("a"))) {
    numbers.push_back(batch.batch_num);
  }
  EXPECT_THAT(numbers, ElementsAre(-5, -4, -3, -2, -1, 2147483647));
}

// ---- What the tracker has already --------------------------------------------------------------

TEST_P(ImportTest, ASecondImportAddsNothing) {
  make("INSERT INTO jobs (name, total_images) VALUES ('a', 3), (" + text("b\n") +
       ", 0);"
       "INSERT INTO images (job_id, path, status) VALUES (1, '1', 'completed'), (1, '2', 'error'),"
       " (1, '3', 'processing');"
       "INSERT INTO batches (job_id, batch_num, status, image_count) VALUES (1, 1, 'uploaded', 1),"
       " (1, 1, 'error', 2), (1, 1, 'pending', 3)");
  import();
  const std::vector<std::string> before = contents(tracker);

  const ImportSummary again = import();

  EXPECT_EQ(contents(tracker), before);
  EXPECT_THAT(again.notes, Contains("job \"a\": was there already, with 3 of these 3 images"));
  ImportSummary numbers = again;
  numbers.notes.clear();
  EXPECT_EQ(numbers, ImportSummary{.already_there = 3});
}

TEST_P(ImportTest, WhatTheTrackerKnowsBetterStays) {
  make(
      "INSERT INTO jobs (name, total_images) VALUES ('a', 5);"
      "INSERT INTO images (job_id, path, status, split, error_message) VALUES"
      " (1, 'done', 'error', 'old', 'x'), (1, 'failed', 'completed', 'old', NULL),"
      " (1, 'held', 'completed', 'old', NULL), (1, 'open', 'completed', 'old', NULL),"
      " (1, 'new', 'error', 'old', 'x')");
  const std::vector<fs::path> paths{"its own", "failed", "open", "done", "held"};
  const JobId job = tracker.create_job("a", paths, std::vector<std::string>(5, "here"));
  tracker.mark_completed(id("done"));
  tracker.mark_error(id("failed"), "here");
  tracker.mark_processing(std::vector{id("held")});
  const test::LogCapture warnings;  // of splits that differ

  const ImportSummary summary = import();

  EXPECT_EQ(status("done"), Status::kCompleted);
  EXPECT_EQ(image("a", "failed").error_message, "here");
  EXPECT_EQ(status("held"), Status::kProcessing);
  EXPECT_EQ(status("open"), Status::kCompleted);
  EXPECT_EQ(status("new"), Status::kError);
  EXPECT_EQ(status("its own"), Status::kPending);
  EXPECT_EQ(image("a", "open").image.split, "here");
  EXPECT_EQ(tracker.get_status_counts(job)->total(), 6);
  EXPECT_EQ(summary.images, 1);
  EXPECT_EQ(summary.already_there, 4);
  EXPECT_EQ(summary.completed, 1);
  EXPECT_EQ(summary.errors, 1);
  EXPECT_THAT(summary.notes, ElementsAre("job \"a\": was there already, with 4 of these 5 images"));
}

// In another order, with strangers between, and longer than one piece.
TEST_P(ImportTest, ImagesThatAreThereInAnotherOrderAreFound) {
  std::vector<fs::path> paths = test::image_paths(48'000, "");
  std::string sql = "INSERT INTO jobs (name, total_images) VALUES ('a', 48000);";
  for (std::size_t i = 0; i < paths.size(); ++i) {
    sql += "INSERT INTO images (job_id, path, status) VALUES (1, '" + paths[i].native() + "', '" +
           (i % 3 == 0 ? "completed" : "pending") + "');";
  }
  make(sql);
  std::shuffle(paths.begin(), paths.end(), std::minstd_rand(7));
  std::vector<fs::path> mixed;
  for (std::size_t i = 0; i < 36'000; ++i) {
    mixed.push_back(paths[i]);
    if (i % 2 == 0) mixed.push_back("stranger" + std::to_string(i));
  }
  tracker.create_job("a", mixed, {});

  const ImportSummary summary = import();

  EXPECT_EQ(summary.images, 12'000);
  EXPECT_EQ(summary.completed, 16'000);
  for (const ImageRecord& record : tracker.get_images(job("a"), Status::kCompleted, SIZE_MAX)) {
    ASSERT_EQ(std::stoi(record.image.path.native()) % 3, 0);
  }
}

TEST_P(ImportTest, WhatWasResetSinceIsMarkedAgain) {
  make(
      "INSERT INTO jobs (name, total_images) VALUES ('a', 1);"
      "INSERT INTO images (job_id, path, status, error_message) VALUES (1, '1', 'error', 'x')");
  import();
  tracker.reset_error_images(job("a"));

  EXPECT_EQ(import().errors, 1);
  EXPECT_EQ(status("1"), Status::kError);
}

TEST_P(ImportTest, BatchesOfAJobThatIsThere) {
  make(
      "INSERT INTO jobs (name) VALUES ('a');"
      "INSERT INTO batches (id, job_id, batch_num, status, image_count) VALUES"
      " (1, 1, 1, 'error', 10), (2, 1, 2, 'uploaded', 10), (3, 1, 3, 'uploaded', 10),"
      " (4, 1, 4, 'uploaded', 10)");
  const JobId job = tracker.create_job("a", {}, {});
  tracker.mark_batch_uploaded(tracker.create_batch(job, 1, 10));
  tracker.mark_batch_error(tracker.create_batch(job, 2, 10), "here");
  tracker.create_batch(job, 3, 10);
  tracker.create_batch(job, 4, 77);

  EXPECT_EQ(import().batches, 1);
  const std::vector<std::string> expected{"job a 0 0 of 0",          "batch 2 of 10 error here",
                                          "batch 4 of 77 pending ",  "batch -4 of 10 uploaded ",
                                          "batch 1 of 10 uploaded ", "batch 3 of 10 uploaded "};
  EXPECT_EQ(contents(tracker), expected);
  EXPECT_EQ(import().batches, 0);
  EXPECT_EQ(contents(tracker), expected);
}

TEST_P(ImportTest, AJobThatIsFedByAnotherIsRefusedBeforeAnyIsMade) {
  make("INSERT INTO jobs (name) VALUES ('before'), ('fed'), ('after')");
  tracker.chain_job("fed", tracker.create_job("first", {}, {}));

  const auto error = test::error_of([&] { import(); });

  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error->what(), HasSubstr("import_original: job \"fed\""));
  EXPECT_THAT(tracker.list_jobs(), SizeIs(2));
}

TEST_P(ImportTest, ATrackerThatIsClosedSaysSo) {
  make("INSERT INTO jobs (name) VALUES ('a')");
  tracker.close();

  EXPECT_THAT([&] { import(); }, ThrowsError(ErrorCode::kClosed));
}

// ---- Interruptions -----------------------------------------------------------------------------

// Passes the calls of an import on, and throws at one of them.
class InterruptedTracker : public NiceMock<MockTracker> {
 public:
  enum class Moment { kBefore, kAfter };  // it is done

  InterruptedTracker(Tracker& real, int at, Moment moment) : left_(at), moment_(moment) {
    using testing::_;
    ON_CALL(*this, list_jobs()).WillByDefault(pass(real, &Tracker::list_jobs));
    ON_CALL(*this, get_job_id(_)).WillByDefault(pass(real, &Tracker::get_job_id));
    ON_CALL(*this, create_job(_, _, _)).WillByDefault(pass(real, &Tracker::create_job));
    ON_CALL(*this, add_images(_, _, _)).WillByDefault(pass(real, &Tracker::add_images));
    ON_CALL(*this, get_images(_, _, _, _)).WillByDefault(pass(real, &Tracker::get_images));
    ON_CALL(*this, get_image_id(_, _)).WillByDefault(pass(real, &Tracker::get_image_id));
    ON_CALL(*this, get_image(_)).WillByDefault(pass(real, &Tracker::get_image));
    ON_CALL(*this, mark_outcomes(_)).WillByDefault(pass(real, &Tracker::mark_outcomes));
    ON_CALL(*this, create_batch(_, _, _)).WillByDefault(pass(real, &Tracker::create_batch));
    ON_CALL(*this, get_pending_batches(_)).WillByDefault(pass(real, &Tracker::get_pending_batches));
    ON_CALL(*this, get_uploaded_batches(_))
        .WillByDefault(pass(real, &Tracker::get_uploaded_batches));
    ON_CALL(*this, mark_batch_uploaded(_)).WillByDefault(pass(real, &Tracker::mark_batch_uploaded));
    ON_CALL(*this, mark_batch_error(_, _)).WillByDefault(pass(real, &Tracker::mark_batch_error));
    ON_CALL(*this, checkpoint(_)).WillByDefault(pass(real, &Tracker::checkpoint));
  }

  // Called before each call that is passed on.
  std::function<void()> before_each = [] {};

 private:
  template <typename Result, typename... Args>
  std::function<Result(Args...)> pass(Tracker& real, Result (Tracker::*call)(Args...)) {
    return [this, &real, call](Args... args) -> Result {
      before_each();
      const bool ends_here = left_-- == 0;
      if (ends_here && moment_ == Moment::kBefore) interrupt();
      if constexpr (std::is_void_v<Result>) {
        (real.*call)(args...);
        if (ends_here) interrupt();
      } else {
        Result result = (real.*call)(args...);
        if (ends_here) interrupt();
        return result;
      }
    };
  }
  [[noreturn]] static void interrupt() { throw Error(ErrorCode::kFull, "the disk is full"); }

  int left_;
  Moment moment_;
};

class InterruptionTest : public OldFile {};

TEST_F(InterruptionTest, AnImportThatFailedHalfWayIsFinishedByAnother) {
  make(
      "INSERT INTO jobs (name, total_images) VALUES ('a', 3), ('b', 1);"
      "INSERT INTO images (job_id, path, status, error_message) VALUES (1, '1', 'completed', NULL),"
      " (1, '2', 'error', 'x'), (1, '3', 'pending', NULL), (2, '1', 'completed', NULL),"
      " (1, x'31', 'error', 'y');"
      "INSERT INTO batches (job_id, batch_num, status, image_count) VALUES (1, 1, 'uploaded', 1),"
      " (1, 1, 'error', 2), (1, 1, 'pending', 3), (2, 1, 'uploaded', 1)");
  InMemoryTracker whole;
  import_original(old, whole);

  using Moment = InterruptedTracker::Moment;
  for (const Moment moment : {Moment::kBefore, Moment::kAfter}) {
    int interruptions = 0;
    for (bool interrupted = true; interrupted; ++interruptions) {
      SCOPED_TRACE(interruptions);
      InMemoryTracker tracker;
      InterruptedTracker unlucky(tracker, interruptions, moment);
      interrupted = test::code_of([&] { import_original(old, unlucky); }) == "full";
      import_original(old, tracker);
      ASSERT_EQ(contents(tracker), contents(whole));
    }
    EXPECT_GT(interruptions, 20);
  }
}

// Or a million images would cost a million calls.
TEST_F(InterruptionTest, ImagesInTheirOrderAreNotAskedForOneByOne) {
  make(
      "INSERT INTO jobs (name, total_images) VALUES ('a', 30000), ('b', 30000);"
      "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 59999)"
      "INSERT INTO images (job_id, path, status)"
      " SELECT i % 2 + 1, i, CASE i % 3 WHEN 0 THEN 'pending' ELSE 'completed' END FROM n");
  InMemoryTracker real;
  InterruptedTracker tracker(real, -1, InterruptedTracker::Moment::kBefore);
  EXPECT_CALL(tracker, get_image_id).Times(0);
  EXPECT_CALL(tracker, get_image).Times(0);

  EXPECT_EQ(import_original(old, tracker).completed, 40'000);
  EXPECT_EQ(import_original(old, tracker).already_there, 60'000);
}

std::size_t allocated_bytes() {
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST_F(InterruptionTest, MessagesThatAreDroppedAreNotKept) {
  make(
      "INSERT INTO jobs (name, total_images) VALUES ('a', 400);"
      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
      "INSERT INTO images (job_id, path, status, error_message)"
      " SELECT 1, i, 'completed', printf('%.*c', 200000, 'x') FROM n");
  InMemoryTracker real;
  InterruptedTracker tracker(real, -1, InterruptedTracker::Moment::kBefore);
  const std::size_t before = allocated_bytes();
  std::size_t most = 0;
  tracker.before_each = [&] { most = std::max(most, allocated_bytes()); };

  EXPECT_EQ(import_original(old, tracker).completed, 400);
  EXPECT_LT(most, before + 30'000'000U);
}

// A tracker with no database behind it, whose every answer is empty.
TEST_F(InterruptionTest, ATrackerThatForgetsEverythingDoesNotHang) {
  make(
      "INSERT INTO jobs (name, total_images) VALUES ('a', 1);"
      "INSERT INTO images (job_id, path, status) VALUES (1, '1', 'completed');"
      "INSERT INTO batches (job_id, batch_num, status, image_count) VALUES (1, 1, 'uploaded', 1)");
  NiceMock<MockTracker> tracker;
  EXPECT_CALL(tracker, mark_outcomes).Times(0);

  import_original(old, tracker);
}

// ---- Against an independent count --------------------------------------------------------------

// Draws rows, dirty ones among them, and says by itself what they have to become.
class RandomFile {
 public:
  explicit RandomFile(unsigned seed) : random_(seed) {
    const int jobs = draw(5);
    for (int id = 1; id <= jobs; ++id) {
      sql += "INSERT INTO jobs VALUES (" + std::to_string(id) + ", 'job" + std::to_string(id) +
             "', " + std::to_string(draw(20)) + ");";
      expected["job" + std::to_string(id)];
    }
    const int rows = draw(10) == 0 ? 25'000 : draw(60);
    const int paths = rows / 2 + 1;
    for (int i = 0; i < rows; ++i) add_image(jobs, paths);
    for (int i = draw(20); i > 0; --i) add_batch(jobs);
  }

  struct Expected {
    std::vector<std::string> order;
    std::map<std::string, std::tuple<std::string, Status, std::string>> images;
    std::multiset<std::pair<std::int64_t, std::string>> batches;  // of so many images, in a status
  };

  std::string sql;
  std::map<std::string, Expected> expected;
  std::int64_t left_out{0};

 private:
  int draw(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  void add_image(int jobs, int paths) {
    constexpr std::array<const char*, 6> kStatuses{"pending", "processing", "completed",
                                                   "error",   "completed",  "strange"};
    const int job = draw(jobs + 2);  // 0 and the last one are not there
    const bool no_path = draw(30) == 0;
    const std::string path = no_path ? "" : "p/" + std::to_string(draw(paths)) + "\xFF.png";
    const std::string status = kStatuses.at(static_cast<std::size_t>(draw(6)));
    const std::string split = draw(3) == 0 ? "" : "split" + std::to_string(draw(4));
    const std::string message = draw(2) == 0 ? "" : "m" + std::to_string(draw(100));
    sql += "INSERT INTO images (job_id, path, status, split, error_message) VALUES (" +
           std::to_string(job) + ", " + (draw(2) == 0 ? blob(path) : text(path)) + ", '" + status +
           "', " + (split.empty() ? "NULL" : "'" + split + "'") + ", '" + message + "');";
    if (job == 0 || job > jobs || no_path) {
      ++left_out;
      return;
    }
    Expected& its = expected.at("job" + std::to_string(job));
    const auto [at, is_new] = its.images.try_emplace(path, split, Status::kPending, "");
    if (is_new) its.order.push_back(path);
    auto& [its_split, its_status, its_message] = at->second;
    if (its_status != Status::kPending) return;
    if (status == "completed") its_status = Status::kCompleted;
    if (status == "error") {
      its_status = Status::kError;
      its_message = message;
    }
  }

  void add_batch(int jobs) {
    constexpr std::array<const char*, 3> kStatuses{"pending", "uploaded", "error"};
    if (jobs == 0) return;
    const int job = draw(jobs) + 1;
    const std::string status = kStatuses.at(static_cast<std::size_t>(draw(3)));
    const int count = draw(3);
    sql += "INSERT INTO batches (job_id, batch_num, status, image_count) VALUES (" +
           std::to_string(job) + ", " + std::to_string(draw(4)) + ", '" + status + "', " +
           std::to_string(count) + ");";
    expected.at("job" + std::to_string(job)).batches.emplace(count, status);
  }

  std::mt19937 random_;
};

void expect_holds(Tracker& tracker, const RandomFile& file) {
  ASSERT_EQ(tracker.list_jobs().size(), file.expected.size());
  for (const auto& [name, expected] : file.expected) {
    const JobId job = tracker.get_job_id(name).value();
    std::vector<std::string> order;
    StatusCounts counts;
    for (const ImageRecord& record : tracker.get_images(job, {}, SIZE_MAX)) {
      order.push_back(record.image.path.native());
      const auto& [split, status, message] = expected.images.at(order.back());
      ASSERT_EQ(record.image.split, split);
      ASSERT_EQ(record.status, status);
      ASSERT_EQ(record.error_message, message);
      counts.completed += status == Status::kCompleted ? 1 : 0;
      counts.error += status == Status::kError ? 1 : 0;
    }
    ASSERT_EQ(order, expected.order);
    ASSERT_EQ(tracker.get_progress(job)->processed_count, counts.completed);
    ASSERT_EQ(tracker.get_progress(job)->error_count, counts.error);
    std::multiset<std::pair<std::int64_t, std::string>> batches;
    for (const Batch& batch : tracker.get_pending_batches(job)) {
      batches.emplace(batch.image_count, to_string(batch.status));
    }
    for (const Batch& batch : tracker.get_uploaded_batches(job)) {
      batches.emplace(batch.image_count, to_string(batch.status));
    }
    ASSERT_EQ(batches, expected.batches);
  }
}

TEST_F(OldFile, RandomFilesBecomeWhatAnIndependentCountSays) {
  const test::LogCapture warnings;  // of splits that differ
  for (unsigned seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const RandomFile file(seed);
    make(file.sql, kBareTables);
    InMemoryTracker tracker;

    const ImportSummary summary = import_original(old, tracker);

    ASSERT_NO_FATAL_FAILURE(expect_holds(tracker, file));
    ASSERT_EQ(summary.images_left_out, file.left_out);
    if (seed % 10 == 0) {
      ProgressTracker on_disk(directory / ("new" + std::to_string(seed) + ".db"));
      ASSERT_EQ(import_original(old, on_disk), summary);
      ASSERT_NO_FATAL_FAILURE(expect_holds(on_disk, file));
    }
    fs::remove(old);
  }
}

// ---- The old file ------------------------------------------------------------------------------

constexpr const char* kThreeImages =
    "INSERT INTO jobs (name, total_images) VALUES ('a', 3);"
    "INSERT INTO images (job_id, path, status) VALUES (1, '1', 'completed'), (1, '2', 'pending'),"
    " (1, '3', 'pending')";

class OldFileTest : public OldFile {
 protected:
  ErrorCode expect_refused(const std::string& in_message) {
    const auto error = test::error_of([&] { import_original(old, tracker, milliseconds(0)); });
    EXPECT_TRUE(error.has_value());
    if (!error.has_value()) return {};
    EXPECT_THAT(error->what(), HasSubstr(in_message));
    EXPECT_THAT(error->what(), HasSubstr(old.native()));
    EXPECT_THAT(tracker.list_jobs(), IsEmpty());
    return error->code();
  }
  std::int64_t completed() {
    return tracker.get_status_counts(tracker.get_job_id("a").value())->completed;
  }

  InMemoryTracker tracker;
};

TEST_F(OldFileTest, StaysAsItWas) {
  for (const char* mode : {"DELETE", "TRUNCATE", "PERSIST", "WAL"}) {
    SCOPED_TRACE(mode);
    make("");
    change("PRAGMA journal_mode = "s + mode + "; " + kThreeImages);
    const auto before = test::snapshot_of(directory.path());
    const auto written = fs::last_write_time(old);

    import_original(old, tracker);

    EXPECT_EQ(test::snapshot_of(directory.path()), before);
    EXPECT_EQ(fs::last_write_time(old), written);
    for (const auto& entry : fs::directory_iterator(directory.path())) fs::remove(entry.path());
  }
}

TEST_F(OldFileTest, IsReadWithTheLogThatADeadProgramLeft) {
  make(kThreeImages);
  const fs::path origin = directory / "origin.db";
  fs::rename(old, origin);
  Outsider program(origin);
  program.run("PRAGMA journal_mode = WAL; UPDATE images SET status = 'completed' WHERE path = '2'");
  // As a crash in the middle of a transaction would leave it.
  program.run(
      "PRAGMA cache_size = 1; BEGIN; UPDATE images SET status = 'completed';"
      "CREATE TABLE big AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
      "WHERE i < 200) SELECT zeroblob(4000) FROM n");
  fs::copy_file(origin, old);
  fs::copy_file(origin.native() + "-wal", old.native() + "-wal");
  const std::string database = test::contents_of(old);
  const std::string log = test::contents_of(old.native() + "-wal");
  ASSERT_GT(log.size(), 200'000U);

  import_original(old, tracker);

  EXPECT_EQ(completed(), 2);
  EXPECT_EQ(test::contents_of(old), database);
  EXPECT_EQ(test::contents_of(old.native() + "-wal"), log);
}

TEST_F(OldFileTest, IsReadWhileAnotherProgramWritesToIt) {
  make(kThreeImages);
  Outsider program(old);
  program.run(
      "PRAGMA journal_mode = WAL; UPDATE images SET status = 'completed' WHERE path = '2';"
      "BEGIN IMMEDIATE; UPDATE images SET status = 'error'");
  const std::string log = test::contents_of(old.native() + "-wal");

  import_original(old, tracker, milliseconds(0));

  EXPECT_EQ(completed(), 2);
  EXPECT_EQ(test::contents_of(old.native() + "-wal"), log);
  program.run("COMMIT");
  EXPECT_EQ(program.number("SELECT count(*) FROM images WHERE status = 'error'"), 3);
}

TEST_F(OldFileTest, IsReadAsItStandsAtOneMoment) {
  make(kThreeImages);
  Outsider program(old);
  program.run("PRAGMA journal_mode = WAL");
  InterruptedTracker slow(tracker, -1, InterruptedTracker::Moment::kBefore);
  int calls = 0;
  slow.before_each = [&] {
    program.run(
        "UPDATE images SET status = 'error'; INSERT INTO images (job_id, path) VALUES (1, 'n" +
        std::to_string(++calls) + "'); INSERT INTO batches (job_id, batch_num) VALUES (1, 1)");
  };

  const ImportSummary summary = import_original(old, slow);

  EXPECT_GT(calls, 3);
  EXPECT_EQ(summary.images, 3);
  EXPECT_EQ(summary.errors, 0);
  EXPECT_EQ(summary.batches, 0);
}

TEST_F(OldFileTest, IsBusyWhileAnotherProgramLocksIt) {
  make(kThreeImages);
  Outsider program(old);
  program.run("BEGIN EXCLUSIVE");

  EXPECT_EQ(expect_refused("(waited 0 ms)"), ErrorCode::kBusy);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT([&] { import_original(old, tracker, milliseconds(20)); },
              ThrowsError(ErrorCode::kBusy));
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(20));
  program.run("COMMIT");
  import_original(old, tracker, milliseconds(0));
}

TEST_F(OldFileTest, MayHaveMoreThanThePublishedTablesAndColumns) {
  make(kThreeImages);
  change(
      "ALTER TABLE images ADD COLUMN mine TEXT; CREATE TABLE other (x); DROP INDEX idx_images_job;"
      "CREATE TRIGGER t AFTER UPDATE ON images BEGIN DELETE FROM images; END;"
      "ALTER TABLE jobs RENAME TO old_jobs; ALTER TABLE old_jobs RENAME TO Jobs;"
      "CREATE TABLE checked (x CHECK (json_valid(x)));"
      "CREATE VIEW v AS SELECT * FROM no_such_table; PRAGMA user_version = 9");

  EXPECT_EQ(import_original(old, tracker).images, 3);
}

TEST_F(OldFileTest, CanBeCheckedWithoutATracker) {
  const auto refusal = [&] {
    return test::error_of([&] { check_original(old, milliseconds(0)); });
  };
  EXPECT_EQ(refusal()->code(), ErrorCode::kNotFound);
  EXPECT_THAT(refusal()->what(), HasSubstr("import_original: " + old.string()));
  make(kThreeImages);
  const auto before = test::snapshot_of(directory.path());
  check_original(old);
  EXPECT_EQ(test::snapshot_of(directory.path()), before);
  change("DROP TABLE batches");
  EXPECT_EQ(refusal()->code(), ErrorCode::kForeignDatabase);
}

TEST_F(OldFileTest, IsNotFoundWhereItIsNot) {
  EXPECT_EQ(expect_refused("import_original: "), ErrorCode::kNotFound);
  EXPECT_FALSE(fs::exists(old));
}

TEST_F(OldFileTest, IsAnSqliteFile) {
  test::write_file(old, std::string(5'000, 'x'));
  EXPECT_EQ(expect_refused("not an SQLite file"), ErrorCode::kNotADatabase);
  test::write_file(old, "x");
  EXPECT_EQ(expect_refused("not an SQLite file"), ErrorCode::kNotADatabase);
  fs::remove(old);
  fs::create_directory(old);
  EXPECT_EQ(expect_refused("not a regular file"), ErrorCode::kNotADatabase);
  fs::remove(old);
  test::write_file(old, "");
  EXPECT_EQ(expect_refused("is empty"), ErrorCode::kForeignDatabase);
}

TEST_F(OldFileTest, HasTheOriginalsTablesAndColumns) {
  struct Case {
    std::string tables;
    std::string in_message;
  };
  const std::vector<Case> cases{
      {"CREATE TABLE x (y)", "it has no table jobs"},
      {std::string(kImages) + kBatches, "it has no table jobs"},
      {std::string(kJobs) + kBatches, "it has no table images"},
      {std::string(kJobs) + kImages, "it has no table batches"},
      {std::string(kJobs) + kImages + "CREATE VIEW batches AS SELECT 1 AS id",
       "it has no table batches"},
      {std::string(kJobs) + kImages + "CREATE VIRTUAL TABLE batches USING fts5 (id)",
       "it has no table batches"},
      {"CREATE TABLE jobs (id INTEGER PRIMARY KEY, name TEXT);"s + kImages + kBatches,
       "its table jobs has no column total_images"},
      {std::string(kJobs) + kBatches +
           "CREATE TABLE images (id INTEGER PRIMARY KEY, job_id, path, "
           "status, split)",
       "its table images has no column error_message"},
      {std::string(kJobs) + kBatches +
           "CREATE TABLE images (id INTEGER PRIMARY KEY, job_id, path, status, split, "
           "error_message AS (upper(path)))",
       "its table images has no column error_message"},
      {"PRAGMA encoding = 'UTF-16le';" + published_tables(), "its text is not in UTF-8"},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.tables);
    for (const char* mode : {"DELETE", "WAL"}) {
      Outsider(old).run(each.tables + "; PRAGMA journal_mode = " + mode);
      const auto before = test::snapshot_of(directory.path());

      EXPECT_EQ(expect_refused(each.in_message), ErrorCode::kForeignDatabase);
      EXPECT_EQ(test::snapshot_of(directory.path()), before);
      fs::remove(old);
    }
  }
}

TEST_F(OldFileTest, IsNoOtherProgramsDatabase) {
  for (const reliability::ForeignSchema& schema : reliability::kForeignSchemas) {
    for (const char* mode : {"DELETE", "WAL"}) {
      SCOPED_TRACE(schema.program);
      Outsider(old).run(std::string(schema.setup) + "; PRAGMA journal_mode = " + mode + ";" +
                        schema.sql);
      const auto before = test::snapshot_of(directory.path());

      EXPECT_EQ(expect_refused("not a database of the Python original"),
                ErrorCode::kForeignDatabase);
      EXPECT_EQ(test::snapshot_of(directory.path()), before);
      fs::remove(old);
    }
  }
}

TEST_F(OldFileTest, IsNoneOfOurs) {
  { ProgressTracker(old).create_job("a", test::image_paths(3), {}); }
  const auto before = test::snapshot_of(directory.path());

  EXPECT_EQ(expect_refused("is a database of progress_tracker already"),
            ErrorCode::kForeignDatabase);
  EXPECT_EQ(test::snapshot_of(directory.path()), before);
}

TEST_F(OldFileTest, ATrackersOwnFileIsRefusedAndTheTrackerGoesOn) {
  ProgressTracker itself(old);
  const JobId job = itself.create_job("a", test::image_paths(3), {});

  EXPECT_THAT([&] { import_original(old, itself); }, ThrowsError(ErrorCode::kForeignDatabase));
  EXPECT_EQ(itself.claim_images(job).size(), 3U);
}

TEST_F(OldFileTest, ADeadTransactionInItHasToBeRolledBackFirst) {
  make(kThreeImages);
  const fs::path origin = directory / "origin.db";
  fs::rename(old, origin);
  Outsider program(origin);
  program.run(
      "PRAGMA cache_size = 1; BEGIN; UPDATE images SET status = 'completed';"
      "CREATE TABLE big AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
      "WHERE i < 200) SELECT zeroblob(4000) FROM n");
  fs::copy_file(origin, old);
  fs::copy_file(origin.native() + "-journal", old.native() + "-journal");
  const auto before = test::snapshot_of(directory.path());

  EXPECT_EQ(expect_refused("has to be rolled back first"), ErrorCode::kIo);
  EXPECT_EQ(test::snapshot_of(directory.path()), before);
}

TEST_F(OldFileTest, ALogThatCannotBeUsedIsTold) {
  make("PRAGMA user_version = 0");
  change("PRAGMA journal_mode = WAL");
  fs::create_directory(old.native() + "-wal");

  EXPECT_EQ(expect_refused("in WAL mode, and SQLite cannot make its -wal and -shm"),
            ErrorCode::kIo);
}

TEST_F(OldFileTest, SeveralHardLinksAreRefused) {
  make(kThreeImages);
  fs::create_hard_link(old, directory / "link.db");

  EXPECT_EQ(expect_refused("hard links"), ErrorCode::kUnsupportedFilesystem);
}

TEST_F(OldFileTest, ArgumentsAreChecked) {
  make(kThreeImages);

  EXPECT_THAT([&] { import_original("", tracker); }, ThrowsError(ErrorCode::kInvalidArgument));
  EXPECT_THAT([&] { import_original(old, tracker, milliseconds(-1)); },
              ThrowsError(ErrorCode::kInvalidArgument));
  EXPECT_EQ(import_original(old, tracker, milliseconds::max()).images, 3);
}

// They would have to be sorted in memory, or may come twice.
TEST_F(OldFileTest, HasIdsThatAreItsRows) {
  const std::string published = published_tables() + kThreeImages + ";";
  for (const std::string table : {"jobs", "images", "batches"}) {
    const std::string rest = "ALTER TABLE " + table + " RENAME TO source;";
    for (const std::string& copy :
         {"CREATE TABLE " + table + " AS SELECT * FROM source;",
          "CREATE TABLE " + table + " AS SELECT * FROM source; CREATE UNIQUE INDEX ix ON " + table +
              " (id);",
          "CREATE TABLE " + table +
              " (id INT PRIMARY KEY, name, total_images, job_id, path, status, split,"
              " error_message, batch_num, image_count, upload_error);",
          "CREATE TABLE " + table +
              " (id INTEGER PRIMARY KEY, name, total_images, job_id, path, status, split,"
              " error_message, batch_num, image_count, upload_error) WITHOUT ROWID;",
          "CREATE TABLE " + table +
              " (id INTEGER, name, total_images, job_id, path, status, split, error_message,"
              " batch_num, image_count, upload_error, other INTEGER PRIMARY KEY);"}) {
      SCOPED_TRACE(copy);
      Outsider(old).run(published + rest + copy);

      EXPECT_EQ(expect_refused("its table " + table +
                               " is not as that makes it: its id is no INTEGER "
                               "PRIMARY KEY"),
                ErrorCode::kForeignDatabase);
      fs::remove(old);
    }
  }
}

// As damage may have it: SQLite itself believes that ids ascend.
TEST_F(OldFileTest, RowsThatComeAgainAreDamage) {
  make("INSERT INTO images (path) VALUES ('first'), ('second'), ('third')", kBareTables);
  std::string bytes = test::contents_of(old);
  // Before the path come the lengths of the row and of its head, six types, and between them the
  // id.
  const std::size_t id = bytes.find("third") - 8;
  ASSERT_EQ(bytes.at(id), 3);
  bytes[id] = 2;
  test::write_file(old, bytes);

  EXPECT_EQ(expect_refused("the rows of images are not in their order"), ErrorCode::kCorrupt);
}

// A file that says something else in some bytes: it is read, or refused, and left alone.
TEST_F(OldFileTest, DamageIsReadOrRefused) {
  std::string sql = "INSERT INTO jobs (name, total_images) VALUES ('a', 300);";
  for (int i = 0; i < 300; ++i) {
    sql += "INSERT INTO images (job_id, path, status) VALUES (1, 'some/path/" + std::to_string(i) +
           ".png', 'completed');";
  }
  make(sql);
  const std::string sound = test::contents_of(old);
  std::mt19937 random(1);
  const auto draw = [&](std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random);
  };
  std::map<std::string, int> seen;
  for (int round = 0; round < 500; ++round) {
    SCOPED_TRACE(round);
    std::string damaged = sound;
    for (std::size_t i = draw(20) + 1; i > 0; --i) {
      damaged[draw(damaged.size())] = static_cast<char>(draw(256));
    }
    test::write_file(old, damaged);
    InMemoryTracker fresh;

    ++seen[test::code_of([&] { import_original(old, fresh, milliseconds(0)); })];

    ASSERT_EQ(test::contents_of(old), damaged);
    for (const auto& entry : fs::directory_iterator(directory.path())) fs::remove(entry.path());
  }
  EXPECT_GT(seen["no error"], 10);
  EXPECT_GT(seen["corrupt"], 10);
  for (const auto& [code, count] : seen) {
    EXPECT_TRUE(
        (std::set<std::string>{"no error", "corrupt", "foreign_database", "not_a_database", "io"}
             .contains(code)))
        << code;
  }
}

}  // namespace
}  // namespace progress_tracker

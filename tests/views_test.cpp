// The file as other programs see it: the views, read with nothing but SQLite's C API, and with
// Python where there is one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "progress_tracker/progress_tracker.h"
#include "store/schema.h"
#include "support.h"
#include "testing_hooks.h"

namespace progress_tracker {
namespace {

using test::image_paths;
using test::Outsider;
using test::TempDirectory;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Optional;
using testing::UnorderedElementsAre;

namespace fs = std::filesystem;

constexpr char kIso8601[] =
    "20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:"
    "[0-5][0-9]\\.[0-9][0-9][0-9]Z";

class ViewsTest : public testing::Test {
 protected:
  using Row = Outsider::Row;

  std::vector<std::string> columns_of(const std::string& view) {
    std::vector<std::string> names;
    for (const Row& row : outsider().run("SELECT name FROM pragma_table_info('" + view + "')")) {
      names.push_back(*row.at(0));
    }
    return names;
  }

  Outsider& outsider() {
    if (outsider_ == nullptr) {
      outsider_ = std::make_unique<Outsider>(path, SQLITE_OPEN_READONLY);
    }
    return *outsider_;
  }

  std::string value(const std::string& sql) { return outsider().value(sql); }

  // The splits of the paths are "train", "valid", "train", ...
  JobId create(const std::string& name, std::size_t count) {
    std::vector<std::string> splits(count);
    for (std::size_t i = 0; i < count; ++i) {
      splits[i] = i % 2 == 0 ? "train" : "valid";
    }
    return tracker.create_job(name, image_paths(count), splits);
  }

  TempDirectory directory;
  const fs::path path = directory / "jobs.db";
  ProgressTracker tracker{path};

 private:
  std::unique_ptr<Outsider> outsider_;
};

TEST_F(ViewsTest, HaveTheseColumns) {
  EXPECT_THAT(columns_of("jobs"), ElementsAre("id", "name", "total_images", "processed_count",
                                              "error_count", "created_at", "updated_at"));
  EXPECT_THAT(columns_of("images"),
              ElementsAre("id", "job_id", "path", "split", "status", "attempts", "deaths",
                          "started_at", "processed_at", "error_message"));
  EXPECT_THAT(columns_of("progress"), ElementsAre("job_id", "name", "split", "pending",
                                                  "processing", "completed", "error"));
  EXPECT_THAT(columns_of("batches"),
              ElementsAre("id", "job_id", "batch_num", "status", "image_count", "created_at",
                          "uploaded_at", "upload_error"));
}

TEST_F(ViewsTest, AreViewsAndTheTablesHaveOtherNames) {
  EXPECT_THAT(outsider().run("SELECT name FROM sqlite_schema WHERE type = 'view'"),
              UnorderedElementsAre(Row{"jobs"}, Row{"images"}, Row{"progress"}, Row{"batches"}));
}

TEST_F(ViewsTest, TheFileSaysWhoseItIs) {
  EXPECT_EQ(outsider().number("PRAGMA application_id"), store::kApplicationId);
  EXPECT_EQ(outsider().number("PRAGMA user_version"), store::kSchemaVersion);
}

TEST_F(ViewsTest, CountsInJobsAreAsOfTheCheckpointAndTheTotalIsCurrent) {
  const JobId job = create("job", 4);
  const auto images = tracker.claim_images(job, 3);
  tracker.complete(images[0]);
  tracker.complete(images[1]);
  tracker.fail(images[2], "broken");
  const std::string counts =
      "SELECT total_images || ' ' || processed_count || ' ' || error_count "
      "FROM jobs WHERE name = 'job'";
  EXPECT_EQ(value(counts), "4 0 0");

  tracker.checkpoint(job);
  EXPECT_EQ(value(counts), "4 2 1");

  tracker.add_images(job, image_paths(2, "more"), {});
  tracker.complete(tracker.claim_images(job, 1).at(0));
  EXPECT_EQ(value(counts), "6 2 1");
}

TEST_F(ViewsTest, CountsInProgressAreExact) {
  const JobId job = create("job", 4);
  const auto images = tracker.claim_images(job, 3);
  tracker.complete(images[0]);
  tracker.fail(images[1], "broken");

  EXPECT_THAT(outsider().run("SELECT name, split, pending, processing, completed, error "
                             "FROM progress ORDER BY split"),
              ElementsAre(Row{"job", "train", "0", "1", "1", "0"},
                          Row{"job", "valid", "1", "0", "0", "1"}));
}

TEST_F(ViewsTest, ProgressAddsUpToWhatTheImagesSay) {
  const JobId job = create("job", 20);
  const auto images = tracker.claim_images(job, 9);
  for (std::size_t i = 0; i < 6; ++i) {
    i % 3 == 0 ? tracker.fail(images[i], "broken") : tracker.complete(images[i]);
  }
  const std::string recount =
      "SELECT job_id, split, sum(status = 'pending'), sum(status = 'processing'), "
      "sum(status = 'completed'), sum(status = 'error') FROM images GROUP BY 1, 2 ORDER BY 1, 2";
  EXPECT_EQ(outsider().run(recount),
            outsider().run("SELECT job_id, split, pending, processing, completed, error "
                           "FROM progress ORDER BY 1, 2"));
}

TEST_F(ViewsTest, AnImageNeverStarted) {
  create("job", 1);
  EXPECT_THAT(outsider().run("SELECT path, split, status, attempts, deaths, started_at, "
                             "processed_at, error_message FROM images"),
              ElementsAre(Row{"images/0.png", "train", "pending", "0", "0", std::nullopt,
                              std::nullopt, std::nullopt}));
}

TEST_F(ViewsTest, AnImageInEachStatus) {
  const JobId job = create("job", 4);
  const auto images = tracker.claim_images(job, 3);
  tracker.complete(images[0]);
  tracker.fail(images[1], "broken");

  EXPECT_THAT(outsider().run("SELECT path, status, attempts, started_at IS NOT NULL, "
                             "processed_at IS NOT NULL, error_message FROM images ORDER BY id"),
              ElementsAre(Row{"images/0.png", "completed", "1", "1", "1", std::nullopt},
                          Row{"images/1.png", "error", "1", "1", "1", "broken"},
                          Row{"images/2.png", "processing", "1", "1", "0", std::nullopt},
                          Row{"images/3.png", "pending", "0", "0", "0", std::nullopt}));
}

TEST_F(ViewsTest, AnErrorGivenBackHasNoMessageAndNoEnd) {
  const JobId job = create("job", 1);
  tracker.fail(tracker.claim_images(job, 1).at(0), "broken");
  tracker.reset_error_images(job);

  EXPECT_THAT(outsider().run("SELECT status, attempts, started_at IS NOT NULL, processed_at, "
                             "error_message FROM images"),
              ElementsAre(Row{"pending", "1", "1", std::nullopt, std::nullopt}));
}

TEST_F(ViewsTest, IdsAreTheOnesOfTheInterface) {
  const JobId job = create("job", 3);
  for (const ImageRecord& record : tracker.get_images(job)) {
    EXPECT_EQ(value("SELECT path FROM images WHERE id = " +
                    std::to_string(static_cast<std::int64_t>(record.image.id))),
              record.image.path.native());
  }
  EXPECT_EQ(outsider().number("SELECT id FROM jobs"), static_cast<std::int64_t>(job));
}

TEST_F(ViewsTest, TimesAreIso8601InUtc) {
  const JobId job = create("job", 2);
  tracker.complete(tracker.claim_images(job, 1).at(0));
  tracker.checkpoint(job);
  tracker.mark_batch_uploaded(tracker.create_batch(job, 1, 1));
  for (const char* sql : {"SELECT created_at FROM jobs", "SELECT updated_at FROM jobs",
                          "SELECT started_at FROM images WHERE status = 'completed'",
                          "SELECT processed_at FROM images WHERE status = 'completed'",
                          "SELECT created_at FROM batches", "SELECT uploaded_at FROM batches"}) {
    EXPECT_THAT(value(sql), MatchesRegex(kIso8601)) << sql;
  }
}

TEST_F(ViewsTest, TimesAreExactToTheMillisecond) {
  class OneMoment final : public test::FakeClock {
   public:
    std::int64_t wall_ms() override { return 1'234'567'890'123; }
  };
  OneMoment clock;
  const auto other = internal::open_with_clock(path, {}, clock);
  other->create_job("job", image_paths(1), {});
  EXPECT_EQ(value("SELECT created_at FROM jobs"), "2009-02-13T23:31:30.123Z");
}

TEST_F(ViewsTest, Batches) {
  const JobId job = create("job", 4);
  const auto images = tracker.claim_images(job, 2);
  for (const Image& image : images) {
    tracker.complete(image);
  }
  const BatchId first = tracker.create_batch_of(job, 1, test::ids_of(images));
  const BatchId second = tracker.create_batch(job, 7, 5);
  tracker.create_batch(job, 8, 0);
  tracker.mark_batch_uploaded(first);
  tracker.mark_batch_error(second, "no network");

  EXPECT_THAT(outsider().run("SELECT batch_num, status, image_count, uploaded_at IS NOT NULL, "
                             "upload_error FROM batches ORDER BY batch_num"),
              ElementsAre(Row{"1", "uploaded", "2", "1", std::nullopt},
                          Row{"7", "error", "5", "0", "no network"},
                          Row{"8", "pending", "0", "0", std::nullopt}));
}

TEST_F(ViewsTest, TypesDoNotDependOnTheRow) {
  const JobId job = create("job", 3);
  tracker.fail(tracker.claim_images(job, 1).at(0), "broken");
  tracker.create_batch(job, 1, 1);
  const auto types = [&](const std::string& view, const std::string& column) {
    return outsider().run("SELECT DISTINCT typeof(" + column + ") FROM " + view + " WHERE " +
                          column + " IS NOT NULL");
  };
  for (const char* column : {"id", "job_id", "attempts", "deaths"}) {
    EXPECT_THAT(types("images", column), ElementsAre(Row{"integer"})) << column;
  }
  for (const char* column :
       {"path", "split", "status", "started_at", "processed_at", "error_message"}) {
    EXPECT_THAT(types("images", column), ElementsAre(Row{"text"})) << column;
  }
  for (const char* column : {"pending", "processing", "completed", "error", "job_id"}) {
    EXPECT_THAT(types("progress", column), ElementsAre(Row{"integer"})) << column;
  }
  for (const char* column : {"id", "total_images", "processed_count", "error_count"}) {
    EXPECT_THAT(types("jobs", column), ElementsAre(Row{"integer"})) << column;
  }
  for (const char* column : {"id", "job_id", "batch_num", "image_count"}) {
    EXPECT_THAT(types("batches", column), ElementsAre(Row{"integer"})) << column;
  }
}

TEST_F(ViewsTest, AnEmptyJobIsThere) {
  tracker.create_job("empty", {}, {});
  EXPECT_EQ(value("SELECT name || total_images FROM jobs"), "empty0");
  EXPECT_THAT(outsider().run("SELECT * FROM progress"), IsEmpty());
}

// ---- Paths that are not UTF-8 ------------------------------------------------------------------

class ViewsOfPaths : public ViewsTest {
 protected:
  ViewsOfPaths() { tracker.create_job("job", paths, {}); }

  const std::vector<fs::path> paths{
      "plain.png",
      "dir/plain.png",
      "dir/\xff.png",
      "\xfe/plain.png",
      "\xfe/\xff.png",
      "\xc3\xa4/\xc3\xb6.png",
      "dir/\xc3",
      "\xc3/\xa4.png",
      "trailing/",
      "/absolute/\xed\xa0\x80",
      "line\nbreak.png",
      "quote'\".png",
      "\xf0\x9f\x96\xbc.png",
      "a//b.png",
      "./a.png",
      "/",
  };
  static bool is_utf8(const fs::path& path) {
    return path.native().find_first_of("\xfe\xff") == std::string::npos && path != "dir/\xc3" &&
           path != "\xc3/\xa4.png" && path != "/absolute/\xed\xa0\x80";
  }
};

TEST_F(ViewsOfPaths, AreTextWhereTheyAreUtf8AndBlobsWhereNotAndByteForByteThemselves) {
  sqlite3_stmt* statement = nullptr;
  ASSERT_EQ(sqlite3_prepare_v2(outsider().handle(), "SELECT path FROM images ORDER BY id", -1,
                               &statement, nullptr),
            SQLITE_OK);
  for (const fs::path& expected : paths) {
    ASSERT_EQ(sqlite3_step(statement), SQLITE_ROW);
    EXPECT_EQ(sqlite3_column_type(statement, 0), is_utf8(expected) ? SQLITE_TEXT : SQLITE_BLOB)
        << expected;
    const std::string_view got(static_cast<const char*>(sqlite3_column_blob(statement, 0)),
                               static_cast<std::size_t>(sqlite3_column_bytes(statement, 0)));
    EXPECT_EQ(got, expected.native());
  }
  EXPECT_EQ(sqlite3_step(statement), SQLITE_DONE);
  sqlite3_finalize(statement);
}

TEST_F(ViewsOfPaths, CanBeReadByPython) {
  // One TEXT that does not decode breaks the whole query there.
  const std::string command =
      "python3 -c 'import sqlite3, sys\n"
      "rows = sqlite3.connect(sys.argv[1]).execute(\"SELECT * FROM images ORDER BY "
      "id\").fetchall()\n"
      "print(len(rows), sum(isinstance(row[2], bytes) for row in rows))' '" +
      path.native() + "' 2>&1";
  if (std::system("python3 -c 'import sqlite3' >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "no python3 with sqlite3 here";
  }
  FILE* pipe = ::popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::array<char, 200> buffer{};
  std::string output;
  while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) {
    output += buffer.data();
  }
  EXPECT_EQ(::pclose(pipe), 0) << output;
  const auto blobs = std::count_if(paths.begin(), paths.end(),
                                   [](const fs::path& each) { return !is_utf8(each); });
  EXPECT_EQ(output, std::to_string(paths.size()) + " " + std::to_string(blobs) + "\n");
}

// ---- What nobody sees --------------------------------------------------------------------------

// Whatever moment of a load or a removal a reader comes at.
class ViewsOfTheUnfinished : public ViewsTest {
 protected:
  void expect_nothing_of(const std::string& name) {
    EXPECT_EQ(outsider().number("SELECT count(*) FROM jobs WHERE name = '" + name + "'"), 0);
    EXPECT_EQ(outsider().number("SELECT count(*) FROM progress WHERE name = '" + name + "'"), 0);
  }
};

// Reads the views whenever the library looks at the clock, which it does all through a long load.
class LookingClock final : public test::FakeClock {
 public:
  explicit LookingClock(std::function<void()> look) : look_(std::move(look)) {}
  std::chrono::steady_clock::time_point now() override {
    advance(std::chrono::milliseconds(100));  // a piece is over at once
    if (++looks_ % 10 == 0) {
      look_();
    }
    return FakeClock::now();
  }
  int looks() const { return looks_; }

 private:
  std::function<void()> look_;
  int looks_{0};
};

TEST_F(ViewsOfTheUnfinished, AJobBeingLoadedIsNotSeen) {
  create("other", 4);
  LookingClock clock([&] {
    expect_nothing_of("job");
    EXPECT_EQ(outsider().number("SELECT count(*) FROM images"), 4);
    EXPECT_EQ(outsider().number("SELECT count(*) FROM jobs"), 1);
  });
  const auto loader = internal::open_with_clock(path, {}, clock);

  loader->create_job("job", image_paths(20'000), {});

  EXPECT_GT(clock.looks(), 20);
  EXPECT_EQ(outsider().number("SELECT count(*) FROM images"), 20'004);
}

TEST_F(ViewsOfTheUnfinished, ImagesBeingAddedAreNotSeen) {
  const JobId job = create("job", 4);
  LookingClock clock([&] {
    EXPECT_EQ(outsider().number("SELECT count(*) FROM images"), 4);
    EXPECT_EQ(outsider().number("SELECT total_images FROM jobs"), 4);
    EXPECT_EQ(outsider().number("SELECT sum(pending) FROM progress"), 4);
    EXPECT_EQ(outsider().number("SELECT count(*) FROM progress"), 2) << "no split of theirs";
  });
  const auto loader = internal::open_with_clock(path, {}, clock);

  EXPECT_EQ(loader->add_images(job, image_paths(20'000, "more/"),
                               std::vector<std::string>(20'000, "new")),
            20'000);

  EXPECT_GT(clock.looks(), 20);
  EXPECT_EQ(outsider().number("SELECT total_images FROM jobs"), 20'004);
}

TEST_F(ViewsOfTheUnfinished, ARemovedJobIsGoneWithImagesAndBatches) {
  const JobId job = create("job", 4);
  const auto images = tracker.claim_images(job, 3);
  tracker.complete(images[0]);
  tracker.fail(images[1], "broken");
  tracker.release_images(images);
  tracker.create_batch_of(job, 1, std::vector{images[0].id});
  create("other", 2);

  tracker.remove_job(job);

  expect_nothing_of("job");
  EXPECT_EQ(outsider().number("SELECT count(*) FROM images"), 2);
  EXPECT_EQ(outsider().number("SELECT count(*) FROM batches"), 0);
  for (const char* table : {"state", "failure", "batch", "batch_image", "late_completion"}) {
    EXPECT_EQ(outsider().number(std::string("SELECT count(*) FROM ") + table), 0) << table;
  }
  EXPECT_EQ(outsider().number("SELECT count(*) FROM image"), 2);
  EXPECT_EQ(outsider().number("SELECT count(*) FROM job"), 1);
}

}  // namespace
}  // namespace progress_tracker

// How SQLite finds the rows: every statement that the library really runs is noted, and then asked
// for its plan. None may walk through all images or all states.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "progress_tracker/progress_tracker.h"
#include "support.h"

namespace progress_tracker {
namespace {

using test::image_paths;
using test::Outsider;
using test::TempDirectory;
using testing::HasSubstr;
using testing::Not;

// The statements that any connection opened while this object exists has run.
class StatementLog {
 public:
  StatementLog() {
    statements().clear();
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(&attach));
  }
  StatementLog(const StatementLog&) = delete;
  StatementLog& operator=(const StatementLog&) = delete;
  ~StatementLog() { sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(&attach)); }

  static std::set<std::string>& statements() {
    static std::set<std::string> all;
    return all;
  }

 private:
  static int attach(sqlite3* db, char** /*error*/, const void* /*api*/) {
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, &note, nullptr);
  }
  static int note(unsigned /*kind*/, void* /*context*/, void* statement, void* /*text*/) {
    statements().insert(sqlite3_sql(static_cast<sqlite3_stmt*>(statement)));
    return 0;
  }
};

bool is_query(const std::string& sql) {
  static constexpr std::array kVerbs{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "REPLACE"};
  return std::ranges::any_of(kVerbs, [&](const char* verb) { return sql.starts_with(verb); });
}

class QueryPlanTest : public testing::Test {
 protected:
  static constexpr std::size_t kImages = 30;

  // Calls everything there is, in states that make it do something.
  void use_everything() {
    const test::LogCapture quiet;
    ProgressTracker tracker(path);
    const JobId job = tracker.create_job("job", image_paths(kImages), {});
    tracker.create_job("job", image_paths(3), std::vector<std::string>(3, "train"));
    const JobId long_job = tracker.create_job("long", image_paths(3'000), {});
    tracker.get_job_id("job");
    tracker.get_pending_images(job);
    const auto images = tracker.claim_images(job, 10);
    tracker.complete(images[0]);
    tracker.fail(images[1], "broken");
    tracker.mark_completed(images[2].id);
    tracker.mark_error(images[3].id, "broken");
    tracker.mark_error(images[3].id, "still broken");
    tracker.mark_completed(images[3].id);
    std::vector<Outcome> outcomes;
    for (std::size_t i = 4; i < 7; ++i) {
      outcomes.push_back({.id = images[i].id, .attempt = images[i].attempt, .error = {}});
    }
    tracker.mark_outcomes(outcomes);
    tracker.release_images(std::vector<Image>(images.begin() + 7, images.begin() + 9));
    const auto pending = tracker.get_pending_images(job);
    tracker.mark_processing(std::vector{pending[0].id, pending.back().id});
    tracker.release_images(std::vector{pending.back()});
    tracker.mark_completed(pending[5].id);
    tracker.get_pending_images(job);
    tracker.claim_images(job, 5);
    {
      // A worker that leaves its images behind.
      ProgressTracker gone(path);
      gone.claim_images(job, 2);
    }
    tracker.claim_images(job, 100);
    tracker.claim_images(job, 100);
    tracker.reset_stuck_images(job);
    tracker.claim_images(job, 1);
    tracker.retry_images(std::vector{images[1].id});
    tracker.fail(tracker.claim_images(job, 1).at(0), "broken");
    tracker.get_error_summary(job);
    tracker.reset_error_images(job);
    tracker.checkpoint(job);
    tracker.get_progress(job);
    tracker.get_status_counts(job);
    tracker.get_progress_by_split(job);
    tracker.get_image_id(job, images[0].path);
    tracker.get_image(images[0].id);
    for (const auto status : {std::optional<Status>{}, std::optional{Status::kPending},
                              std::optional{Status::kProcessing}, std::optional{Status::kCompleted},
                              std::optional{Status::kError}}) {
      tracker.get_images(job, status);
    }
    tracker.list_workers();
    tracker.list_jobs();
    const JobId chained = tracker.chain_job("chained", job);
    for (const Image& image : tracker.claim_images(job, 2)) {
      tracker.complete(image);
    }
    tracker.get_unbatched_images(job);
    const BatchId batch = tracker.create_batch_of(job, 1, std::vector{images[0].id, images[4].id});
    tracker.create_batch(job, 2, 1);
    tracker.get_unbatched_images(job);
    tracker.get_batch_images(batch);
    tracker.get_pending_batches(job);
    tracker.mark_batch_error(batch, "no network");
    tracker.mark_batch_uploaded(batch);
    tracker.get_uploaded_batches(job);
    tracker.sync();
    tracker.remove_job(chained);
    tracker.remove_job(long_job);
  }

  // What EXPLAIN QUERY PLAN says, a line each.
  std::string plan_of(const std::string& sql) {
    std::string plan;
    for (const auto& row : outsider().run("EXPLAIN QUERY PLAN " + sql)) {
      plan += row.at(3).value_or("") + "\n";
    }
    return plan;
  }

  Outsider& outsider() {
    if (!outsider_.has_value()) {
      outsider_.emplace(path);
    }
    return *outsider_;
  }

  TempDirectory directory;
  const std::filesystem::path path = directory / "jobs.db";

 private:
  std::optional<Outsider> outsider_;
};

TEST_F(QueryPlanTest, NoStatementWalksThroughAllImagesOrStates) {
  const StatementLog log;
  use_everything();
  const auto statements = StatementLog::statements();
  std::size_t queries = 0;
  for (const std::string& sql : statements) {
    if (!is_query(sql) || sql.find("sqlite_schema") != std::string::npos) {
      continue;
    }
    ++queries;
    std::string plan = plan_of(sql);
    // That index holds what is being processed and nothing else.
    const std::string small = "SCAN state USING INDEX state_processing\n";
    if (const auto at = plan.find(small); at != std::string::npos) {
      plan.erase(at, small.size());
    }
    for (const char* table : {"image", "state", "failure", "directory", "split", "batch_image",
                              "late_completion", "chain_backlog", "batch"}) {
      EXPECT_THAT(plan, Not(HasSubstr(std::string("SCAN ") + table + "\n"))) << sql;
      EXPECT_THAT(plan, Not(HasSubstr(std::string("SCAN ") + table + " USING"))) << sql;
    }
    EXPECT_THAT(plan, Not(HasSubstr("AUTOMATIC"))) << sql << ": an index is missing";
  }
  EXPECT_GT(queries, 60U) << "most of the library was not run";
}

// What is looked for with a status is looked for in the small index of that status, and not in the
// range of a job's ids, which is all of the job.
TEST_F(QueryPlanTest, WhatIsRareIsFoundByItsOwnIndex) {
  const StatementLog log;
  use_everything();
  const auto statements = StatementLog::statements();
  const std::map<std::string, std::string> index_of{
      {"status = 0 AND", "USING (COVERING )?INDEX state_returned"},
      {"status = 1", "USING (COVERING )?INDEX state_processing"},
      {"status = 3", "USING (COVERING )?INDEX state_error"},
  };
  std::size_t found = 0;
  for (const std::string& sql : statements) {
    // What was never started has no row in `state`; it is looked for where the started ones end.
    if (!sql.starts_with("SELECT") || sql.find("FROM state") == std::string::npos) {
      continue;
    }
    for (const auto& [condition, index] : index_of) {
      if (sql.find(condition) != std::string::npos) {
        ++found;
        EXPECT_THAT(plan_of(sql), testing::ContainsRegex(index)) << sql;
      }
    }
  }
  EXPECT_GE(found, 5U);
}

TEST_F(QueryPlanTest, PagesAndClaimsComeInOrderWithoutSorting) {
  const StatementLog log;
  use_everything();
  for (const std::string& sql : StatementLog::statements()) {
    const bool is_page = sql.starts_with("SELECT") && sql.find("LIMIT") != std::string::npos &&
                         sql.find("ORDER BY") != std::string::npos &&
                         sql.find("GROUP BY") == std::string::npos;
    // Few by nature, and in an index of their own: what is being processed, and what died.
    const bool is_small =
        sql.find("status = 1") != std::string::npos || sql.find("deaths > 0") != std::string::npos;
    if (is_page && !is_small) {
      EXPECT_THAT(plan_of(sql), Not(HasSubstr("TEMP B-TREE"))) << sql;
    }
  }
}

TEST_F(QueryPlanTest, TheViewOfImagesGoesStraightToOneJob) {
  {
    ProgressTracker tracker(path);
    tracker.create_job("job", image_paths(3), {});
  }
  const std::string plan = plan_of("SELECT * FROM images WHERE job_id = 1");
  for (const char* table : {"image", "state", "failure", "directory", "split"}) {
    EXPECT_THAT(plan, Not(HasSubstr(std::string("SCAN ") + table))) << plan;
  }
}

// The test can see what it looks for.
TEST_F(QueryPlanTest, AWalkWouldBeSeen) {
  {
    ProgressTracker tracker(path);
    tracker.create_job("job", image_paths(3), {});
  }
  EXPECT_THAT(plan_of("SELECT * FROM state WHERE changed_at = 5"), HasSubstr("SCAN state\n"));
  EXPECT_THAT(plan_of("SELECT image.id, state.status FROM image LEFT JOIN state USING (id)"),
              HasSubstr("SCAN image USING"));
  EXPECT_THAT(plan_of("SELECT count(*) FROM image"), HasSubstr("SCAN image USING"));
}

}  // namespace
}  // namespace progress_tracker

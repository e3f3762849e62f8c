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
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "progress_tracker/progress_tracker.h"
#include "statement_log.h"
#include "store/schema.h"
#include "support.h"

namespace progress_tracker {
namespace {

using test::image_paths;
using test::Outsider;
using test::StatementLog;
using test::TempDirectory;
using testing::HasSubstr;
using testing::Not;

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
    tracker.mark_outcomes(
        test::completions_of(std::vector<Image>(images.begin() + 4, images.begin() + 7)));
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
  for (const auto& [sql, times] : statements) {
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
  for (const auto& [sql, times] : statements) {
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
  for (const auto& [sql, times] : StatementLog::statements()) {
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

// Neighbours that stand alike are claimed and marked by a few statements, however many they are.
TEST_F(QueryPlanTest, AThousandNeighboursTakeAsManyStatementsAsTen) {
  const StatementLog log;
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(5'000), {});
  const auto claim = [&](std::size_t count) {
    return StatementLog::run_by([&] { EXPECT_EQ(tracker.claim_images(job, count).size(), count); });
  };
  // Those that were claimed, and those that get_pending_images() gave, of which nobody knows.
  const auto mark = [&](const std::vector<Image>& images) {
    const auto outcomes = test::completions_of(images);
    return StatementLog::run_by(
        [&] { EXPECT_EQ(tracker.mark_outcomes(outcomes), outcomes.size()); });
  };
  tracker.claim_images(job, 1);

  const int claim_ten = claim(10);
  EXPECT_EQ(claim(1'000), claim_ten);
  const int mark_ten = mark(tracker.claim_images(job, 10));
  EXPECT_EQ(mark(tracker.claim_images(job, 1'000)), mark_ten);
  const int mark_ten_unstarted = mark(tracker.get_pending_images(job, 10));
  EXPECT_EQ(mark(tracker.get_pending_images(job, 1'000)), mark_ten_unstarted);
  const auto start = [&](std::size_t count) {
    std::vector<ImageId> ids;
    for (const Image& image : tracker.get_pending_images(job, count)) ids.push_back(image.id);
    return StatementLog::run_by([&] { tracker.mark_processing(ids); });
  };
  const int start_ten = start(10);
  EXPECT_EQ(start(1'000), start_ten);
  EXPECT_GT(std::min({claim_ten, mark_ten, mark_ten_unstarted, start_ten}), 2);
}

// Buffered marks ask the database only where somebody else has committed something.
TEST_F(QueryPlanTest, ABufferedMarkOfWhatWasHandedOutRunsNoStatement) {
  const StatementLog log;
  ProgressTracker tracker(path, {.mark_buffer = 100});
  ProgressTracker other(path);
  const JobId job = tracker.create_job("job", image_paths(1'000), {});
  const auto other_image = other.claim_images(job, 1).at(0);
  enum class Take { kClaim, kGet, kGetAndStart };
  for (const Take take : {Take::kClaim, Take::kGet, Take::kGetAndStart}) {
    const auto images = take == Take::kClaim ? tracker.claim_images(job, 300)
                                             : tracker.get_pending_images(job, 300);
    if (take == Take::kGetAndStart) {
      tracker.mark_processing(test::ids_of(images));
    }
    for (std::size_t i = 0; i < 250; ++i) {
      const int run = StatementLog::run_by([&] { tracker.mark_completed(images[i].id); });
      EXPECT_EQ(run > 0, i % 100 == 99) << "mark " << i << ", taken by " << static_cast<int>(take);
    }
    other.mark_error(other_image.id, "broken");
    EXPECT_GT(StatementLog::run_by([&] { tracker.mark_completed(images[250].id); }), 0);
  }
}

// However far a job is, by whatever way its images were marked.
TEST_F(QueryPlanTest, TheNextImagesCostTheSameHoweverManyAreDone) {
  using Mark = std::function<void(ProgressTracker&, const std::vector<Image>&)>;
  const std::map<std::string, Mark> ways{
      {"mark_completed",
       [](ProgressTracker& tracker, const std::vector<Image>& images) {
         for (const Image& image : images) tracker.mark_completed(image.id);
       }},
      {"mark_error",
       [](ProgressTracker& tracker, const std::vector<Image>& images) {
         for (const Image& image : images) tracker.mark_error(image.id, "broken");
       }},
      {"mark_outcomes",
       [](ProgressTracker& tracker, const std::vector<Image>& images) {
         std::vector<Outcome> outcomes;
         for (const Image& image : images) outcomes.push_back({.id = image.id, .error = {}});
         tracker.mark_outcomes(outcomes);
       }},
      {"mark_processing",
       [](ProgressTracker& tracker, const std::vector<Image>& images) {
         std::vector<ImageId> ids;
         for (const Image& image : images) ids.push_back(image.id);
         tracker.mark_processing(ids);
       }},
      {"claim_images",
       [](ProgressTracker& tracker, const std::vector<Image>& images) {
         tracker.claim_images(store::job_of(images[0].id), images.size());
       }},
  };
  const StatementLog log;
  ProgressTracker tracker(path);
  for (const auto& [name, mark] : ways) {
    const JobId job = tracker.create_job(name, image_paths(3'000), {});
    const auto look = [&] {
      return StatementLog::steps_of([&] { tracker.get_pending_images(job, 10); });
    };
    const int at_first = look();
    ASSERT_GT(at_first, 0);

    for (int i = 0; i < 5; ++i) mark(tracker, tracker.get_pending_images(job, 500));

    ASSERT_EQ(tracker.get_status_counts(job)->pending, 500) << name;
    EXPECT_LE(look(), at_first + at_first / 2) << name;
    EXPECT_LE(StatementLog::steps_of([&] { tracker.claim_images(job, 10); }), 10 * at_first)
        << name;
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
              HasSubstr("SCAN image\n"));
  EXPECT_THAT(plan_of("SELECT count(*) FROM image"), HasSubstr("SCAN image\n"));
}

}  // namespace
}  // namespace progress_tracker

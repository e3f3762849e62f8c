// What is too short for a driver of its own, on Google Benchmark: a trace scope, a prepared
// statement, single calls. Each stands beside the least that could do the same.
//
//   in_process_benchmark [--benchmark_format=json ...] directory=<scratch directory>
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "image_list.h"
#include "plain_sqlite.h"
#include "progress_tracker/progress_tracker.h"
#include "progress_tracker/trace.h"
#include "sqlite/connection.h"

namespace {

namespace fs = std::filesystem;
using benchmark::Database;
using benchmark::State;
using benchmark::Statement;
using progress_tracker::Image;
using progress_tracker::JobId;
using progress_tracker::ProgressTracker;
using progress_tracker::sqlite::Connection;
using progress_tracker::sqlite::OpenMode;
using progress_tracker::sqlite::Query;

fs::path scratch;  // a directory of our own, made and removed by main

// One run of a statement that has one parameter and gives one number.
std::int64_t run(Statement& statement, std::int64_t parameter) {
  statement.bind(parameter).step();
  const std::int64_t value = statement.integer(0);
  statement.reset();
  return value;
}

// ---- A trace scope that is off -----------------------------------------------------------------

void empty_loop(State& state) {
  int value = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(++value);
  }
}
BENCHMARK(empty_loop);

void trace_scope_off(State& state) {
  int value = 0;
  for (auto _ : state) {
    PROGRESS_TRACKER_TRACE("trace_scope_off");
    benchmark::DoNotOptimize(++value);
  }
}
BENCHMARK(trace_scope_off);

// ---- One run of a prepared statement -----------------------------------------------------------

constexpr char kSelectSql[] = "SELECT ? + 1";

void query(State& state) {
  Connection connection(":memory:", OpenMode::kCreate);
  for (auto _ : state) {
    Query query(connection, kSelectSql, std::int64_t{1});
    query.next();
    benchmark::DoNotOptimize(query.integer(0));
  }
}
BENCHMARK(query);

void query_plain(State& state) {
  Database database(":memory:", "");
  Statement select = database.prepare(kSelectSql);
  for (auto _ : state) {
    benchmark::DoNotOptimize(run(select, 1));
  }
}
BENCHMARK(query_plain);

// ---- Single calls, each a transaction or two ---------------------------------------------------

constexpr std::size_t kCalls = 10'000;

// A tracker with a job of kCalls images, in a file of its own below the scratch directory.
class TrackedJob {
 public:
  explicit TrackedJob(const char* file) : tracker_(scratch / file) {
    const auto list = benchmark::ImageSource(kCalls, kCalls, false).piece(0, kCalls);
    job_ = tracker_.create_job("job", list.paths, list.splits);
  }

  ProgressTracker* operator->() { return &tracker_; }
  JobId id() const { return job_; }

 private:
  ProgressTracker tracker_;
  JobId job_{};
};

void get_status_counts(State& state) {
  TrackedJob job("get_status_counts.db");
  for (auto _ : state) {
    benchmark::DoNotOptimize(job->get_status_counts(job.id()));
  }
}
BENCHMARK(get_status_counts)->Iterations(kCalls);

void get_status_counts_plain(State& state) {
  Database database(
      scratch / "get_status_counts_plain.db",
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
      "CREATE TABLE counters(job INTEGER PRIMARY KEY, pending, processing, completed, error);"
      "INSERT INTO counters VALUES(1, 10000, 0, 0, 0)");
  Statement select =
      database.prepare("SELECT pending, processing, completed, error FROM counters WHERE job = ?");
  for (auto _ : state) {
    benchmark::DoNotOptimize(run(select, 1));
  }
}
BENCHMARK(get_status_counts_plain)->Iterations(kCalls);

void claim_and_complete(State& state) {
  TrackedJob job("claim_and_complete.db");
  for (auto _ : state) {
    for (const Image& image : job->claim_images(job.id(), 1)) {
      job->complete(image);
    }
  }
}
BENCHMARK(claim_and_complete)->Iterations(kCalls);

// A work queue as it is usually written: a status in the row, an index of the pending rows.
void claim_and_complete_plain(State& state) {
  Database database(
      scratch / "claim_and_complete_plain.db",
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
      "CREATE TABLE image(id INTEGER PRIMARY KEY, path TEXT, status INTEGER);"
      "WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < 10000)"
      "INSERT INTO image SELECT i, '/data/img_' || i || '.jpg', 0 FROM number;"
      "CREATE INDEX pending ON image(id) WHERE status = 0");
  Statement claim = database.prepare(
      "UPDATE image SET status = ? WHERE id = (SELECT id FROM image WHERE status = 0 ORDER BY id "
      "LIMIT 1) RETURNING id");
  Statement complete = database.prepare("UPDATE image SET status = 2 WHERE id = ? RETURNING id");
  for (auto _ : state) {
    run(complete, run(claim, 1));
  }
}
BENCHMARK(claim_and_complete_plain)->Iterations(kCalls);

// The argument directory=..., which is ours; the others are Google Benchmark's.
fs::path scratch_directory(int argc, char** argv) {
  constexpr std::string_view kKey = "directory=";
  if (argc != 2 || !std::string_view(argv[1]).starts_with(kKey)) {
    throw std::runtime_error("the argument directory=<scratch directory> is missing");
  }
  return argv[1] + kKey.size();
}

}  // namespace

int main(int argc, char** argv) try {
  benchmark::Initialize(&argc, argv);
  scratch = scratch_directory(argc, argv) / "in_process";
  fs::create_directory(scratch);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  fs::remove_all(scratch);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
  return 1;
}

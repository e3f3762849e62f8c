// The library's statements under SQLite's own busy handler and its own checkpoints: what the
// library's way of waiting is compared with.
//
// It marks images in a database of the library with the statements that mark_completed() runs for a
// claimed image, each mark a transaction of its own. Waiting is left to PRAGMA busy_timeout, and
// the log to SQLite's automatic checkpoint of 1,000 pages. Not safe to use for anything else:
// SQLite before 3.51.3 can lose commits by such checkpoints.
#ifndef PROGRESS_TRACKER_TESTS_BENCHMARK_BUSY_TIMEOUT_H_
#define PROGRESS_TRACKER_TESTS_BENCHMARK_BUSY_TIMEOUT_H_

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>

#include "progress_tracker/options.h"
#include "progress_tracker/types.h"

namespace busy_timeout {

// One connection, used by one thread. Failures are thrown as the library throws them.
class Tracker {
 public:
  // The database must be there, and one of the library.
  Tracker(const std::filesystem::path& database, const progress_tracker::Options& options);

  void mark_completed(progress_tracker::ImageId image);
  progress_tracker::StatusCounts get_status_counts(progress_tracker::JobId job);

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

  [[noreturn]] void fail(int code) const;
  void execute(const char* sql);
  Statement prepare(const char* sql);
  bool step(const Statement& statement);
  void run(const Statement& statement);
  void complete(std::int64_t image);

  std::unique_ptr<sqlite3, Close> database_;
  Statement begin_;
  Statement select_job_;
  Statement select_state_;
  Statement complete_;
  Statement select_feeds_;
  Statement change_counts_;
  Statement commit_;
  Statement sum_counts_;
};

}  // namespace busy_timeout

#endif  // PROGRESS_TRACKER_TESTS_BENCHMARK_BUSY_TIMEOUT_H_

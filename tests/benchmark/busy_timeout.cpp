#include "busy_timeout.h"

#include <chrono>
#include <string>

#include "progress_tracker/error.h"

namespace busy_timeout {
namespace {

using progress_tracker::Error;
using progress_tracker::ErrorCode;
using progress_tracker::ImageId;
using progress_tracker::JobId;
using progress_tracker::Options;
using progress_tracker::Status;
using progress_tracker::StatusCounts;

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Tracker::Tracker(const std::filesystem::path& database, const Options& options) {
  sqlite3* opened = nullptr;
  const int code = sqlite3_open_v2(database.c_str(), &opened,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  database_.reset(opened);
  if (code != SQLITE_OK) {
    fail(code);
  }
  const bool full = options.synchronous == Options::Synchronous::kFull;
  execute(("PRAGMA busy_timeout = " + std::to_string(options.busy_timeout.count())).c_str());
  execute(("PRAGMA cache_size = -" + std::to_string(options.cache_size_kib)).c_str());
  execute(full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
  execute("PRAGMA foreign_keys = ON");

  begin_ = prepare("BEGIN IMMEDIATE");
  select_job_ = prepare(
      "SELECT published, started, batched FROM job "
      "WHERE id = ? AND name IS NOT NULL AND ready = 1");
  select_state_ = prepare("SELECT status, attempts, split FROM state WHERE id = ?");
  complete_ = prepare("UPDATE state SET status = ?, worker = NULL, changed_at = ? WHERE id = ?");
  select_feeds_ = prepare(
      "SELECT id, ready, published, scanned FROM job "
      "WHERE upstream = ? AND name IS NOT NULL ORDER BY id");
  change_counts_ = prepare(
      "UPDATE split SET total = total + ?, processing = processing + ?, "
      "completed = completed + ?, error = error + ? WHERE id = ?");
  commit_ = prepare("COMMIT");
  sum_counts_ = prepare(
      "SELECT coalesce(sum(total), 0), coalesce(sum(processing), 0), "
      "coalesce(sum(completed), 0), coalesce(sum(error), 0) FROM split WHERE job_id = ?");
}

void Tracker::mark_completed(ImageId image) {
  run(begin_);
  try {
    complete(static_cast<std::int64_t>(image));
    run(commit_);
  } catch (const Error&) {
    sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

StatusCounts Tracker::get_status_counts(JobId job) {
  sqlite3_bind_int64(sum_counts_.get(), 1, static_cast<std::int64_t>(job));
  step(sum_counts_);
  StatusCounts counts;
  counts.processing = sqlite3_column_int64(sum_counts_.get(), 1);
  counts.completed = sqlite3_column_int64(sum_counts_.get(), 2);
  counts.error = sqlite3_column_int64(sum_counts_.get(), 3);
  counts.pending = sqlite3_column_int64(sum_counts_.get(), 0) - counts.processing -
                   counts.completed - counts.error;
  sqlite3_reset(sum_counts_.get());
  return counts;
}

void Tracker::fail(int code) const {
  const ErrorCode kind = (code & 0xff) == SQLITE_BUSY ? ErrorCode::kBusy : ErrorCode::kIo;
  throw Error(kind, std::string("busy_timeout: ") + sqlite3_errmsg(database_.get()), code);
}

void Tracker::execute(const char* sql) {
  const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) {
    fail(code);
  }
}

Tracker::Statement Tracker::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v3(database_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) {
    fail(code);
  }
  return Statement(statement);
}

// True if there is a row. Otherwise the statement is ready for its next run.
bool Tracker::step(const Statement& statement) {
  const int code = sqlite3_step(statement.get());
  if (code == SQLITE_ROW) {
    return true;
  }
  sqlite3_reset(statement.get());
  if (code != SQLITE_DONE) {
    fail(code);
  }
  return false;
}

void Tracker::run(const Statement& statement) {
  while (step(statement)) {
  }
}

// For an image that is processing, of a job that is there.
void Tracker::complete(std::int64_t image) {
  const std::int64_t job = image >> 32;
  sqlite3_bind_int64(select_job_.get(), 1, job);
  run(select_job_);

  sqlite3_bind_int64(select_state_.get(), 1, image);
  step(select_state_);
  const std::int64_t split = sqlite3_column_int64(select_state_.get(), 2);
  sqlite3_reset(select_state_.get());

  sqlite3_bind_int64(complete_.get(), 1, static_cast<std::int64_t>(Status::kCompleted));
  sqlite3_bind_int64(complete_.get(), 2, now_ms());
  sqlite3_bind_int64(complete_.get(), 3, image);
  run(complete_);

  sqlite3_bind_int64(select_feeds_.get(), 1, job);
  run(select_feeds_);

  sqlite3_bind_int64(change_counts_.get(), 1, 0);
  sqlite3_bind_int64(change_counts_.get(), 2, -1);
  sqlite3_bind_int64(change_counts_.get(), 3, 1);
  sqlite3_bind_int64(change_counts_.get(), 4, 0);
  sqlite3_bind_int64(change_counts_.get(), 5, split);
  run(change_counts_);
}

}  // namespace busy_timeout

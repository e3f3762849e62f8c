#include "audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

namespace progress_tracker::processes {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Recounted from the images, against what is kept in the transaction of each mark.
constexpr const char* kRecount =
    "SELECT job_id, split, sum(status = 'pending'), sum(status = 'processing'), "
    "sum(status = 'completed'), sum(status = 'error') FROM images GROUP BY job_id, split";
constexpr const char* kKept =
    "SELECT job_id, split, pending, processing, completed, error FROM progress";

// For readers, who wait only while the log is recovered or taken away.
int spin(void* /*unused*/, int /*tries*/) {
  std::this_thread::yield();
  return 1;
}

}  // namespace

Audit::Audit(const std::filesystem::path& database) {
  if (sqlite3_open_v2(database.c_str(), &db_, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK) {
    sqlite3_close(db_);
    throw std::runtime_error("cannot open " + database.string());
  }
  sqlite3_busy_handler(db_, spin, nullptr);
  sqlite3_wal_autocheckpoint(db_, 0);
  // The log stays as its writers left it, for the next of them to cope with.
  int keep = 1;
  sqlite3_file_control(db_, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

Audit::~Audit() { sqlite3_close(db_); }

std::vector<Row> Audit::rows(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
    throw std::runtime_error(sql + ": " + sqlite3_errmsg(db_));
  }
  std::vector<Row> rows;
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    Row& row = rows.emplace_back();
    for (int column = 0; column < sqlite3_column_count(statement); ++column) {
      const void* bytes = sqlite3_column_blob(statement, column);
      const int size = sqlite3_column_bytes(statement, column);
      row.emplace_back(bytes == nullptr ? std::string()
                                        : std::string(static_cast<const char*>(bytes),
                                                      static_cast<std::size_t>(size)));
    }
  }
  const std::string message = code == SQLITE_DONE ? "" : sqlite3_errmsg(db_);
  sqlite3_finalize(statement);
  if (code != SQLITE_DONE) {
    throw std::runtime_error(sql + ": " + message);
  }
  return rows;
}

std::int64_t Audit::number(const std::string& sql) {
  const auto found = rows(sql);
  return found.empty() || found[0][0].empty() ? 0 : std::stoll(found[0][0]);
}

void Audit::expect_sound() {
  EXPECT_THAT(rows("PRAGMA integrity_check"), ElementsAre(Row{"ok"}));
  EXPECT_THAT(rows("PRAGMA foreign_key_check"), IsEmpty());
  EXPECT_THAT(rows(std::string(kRecount) + " EXCEPT " + kKept), IsEmpty())
      << "images that are not counted";
  EXPECT_THAT(rows(std::string(kKept) + " EXCEPT " + kRecount), IsEmpty())
      << "counts without images";
  EXPECT_THAT(rows("SELECT id, total_images FROM jobs WHERE total_images <> "
                   "(SELECT count(*) FROM images WHERE images.job_id = jobs.id)"),
              IsEmpty());
  EXPECT_THAT(rows("SELECT job_id, path FROM images GROUP BY job_id, path HAVING count(*) > 1"),
              IsEmpty());
}

bool Audit::nobody_writes() {
  sqlite3_busy_handler(db_, nullptr, nullptr);
  const bool mine =
      sqlite3_exec(db_, "BEGIN IMMEDIATE; ROLLBACK", nullptr, nullptr, nullptr) == SQLITE_OK;
  sqlite3_busy_handler(db_, spin, nullptr);
  return mine;
}

bool wait_until(Audit& audit, const std::string& sql, const std::function<bool()>& is_over) {
  while (audit.number(sql) == 0) {
    if (is_over()) {
      return false;
    }
    std::this_thread::yield();
  }
  return true;
}

void stop_between_transactions(Process& process, Audit& audit) {
  process.stop();
  while (!audit.nobody_writes()) {
    process.go_on();
    std::this_thread::yield();
    process.stop();
  }
}

}  // namespace progress_tracker::processes

#include "original_design.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace original_design {
namespace {

constexpr char kSchemaSql[] = R"sql(
PRAGMA busy_timeout = 300000;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -64000;
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE NOT NULL,
  status TEXT NOT NULL DEFAULT 'running',
  total_images INTEGER NOT NULL DEFAULT 0,
  processed_count INTEGER NOT NULL DEFAULT 0,
  error_count INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at TEXT
);
CREATE TABLE images (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id INTEGER NOT NULL REFERENCES jobs (id),
  path TEXT NOT NULL,
  split TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending',
  error_message TEXT,
  processed_at TEXT,
  UNIQUE (job_id, path)
);
CREATE INDEX idx_images_job ON images (job_id);
CREATE INDEX idx_images_status ON images (status);
CREATE INDEX idx_images_job_status ON images (job_id, status);
)sql";

// How many rows the original inserts before it commits.
constexpr std::size_t kSlice = 5'000;

void check(bool good, sqlite3* database, const char* what) {
  if (!good) {
    std::fprintf(stderr, "original design: %s: %s\n", what, sqlite3_errmsg(database));
    std::abort();
  }
}

void bind(sqlite3_stmt* statement, int index, const std::string& text) {
  sqlite3_bind_text(statement, index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
}

std::string column(sqlite3_stmt* statement, int index) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, index));
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement, index))};
}

// Local time with a resolution of seconds: what costs here is the text.
std::string now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts)};
}

}  // namespace

Tracker::Tracker(const std::filesystem::path& database) {
  sqlite3* opened = nullptr;
  const int code = sqlite3_open(database.c_str(), &opened);
  database_.reset(opened);
  check(code == SQLITE_OK, opened, "open");
  execute(kSchemaSql);
  insert_job_ = prepare("INSERT INTO jobs (name, total_images) VALUES (?, ?)");
  insert_image_ = prepare("INSERT OR IGNORE INTO images (job_id, path, split) VALUES (?, ?, ?)");
  select_pending_ =
      prepare("SELECT id, path, split FROM images WHERE job_id = ? AND status = 'pending' LIMIT ?");
  mark_processing_ = prepare("UPDATE images SET status = 'processing' WHERE id = ?");
  mark_completed_ =
      prepare("UPDATE images SET status = 'completed', processed_at = ? WHERE id = ?");
  count_ = prepare("SELECT count(*) FROM images WHERE job_id = ? AND status = ?");
  checkpoint_ =
      prepare("UPDATE jobs SET processed_count = ?, error_count = ?, updated_at = ? WHERE id = ?");
}

std::int64_t Tracker::create_job(const std::string& name,
                                 std::span<const std::filesystem::path> paths,
                                 std::span<const std::string> splits) {
  begin_if_needed();
  bind(insert_job_.get(), 1, name);
  sqlite3_bind_int64(insert_job_.get(), 2, static_cast<std::int64_t>(paths.size()));
  run(insert_job_);
  const std::int64_t job = sqlite3_last_insert_rowid(database_.get());
  commit();
  for (std::size_t i = 0; i < paths.size(); ++i) {
    begin_if_needed();
    sqlite3_bind_int64(insert_image_.get(), 1, job);
    bind(insert_image_.get(), 2, paths[i].native());
    bind(insert_image_.get(), 3, splits[i]);
    run(insert_image_);
    if ((i + 1) % kSlice == 0) {
      commit();
    }
  }
  commit();
  return job;
}

std::vector<Image> Tracker::get_pending_images(std::int64_t job, std::size_t limit) {
  std::vector<Image> images;
  sqlite3_stmt* select = select_pending_.get();
  sqlite3_bind_int64(select, 1, job);
  sqlite3_bind_int64(select, 2, static_cast<std::int64_t>(limit));
  while (sqlite3_step(select) == SQLITE_ROW) {
    images.push_back({sqlite3_column_int64(select, 0), column(select, 1), column(select, 2)});
  }
  sqlite3_reset(select);
  return images;
}

void Tracker::mark_processing(const std::vector<Image>& images) {
  begin_if_needed();
  for (const Image& image : images) {
    sqlite3_bind_int64(mark_processing_.get(), 1, image.id);
    run(mark_processing_);
  }
}

void Tracker::mark_completed(std::int64_t image) {
  begin_if_needed();
  const std::string time = now();
  bind(mark_completed_.get(), 1, time);
  sqlite3_bind_int64(mark_completed_.get(), 2, image);
  run(mark_completed_);
}

void Tracker::checkpoint(std::int64_t job) {
  const std::int64_t completed = count(job, "completed");
  const std::int64_t errors = count(job, "error");
  begin_if_needed();
  const std::string time = now();
  sqlite3_bind_int64(checkpoint_.get(), 1, completed);
  sqlite3_bind_int64(checkpoint_.get(), 2, errors);
  bind(checkpoint_.get(), 3, time);
  sqlite3_bind_int64(checkpoint_.get(), 4, job);
  run(checkpoint_);
  commit();
}

void Tracker::execute(const char* sql) {
  check(sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK, database_.get(),
        sql);
}

Tracker::Statement Tracker::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v3(database_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  check(code == SQLITE_OK, database_.get(), sql);
  return Statement(statement);
}

void Tracker::begin_if_needed() {
  if (sqlite3_get_autocommit(database_.get()) != 0) {
    execute("BEGIN");
  }
}

void Tracker::commit() {
  if (sqlite3_get_autocommit(database_.get()) == 0) {
    execute("COMMIT");
  }
}

void Tracker::run(const Statement& statement) {
  const int code = sqlite3_step(statement.get());
  sqlite3_reset(statement.get());
  check(code == SQLITE_DONE, database_.get(), sqlite3_sql(statement.get()));
}

std::int64_t Tracker::count(std::int64_t job, const char* status) {
  sqlite3_bind_int64(count_.get(), 1, job);
  sqlite3_bind_text(count_.get(), 2, status, -1, SQLITE_STATIC);
  check(sqlite3_step(count_.get()) == SQLITE_ROW, database_.get(), "count");
  const std::int64_t number = sqlite3_column_int64(count_.get(), 0);
  sqlite3_reset(count_.get());
  return number;
}

}  // namespace original_design

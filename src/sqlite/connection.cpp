#include "sqlite/connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>

#include "progress_tracker/rules.h"

namespace progress_tracker::sqlite {
namespace {

int open_flags(OpenMode mode) {
  // No mutex: a connection is used by one thread at a time. No URI: a path is a path.
  constexpr int kAlways = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  switch (mode) {
    case OpenMode::kReadOnly:
      return kAlways | SQLITE_OPEN_READONLY;
    case OpenMode::kReadWrite:
      return kAlways | SQLITE_OPEN_READWRITE;
    case OpenMode::kCreate:
      break;
  }
  return kAlways | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
}

}  // namespace

Connection::Connection(const std::string& path, OpenMode mode) {
  const int code = sqlite3_open_v2(path.c_str(), &db_, open_flags(mode), nullptr);
  if (code != SQLITE_OK) {
    const std::string message = db_ != nullptr ? sqlite3_errmsg(db_) : sqlite3_errstr(code);
    sqlite3_close_v2(db_);
    if (code == SQLITE_NOMEM) {
      throw std::bad_alloc();
    }
    throw Failure(code, message);
  }
  sqlite3_busy_handler(db_, &Connection::on_busy, this);
  // Nobody's schema can make us run code, and ours has none to run: its views are for others.
  sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  // Only CheckpointGuard checkpoints.
  sqlite3_wal_autocheckpoint(db_, 0);
}

Connection::~Connection() {
  statements_.clear();
  sqlite3_close_v2(db_);
}

void Connection::configure(const Options& options) {
  sqlite3_wal_hook(db_, &Connection::on_commit_to_wal, this);
  // A mapped file widens the window of SQLite's WAL-reset bug, and turns I/O errors into signals.
  execute("PRAGMA mmap_size = 0");
  execute("PRAGMA foreign_keys = ON");
  execute("PRAGMA temp_store = MEMORY");
  // A log that grew beyond 16 MiB while somebody read for long is cut to that size by the first
  // commit after it began anew. It would stay as it is until the last one closes the file.
  execute("PRAGMA journal_size_limit = 16777216");
  execute("PRAGMA cell_size_check = ON");
  // SQLite takes a number of more than 31 bits for 0.
  const auto cache_kib =
      std::min<std::int64_t>(options.cache_size_kib, std::numeric_limits<std::int32_t>::max());
  execute(("PRAGMA cache_size = -" + std::to_string(cache_kib)).c_str());
  // Also for Synchronous::kFull, whose syncs are shared between threads: see shared_sync.h.
  execute("PRAGMA synchronous = NORMAL");
  rollback_ = prepared("ROLLBACK");
}

void Connection::leave_log_at_close(bool leave) {
  sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, leave ? 1 : 0, nullptr);
}

void Connection::execute(const char* sql) {
  const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) {
    fail(code, sql);
  }
}

void Connection::rollback() noexcept {
  if (in_transaction() && rollback_ != nullptr) {
    sqlite3_step(rollback_);
    sqlite3_reset(rollback_);
  }
}

sqlite3_stmt* Connection::prepared(const char* sql) {
  auto& slot = statements_[sql];
  if (slot == nullptr) {
    sqlite3_stmt* statement = nullptr;
    const int code =
        sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) {
      fail(code, sql);
    }
    slot.reset(statement);
  }
  return slot.get();
}

void Connection::fail(int code, const char* sql) const {
  if (code == SQLITE_NOMEM) {
    throw std::bad_alloc();
  }
  // SQLite knows a full disk, and not a quota that is used up.
  const bool quota = code == SQLITE_IOERR_WRITE && files_met(EDQUOT);
  std::string cause = quota ? std::strerror(EDQUOT) : sqlite3_errmsg(db_);
  if (code == SQLITE_IOERR_SHMSIZE) {
    cause = "the shared index of the log cannot grow";
  }
  throw Failure(quota ? SQLITE_FULL : code, cause + " [" + sql + "]");
}

// Not by sqlite3_system_errno(), which a COMMIT does not set.
bool Connection::files_met(int error) const {
  for (const int which : {SQLITE_FCNTL_FILE_POINTER, SQLITE_FCNTL_JOURNAL_POINTER}) {
    sqlite3_file* file = nullptr;
    int last = 0;
    sqlite3_file_control(db_, "main", which, static_cast<void*>(&file));
    if (file != nullptr && file->pMethods != nullptr && file->pMethods->xFileControl != nullptr &&
        file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &last) == SQLITE_OK &&
        last == error) {
      return true;
    }
  }
  return false;
}

void fail_corrupt(const std::string& what) { throw Failure(SQLITE_CORRUPT, what); }

bool Connection::has_moved() const {
  int moved = 0;
  const int code = sqlite3_file_control(db_, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return code == SQLITE_OK && moved != 0;
}

// Read from the shared index of the log, whose layout sqlite.org/walformat.html gives: SQLite
// itself tells it only to who begins a transaction, which takes some microseconds and locks.
std::optional<LogState> Connection::log_state() const {
  constexpr std::size_t kCommitsAt = 8;
  constexpr std::size_t kFramesAt = 16;
  constexpr std::size_t kSaltAt = 32;
  constexpr std::size_t kHeaderBytes = 48;
  constexpr int kRegionBytes = 32'768;
  // Only who has written is sure to have a log open: asked of a file without one, SQLite would make
  // its index.
  if (commits_ == 0) {
    return std::nullopt;
  }
  if (log_index_ == nullptr) {
    sqlite3_file* file = nullptr;
    sqlite3_file_control(db_, "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file));
    if (file == nullptr || file->pMethods == nullptr || file->pMethods->iVersion < 2 ||
        file->pMethods->xShmMap(file, 0, kRegionBytes, 0, &log_index_) != SQLITE_OK ||
        log_index_ == nullptr) {
      return std::nullopt;
    }
  }
  const auto read = [&](std::size_t at) {
    const auto* address = static_cast<const volatile char*>(log_index_) + at;
    return __atomic_load_n(reinterpret_cast<const volatile std::uint32_t*>(address),
                           __ATOMIC_ACQUIRE);
  };
  const auto read_copy = [&](std::size_t at) {
    const std::uint32_t commits = read(at + kCommitsAt);
    const std::uint32_t frames = read(at + kFramesAt);
    return LogState{.commits = commits, .frames = frames, .salt = read(at + kSaltAt)};
  };
  // The header is there twice, and SQLite writes the second copy first: where they differ, it is
  // being written at this moment.
  const LogState first = read_copy(0);
  return first == read_copy(kHeaderBytes) ? std::optional(first) : std::nullopt;
}

void Connection::note_beginning() {
  state_at_beginning_ = log_state();
  commits_at_beginning_ = commits_;
  known_state_ = std::nullopt;
}

void Connection::note_end() {
  const std::optional<LogState> now = log_state();
  const std::uint32_t ours = commits_ - commits_at_beginning_;
  if (now && state_at_beginning_ && now->commits - state_at_beginning_->commits == ours) {
    known_state_ = now;
  }
}

int Connection::on_busy(void* self, int tries) {
  WaitBudget* budget = static_cast<Connection*>(self)->budget_;
  return budget != nullptr && budget->sleep(busy_pause(tries)) ? 1 : 0;
}

int Connection::on_commit_to_wal(void* self, sqlite3* /*db*/, const char* /*schema*/, int frames) {
  auto* connection = static_cast<Connection*>(self);
  connection->wal_frames_ = frames;
  ++connection->commits_;
  return SQLITE_OK;
}

void Query::bind(int index, std::string_view text) {
  // An empty view may have no address, which SQLite would take for NULL.
  const char* data = text.empty() ? "" : text.data();
  check(sqlite3_bind_text64(statement_, index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void Query::bind(int index, Bytes bytes) {
  if (is_valid_utf8(bytes.value)) {
    bind(index, bytes.value);
  } else {
    check(sqlite3_bind_blob64(statement_, index, bytes.value.data(), bytes.value.size(),
                              SQLITE_STATIC));
  }
}

bool Query::next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) {
    return true;
  }
  if (code != SQLITE_DONE) {
    connection_.fail(code, sql_);
  }
  return false;
}

void Query::require_row() {
  if (!next()) {
    fail_corrupt(std::string("a row is missing [") + sql_ + "]");
  }
}

void Query::run() {
  while (next()) {
  }
}

void Query::run_again() {
  run();
  sqlite3_reset(statement_);
}

std::string_view Query::bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (data == nullptr) {
    if (sqlite3_errcode(sqlite3_db_handle(statement_)) == SQLITE_NOMEM) {
      throw std::bad_alloc();
    }
    return {};
  }
  return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}

}  // namespace progress_tracker::sqlite

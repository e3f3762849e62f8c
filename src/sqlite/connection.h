// One SQLite connection, its prepared statements, and a query as a scope.
//
// A thin layer: it knows SQLite and nothing of jobs. Failures are thrown as `Failure`, which only
// transaction.h catches and turns into the library's Error; being out of memory is std::bad_alloc.
#ifndef PROGRESS_TRACKER_SRC_SQLITE_CONNECTION_H_
#define PROGRESS_TRACKER_SRC_SQLITE_CONNECTION_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>

#include "progress_tracker/options.h"
#include "sqlite/busy.h"

namespace progress_tracker::sqlite {

class Failure : public std::runtime_error {
 public:
  Failure(int code, const std::string& message) : std::runtime_error(message), code_(code) {}

  // The extended result code.
  int code() const { return code_; }
  // The primary result code: code() without its extension.
  int primary() const { return code_ & 0xff; }

 private:
  int code_;
};

// Throws the failure of a file that says what no sound file says. A rule that the schema declares
// holds only for what was written under it.
[[noreturn]] void fail_corrupt(const std::string& what);

// Bytes that are stored as TEXT where they are valid UTF-8 and as BLOB where not: a pure function
// of the bytes, so that equal bytes are equal in the file.
struct Bytes {
  std::string_view value;
};

// How far the write-ahead log is, for everybody: equal as long as nobody has committed anything.
struct LogState {
  std::uint32_t commits{0};  // goes up by one with each
  std::uint32_t frames{0};
  std::uint32_t salt{0};

  bool operator==(const LogState&) const = default;
};

enum class OpenMode { kReadOnly, kReadWrite, kCreate };

// Used by one thread at a time.
class Connection {
 public:
  // Opens the file and nothing more: no pragma has run. Throws Failure.
  Connection(const std::string& path, OpenMode mode);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // The settings that hold for every connection of a tracker. Asks and writes nothing in the file.
  void configure(const Options& options);

  // Whether closing leaves the write-ahead log as it is, where the last connection to close would
  // otherwise copy it into the file and remove it: for files that may turn out not to be ours.
  void leave_log_at_close(bool leave);

  // Runs statements that return nothing. For set-up; what runs often is a Query.
  void execute(const char* sql);

  // The statement for `sql`, prepared at its first use and kept. `sql` must be a literal, or
  // otherwise outlive the connection: it is looked up by its address.
  sqlite3_stmt* prepared(const char* sql);

  // Throws the failure that `code` of the last call stands for.
  [[noreturn]] void fail(int code, const char* sql) const;

  // The wait that locked tables may take, until the next call; nullptr: none. See busy.h.
  void set_budget(WaitBudget* budget) { budget_ = budget; }
  WaitBudget* budget() const { return budget_; }

  // Rolls the open transaction back, if there is one. Needs no memory, so that being out of it
  // cannot leave a transaction open, and with it the write lock taken. What an error of the system
  // prevents, the next call has to try again: see in_transaction().
  void rollback() noexcept;

  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }
  int changes() const { return sqlite3_changes(db_); }
  std::int64_t last_insert_rowid() const { return sqlite3_last_insert_rowid(db_); }

  // Frames in the write-ahead log after the latest commit of this connection.
  int wal_frames() const { return wal_frames_; }

  // The state of the log at this moment, without a system call; no value before this connection has
  // written, or while somebody is writing it down.
  std::optional<LogState> log_state() const;

  // The state in which all that the latest transaction saw and wrote still held; no value: others
  // have committed between, or may have. For that each transaction notes its beginning, before it
  // looks at anything, and its end, once it is committed.
  std::optional<LogState> known_state() const { return known_state_; }
  void note_beginning();
  void note_end();

  // Whether the file was deleted, renamed or replaced since it was opened.
  bool has_moved() const;

  sqlite3* handle() const { return db_; }

 private:
  static int on_busy(void* self, int tries);
  static int on_commit_to_wal(void* self, sqlite3* db, const char* schema, int frames);
  // Whether this errno is the last one that the system gave for the database or its log. After a
  // write that failed it is that write's: a worker's connection writes to the log alone, and one
  // that checkpoints to the database alone.
  bool files_met(int error) const;

  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };

  sqlite3* db_{nullptr};
  std::unordered_map<const char*, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;
  sqlite3_stmt* rollback_{nullptr};  // prepared by configure(); one of statements_
  WaitBudget* budget_{nullptr};
  int wal_frames_{0};
  std::uint32_t commits_{0};  // of this connection that wrote to the log
  // The beginning of the log's shared index: mapped as long as the connection is open.
  mutable volatile void* log_index_{nullptr};
  std::uint32_t commits_at_beginning_{0};
  std::optional<LogState> state_at_beginning_;
  std::optional<LogState> known_state_;
};

// One run of a prepared statement; the statement is reset when the scope ends.
//
//   Query query(connection, kSelectSql, job, limit);
//   while (query.next()) { use(query.integer(0)); }
//
// Strings are bound by reference and must outlive the query.
class Query {
 public:
  template <typename... Args>
  Query(Connection& connection, const char* sql, const Args&... args)
      : connection_(connection), statement_(connection.prepared(sql)), sql_(sql) {
    int index = 0;
    (bind(++index, args), ...);
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query() { sqlite3_reset(statement_); }

  void bind(int index, std::int64_t value) { check(sqlite3_bind_int64(statement_, index, value)); }
  void bind(int index, std::nullptr_t) { check(sqlite3_bind_null(statement_, index)); }
  void bind(int index, std::string_view text);
  void bind(int index, Bytes bytes);
  template <typename Enum>
  requires std::is_enum_v<Enum>
  void bind(int index, Enum value) { bind(index, static_cast<std::int64_t>(value)); }
  template <typename Value>
  void bind(int index, const std::optional<Value>& value) {
    if (value.has_value()) {
      bind(index, *value);
    } else {
      bind(index, nullptr);
    }
  }

  // Steps to the next row; false: there is none.
  bool next();

  // The same where a sound file has one.
  void require_row();

  // Runs a statement that gives no rows.
  void run();

  // As run(), and makes the statement ready for the next values.
  void run_again();

  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  // The bytes of a TEXT or BLOB, valid until the next step.
  std::string_view bytes(int column) const;
  std::string text(int column) const { return std::string(bytes(column)); }

 private:
  void check(int code) {
    if (code != SQLITE_OK) [[unlikely]] {
      connection_.fail(code, sql_);
    }
  }

  Connection& connection_;
  sqlite3_stmt* statement_;
  const char* sql_;
};

}  // namespace progress_tracker::sqlite

#endif  // PROGRESS_TRACKER_SRC_SQLITE_CONNECTION_H_

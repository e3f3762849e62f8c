// SQLite as the plain programs of the benchmark use it: one connection, statements prepared once,
// and a failure ends the measurement (std::runtime_error).
#ifndef PROGRESS_TRACKER_TESTS_BENCHMARK_PLAIN_SQLITE_H_
#define PROGRESS_TRACKER_TESTS_BENCHMARK_PLAIN_SQLITE_H_

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

namespace benchmark {

class Statement {
 public:
  Statement(sqlite3* database, const char* sql);

  // Numbers are bound from 1 on, in order. Text stays the caller's and must outlive the run.
  template <typename... Values>
  Statement& bind(const Values&... values) {
    int index = 0;
    (bind_at(++index, values), ...);
    return *this;
  }

  bool step();  // whether there is a row
  void reset() { sqlite3_reset(statement_.get()); }
  void run();

  std::int64_t integer(int column) const;
  std::string_view text(int column) const;  // until the next step or reset

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };

  void bind_at(int index, std::int64_t value) {
    sqlite3_bind_int64(statement_.get(), index, value);
  }
  void bind_at(int index, std::string_view value);

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database {
 public:
  // Opens or makes the file, and runs `sql`.
  Database(const std::filesystem::path& path, const char* sql);

  void execute(const char* sql);
  bool try_execute(const char* sql);  // false: others have the lock
  Statement prepare(const char* sql) { return {database_.get(), sql}; }
  bool in_transaction() const { return sqlite3_get_autocommit(database_.get()) == 0; }
  std::int64_t last_id() const { return sqlite3_last_insert_rowid(database_.get()); }
  std::int64_t changes() const { return sqlite3_changes64(database_.get()); }

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };

  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace benchmark

#endif  // PROGRESS_TRACKER_TESTS_BENCHMARK_PLAIN_SQLITE_H_

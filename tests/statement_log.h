// What SQLite is made to do, counted: statements, steps of its machine, pages it writes.
#ifndef PROGRESS_TRACKER_TESTS_STATEMENT_LOG_H_
#define PROGRESS_TRACKER_TESTS_STATEMENT_LOG_H_

#include <sqlite3.h>

#include <map>
#include <set>
#include <string>

namespace progress_tracker::test {

// Of all connections that are opened while this object exists. One at a time, on one thread.
class StatementLog {
 public:
  StatementLog() {
    statements().clear();
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(&attach));
  }
  StatementLog(const StatementLog&) = delete;
  StatementLog& operator=(const StatementLog&) = delete;
  ~StatementLog() {
    sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(&attach));
    open().clear();
  }

  // The statements that were run, and how often.
  static std::map<std::string, int>& statements() {
    static std::map<std::string, int> all;
    return all;
  }

  // How many statements a call runs.
  template <typename Call>
  static int run_by(const Call& call) {
    statements().clear();
    call();
    int count = 0;
    for (const auto& [sql, times] : statements()) count += times;
    return count;
  }

  // How many steps of SQLite's machine they take.
  template <typename Call>
  static int steps_of(const Call& call) {
    steps() = 0;
    call();
    return steps();
  }

  // How many pages they write, to the write-ahead log or to the file.
  template <typename Call>
  static int pages_of(const Call& call) {
    written();
    call();
    return written();
  }

 private:
  static int attach(sqlite3* db, char** /*error*/, const void* /*api*/) {
    open().insert(db);
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT | SQLITE_TRACE_PROFILE | SQLITE_TRACE_CLOSE,
                            &note, nullptr);
  }
  static int note(unsigned kind, void* /*context*/, void* about, void* /*text*/) {
    if (kind == SQLITE_TRACE_CLOSE) {
      open().erase(static_cast<sqlite3*>(about));
      return 0;
    }
    auto* statement = static_cast<sqlite3_stmt*>(about);
    if (kind == SQLITE_TRACE_PROFILE) {
      steps() += sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1);
    } else {
      ++statements()[sqlite3_sql(statement)];
    }
    return 0;
  }
  static int& steps() {
    static int count = 0;
    return count;
  }
  static std::set<sqlite3*>& open() {
    static std::set<sqlite3*> connections;
    return connections;
  }
  // Pages since the last call.
  static int written() {
    int pages = 0;
    for (sqlite3* db : open()) {
      int now = 0;
      int highest = 0;
      sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_WRITE, &now, &highest, 1);
      pages += now;
    }
    return pages;
  }
};

}  // namespace progress_tracker::test

#endif  // PROGRESS_TRACKER_TESTS_STATEMENT_LOG_H_

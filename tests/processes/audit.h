// What the file says to somebody who reads it with SQLite alone.
#ifndef PROGRESS_TRACKER_TESTS_PROCESSES_AUDIT_H_
#define PROGRESS_TRACKER_TESTS_PROCESSES_AUDIT_H_

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "process.h"

namespace progress_tracker::processes {

using Row = std::vector<std::string>;  // NULL is ""

// A connection that writes nothing.
class Audit {
 public:
  explicit Audit(const std::filesystem::path& database);
  Audit(const Audit&) = delete;
  Audit& operator=(const Audit&) = delete;
  ~Audit();

  std::vector<Row> rows(const std::string& sql);
  std::int64_t number(const std::string& sql);

  // The invariants of the file, as a test's failures: sound for SQLite, no reference broken, and
  // the counters the same as a recount.
  void expect_sound();

  // Whether the write lock can be had at this moment.
  bool nobody_writes();

 private:
  sqlite3* db_{nullptr};
};

// Looks until the query gives a number above zero. False: `is_over()` came first.
bool wait_until(Audit& audit, const std::string& sql, const std::function<bool()>& is_over);

// Stops the process at a moment when it has no write transaction open.
void stop_between_transactions(Process& process, Audit& audit);

}  // namespace progress_tracker::processes

#endif  // PROGRESS_TRACKER_TESTS_PROCESSES_AUDIT_H_

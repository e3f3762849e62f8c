// What can be asked of a database file as a whole.
#ifndef PROGRESS_TRACKER_SRC_STORE_INSPECTION_H_
#define PROGRESS_TRACKER_SRC_STORE_INSPECTION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "progress_tracker/types.h"
#include "sqlite/connection.h"
#include "store/load.h"
#include "store/workers.h"

namespace progress_tracker::store {

// The most lines that each of the two checks below gives.
inline constexpr int kMostCheckLines = 100;

// The lines of SQLite's quick_check; none if the file is sound.
std::vector<std::string> damage(sqlite::Connection& connection);

// Rows that refer to rows that are not there, in words; none if the file is sound.
std::vector<std::string> dangling_references(sqlite::Connection& connection);

// The pragmas that matter, as they are in force on this connection.
std::map<std::string, std::string> pragmas_in_force(sqlite::Connection& connection);

struct Identity {
  std::int64_t application_id{0};
  std::int64_t schema_version{0};
};
Identity identity(sqlite::Connection& connection);

// All workers that have a row, oldest first.
std::vector<Worker> all_workers(sqlite::Connection& connection, const IsAlive& is_alive);

// A job that is being loaded, or what a load or removal that was cut off left of one.
struct UnfinishedJob {
  JobId job{};
  std::optional<WorkerId> loader;  // set while somebody alive loads it
  std::int64_t unseen{0};          // images that nobody sees
};
std::vector<UnfinishedJob> unfinished_jobs(sqlite::Connection& connection,
                                           const IsLoading& is_loading);

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_INSPECTION_H_

// The exact counts of each split of each job, and what the last checkpoint wrote of them.
#ifndef PROGRESS_TRACKER_SRC_STORE_COUNTS_H_
#define PROGRESS_TRACKER_SRC_STORE_COUNTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "progress_tracker/types.h"
#include "sqlite/connection.h"

namespace progress_tracker::store {

// What the changes of one transaction add up to, written once at its end.
class CountChanges {
 public:
  void add_image(std::int64_t split, std::int64_t count = 1) { of(split).total += count; }
  void move(std::int64_t split, Status from, Status to, std::int64_t count = 1);

  void write(sqlite::Connection& connection);

 private:
  struct Change {
    std::int64_t total{0};
    std::int64_t processing{0};
    std::int64_t completed{0};
    std::int64_t error{0};
  };

  Change& of(std::int64_t split);
  static void add(Change& change, Status status, std::int64_t count);

  std::map<std::int64_t, Change> changes_;
  // The entry used last: neighbours share a split.
  std::int64_t last_split_{0};
  Change* last_{nullptr};
};

// All of these are for a job that exists.
StatusCounts status_counts(sqlite::Connection& connection, JobId job);
std::map<std::string, StatusCounts> counts_by_split(sqlite::Connection& connection, JobId job);
Progress checkpointed_progress(sqlite::Connection& connection, JobId job);
void checkpoint(sqlite::Connection& connection, JobId job, std::int64_t now);

// The id of a job's split, made if there is none.
std::int64_t split_id(sqlite::Connection& connection, JobId job, std::string_view name);

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_COUNTS_H_

// Who works here, and taking back what those held who do not any more.
#ifndef PROGRESS_TRACKER_SRC_STORE_WORKERS_H_
#define PROGRESS_TRACKER_SRC_STORE_WORKERS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "progress_tracker/types.h"
#include "sqlite/connection.h"
#include "store/jobs.h"

namespace progress_tracker::store {

// Whether a worker is alive, asked inside the transaction that acts on it.
using IsAlive = std::function<bool(WorkerId)>;

WorkerId insert_worker(sqlite::Connection& connection, const std::string& host, std::int64_t pid,
                       std::int64_t now);

void remove_worker(sqlite::Connection& connection, WorkerId worker);

// The worker closes in order: what it still holds will count no death.
void say_farewell(sqlite::Connection& connection, WorkerId worker);

bool holds_images(sqlite::Connection& connection, WorkerId worker);

// Forgets dead workers that hold nothing and load nothing.
void forget_dead_workers(sqlite::Connection& connection, WorkerId self, const IsAlive& is_alive);

// Makes all that `from` holds and loads `to`'s, without a death or a new attempt.
void hand_over(sqlite::Connection& connection, WorkerId from, WorkerId to);

// The random id of the side file that the workers' locks are in; "" if there was none yet.
std::string worker_file_id(sqlite::Connection& connection);
void set_worker_file_id(sqlite::Connection& connection, const std::string& id);

// The live workers, and the dead ones that hold images.
std::vector<Worker> list_workers(sqlite::Connection& connection, WorkerId self,
                                 const IsAlive& is_alive);

// Whether somebody alive, other than `self`, holds an image of the job.
bool held_by_other(sqlite::Connection& connection, const JobRow& job, WorkerId self,
                   const IsAlive& is_alive);

struct TakenBack {
  std::size_t to_pending{0};
  std::size_t to_error{0};  // died too often

  std::size_t total() const { return to_pending + to_error; }
};

// Takes back what dead workers hold of the job, each image with a death unless its worker said
// farewell, and at most `limit` of them. With `own`, also what `self` holds, without a death.
// An image whose deaths reach `max_deaths` (0: no limit) goes to error; the job is then
// checkpointed.
TakenBack take_back(sqlite::Connection& connection, const JobRow& job, WorkerId self, bool own,
                    int max_deaths, std::int64_t limit, const IsAlive& is_alive, std::int64_t now);

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_WORKERS_H_

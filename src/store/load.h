// How a job comes to be loaded, and to go: in pieces, none of which anybody sees before the last.
// What a piece of a list does is list_load.h; of a chained job, chain.h.
//
// A load begins by writing its loader into the job's row. Pieces then add images above the mark
// `published`, in short transactions; a last one moves the mark and lets the job go. If the loader
// dies, the mark has not moved, and what lies above it is cleared away in pieces by whoever comes
// next. A list that fits one piece is loaded in one transaction.
#ifndef PROGRESS_TRACKER_SRC_STORE_LOAD_H_
#define PROGRESS_TRACKER_SRC_STORE_LOAD_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "progress_tracker/types.h"
#include "sqlite/connection.h"
#include "store/jobs.h"
#include "store/list_load.h"

namespace progress_tracker::store {

// Whether this worker is at this moment loading images into this job.
using IsLoading = std::function<bool(WorkerId, JobId)>;

// The state of a job from a loader's point of view.
struct LoadTarget {
  enum class Kind {
    kMissing,   // no such job
    kFree,      // exists, and nobody loads it
    kLoading,   // somebody alive does
    kLeftover,  // somebody dead did: to be cleared first
  };
  Kind kind{Kind::kMissing};
  JobId job{};
  bool ready{false};
  std::int64_t published{0};
  std::optional<JobId> upstream;
};

LoadTarget load_target(sqlite::Connection& connection, std::string_view name,
                       const IsLoading& is_loading);
LoadTarget load_target(sqlite::Connection& connection, JobId job, const IsLoading& is_loading);

// Makes a job that nobody sees yet. No loader: it becomes ready in this transaction.
JobId insert_job(sqlite::Connection& connection, std::string_view name,
                 std::optional<JobId> upstream, std::optional<WorkerId> loader, std::int64_t now);

// Begins loading an existing job.
void set_loader(sqlite::Connection& connection, JobId job, WorkerId loader);

// Who is loading the job; WorkerId{0} if nobody is, or there is no such job any more.
WorkerId loader_of(sqlite::Connection& connection, JobId job);

// Moves the mark, counts what was added and lets the job go: now everybody sees it.
void publish(sqlite::Connection& connection, const ListLoad::Position& load);

// Ends the load of a chained job, whose mark and counts were written with its pieces.
void publish_chained(sqlite::Connection& connection, JobId job);

// Gives up a load of `loader`: what it left is for the next one to clear away.
void abandon_load(sqlite::Connection& connection, JobId job, WorkerId loader);

// Takes the job out of everybody's sight and frees its name; its rows remain to be cleared.
void hide_job(sqlite::Connection& connection, JobId job);

// Clears away at most some thousand rows that dead loaders and removals left. False: there are
// none.
bool clear_leftovers_piece(sqlite::Connection& connection, const IsLoading& is_loading);

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_LOAD_H_

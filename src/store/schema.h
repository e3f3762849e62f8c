// The tables: what they mean, and how a file comes to have them.
//
// A job's images are numbered 1, 2, 3 ... in the order in which they were added, without gaps. An
// image's id is its job's id shifted by 32 bits plus that number, so that a job's images are one
// range of ids, in order.
//
// What changes is kept apart from what does not. `image` is written once, and so is `path`, which
// finds an image by its path and keeps each path once; they are two tables because each is written
// in an order of its own (list_load.h). `state` gets a row when
// work on an image starts for the first time; no row means pending and never started. Its rows are
// narrow, keep their size from claim to completion, and are appended in the order of claiming, so
// that a mark touches a page that is at hand and no index but the small one of what is processing.
//
//   pending (no row, or status 0) -> processing (1) -> completed (2) or error (3)
//   pending, error -> completed or error;  processing, error -> pending;  completed stays
//
// Two marks on each job say how far something is done:
//   published   images up to this number exist for everybody; those above it are being loaded, or
//               are what a dead loader left, and are seen by nobody
//   started     all images up to this number have a state row, so that never-started images are
//               looked for only above it
// A third, batched, is explained in batches.h.
//
// A job that is being loaded for the first time has ready = 0; one that is being removed has no
// name. Neither is seen by anybody. `loader` is the worker that loads, NULL when nobody does, and 0
// for a load given up. What a loader that is dead or 0 left is cleared away by the next load or
// removal (load.h).
//
// `split` has a row for each split of each job, with the exact counts of its published images; the
// transaction of every mark keeps them. Whatever is not in the last three counts is pending.
//
// After a crash SQLite has rolled back what was not committed; everything above then holds again.
//
// Other programs read the views, whose names and columns stay. Tables may change with the schema
// version; a file with a version above ours is refused.
#ifndef PROGRESS_TRACKER_SRC_STORE_SCHEMA_H_
#define PROGRESS_TRACKER_SRC_STORE_SCHEMA_H_

#include <cstdint>
#include <string>

#include "progress_tracker/types.h"
#include "sqlite/connection.h"

namespace progress_tracker::store {

// "PTrk", in the header of every file of ours (PRAGMA application_id).
inline constexpr std::uint32_t kApplicationId = 0x5054726b;

// The version of the tables below (PRAGMA user_version).
//
//   1   images were found by path through a unique index on `image`
inline constexpr std::uint32_t kSchemaVersion = 2;

inline constexpr int kSequenceBits = 32;
inline constexpr std::int64_t kMaxSequence = (std::int64_t{1} << kSequenceBits) - 1;

// The id that number `sequence` of a job's images has; 0 gives the id below the job's first image.
constexpr std::int64_t image_id(JobId job, std::int64_t sequence) {
  return (static_cast<std::int64_t>(job) << kSequenceBits) + sequence;
}
constexpr JobId job_of(ImageId image) {
  return JobId{static_cast<std::int64_t>(image) >> kSequenceBits};
}
constexpr std::int64_t sequence_of(ImageId image) {
  return static_cast<std::int64_t>(image) & kMaxSequence;
}

enum class FileKind {
  kNew,
  kOurs,
  kForeign,
  kOutdated,  // of an earlier version, and migrate() helps
  kTooOld,    // of a version that never was
  kTooNew,
};

// What the header's two numbers make of a file that has content.
FileKind kind_of(std::uint32_t application_id, std::uint32_t user_version);

// The same, asked in SQL. A database with nothing in it is kNew: the caller has seen to it that it
// is not somebody else's.
FileKind kind_of(sqlite::Connection& connection);

// Which table or index of this version the file lacks, or has otherwise than this library has ever
// made it; "": none. What others have added to the file is not looked at, nor are the views, which
// are for others.
std::string schema_change(sqlite::Connection& connection);

// Makes tables, views and identity in an empty database, inside the caller's transaction.
void create_schema(sqlite::Connection& connection);

// Makes a database that is kOutdated one of this version, inside the caller's transaction. Foreign
// keys must not be enforced by the connection.
void migrate(sqlite::Connection& connection);

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_SCHEMA_H_

// Looking after a database file: what state it is in, mending it, copying it.
//
// Each function opens the file for itself and closes it before it returns. They may be called from
// any thread, and while trackers of this or other processes work with the file. Each reads the
// whole file (1 to 3 s for a million images, measured on two busy cores), and waits at most
// `busy_timeout` for others.
#ifndef PROGRESS_TRACKER_MAINTENANCE_H_
#define PROGRESS_TRACKER_MAINTENANCE_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "progress_tracker/types.h"

namespace progress_tracker {

// A split whose counts, as get_progress_by_split() shows them, are not those of its images.
struct CountDifference {
  JobId job_id{};
  std::string split;
  StatusCounts stored;
  StatusCounts counted;

  bool operator==(const CountDifference&) const = default;
};

// A load or a removal of a job that was cut off. Nobody sees its images; they only take up space,
// until the next create_job(), add_images() or remove_job() of any job, or repair().
struct Leftover {
  JobId job_id{};
  std::int64_t images{0};

  bool operator==(const Leftover&) const = default;
};

// What examine() found.
struct Examination {
  std::filesystem::path path;  // absolute, symbolic links followed

  // The SQLite that this program runs with, such as "3.40.1", and whether its number proves that it
  // has the fix of the WAL-reset bug (sqlite.org/wal.html). False: it may have it all the same, as
  // a distribution's own correction. This library's checkpoints cannot trigger that bug; another
  // program that writes to the file can.
  std::string sqlite_version;
  bool has_wal_reset_fix{false};

  std::string filesystem;  // its type, such as "ext4"; "" if the system does not tell

  // The settings that a tracker's connections have, by name: "journal_mode", "synchronous", ...
  std::map<std::string, std::string> pragmas;

  std::int64_t application_id{0};
  std::int64_t schema_version{0};
  std::int64_t database_bytes{0};
  std::int64_t wal_bytes{0};  // the write-ahead log; 0: there is none

  // What SQLite's quick_check says, at most 100 lines. Empty: the file is sound. If it is not,
  // the rest of what follows was not looked at, but for `problems`.
  std::vector<std::string> damage;

  // Rows that refer to rows that are not there, at most 100, in words.
  std::vector<std::string> dangling_references;

  // The names of the jobs whose images were counted, all but those being removed, and how many
  // images they have.
  std::map<JobId, std::string> jobs;
  std::int64_t images{0};

  std::vector<CountDifference> count_differences;  // by job and split

  std::vector<Worker> workers;  // all that have a row, live or dead; oldest first
  std::vector<Leftover> leftovers;

  // In plain sentences: what is wrong, and what is good to know without being wrong. Text from the
  // file in them is escaped for display.
  std::vector<std::string> problems;
  std::vector<std::string> notes;

  // How many of the problems repair() mends; 0 in a damaged file. The others are damage, and rows
  // that are gone: only a backup has them. A write-ahead log that has grown is mended if nobody
  // else has the file open.
  std::int64_t mendable{0};

  // No problems.
  bool healthy() const;
};

// Examines the database at `path`. Changes nothing: opens the file read-only (SQLite may make its
// -wal and -shm files beside it), and reads everything in one transaction, so that counts and
// recount are of one moment. Meanwhile writers go on, but the write-ahead log cannot begin anew.
//
// Throws Error: as the constructor of a read-only ProgressTracker does, kNotFound if there is no
// such file; kCorrupt if it is too damaged to be examined.
Examination examine(const std::filesystem::path& path,
                    std::chrono::milliseconds busy_timeout = std::chrono::seconds(300));

// What repair() did.
struct Repair {
  std::vector<CountDifference> corrected;  // `counted` is what is stored now
  std::int64_t workers_forgotten{0};
  std::int64_t leftovers_cleared{0};

  std::vector<std::string> done;  // the same and more, in plain sentences; empty: nothing
};

// Mends what can be mended without loss: makes wrong counts those of the images, and checkpoints
// their jobs; sees to it that every image that was never started can be claimed; forgets dead
// workers that hold nothing; clears away what dead loads and removals left; brings a file of an
// older version up to date. A write-ahead log that has grown is copied into the file, and removed,
// when the file is closed, unless somebody else has it open. What a dead worker holds stays: that
// is for reset_stuck_images(), which counts its death.
//
// Each job with something to be corrected is counted and corrected in one transaction, during which
// others cannot write. Repairing a healthy file changes no image and no count.
//
// Throws Error: as the constructor of ProgressTracker does, kNotFound if there is no such file;
// kCorrupt, having changed nothing, if quick_check finds damage; kCorrupt also where it comes upon
// what no sound file says and quick_check passes over. What was done before that, or before any
// other error, stands by itself.
Repair repair(const std::filesystem::path& path,
              std::chrono::milliseconds busy_timeout = std::chrono::seconds(300));

// The same for who wants to know what was done also if it throws: that is added to `report`.
void repair(const std::filesystem::path& path, Repair& report,
            std::chrono::milliseconds busy_timeout = std::chrono::seconds(300));

// Writes a copy of the database at `path` to `out`: one moment of it, everything that was committed
// by then, in a single file in DELETE journal mode, which any program can open read-only, also in a
// directory that it may not write. `path` itself is not changed, and writers go on meanwhile.
//
// `out` appears when it is complete and synced to disk: written under another name in its
// directory, which is removed on failure (a death of the process leaves that file). In the copy,
// images in work stay processing, held by workers that look dead to whoever opens it.
//
// Throws Error: kInvalidArgument if `out` is empty or exists, or a file called `out` with -wal,
// -shm or -journal added does, which SQLite would take for a part of it; kReadOnly, kFull or kIo if
// it cannot be written; otherwise as examine().
void snapshot(const std::filesystem::path& path, const std::filesystem::path& out,
              std::chrono::milliseconds busy_timeout = std::chrono::seconds(300));

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_MAINTENANCE_H_

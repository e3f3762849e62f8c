// Rows of `state` as claims and marks make them alike.
#ifndef PROGRESS_TRACKER_SRC_STORE_STATE_H_
#define PROGRESS_TRACKER_SRC_STORE_STATE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "progress_tracker/types.h"
#include "sqlite/connection.h"

namespace progress_tracker::store {

// Whether `next` has the id that follows. Any number may be asked about.
bool are_neighbours(ImageId image, ImageId next);

// How many at the beginning are neighbours: at least 1. `images` is not empty.
std::size_t neighbours(std::span<const ImageId> images);

// What a row of `state` says of its image, in this column; kCorrupt if no row can say that.
Status status_in(const sqlite::Query& query, int column, ImageId image);
int times_in(const sqlite::Query& query, int column, ImageId image);  // its attempts, or deaths

// First rows for a run of images of one job that have none: attempt 1 begins now, and ends now
// where `status` says so.
void insert_rows(sqlite::Connection& connection, ImageId first, ImageId last, Status status,
                 std::optional<WorkerId> worker, std::int64_t now);

// Of the statement that has just run over a run of images of one job: that it changed the row of
// each. kCorrupt if not, since more rows, or fewer, can only be out of order.
void check_met_each(sqlite::Connection& connection, ImageId first, ImageId last);

// The next attempt of a pending image that has a row.
void start_row_again(sqlite::Connection& connection, ImageId image, WorkerId worker,
                     std::int64_t now);

// Moves the mark up to which all images of a job have a row.
void set_started(sqlite::Connection& connection, JobId job, std::int64_t started);

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_STATE_H_

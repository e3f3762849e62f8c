// Upload batches, and which completed images are in one.
//
// To find the images that are in no batch without walking over all that are, each job has a mark:
// every image up to number `batched` that is completed is in a batch, or is listed in
// late_completion. The mark moves on when a batch is made, over images that are in a batch or not
// completed; an image behind it that completes afterwards is listed as late.
#ifndef PROGRESS_TRACKER_SRC_STORE_BATCHES_H_
#define PROGRESS_TRACKER_SRC_STORE_BATCHES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "progress_tracker/types.h"
#include "sqlite/connection.h"
#include "store/jobs.h"

namespace progress_tracker::store {

// An image at or below the mark `batched` was completed.
void note_late_completion(sqlite::Connection& connection, ImageId image);

// The batch with this number, made if there is none.
BatchId create_batch(sqlite::Connection& connection, JobId job, int batch_num,
                     std::int64_t image_count, std::int64_t now);

// The same with these images. Throws Error kInvalidArgument, kNotFound.
BatchId create_batch_of(sqlite::Connection& connection, const JobRow& job, int batch_num,
                        std::span<const ImageId> images, std::int64_t now);

std::vector<Image> unbatched_images(sqlite::Connection& connection, const JobRow& job,
                                    std::int64_t limit);

// Both throw Error kNotFound; mark_batch_error also kInvalidTransition.
void mark_batch_uploaded(sqlite::Connection& connection, BatchId batch, std::int64_t now);
void mark_batch_error(sqlite::Connection& connection, BatchId batch, std::string_view message);

std::vector<Batch> list_batches(sqlite::Connection& connection, JobId job, bool uploaded);
std::vector<Image> batch_images(sqlite::Connection& connection, BatchId batch);

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_BATCHES_H_

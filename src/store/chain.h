// Jobs that are fed by another: each image completed upstream becomes a pending image here.
//
// A chained job that exists is fed in the transaction that completes the image. While one is being
// loaded, its loader walks through the upstream's completed images in order of id, in pieces, and
// notes how far it is (job.scanned). An image that completes behind that place would be missed, so
// it goes to the backlog, which the loader takes over at the end, in order of completion.
#ifndef PROGRESS_TRACKER_SRC_STORE_CHAIN_H_
#define PROGRESS_TRACKER_SRC_STORE_CHAIN_H_

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "progress_tracker/types.h"
#include "sqlite/connection.h"
#include "store/counts.h"
#include "store/jobs.h"

namespace progress_tracker::store {

// One chained job during one transaction.
class ChainFeed {
 public:
  ChainFeed(JobId job, bool ready, std::int64_t published, std::int64_t scanned)
      : job_(job), ready_(ready), published_(published), scanned_(scanned) {}

  // The upstream image was completed just now, for the first and only time.
  void completed(sqlite::Connection& connection, ImageId image);

  // Takes the image over when write() is called.
  void take(ImageId image) { taken_.push_back(image); }

  // Adds what was taken, and writes how many images the job has now and how far its loader is.
  void write(sqlite::Connection& connection, CountChanges& counts);

  void set_scanned(std::int64_t upstream_image) {
    scanned_ = upstream_image;
    changed_ = true;
  }
  std::int64_t scanned() const { return scanned_; }
  JobId job() const { return job_; }

 private:
  void add(sqlite::Connection& connection, std::span<const ImageId> images, CountChanges& counts);
  std::int64_t directory_of(sqlite::Connection& connection, std::int64_t upstream_directory);
  std::int64_t split_of(sqlite::Connection& connection, std::int64_t upstream_split);

  JobId job_;
  bool ready_;
  std::int64_t published_;
  std::int64_t scanned_;
  bool changed_{false};
  std::vector<ImageId> taken_;  // upstream, in order

  // Neighbours share their directory; splits are few.
  std::int64_t upstream_directory_{0};
  std::int64_t directory_{0};
  std::unordered_map<std::int64_t, std::int64_t> splits_;
};

// The jobs, loaded or loading, that `upstream` feeds.
std::vector<ChainFeed> feeds_of(sqlite::Connection& connection, JobId upstream);

// The feed of a chained job that is being loaded.
ChainFeed feed_being_loaded(sqlite::Connection& connection, JobId job);

// Takes over at most `limit` images completed upstream. False: there are none left.
bool load_chain_piece(sqlite::Connection& connection, const JobRow& upstream, ChainFeed& feed,
                      std::int64_t limit);

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_CHAIN_H_

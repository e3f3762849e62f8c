#include "store/chain.h"

#include <algorithm>
#include <string>

#include "progress_tracker/error.h"

namespace progress_tracker::store {
namespace {

using sqlite::Connection;
using sqlite::Query;

// Params: upstream.
constexpr char kSelectFeedsSql[] =
    "SELECT id, ready, published, scanned FROM job "
    "WHERE upstream = ? AND name IS NOT NULL ORDER BY id";

// Params: job.
constexpr char kSelectFeedSql[] = "SELECT published, scanned FROM job WHERE id = ?";

// Params: published, scanned, job.
constexpr char kUpdateFeedSql[] = "UPDATE job SET published = ?, scanned = ? WHERE id = ?";

// Params: image.
constexpr char kSelectImageSql[] = "SELECT directory, split FROM image WHERE id = ?";

// Params: job, upstream directory.
constexpr char kCopyDirectorySql[] =
    "INSERT INTO directory (job_id, path) SELECT ?1, path FROM directory WHERE id = ?2 "
    "ON CONFLICT (job_id, path) DO NOTHING";
constexpr char kSelectCopiedDirectorySql[] =
    "SELECT copy.id FROM directory AS original "
    "JOIN directory AS copy ON copy.job_id = ?1 AND copy.path = original.path "
    "WHERE original.id = ?2";

// Params: upstream split.
constexpr char kSelectSplitNameSql[] = "SELECT name FROM split WHERE id = ?";

// Params: id, directory, upstream image.
constexpr char kCopyPathSql[] =
    "INSERT INTO path (directory, name, image_id) "
    "SELECT ?2, name, ?1 FROM image WHERE id = ?3 ON CONFLICT (directory, name) DO NOTHING";
// Params: id, directory, split, upstream image.
constexpr char kCopyImageSql[] =
    "INSERT INTO image (id, directory, name, split) SELECT ?1, ?2, name, ?3 FROM image "
    "WHERE id = ?4";

// Params: job, image.
constexpr char kAppendBacklogSql[] =
    "INSERT INTO chain_backlog (job_id, position, image_id) "
    "SELECT ?1, coalesce(max(position), 0) + 1, ?2 FROM chain_backlog WHERE job_id = ?1";
// Params: job, limit.
constexpr char kSelectBacklogSql[] =
    "SELECT position, image_id FROM chain_backlog WHERE job_id = ? ORDER BY position LIMIT ?";
// Params: job, last position.
constexpr char kDeleteBacklogSql[] = "DELETE FROM chain_backlog WHERE job_id = ? AND position <= ?";

// Params: after, last, limit.
constexpr char kSelectCompletedSql[] =
    "SELECT id FROM state WHERE status = 2 AND id > ? AND id <= ? ORDER BY id LIMIT ?";

}  // namespace

void ChainFeed::completed(Connection& connection, ImageId image, CountChanges& counts) {
  if (ready_) {
    take(connection, image, counts);
  } else if (static_cast<std::int64_t>(image) <= scanned_) {
    Query(connection, kAppendBacklogSql, job_, image).run();
  }
}

void ChainFeed::take(Connection& connection, ImageId image, CountChanges& counts) {
  if (published_ == kMaxSequence) {
    throw Error(ErrorCode::kFull, describe(job_) + ": a job holds at most 4294967295 images");
  }
  std::int64_t upstream_directory = 0;
  std::int64_t upstream_split = 0;
  {
    Query original(connection, kSelectImageSql, image);
    original.next();
    upstream_directory = original.integer(0);
    upstream_split = original.integer(1);
  }
  const std::int64_t directory = directory_of(connection, upstream_directory);
  const std::int64_t split = split_of(connection, upstream_split);
  const std::int64_t id = image_id(job_, published_ + 1);
  Query(connection, kCopyPathSql, id, directory, image).run();
  if (connection.changes() == 0) {
    return;
  }
  Query(connection, kCopyImageSql, id, directory, split, image).run();
  ++published_;
  changed_ = true;
  counts.add_image(split);
}

void ChainFeed::write(Connection& connection) {
  if (changed_) {
    Query(connection, kUpdateFeedSql, published_, scanned_, job_).run();
    changed_ = false;
  }
}

std::int64_t ChainFeed::directory_of(Connection& connection, std::int64_t upstream_directory) {
  if (upstream_directory != upstream_directory_) {
    Query(connection, kCopyDirectorySql, job_, upstream_directory).run();
    Query copied(connection, kSelectCopiedDirectorySql, job_, upstream_directory);
    copied.next();
    directory_ = copied.integer(0);
    upstream_directory_ = upstream_directory;
  }
  return directory_;
}

std::int64_t ChainFeed::split_of(Connection& connection, std::int64_t upstream_split) {
  const auto [place, is_new] = splits_.try_emplace(upstream_split, 0);
  if (is_new) {
    Query query(connection, kSelectSplitNameSql, upstream_split);
    query.next();
    place->second = split_id(connection, job_, query.text(0));
  }
  return place->second;
}

std::vector<ChainFeed> feeds_of(Connection& connection, JobId upstream) {
  std::vector<ChainFeed> feeds;
  Query query(connection, kSelectFeedsSql, upstream);
  while (query.next()) {
    feeds.emplace_back(JobId{query.integer(0)}, query.integer(1) == 1, query.integer(2),
                       query.integer(3));
  }
  return feeds;
}

ChainFeed feed_being_loaded(Connection& connection, JobId job) {
  Query query(connection, kSelectFeedSql, job);
  query.next();
  return {job, /*ready=*/false, query.integer(0), query.integer(1)};
}

bool load_chain_piece(Connection& connection, const JobRow& upstream, ChainFeed& feed,
                      std::int64_t limit) {
  CountChanges counts;
  std::vector<std::int64_t> images;
  {
    Query query(connection, kSelectCompletedSql, std::max(feed.scanned(), image_id(upstream.id, 0)),
                upstream.last_id(), limit);
    while (query.next()) {
      images.push_back(query.integer(0));
    }
  }
  bool more = static_cast<std::int64_t>(images.size()) == limit;
  if (!more) {
    // The walk is over; from here on whatever completes comes by the backlog.
    feed.set_scanned(image_id(upstream.id, kMaxSequence));
    std::int64_t last = 0;
    Query query(connection, kSelectBacklogSql, feed.job(), limit);
    while (query.next()) {
      last = query.integer(0);
      images.push_back(query.integer(1));
    }
    if (last > 0) {
      Query(connection, kDeleteBacklogSql, feed.job(), last).run();
      more = true;  // at the next look there may be none
    }
  } else {
    feed.set_scanned(images.back());
  }
  for (const std::int64_t image : images) {
    feed.take(connection, ImageId{image}, counts);
  }
  feed.write(connection);
  counts.write(connection);
  return more;
}

}  // namespace progress_tracker::store

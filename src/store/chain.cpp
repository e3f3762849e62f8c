#include "store/chain.h"

#include <algorithm>
#include <string>

#include "progress_tracker/error.h"
#include "store/inserter.h"
#include "store/state.h"

namespace progress_tracker::store {
namespace {

using sqlite::Bytes;
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

// Params: first image, last.
constexpr char kSelectImagesSql[] =
    "SELECT directory, name, split FROM image WHERE id BETWEEN ? AND ? ORDER BY id";

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

// Images that are copied at a time: what has to be kept in memory.
constexpr std::size_t kCopiedAtOnce = 1'000;

struct Original {
  std::int64_t directory{0};
  std::string name;
  std::int64_t split{0};
};

// Neighbours are read by one statement.
std::vector<Original> originals(Connection& connection, std::span<const ImageId> images) {
  std::vector<Original> found;
  found.reserve(images.size());
  while (!images.empty()) {
    const std::size_t length = neighbours(images);
    Query query(connection, kSelectImagesSql, images.front(), images[length - 1]);
    while (query.next()) {
      found.push_back({query.integer(0), query.text(1), query.integer(2)});
    }
    images = images.subspan(length);
  }
  return found;
}

}  // namespace

void ChainFeed::completed(Connection& connection, ImageId image) {
  if (ready_) {
    take(image);
  } else if (static_cast<std::int64_t>(image) <= scanned_) {
    Query(connection, kAppendBacklogSql, job_, image).run();
  }
}

void ChainFeed::write(Connection& connection, CountChanges& counts) {
  std::span<const ImageId> left = taken_;
  while (!left.empty()) {
    const std::size_t count = std::min(left.size(), kCopiedAtOnce);
    add(connection, left.first(count), counts);
    left = left.subspan(count);
  }
  if (changed_ || !taken_.empty()) {
    Query(connection, kUpdateFeedSql, published_, scanned_, job_).run();
    changed_ = false;
    taken_.clear();
  }
}

void ChainFeed::add(Connection& connection, std::span<const ImageId> images, CountChanges& counts) {
  if (published_ > kMaxSequence - static_cast<std::int64_t>(images.size())) {
    throw Error(ErrorCode::kFull, describe(job_) + ": a job holds at most 4294967295 images");
  }
  const std::vector<Original> copied = originals(connection, images);
  if (copied.size() != images.size()) {
    sqlite::fail_corrupt("the images of " + describe(job_of(images.front())) +
                         " are out of order, or missing");
  }
  ImageInserter rows(connection);
  PathInserter entries(connection);
  for (const Original& original : copied) {
    const std::int64_t id = image_id(job_, ++published_);
    const std::int64_t directory = directory_of(connection, original.directory);
    const std::int64_t split = split_of(connection, original.split);
    rows.add(id, directory, Bytes{original.name}, split);
    entries.add(directory, Bytes{original.name}, id);
    counts.add_image(split);
  }
  rows.finish();
  entries.finish();
}

std::int64_t ChainFeed::directory_of(Connection& connection, std::int64_t upstream_directory) {
  if (upstream_directory != upstream_directory_) {
    Query(connection, kCopyDirectorySql, job_, upstream_directory).run();
    Query copied(connection, kSelectCopiedDirectorySql, job_, upstream_directory);
    copied.require_row();
    directory_ = copied.integer(0);
    upstream_directory_ = upstream_directory;
  }
  return directory_;
}

std::int64_t ChainFeed::split_of(Connection& connection, std::int64_t upstream_split) {
  const auto [place, is_new] = splits_.try_emplace(upstream_split, 0);
  if (is_new) {
    Query query(connection, kSelectSplitNameSql, upstream_split);
    query.require_row();
    place->second = split_id(connection, job_, query.text(0));
  }
  return place->second;
}

std::vector<ChainFeed> feeds_of(Connection& connection, JobId upstream) {
  std::vector<ChainFeed> feeds;
  Query query(connection, kSelectFeedsSql, upstream);
  while (query.next()) {
    const JobId job{query.integer(0)};
    feeds.emplace_back(job, query.integer(1) == 1, published_in(query, 2, job), query.integer(3));
  }
  return feeds;
}

ChainFeed feed_being_loaded(Connection& connection, JobId job) {
  Query query(connection, kSelectFeedSql, job);
  query.require_row();
  return {job, /*ready=*/false, published_in(query, 0, job), query.integer(1)};
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
    feed.take(ImageId{image});
  }
  feed.write(connection, counts);
  counts.write(connection);
  return more;
}

}  // namespace progress_tracker::store

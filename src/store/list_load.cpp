#include "store/list_load.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "progress_tracker/error.h"
#include "store/counts.h"
#include "store/images.h"
#include "store/inserter.h"
#include "store/jobs.h"
#include "store/schema.h"

namespace progress_tracker::store {
namespace {

using sqlite::Bytes;
using sqlite::Connection;
using sqlite::Query;

// Params: job, path.
constexpr char kInsertDirectorySql[] =
    "INSERT INTO directory (job_id, path) VALUES (?, ?) ON CONFLICT (job_id, path) DO NOTHING";
constexpr char kSelectDirectorySql[] = "SELECT id FROM directory WHERE job_id = ? AND path = ?";
// Params: directory, name.
constexpr char kSelectExistingSql[] = "SELECT image_id FROM path WHERE directory = ? AND name = ?";
// Params: id.
constexpr char kSelectSplitSql[] = "SELECT split FROM image WHERE id = ?";

// How many images are looked at between two looks at the clock: less than 1 ms.
constexpr std::size_t kLookEvery = 256;

// The ids of a job's splits, by the caller's strings.
class Splits {
 public:
  Splits(Connection& connection, JobId job) : connection_(connection), job_(job) {}

  std::int64_t id(std::string_view name) {
    if (name != latest_ || id_ == 0) {  // neighbours mostly share it
      const auto [place, is_new] = ids_.try_emplace(name, 0);
      if (is_new) {
        place->second = split_id(connection_, job_, name);
      }
      latest_ = name;
      id_ = place->second;
    }
    return id_;
  }

 private:
  Connection& connection_;
  const JobId job_;
  std::unordered_map<std::string_view, std::int64_t> ids_;
  std::string_view latest_;
  std::int64_t id_{0};
};

struct Directory {
  std::string_view path;
  std::int64_t id{0};
  bool is_new{false};
};

Directory find_or_make_directory(Connection& connection, JobId job, std::string_view path) {
  Query(connection, kInsertDirectorySql, job, Bytes{path}).run();
  if (connection.changes() > 0) {
    return {path, connection.last_insert_rowid(), true};
  }
  Query query(connection, kSelectDirectorySql, job, Bytes{path});
  query.next();
  return {path, query.integer(0), false};
}

bool has_other_split(Connection& connection, std::int64_t image, std::string_view split,
                     Splits& splits) {
  Query query(connection, kSelectSplitSql, image);
  return query.next() && query.integer(0) != splits.id(split);
}

}  // namespace

void ListLoad::prepare(const Position& position) {
  if (position.chunk == chunk_ && !order_.empty()) {
    return;
  }
  chunk_ = position.chunk;
  const std::size_t size = std::min(paths_.size() - chunk_, kChunk);
  order_.resize(size);
  place_.resize(size);
  number_.resize(size);
  std::iota(order_.begin(), order_.end(), 0U);
  // Of equal paths the first in the list comes first, and counts.
  const auto before = [&](std::uint32_t a, std::uint32_t b) {
    const int compared = path(a).compare(path(b));
    return compared != 0 ? compared < 0 : a < b;
  };
  if (!std::is_sorted(order_.begin(), order_.end(), before)) {
    std::sort(order_.begin(), order_.end(), before);
  }
  if (size > 0) {
    overlaps_ = chunk_ > 0 && path(order_.front()) <= greatest_;
    greatest_ = std::max(greatest_, path(order_.back()));
  }
}

bool ListLoad::load_piece(Connection& connection, Position& position,
                          const std::function<bool()>& is_over) {
  using Walk = Position::Walk;
  if (position.walk == Walk::kNames) {
    if (!walk_names(connection, position, is_over)) {
      return false;
    }
    position.walk = Walk::kImages;
    position.next = 0;
  }
  if (position.walk == Walk::kImages) {
    if (!walk_images(connection, position, is_over)) {
      return false;
    }
    position.walk = Walk::kPaths;
    position.next = 0;
  }
  if (!walk_paths(connection, position, is_over)) {
    return false;
  }
  position.chunk += order_.size();
  position.walk = Walk::kNames;
  position.next = 0;
  return position.chunk == paths_.size();
}

bool ListLoad::walk_names(Connection& connection, Position& position,
                          const std::function<bool()>& is_over) {
  const bool may_exist = position.published > 0 || overlaps_;
  Directory directory;
  for (std::size_t looked = 1; position.next < order_.size(); ++position.next, ++looked) {
    if (looked % kLookEvery == 0 && is_over()) {
      return false;
    }
    const std::uint32_t index = order_[position.next];
    if (position.next > 0 && path(index) == path(order_[position.next - 1])) {
      number_[index] = 0;
      place_[index] = 0;
      continue;
    }
    number_[index] = 1;
    const auto [directory_path, name] = cut_path(path(index));
    if (directory.id == 0 || directory.path != directory_path) {
      directory = find_or_make_directory(connection, position.job, directory_path);
    }
    place_[index] = directory.id;
    if (!may_exist || directory.is_new) {
      continue;
    }
    Query existing(connection, kSelectExistingSql, directory.id, Bytes{name});
    if (!existing.next()) {
      continue;
    }
    if (job_of(ImageId{existing.integer(0)}) != position.job) {
      sqlite::fail_corrupt("a path of " + describe(position.job) + " is that of another's image");
    }
    number_[index] = 0;
    if (sequence_of(ImageId{existing.integer(0)}) <= position.published) {
      place_[index] = -existing.integer(0);
    }
  }
  return true;
}

bool ListLoad::walk_images(Connection& connection, Position& position,
                           const std::function<bool()>& is_over) {
  ImageInserter images(connection);
  Splits splits(connection, position.job);
  for (std::size_t looked = 1; position.next < order_.size(); ++position.next, ++looked) {
    if (looked % kLookEvery == 0 && is_over()) {
      images.finish();
      return false;
    }
    const std::size_t index = position.next;
    if (number_[index] == 0) {
      if (place_[index] < 0 && has_other_split(connection, -place_[index], split(index), splits)) {
        ++position.differing;
      }
      continue;
    }
    if (position.last == kMaxSequence) {
      throw Error(ErrorCode::kFull,
                  describe(position.job) + ": a job holds at most 4294967295 images");
    }
    const std::int64_t split_of_image = splits.id(split(index));
    number_[index] = static_cast<std::uint32_t>(++position.last);
    ++position.added[split_of_image];
    images.add(image_id(position.job, position.last), place_[index],
               Bytes{cut_path(path(index)).second}, split_of_image);
  }
  images.finish();
  return true;
}

bool ListLoad::walk_paths(Connection& connection, Position& position,
                          const std::function<bool()>& is_over) {
  PathInserter entries(connection);
  for (std::size_t looked = 1; position.next < order_.size(); ++position.next, ++looked) {
    if (looked % kLookEvery == 0 && is_over()) {
      entries.finish();
      return false;
    }
    const std::uint32_t index = order_[position.next];
    if (number_[index] != 0) {
      entries.add(place_[index], Bytes{cut_path(path(index)).second},
                  image_id(position.job, number_[index]));
    }
  }
  entries.finish();
  return true;
}

}  // namespace progress_tracker::store

// Looking images up: by path, by id, in pages, by error.
#ifndef PROGRESS_TRACKER_SRC_STORE_IMAGES_H_
#define PROGRESS_TRACKER_SRC_STORE_IMAGES_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "progress_tracker/types.h"
#include "sqlite/connection.h"
#include "store/jobs.h"

namespace progress_tracker::store {

// A path cut after its last '/': directory + name is the path, byte for byte.
std::pair<std::string_view, std::string_view> cut_path(std::string_view path);

// Puts images together from rows. Neighbours share their directory and split, so both are looked
// up once. For use within one transaction.
class ImageReader {
 public:
  explicit ImageReader(sqlite::Connection& connection) : connection_(connection) {}

  // `query` stands on a row that begins with: id, directory, name, split.
  Image read(const sqlite::Query& query);

 private:
  const std::string& split_name(std::int64_t split);

  sqlite::Connection& connection_;
  std::int64_t directory_{0};
  std::string directory_path_;
  std::unordered_map<std::int64_t, std::string> splits_;
  std::int64_t split_{0};
  const std::string* split_name_{nullptr};  // in splits_, of split_
};

std::optional<ImageId> find_image(sqlite::Connection& connection, const JobRow& job,
                                  std::string_view path);

// nullopt also for an image that is not published.
std::optional<ImageRecord> image_record(sqlite::Connection& connection, ImageId image);

std::vector<ImageRecord> image_records(sqlite::Connection& connection, const JobRow& job,
                                       std::optional<Status> status, std::int64_t limit,
                                       std::optional<ImageId> after);

std::vector<ErrorGroup> error_summary(sqlite::Connection& connection, const JobRow& job,
                                      std::int64_t limit);

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_IMAGES_H_

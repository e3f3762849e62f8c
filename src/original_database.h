// The database of the Python original, read as it stands at one moment.
//
// Its tables, of which the columns below are read:
//
//   jobs     id, name, total_images
//   images   id, job_id, path, status, split, error_message
//   batches  id, job_id, batch_num, status, image_count, upload_error
//
// Nothing is taken for granted but their names, and that each `id` is the INTEGER PRIMARY KEY:
// SQLite lets any other column hold anything, the original runs without foreign keys, and people
// repair such files by hand. Rows are read in the order of their ids in one pass over the table and
// through no index, so that whatever is in the file, the pass ends, needs no memory but that of a
// row, and sorts nothing.
#ifndef PROGRESS_TRACKER_SRC_ORIGINAL_DATABASE_H_
#define PROGRESS_TRACKER_SRC_ORIGINAL_DATABASE_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "progress_tracker/options.h"
#include "sqlite/busy.h"
#include "sqlite/connection.h"

namespace progress_tracker {

// Text is bytes as they are stored, "" where there is none.
struct OriginalJob {
  std::int64_t id{0};
  std::string name;
  std::optional<std::int64_t> total_images;
};

struct OriginalImage {
  std::int64_t id{0};
  std::optional<std::int64_t> job;
  std::string path;
  std::string status;
  std::string split;
  std::string error_message;
};

// A number is there if it is an integer.
struct OriginalBatch {
  std::int64_t id{0};
  std::optional<std::int64_t> job;
  std::optional<std::int64_t> number;
  std::string status;
  std::optional<std::int64_t> image_count;
  std::string upload_error;
};

// Used by one thread. What is not right with the file throws Error, naming `operation`.
class OriginalDatabase {
 public:
  // Begins the transaction in which all is read. Throws Error as import_original() does.
  OriginalDatabase(const char* operation, const std::filesystem::path& path,
                   std::chrono::milliseconds busy_timeout);
  OriginalDatabase(const OriginalDatabase&) = delete;
  OriginalDatabase& operator=(const OriginalDatabase&) = delete;
  ~OriginalDatabase();

  std::vector<OriginalJob> jobs();
  // What the callback throws ends the pass and goes to the caller.
  void for_each_image(const std::function<void(OriginalImage&)>& take);
  void for_each_batch(const std::function<void(OriginalBatch&)>& take);

 private:
  OriginalDatabase(const char* operation, const Options& options);

  void open();
  void close();
  void check_tables();
  template <typename Read>
  void for_each_row(const char* sql, const char* table, const Read& read);
  [[noreturn]] void refuse_foreign(const std::string& cause) const;

  const char* operation_;
  Options options_;
  sqlite::WaitBudget budget_;
  std::string path_;
  bool leaves_no_log_{false};
  std::unique_ptr<sqlite::Connection> connection_;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_ORIGINAL_DATABASE_H_

// The design that this library replaces, ported plainly: what every figure is compared with.
//
// The Python original keeps the status as text in the images' own rows, under five indexes; marks
// stay uncommitted until a checkpoint, which counts the rows. This does the same with the same
// statements, in C++, with each statement prepared once, so that the designs are compared and not
// the languages. Not safe to use for anything else: see what a crash costs it.
#ifndef PROGRESS_TRACKER_TESTS_BENCHMARK_ORIGINAL_DESIGN_H_
#define PROGRESS_TRACKER_TESTS_BENCHMARK_ORIGINAL_DESIGN_H_

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace original_design {

struct Image {
  std::int64_t id{0};
  std::filesystem::path path;
  std::string split;
};

// One connection, used by one thread. Any failure ends the program.
class Tracker {
 public:
  explicit Tracker(const std::filesystem::path& database);

  std::int64_t create_job(const std::string& name, std::span<const std::filesystem::path> paths,
                          std::span<const std::string> splits);
  std::vector<Image> get_pending_images(std::int64_t job, std::size_t limit);
  void mark_processing(const std::vector<Image>& images);
  void mark_completed(std::int64_t image);
  void checkpoint(std::int64_t job);

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

  void execute(const char* sql);
  Statement prepare(const char* sql);
  // The original's driver opens a transaction before the first statement that writes.
  void begin_if_needed();
  void commit();
  void run(const Statement& statement);
  std::int64_t count(std::int64_t job, const char* status);

  std::unique_ptr<sqlite3, Close> database_;
  Statement insert_job_;
  Statement insert_image_;
  Statement select_pending_;
  Statement mark_processing_;
  Statement mark_completed_;
  Statement count_;
  Statement checkpoint_;
};

}  // namespace original_design

#endif  // PROGRESS_TRACKER_TESTS_BENCHMARK_ORIGINAL_DESIGN_H_

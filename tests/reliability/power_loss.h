// What a disk may hold after the power went: from a recording of all that was asked of it.
//
// The model. What was written to a file is certain once a sync of that file has begun after it and
// ended: what another thread writes meanwhile is not. Until then each write is there, or not, or in
// part, in any order. A name that was made or removed is certain once its directory was synced. A
// part is a run of sectors of 512 or 4,096 bytes, and what lies beside what is written stays as it
// was, which SQLite assumes too (SQLITE_IOCAP_POWERSAFE_OVERWRITE). A file that was made longer may
// hold anything where the writing did not arrive.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_POWER_LOSS_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_POWER_LOSS_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fault_vfs.h"

namespace progress_tracker::reliability {

struct DiskEvent {
  // A sync is noted when it ends.
  enum class Kind { kMake, kRemove, kWrite, kTruncate, kSync, kAcknowledged };

  Kind kind{};
  std::string name{};  // of the file, or of the directory that is synced
  std::int64_t offset{0};
  std::string data{};
  std::size_t number{0};  // its place among the events
  std::size_t began{0};   // of a sync: how many events there were when it began
};

// Records what Armed threads ask of the disk, of the files in one directory, from its making on
// until stop().
class Recording {
 public:
  // Called by whoever syncs a file, with the file's name. The sync lasts as long.
  using DuringSync = std::function<void(const std::string& name)>;

  explicit Recording(std::filesystem::path directory, DuringSync during_sync = {});
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  ~Recording();

  // Notes that all before has been acknowledged to somebody.
  void acknowledge(const std::string& what = {});

  void stop();

  // To be called after stop().
  const std::vector<DiskEvent>& events() const { return events_; }

 private:
  int note(const VfsEvent& event);
  bool note_sync(const std::string& name);
  void add(DiskEvent event);

  const std::filesystem::path directory_;
  const DuringSync during_sync_;
  std::mutex mutex_;
  std::vector<DiskEvent> events_;  // guarded by mutex_ while somebody records
};

// The disk of a recording's directory, as it would be after a power loss.
class Disk {
 public:
  // As the directory is now; all of it is certain.
  explicit Disk(const std::filesystem::path& directory);

  void carry_out(const DiskEvent& event);

  // Number 0: all that is uncertain is lost; 1: nothing is; 2 and 3: names lost and contents kept,
  // and the other way round; from 4 on drawn by chance. Returns what it did, in words.
  std::string write_image(const std::filesystem::path& directory, std::size_t number,
                          std::mt19937& random) const;

 private:
  struct File {
    std::string certain;
    std::vector<DiskEvent> uncertain;
  };
  using Names = std::map<std::string, std::size_t>;

  static void change(Names& names, const DiskEvent& event, std::size_t file);
  Names draw_names(std::mt19937& random) const;

  const std::filesystem::path directory_;
  std::vector<File> files_;
  Names names_;
  Names certain_names_;
  std::vector<std::pair<DiskEvent, std::size_t>> uncertain_names_;  // made or removed: which file
};

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_POWER_LOSS_H_

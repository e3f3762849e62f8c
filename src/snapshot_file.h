// A file that appears under its name only when it is complete and on the disk.
#ifndef PROGRESS_TRACKER_SRC_SNAPSHOT_FILE_H_
#define PROGRESS_TRACKER_SRC_SNAPSHOT_FILE_H_

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace progress_tracker {

class SnapshotFile {
 public:
  // `target` made absolute. Throws Error kInvalidArgument if it cannot be a new database's name.
  static std::string checked(const std::filesystem::path& target);

  // Throws Error kInvalidArgument if that is the name of a side file of `database`.
  static void check_not_beside(const std::string& target, const std::string& database);

  // Makes an empty file with a name of its own in the directory of `target`, which checked() has
  // returned; `mode` is cut by umask. Throws Error: kReadOnly, kFull, kIo.
  SnapshotFile(std::string target, mode_t mode);
  SnapshotFile(const SnapshotFile&) = delete;
  SnapshotFile& operator=(const SnapshotFile&) = delete;
  ~SnapshotFile();  // removes what was not published

  // Where to write.
  const std::string& partial() const { return partial_; }

  // Makes it empty again.
  void clear();

  // Syncs it and gives it its name. Throws Error: kInvalidArgument if somebody else has made a file
  // of that name meanwhile; kFull, kIo.
  void publish();

 private:
  const std::string target_;
  std::string partial_;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_SNAPSHOT_FILE_H_

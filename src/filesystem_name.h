// What kind of file system a file is on.
#ifndef PROGRESS_TRACKER_SRC_FILESYSTEM_NAME_H_
#define PROGRESS_TRACKER_SRC_FILESYSTEM_NAME_H_

#include <string>

namespace progress_tracker {

// The type of the file system that `path` is on, as it was mounted: "ext4", "tmpfs",
// "fuse.sshfs". "" if the system does not tell.
std::string filesystem_name(const std::string& path);

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_FILESYSTEM_NAME_H_

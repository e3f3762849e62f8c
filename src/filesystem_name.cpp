#include "filesystem_name.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <fstream>
#include <sstream>

namespace progress_tracker {

std::string filesystem_name(const std::string& path) {
#ifdef STATX_MNT_ID
  // By mount and not by device: on btrfs and overlayfs a file's device is not the mount's.
  struct statx info {};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_MNT_ID, &info) != 0 ||
      (info.stx_mask & STATX_MNT_ID) == 0) {
    return {};
  }
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    // See proc(5): the id comes first; the type is the first field after " - ".
    std::uint64_t id = 0;
    std::istringstream(line) >> id;
    if (id == info.stx_mnt_id) {
      const auto separator = line.find(" - ");
      if (separator == std::string::npos) {
        return {};
      }
      std::istringstream rest(line.substr(separator + 3));
      std::string type;
      rest >> type;
      return type;
    }
  }
#else
  static_cast<void>(path);
#endif
  return {};
}

}  // namespace progress_tracker

#include "disk_sync.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "armed.h"

namespace progress_tracker::reliability {
namespace {

SyncHook& hook() {
  static SyncHook the_hook;
  return the_hook;
}

std::string name_of(int fd) {
  std::string name(4096, '\0');
  const ssize_t length =
      ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), name.data(), name.size());
  name.resize(static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  return name;
}

int sync(int fd) {
  if (hook() && Armed::here() && !hook()(name_of(fd))) {
    errno = EIO;
    return -1;
  }
  return 0;
}

}  // namespace

void set_sync_hook(SyncHook new_hook) { hook() = std::move(new_hook); }

}  // namespace progress_tracker::reliability

// In front of the system's own, which are not called.
extern "C" int fsync(int fd) { return progress_tracker::reliability::sync(fd); }
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the system's is reserved
extern "C" int fdatasync(int fd) { return progress_tracker::reliability::sync(fd); }

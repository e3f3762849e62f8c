#include "sqlite/after_fork.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include "fork_generation.h"

namespace progress_tracker::sqlite {
namespace {

// SQLite's unix VFS keeps one record of locks for each file, found by the device and inode that
// fstat() gives. A device number of the child's own gives it records of its own.
int fstat_of_this_process(int fd, struct stat* info) {
  const int result = ::fstat(fd, info);
  if (result == 0) {
    info->st_dev ^= static_cast<dev_t>(fork_generation()) << 32U;
  }
  return result;
}

}  // namespace

void forget_parents_files() {
  if (fork_generation() == 0) {
    return;
  }
  sqlite3_initialize();
  if (sqlite3_vfs* vfs = sqlite3_vfs_find("unix"); vfs != nullptr && vfs->iVersion >= 3) {
    vfs->xSetSystemCall(vfs, "fstat", reinterpret_cast<sqlite3_syscall_ptr>(fstat_of_this_process));
  }
}

}  // namespace progress_tracker::sqlite

#include "sqlite/after_fork.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <array>
#include <new>

#include "fork_generation.h"

namespace progress_tracker::sqlite {
namespace {

// SQLite's unix VFS keeps one record of locks for each file, found by the device and inode that
// fstat() gives; and it looks by stat() for a descriptor that it may use again. A device number of
// the child's own gives it records of its own.
void make_device_ones_own(struct stat* info) {
  info->st_dev ^= static_cast<dev_t>(fork_generation()) << 32U;
}

int fstat_of_this_process(int fd, struct stat* info) {
  const int result = ::fstat(fd, info);
  if (result == 0) {
    make_device_ones_own(info);
  }
  return result;
}

int stat_of_this_process(const char* path, struct stat* info) {
  const int result = ::stat(path, info);
  if (result == 0) {
    make_device_ones_own(info);
  }
  return result;
}

// What SQLite locks for some instructions at a time, whatever the connection. If another thread
// had one of them at the fork, the child would wait for that thread for ever. In the order in which
// SQLite takes them where it takes several.
constexpr auto kStaticMutexes =
    std::to_array<int>({SQLITE_MUTEX_STATIC_OPEN, SQLITE_MUTEX_STATIC_VFS1,
                        SQLITE_MUTEX_STATIC_PRNG, SQLITE_MUTEX_STATIC_MAIN, SQLITE_MUTEX_STATIC_LRU,
                        SQLITE_MUTEX_STATIC_PMEM, SQLITE_MUTEX_STATIC_MEM});

void lock_static_mutexes() {
  for (const int id : kStaticMutexes) {
    sqlite3_mutex_enter(sqlite3_mutex_alloc(id));
  }
}

void unlock_static_mutexes() {
  for (auto id = kStaticMutexes.rbegin(); id != kStaticMutexes.rend(); ++id) {
    sqlite3_mutex_leave(sqlite3_mutex_alloc(*id));
  }
}

}  // namespace

void prepare_for_forks() {
  watch_forks();
  static const bool registered = [] {
    if (sqlite3_initialize() != SQLITE_OK ||
        pthread_atfork(lock_static_mutexes, unlock_static_mutexes, unlock_static_mutexes) != 0) {
      throw std::bad_alloc();
    }
    return true;
  }();
  static_cast<void>(registered);
  if (fork_generation() == 0) {
    return;
  }
  if (sqlite3_vfs* vfs = sqlite3_vfs_find("unix"); vfs != nullptr && vfs->iVersion >= 3) {
    vfs->xSetSystemCall(vfs, "fstat", reinterpret_cast<sqlite3_syscall_ptr>(fstat_of_this_process));
    vfs->xSetSystemCall(vfs, "stat", reinterpret_cast<sqlite3_syscall_ptr>(stat_of_this_process));
  }
}

}  // namespace progress_tracker::sqlite

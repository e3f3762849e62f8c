#include "sqlite/after_fork.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <array>
#include <mutex>
#include <new>

#include "fork_generation.h"
#include "undestroyed.h"

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

struct State {
  std::mutex mutex;  // held by the forking thread across fork()
  // Guarded by mutex.
  bool registered{false};
  bool initialized{false};  // SQLite is, so that its mutexes are there
};

constinit Undestroyed<State> undestroyed;

State& state() noexcept { return undestroyed.value; }

void before_fork() {
  state().mutex.lock();
  if (state().initialized) {
    for (const int id : kStaticMutexes) {
      sqlite3_mutex_enter(sqlite3_mutex_alloc(id));
    }
  }
}

void after_fork() {
  if (state().initialized) {
    for (const int id : kStaticMutexes) {
      sqlite3_mutex_leave(sqlite3_mutex_alloc(id));
    }
  }
  state().mutex.unlock();
}

// Initializing SQLite too early would take sqlite3_config() from the program.
bool register_fork_handlers() noexcept {
  const std::lock_guard lock(state().mutex);
  state().registered =
      state().registered || ::pthread_atfork(before_fork, after_fork, after_fork) == 0;
  return state().registered;
}

// At load for the reason given in fork_generation.cpp.
[[maybe_unused]] const bool registered_at_load = register_fork_handlers();

}  // namespace

void prepare_for_forks() {
  watch_forks();
  if (!register_fork_handlers()) {
    throw std::bad_alloc();
  }
  {
    const std::lock_guard lock(state().mutex);
    state().initialized = state().initialized || sqlite3_initialize() == SQLITE_OK;
    if (!state().initialized) {
      throw std::bad_alloc();
    }
  }
  if (fork_generation() == 0) {
    return;
  }
  if (sqlite3_vfs* vfs = sqlite3_vfs_find("unix"); vfs != nullptr && vfs->iVersion >= 3) {
    vfs->xSetSystemCall(vfs, "fstat", reinterpret_cast<sqlite3_syscall_ptr>(fstat_of_this_process));
    vfs->xSetSystemCall(vfs, "stat", reinterpret_cast<sqlite3_syscall_ptr>(stat_of_this_process));
  }
}

}  // namespace progress_tracker::sqlite

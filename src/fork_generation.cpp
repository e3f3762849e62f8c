#include "fork_generation.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <vector>

namespace progress_tracker {
namespace {

struct ForkState {
  std::atomic<std::uint64_t> generation{0};

  std::mutex mutex;
  std::vector<int> descriptors;  // guarded by mutex, which the forking thread holds across fork()
};

// fork() has no argument, so what its handlers need has to be found without one. Never destroyed: a
// fork() may come while static objects are being destroyed. Made without memory, so that asking for
// it cannot fail.
union Undestroyed {
  constexpr Undestroyed() : state{} {}
  ~Undestroyed() {}  // NOLINT(modernize-use-equals-default): that would be deleted
  ForkState state;
};
constinit Undestroyed undestroyed;

ForkState& fork_state() noexcept { return undestroyed.state; }

}  // namespace

void watch_forks() {
  static const bool watched = [] {
    const int error =
        pthread_atfork([] { fork_state().mutex.lock(); }, [] { fork_state().mutex.unlock(); },
                       [] {
                         ForkState& child = fork_state();
                         child.generation.fetch_add(1, std::memory_order_relaxed);
                         for (const int fd : child.descriptors) {
                           ::close(fd);
                         }
                         child.descriptors.clear();
                         child.mutex.unlock();
                       });
    if (error != 0) {
      throw std::bad_alloc();
    }
    return true;
  }();
  static_cast<void>(watched);
}

std::uint64_t fork_generation() noexcept {
  return fork_state().generation.load(std::memory_order_relaxed);
}

int open_closed_at_fork(const char* path, int flags, unsigned mode) {
  watch_forks();
  ForkState& state = fork_state();
  const std::lock_guard lock(state.mutex);
  state.descriptors.reserve(state.descriptors.size() + 1);
  const int fd = ::open(path, flags | O_CLOEXEC, mode);
  if (fd >= 0) {
    state.descriptors.push_back(fd);
  }
  return fd;
}

void close_here(int fd) noexcept {
  ForkState& state = fork_state();
  const std::lock_guard lock(state.mutex);
  std::erase(state.descriptors, fd);
  ::close(fd);
}

}  // namespace progress_tracker

#include "fork_generation.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

namespace progress_tracker {
namespace {

// fork() has no argument, so what its handlers need has to be found without one. The state is
// never destroyed: a fork() may come while static objects are being destroyed.
struct ForkState {
  std::atomic<std::uint64_t> generation{0};

  std::mutex mutex;
  std::vector<int> descriptors;  // guarded by mutex, which the forking thread holds across fork()
};

ForkState& fork_state() {
  static ForkState& state = []() -> ForkState& {
    auto* made = new ForkState;  // NOLINT(cppcoreguidelines-owning-memory): lives for ever
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
    return *made;
  }();
  return state;
}

}  // namespace

std::uint64_t fork_generation() noexcept {
  return fork_state().generation.load(std::memory_order_relaxed);
}

int open_closed_at_fork(const char* path, int flags, unsigned mode) {
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

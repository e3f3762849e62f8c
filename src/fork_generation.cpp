#include "fork_generation.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <vector>

#include "undestroyed.h"

namespace progress_tracker {
namespace {

struct ForkState {
  std::atomic<std::uint64_t> generation{0};

  std::mutex mutex;  // held by the forking thread across fork()
  // Guarded by mutex.
  bool registered{false};
  bool watched{false};  // somebody wants to know
  std::vector<int> descriptors;
};

// fork() has no argument, so what its handlers need has to be found without one.
constinit Undestroyed<ForkState> undestroyed;

ForkState& fork_state() noexcept { return undestroyed.value; }

void before_fork() { fork_state().mutex.lock(); }
void after_in_parent() { fork_state().mutex.unlock(); }
void after_in_child() {
  ForkState& state = fork_state();
  if (state.watched) {
    state.generation.fetch_add(1, std::memory_order_relaxed);
  }
  for (const int fd : state.descriptors) {
    ::close(fd);
  }
  state.descriptors.clear();
  state.mutex.unlock();
}

// With the mutex held.
bool register_fork_handlers() noexcept {
  ForkState& state = fork_state();
  state.registered =
      state.registered || ::pthread_atfork(before_fork, after_in_parent, after_in_child) == 0;
  return state.registered;
}

// Before there can be a second thread: a fork() that is under way runs no handler registered since,
// and would leave the child the mutex as another thread has it.
[[maybe_unused]] const bool registered_at_load = [] {
  const std::lock_guard lock(fork_state().mutex);
  return register_fork_handlers();
}();

}  // namespace

void watch_forks() {
  const std::lock_guard lock(fork_state().mutex);
  // A constructor of another static object may call this before those of this file have run.
  if (!register_fork_handlers()) {
    throw std::bad_alloc();
  }
  fork_state().watched = true;
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

#include "cli/watchdog.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <system_error>

namespace progress_tracker::cli {
namespace {

// The life of the watchdog process. It is a fork of the tool: only system calls from here on.
[[noreturn]] void watch(std::span<const WatchedGroup> groups, int pipe) {
  prctl(PR_SET_NAME, "progress-watch");
  // Out of the tool's group: what is sent to that, SIGKILL included, must not end this.
  setpgid(0, 0);
  // Nothing of the tool's is kept: neither its output, for whose end somebody may be waiting, nor
  // its own end of the pipe.
  dup2(pipe, STDIN_FILENO);
  closefrom(STDIN_FILENO + 1);

  char unused = 0;
  while (read(STDIN_FILENO, &unused, 1) < 0 && errno == EINTR) {
  }
  for (const WatchedGroup& watched : groups) {
    const pid_t group = watched.group.load();
    if (group > 0) kill(-group, SIGKILL);
  }
  _exit(0);
}

}  // namespace

Watchdog::Watchdog(std::size_t groups) {
  void* memory = mmap(nullptr, groups * sizeof(WatchedGroup), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  groups_ = {static_cast<WatchedGroup*>(memory), groups};
  std::uninitialized_value_construct(groups_.begin(), groups_.end());

  // Blocked in the watchdog from its first moment: nothing but the end of the pipe is to end it.
  sigset_t all;
  sigset_t mask_before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &mask_before);
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) == 0) process_id_ = fork();
  if (process_id_ == 0) watch(groups_, ends[0]);

  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &mask_before, nullptr);
  // Also from here, lest somebody should kill the whole group before the watchdog has run.
  if (process_id_ > 0) setpgid(process_id_, process_id_);
  if (ends[0] >= 0) close(ends[0]);
  pipe_ = ends[1];
  if (process_id_ < 0) {
    if (pipe_ >= 0) close(pipe_);
    munmap(memory, groups * sizeof(WatchedGroup));
    throw std::system_error(error, std::generic_category(), "starting the watchdog process");
  }
}

Watchdog::~Watchdog() {
  close(pipe_);
  while (waitpid(process_id_, nullptr, 0) < 0 && errno == EINTR) {
  }
  munmap(groups_.data(), groups_.size_bytes());
}

}  // namespace progress_tracker::cli

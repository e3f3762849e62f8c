// Which side of a fork() we are on.
#ifndef PROGRESS_TRACKER_SRC_FORK_GENERATION_H_
#define PROGRESS_TRACKER_SRC_FORK_GENERATION_H_

#include <cstdint>

namespace progress_tracker {

// From the first call on, forks are noticed. Throws std::bad_alloc.
void watch_forks();

// A number that changes in the child at every fork() since. What was made under another number
// belongs to an ancestor and must not be touched. One relaxed load.
std::uint64_t fork_generation() noexcept;

// open(2), with O_CLOEXEC, of a descriptor that every child closes right after fork(), until
// close_here() closes it here: for locks that a copy in a child would keep when the parent is dead.
// No fork() can come between the opening and that promise.
int open_closed_at_fork(const char* path, int flags, unsigned mode);
void close_here(int fd) noexcept;

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_FORK_GENERATION_H_

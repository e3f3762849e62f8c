// Which side of a fork() we are on.
#ifndef PROGRESS_TRACKER_SRC_FORK_GENERATION_H_
#define PROGRESS_TRACKER_SRC_FORK_GENERATION_H_

#include <cstdint>

namespace progress_tracker {

// A number that changes in the child at every fork(). What was made under another number belongs
// to an ancestor and must not be touched. One relaxed load.
std::uint64_t fork_generation() noexcept;

// Has the child close `fd` right after every fork(), until forget_at_fork(). For descriptors whose
// copy in a child would keep a dead parent's lock. Closes and does nothing else.
void close_at_fork(int fd);
void forget_at_fork(int fd) noexcept;

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_FORK_GENERATION_H_

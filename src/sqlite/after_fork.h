// SQLite in a child process of fork().
#ifndef PROGRESS_TRACKER_SRC_SQLITE_AFTER_FORK_H_
#define PROGRESS_TRACKER_SRC_SQLITE_AFTER_FORK_H_

namespace progress_tracker::sqlite {

// To be called before a file is opened.
//
// From the first call on, a child is forked off at a moment at which no thread holds one of the
// locks that all of SQLite shares, or is in this function: who would let it go is not in the child.
// Throws std::bad_alloc.
//
// In a process that has forked off since this library was first used, makes SQLite forget what the
// parent had open: otherwise a file opened here would be taken for one whose locks this process
// holds already, which it does not, and commits would be lost.
void prepare_for_forks();

}  // namespace progress_tracker::sqlite

#endif  // PROGRESS_TRACKER_SRC_SQLITE_AFTER_FORK_H_

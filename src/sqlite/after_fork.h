// SQLite in a child process of fork().
#ifndef PROGRESS_TRACKER_SRC_SQLITE_AFTER_FORK_H_
#define PROGRESS_TRACKER_SRC_SQLITE_AFTER_FORK_H_

namespace progress_tracker::sqlite {

// To be called before a file is opened. In a process that has forked off since this library was
// first used, makes SQLite forget what the parent had open: otherwise a file opened here would be
// taken for one whose locks this process holds already, which it does not, and commits would be
// lost. In a process that has not, it does nothing.
void forget_parents_files();

}  // namespace progress_tracker::sqlite

#endif  // PROGRESS_TRACKER_SRC_SQLITE_AFTER_FORK_H_

// Settings of a ProgressTracker. The defaults suit a pipeline on one machine.
#ifndef PROGRESS_TRACKER_OPTIONS_H_
#define PROGRESS_TRACKER_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace progress_tracker {

struct Options {
  // How long each transaction of a call waits for others, in all, before it throws kBusy. Bounds
  // waiting, not work. 0: do not wait.
  //
  // Default: 300 s.
  std::chrono::milliseconds busy_timeout{300'000};

  // For what waiting for a lock cannot cure (a lost snapshot, recovery after another process's
  // crash, the race of many first openers): the whole transaction is run again after retry_delay,
  // which doubles max_retries times and then stays, until busy_timeout has been used up.
  //
  // Default: 5 doublings, from 0.5 s.
  int max_retries{5};
  std::chrono::milliseconds retry_delay{500};

  // SQLite's page cache, per connection, thus per thread that uses the tracker. Allocated as
  // pages are used.
  //
  // Default: 64,000 KiB.
  std::int64_t cache_size_kib{64'000};

  enum class Synchronous {
    kNormal,  // survives any death of processes; a power loss may cost the latest commits
    kFull,    // survives power loss too: every call that writes waits for the disk, the threads of
              // one tracker together. Others may see a commit while it still waits.
  };

  // Default: kNormal. ProgressTracker::sync() closes its gap at one moment of your choice.
  Synchronous synchronous{Synchronous::kNormal};

  // How many marks may be held in memory to be committed together; 0: every mark is committed
  // when it returns. See ProgressTracker.
  //
  // Default: 0.
  std::size_t mark_buffer{0};

  // An image whose workers died this often while processing it goes to error instead of back to
  // pending. 0: no limit. Use 3 or more: a death counts for everything the worker held.
  //
  // Default: 0.
  int max_deaths{0};

  // Never creates and never changes content (SQLite may make its -wal and -shm files beside the
  // database). Every writing call throws kReadOnly.
  //
  // Default: false.
  bool read_only{false};

  bool operator==(const Options&) const = default;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_OPTIONS_H_

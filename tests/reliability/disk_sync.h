// What is asked of the disk: fsync() and fdatasync() of the whole program, SQLite's included, end
// here. A test that is about processes need not wait for a disk, and one that is about power loss
// has to know exactly what was asked for.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_DISK_SYNC_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_DISK_SYNC_H_

#include <functional>
#include <string>

namespace progress_tracker::reliability {

// Told the full name of each file or directory that is synced, where the calling thread is Armed.
// The sync lasts as long as the call. False: the disk refuses, with EIO.
using SyncHook = std::function<bool(const std::string&)>;

// Not while another thread syncs; an empty one takes the hook away.
void set_sync_hook(SyncHook hook);

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_DISK_SYNC_H_

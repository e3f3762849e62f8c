// A layer between SQLite and the operating system, over the stock SQLite: each call that SQLite
// makes can be counted, refused, delayed, recorded, or be the last one of the process.
//
// One hook sees every call before it is made. All that a test wants to do with calls (fail the
// n-th, die at the n-th, let another thread commit at a certain one, write them down) is a hook.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_FAULT_VFS_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_FAULT_VFS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace progress_tracker::reliability {

enum class VfsCall {
  kOpen,
  kClose,
  kDelete,
  kAccess,
  kRead,
  kWrite,
  kTruncate,
  kSync,
  kFileSize,
  kLock,
  kUnlock,
  kCheckReservedLock,
  kShmMap,
  kShmLock,
  kShmUnmap,
  kFetch,
  kUnfetch,
};
inline constexpr int kVfsCalls = 17;

std::string_view to_string(VfsCall call);

// One call, before it is made.
struct VfsEvent {
  VfsCall call{};
  std::string_view file{};  // its full name; "" for a temporary one
  std::string_view data{};  // of a write
  std::int64_t offset{0};   // of a read, write or fetch; the size for a truncation
  int flags{0};             // of an opening, a lock (its kind), a deletion (whether to sync)
  void* handle{nullptr};    // tells one open file from another; nullptr for openings
};

// What it returns is given to SQLite in place of the call; SQLITE_OK: the call is made.
using VfsHook = std::function<int(const VfsEvent&)>;

// Puts the layer under every connection that is opened from now on, for good. To be called before
// the first.
void install_fault_vfs();

// From now on; an empty one takes the hook away. Not while another thread is inside SQLite. Calls
// of threads that are not Armed do not come to it.
void set_vfs_hook(VfsHook hook);

// While it exists, the hook is there.
class ScopedVfsHook {
 public:
  explicit ScopedVfsHook(VfsHook hook) { set_vfs_hook(std::move(hook)); }
  ScopedVfsHook(const ScopedVfsHook&) = delete;
  ScopedVfsHook& operator=(const ScopedVfsHook&) = delete;
  ~ScopedVfsHook() { set_vfs_hook({}); }
};

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_FAULT_VFS_H_

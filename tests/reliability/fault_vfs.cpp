#include "fault_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <new>
#include <stdexcept>
#include <utility>

#include "armed.h"

namespace progress_tracker::reliability {
namespace {

VfsHook& hook() {
  static VfsHook the_hook;
  return the_hook;
}

int ask(const VfsEvent& event) { return hook() && Armed::here() ? hook()(event) : SQLITE_OK; }

sqlite3_vfs* system_vfs = nullptr;

// What SQLite takes for its file: the system's own lies behind it in the same piece of memory.
struct File {
  sqlite3_file base;
  const char* name;  // SQLite keeps it as long as the file is open

  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
static_assert(sizeof(File) % alignof(std::max_align_t) == 0);

File* as_file(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
sqlite3_file* real_of(sqlite3_file* file) { return as_file(file)->real(); }

VfsEvent event_of(VfsCall call, sqlite3_file* file) {
  const char* name = as_file(file)->name;
  return {.call = call, .file = name == nullptr ? "" : name, .handle = file};
}

// Asks the hook, then makes the call.
template <typename Make>
int guarded(const VfsEvent& event, const Make& make) {
  const int code = ask(event);
  return code == SQLITE_OK ? make() : code;
}

int close_file(sqlite3_file* file) {
  const int code = ask(event_of(VfsCall::kClose, file));
  // Closed all the same, as after a close() that fails; or the test would run out of descriptors.
  const int real = real_of(file)->pMethods->xClose(real_of(file));
  return code == SQLITE_OK ? real : code;
}

int read_file(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
  VfsEvent event = event_of(VfsCall::kRead, file);
  event.offset = offset;
  const int code = ask(event);
  if (code == SQLITE_IOERR_SHORT_READ) {  // of nothing: SQLite is promised zeros
    std::fill_n(static_cast<char*>(out), size, '\0');
  }
  return code == SQLITE_OK ? real_of(file)->pMethods->xRead(real_of(file), out, size, offset)
                           : code;
}

int write_file(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  VfsEvent event = event_of(VfsCall::kWrite, file);
  event.offset = offset;
  event.data = {static_cast<const char*>(data), static_cast<std::size_t>(size)};
  return guarded(
      event, [&] { return real_of(file)->pMethods->xWrite(real_of(file), data, size, offset); });
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  VfsEvent event = event_of(VfsCall::kTruncate, file);
  event.offset = size;
  return guarded(event, [&] { return real_of(file)->pMethods->xTruncate(real_of(file), size); });
}

int sync_file(sqlite3_file* file, int flags) {
  return guarded(event_of(VfsCall::kSync, file),
                 [&] { return real_of(file)->pMethods->xSync(real_of(file), flags); });
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
  return guarded(event_of(VfsCall::kFileSize, file),
                 [&] { return real_of(file)->pMethods->xFileSize(real_of(file), size); });
}

int lock_file(sqlite3_file* file, int level) {
  VfsEvent event = event_of(VfsCall::kLock, file);
  event.flags = level;
  return guarded(event, [&] { return real_of(file)->pMethods->xLock(real_of(file), level); });
}

int unlock_file(sqlite3_file* file, int level) {
  VfsEvent event = event_of(VfsCall::kUnlock, file);
  event.flags = level;
  const int code = ask(event);
  // Done all the same: a lock that the system does not take back would end with the process only.
  const int real = real_of(file)->pMethods->xUnlock(real_of(file), level);
  return code == SQLITE_OK ? real : code;
}

int check_reserved_lock(sqlite3_file* file, int* out) {
  return guarded(event_of(VfsCall::kCheckReservedLock, file),
                 [&] { return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out); });
}

int file_control(sqlite3_file* file, int operation, void* argument) {
  return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

int sector_size(sqlite3_file* file) { return real_of(file)->pMethods->xSectorSize(real_of(file)); }

int device_characteristics(sqlite3_file* file) {
  return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

int shm_map(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
  VfsEvent event = event_of(VfsCall::kShmMap, file);
  event.flags = extend;
  *out = nullptr;
  return guarded(event, [&] {
    return real_of(file)->pMethods->xShmMap(real_of(file), region, size, extend, out);
  });
}

int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
  VfsEvent event = event_of(VfsCall::kShmLock, file);
  event.offset = offset;
  event.flags = flags;
  const int code = ask(event);
  if (code != SQLITE_OK && (flags & SQLITE_SHM_UNLOCK) == 0) {
    return code;
  }
  const int real = real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
  return code == SQLITE_OK ? real : code;
}

void shm_barrier(sqlite3_file* file) { real_of(file)->pMethods->xShmBarrier(real_of(file)); }

int shm_unmap(sqlite3_file* file, int remove) {
  VfsEvent event = event_of(VfsCall::kShmUnmap, file);
  event.flags = remove;
  const int code = ask(event);
  const int real = real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
  return code == SQLITE_OK ? real : code;
}

int fetch(sqlite3_file* file, sqlite3_int64 offset, int size, void** out) {
  VfsEvent event = event_of(VfsCall::kFetch, file);
  event.offset = offset;
  *out = nullptr;
  return guarded(event,
                 [&] { return real_of(file)->pMethods->xFetch(real_of(file), offset, size, out); });
}

int unfetch(sqlite3_file* file, sqlite3_int64 offset, void* page) {
  VfsEvent event = event_of(VfsCall::kUnfetch, file);
  event.offset = offset;
  return guarded(event,
                 [&] { return real_of(file)->pMethods->xUnfetch(real_of(file), offset, page); });
}

constexpr sqlite3_io_methods kMethods{
    .iVersion = 3,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = file_size,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_reserved_lock,
    .xFileControl = file_control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = device_characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
    .xFetch = fetch,
    .xUnfetch = unfetch,
};

int open_file(sqlite3_vfs* /*vfs*/, const char* name, sqlite3_file* out, int flags,
              int* out_flags) {
  File* file = as_file(out);
  file->base.pMethods = nullptr;
  file->name = name;
  VfsEvent event{.call = VfsCall::kOpen, .file = name == nullptr ? "" : name, .flags = flags};
  if (const int code = ask(event); code != SQLITE_OK) {
    return code;
  }
  const int code = system_vfs->xOpen(system_vfs, name, file->real(), flags, out_flags);
  if (file->real()->pMethods != nullptr) {
    if (file->real()->pMethods->iVersion < 3) {
      throw std::logic_error("SQLite's own layer has no memory mapping");
    }
    file->base.pMethods = &kMethods;
  }
  return code;
}

int delete_file(sqlite3_vfs* /*vfs*/, const char* name, int sync_directory) {
  return guarded({.call = VfsCall::kDelete, .file = name, .flags = sync_directory},
                 [&] { return system_vfs->xDelete(system_vfs, name, sync_directory); });
}

int access_file(sqlite3_vfs* /*vfs*/, const char* name, int flags, int* out) {
  return guarded({.call = VfsCall::kAccess, .file = name, .flags = flags},
                 [&] { return system_vfs->xAccess(system_vfs, name, flags, out); });
}

}  // namespace

std::string_view to_string(VfsCall call) {
  constexpr std::array<std::string_view, kVfsCalls> kNames{
      "open", "close",  "delete", "access",  "read",     "write",     "truncate", "sync",   "size",
      "lock", "unlock", "look",   "shm map", "shm lock", "shm unmap", "fetch",    "unfetch"};
  return kNames.at(static_cast<std::size_t>(call));
}

void install_fault_vfs() {
  static sqlite3_vfs layer;
  if (system_vfs != nullptr) {
    return;
  }
  system_vfs = sqlite3_vfs_find(nullptr);
  layer = *system_vfs;  // what is not replaced below is the system's, and needs nothing of ours
  layer.zName = "fault";
  layer.szOsFile = static_cast<int>(sizeof(File)) + system_vfs->szOsFile;
  layer.xOpen = open_file;
  layer.xDelete = delete_file;
  layer.xAccess = access_file;
  if (sqlite3_vfs_register(&layer, 1) != SQLITE_OK) {
    throw std::runtime_error("SQLite does not take the layer");
  }
}

void set_vfs_hook(VfsHook new_hook) { hook() = std::move(new_hook); }

}  // namespace progress_tracker::reliability

#include "snapshot_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "progress_tracker/error.h"

namespace progress_tracker {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& cause) {
  throw Error(ErrorCode::kInvalidArgument, "snapshot: " + path + ": " + cause);
}

[[noreturn]] void fail(int error, const std::string& path, const char* what) {
  ErrorCode code = ErrorCode::kIo;
  if (error == EACCES || error == EPERM || error == EROFS) {
    code = ErrorCode::kReadOnly;
  } else if (error == ENOSPC || error == EDQUOT) {
    code = ErrorCode::kFull;
  } else if (error == EEXIST) {
    code = ErrorCode::kInvalidArgument;
  }
  throw Error(code, "snapshot: " + path + ": cannot " + what + ": " + std::strerror(error));
}

bool exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

std::string random_name(const std::string& path) {
  std::array<std::uint32_t, 2> random{};
  if (::getrandom(random.data(), sizeof random, 0) != static_cast<ssize_t>(sizeof random)) {
    fail(errno, path, "find a name for it");
  }
  std::array<char, 32> suffix{};
  std::snprintf(suffix.data(), suffix.size(), ".partial-%08x%08x", random[0], random[1]);
  return path + suffix.data();
}

// Opens, syncs, closes.
void sync_path(const std::string& path, int flags, const char* what) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) {
    ::close(fd);
  }
  if (!synced) {
    fail(error, path, what);
  }
}

}  // namespace

std::string SnapshotFile::checked(const std::filesystem::path& target) {
  if (target.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "snapshot: the path of the copy is empty");
  }
  if (target.native().find('\0') != std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument, "snapshot: the path of the copy contains a NUL");
  }
  if (!target.has_filename()) {
    refuse(target.native(), "is a directory");
  }
  std::error_code error;
  std::string path = std::filesystem::absolute(target, error).native();
  if (error) {
    fail(error.value(), target.native(), "find it");
  }
  if (exists(path)) {
    refuse(path, "exists already");
  }
  // SQLite would take such a file for a part of the copy.
  for (const char* suffix : {"-wal", "-shm", "-journal"}) {
    if (exists(path + suffix)) {
      refuse(path + suffix, "is in the way: remains of another database");
    }
  }
  return path;
}

void SnapshotFile::check_not_beside(const std::string& target, const std::string& database) {
  std::error_code ignored;
  const std::string real = std::filesystem::weakly_canonical(target, ignored).native();
  for (const char* suffix : {"-wal", "-shm", "-journal", "-workers"}) {
    if (real == database + suffix) {
      refuse(target, "has the name of a side file of the database itself");
    }
  }
}

SnapshotFile::SnapshotFile(std::string target, mode_t mode)
    : target_(std::move(target)), partial_(random_name(target_)) {
  const int fd = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) {
    fail(errno, target_, "make it");
  }
  ::close(fd);
}

SnapshotFile::~SnapshotFile() {
  if (!partial_.empty()) {
    // SQLite's own journal of it, too. What cannot be removed takes up space and harms nobody.
    ::unlink((partial_ + "-journal").c_str());
    ::unlink(partial_.c_str());
  }
}

void SnapshotFile::clear() {
  if (::truncate(partial_.c_str(), 0) != 0) {
    fail(errno, partial_, "empty it");
  }
}

void SnapshotFile::publish() {
  sync_path(partial_, O_RDONLY, "sync it");
  int done = ::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, target_.c_str(), RENAME_NOREPLACE);
  if (done != 0 && (errno == EINVAL || errno == ENOSYS) && !exists(target_)) {
    // The file system does not know this flag.
    done = ::rename(partial_.c_str(), target_.c_str());
  }
  if (done != 0) {
    fail(errno, target_, "give it its name");
  }
  partial_.clear();
  sync_path(std::filesystem::path(target_).parent_path().native(), O_RDONLY | O_DIRECTORY,
            "sync it");
}

}  // namespace progress_tracker

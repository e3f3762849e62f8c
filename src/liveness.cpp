#include "liveness.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "fork_generation.h"
#include "progress_tracker/error.h"

namespace progress_tracker {
namespace {

constexpr std::size_t kIdBytes = 16;

[[noreturn]] void refuse(const std::string& path, const char* what) {
  const int error = errno;
  throw Error(error == ENOSPC || error == EDQUOT ? ErrorCode::kFull : ErrorCode::kIo,
              "workers: " + path + ": cannot " + what + ": " + std::strerror(error));
}

struct flock byte_of(WorkerId worker, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(worker);
  lock.l_len = 1;
  return lock;
}

std::string to_hex(const std::array<unsigned char, kIdBytes>& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : bytes) {
    hex += kDigits[byte >> 4U];
    hex += kDigits[byte & 0xfU];
  }
  return hex;
}

}  // namespace

std::string worker_file_of(const std::string& database) { return database + "-workers"; }

WorkerLocks::~WorkerLocks() { close(); }

std::string WorkerLocks::open_or_create() {
  const std::lock_guard lock(mutex_);
  if (fd_ < 0 || !writable_ || !in_place_locked()) {
    close_locked();
    // Others need to read and lock it: the mode of the database, as far as umask lets it.
    const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
      refuse(path_, "open");
    }
    struct stat info {};
    if (::fstat(fd, &info) != 0) {
      ::close(fd);
      refuse(path_, "examine");
    }
    close_at_fork(fd);
    fd_ = fd;
    file_ = {info.st_dev, info.st_ino};
    writable_ = true;
  }
  std::array<unsigned char, kIdBytes> id{};
  const ssize_t got = ::pread(fd_, id.data(), id.size(), 0);
  if (got < 0) {
    refuse(path_, "read");
  }
  if (got < static_cast<ssize_t>(id.size())) {
    if (::getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) {
      refuse(path_, "make an id for");
    }
    if (::pwrite(fd_, id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) {
      refuse(path_, "write");
    }
  }
  return to_hex(id);
}

bool WorkerLocks::lock(WorkerId worker) {
  const std::lock_guard guard(mutex_);
  struct flock wanted = byte_of(worker, F_WRLCK);
  if (::fcntl(fd_, F_OFD_SETLK, &wanted) == 0) {
    return true;
  }
  if (errno == EAGAIN || errno == EACCES) {
    return false;
  }
  refuse(path_, "lock");
}

void WorkerLocks::unlock(WorkerId worker) noexcept {
  const std::lock_guard guard(mutex_);
  struct flock wanted = byte_of(worker, F_UNLCK);
  static_cast<void>(::fcntl(fd_, F_OFD_SETLK, &wanted));
}

bool WorkerLocks::is_alive(WorkerId worker) {
  const std::lock_guard guard(mutex_);
  // A tracker with a lock of its own keeps its descriptor: dropping it would drop the lock. Its
  // next claim registers again where the file was replaced (in_place()).
  if (fd_ < 0 || (!writable_ && !in_place_locked())) {
    open_existing_locked();
    if (fd_ < 0) {
      return false;
    }
  }
  // Tested for reading, which only a writer's lock refuses: whoever may read the file can hold a
  // read lock on it, and must not look alive.
  struct flock probe = byte_of(worker, F_RDLCK);
  if (::fcntl(fd_, F_OFD_GETLK, &probe) != 0) {
    refuse(path_, "test a lock of");
  }
  return probe.l_type != F_UNLCK;
}

bool WorkerLocks::in_place() {
  const std::lock_guard guard(mutex_);
  return fd_ >= 0 && in_place_locked();
}

void WorkerLocks::close() noexcept {
  const std::lock_guard guard(mutex_);
  close_locked();
}

void WorkerLocks::open_existing_locked() {
  close_locked();
  const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) {
      return;
    }
    refuse(path_, "open");
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    ::close(fd);
    refuse(path_, "examine");
  }
  close_at_fork(fd);
  fd_ = fd;
  file_ = {info.st_dev, info.st_ino};
}

bool WorkerLocks::in_place_locked() const {
  struct stat info {};
  return ::stat(path_.c_str(), &info) == 0 && file_ == FileId{info.st_dev, info.st_ino};
}

void WorkerLocks::close_locked() noexcept {
  if (fd_ >= 0) {
    forget_at_fork(fd_);
    ::close(fd_);
    fd_ = -1;
    writable_ = false;
  }
}

}  // namespace progress_tracker

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

// A link or a pipe of this name is somebody's trap: nothing is written through it, nor waited for.
constexpr int kOpenFlags = O_NOFOLLOW | O_NONBLOCK;

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

WorkerFile WorkerFile::open(const std::string& path) {
  const int fd = open_closed_at_fork(path.c_str(), O_RDONLY | kOpenFlags, 0);
  if (fd < 0 && errno == ENOENT) {
    return {};
  }
  return adopt(fd, path);
}

WorkerFile WorkerFile::open_or_make(const std::string& path, const std::string& database) {
  int fd = open_closed_at_fork(path.c_str(), O_RDWR | kOpenFlags, 0);
  if (fd >= 0 || errno != ENOENT) {
    return adopt(fd, path);
  }
  struct stat owner {};
  if (::stat(database.c_str(), &owner) != 0) {
    refuse(database, "examine");
  }
  const mode_t mode = owner.st_mode & 0666U;
  fd = open_closed_at_fork(path.c_str(), O_RDWR | O_CREAT | O_EXCL, mode);
  WorkerFile file = adopt(fd, path);
  // What umask took away; and root would lock the database's owner out.
  static_cast<void>(::fchmod(fd, mode));
  if (::geteuid() == 0) {
    static_cast<void>(::fchown(fd, owner.st_uid, owner.st_gid));
  }
  return file;
}

WorkerFile WorkerFile::adopt(int fd, const std::string& path) {
  if (fd < 0) {
    refuse(path, "open");
  }
  WorkerFile file;
  file.fd_ = fd;
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    refuse(path, "examine");
  }
  if (!S_ISREG(info.st_mode)) {
    throw Error(ErrorCode::kIo, "workers: " + path + ": not a regular file");
  }
  file.device_ = info.st_dev;
  file.inode_ = info.st_ino;
  return file;
}

WorkerFile::~WorkerFile() {
  if (fd_ >= 0) {
    close_here(fd_);
  }
}

bool WorkerFile::is_at(const std::string& path) const {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && device_ == info.st_dev && inode_ == info.st_ino;
}

WorkerLocks::WorkerLocks(std::string database)
    : database_(std::move(database)), path_(worker_file_of(database_)) {}

std::string WorkerLocks::begin() {
  const std::lock_guard lock(mutex_);
  next_ = WorkerFile::open_or_make(path_, database_);
  std::array<unsigned char, kIdBytes> id{};
  const ssize_t got = ::pread(next_.fd(), id.data(), id.size(), 0);
  if (got < 0) {
    refuse(path_, "read");
  }
  if (got < static_cast<ssize_t>(id.size())) {
    if (::getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) {
      refuse(path_, "make an id for");
    }
    if (::pwrite(next_.fd(), id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) {
      refuse(path_, "write");
    }
  }
  return to_hex(id);
}

bool WorkerLocks::take(WorkerId worker) {
  const std::lock_guard lock(mutex_);
  struct flock wanted = byte_of(worker, F_WRLCK);
  if (::fcntl(next_.fd(), F_OFD_SETLK, &wanted) == 0) {
    return true;
  }
  if (errno == EAGAIN || errno == EACCES) {
    return false;
  }
  refuse(path_, "lock");
}

void WorkerLocks::commit() {
  const std::lock_guard lock(mutex_);
  mine_ = std::move(next_);
  next_ = WorkerFile();
  other_ = WorkerFile();
}

void WorkerLocks::abandon() noexcept {
  const std::lock_guard lock(mutex_);
  next_ = WorkerFile();
}

bool WorkerLocks::in_place() {
  const std::lock_guard lock(mutex_);
  return mine_.is_open() && mine_.is_at(path_);
}

bool WorkerLocks::is_alive(WorkerId worker) {
  const std::lock_guard lock(mutex_);
  const WorkerFile* file = &mine_;
  if (!mine_.is_open() || !mine_.is_at(path_)) {
    if (!other_.is_open() || !other_.is_at(path_)) {
      other_ = WorkerFile::open(path_);
    }
    file = &other_;
  }
  if (!file->is_open()) {
    return false;
  }
  // Tested for reading, which only a writer's lock refuses: whoever may read the file can hold a
  // read lock on it, and must not look alive.
  struct flock probe = byte_of(worker, F_RDLCK);
  if (::fcntl(file->fd(), F_OFD_GETLK, &probe) != 0) {
    refuse(path_, "test a lock of");
  }
  return probe.l_type != F_UNLCK;
}

void WorkerLocks::drop() noexcept {
  const std::lock_guard lock(mutex_);
  mine_ = WorkerFile();
  next_ = WorkerFile();
  other_ = WorkerFile();
}

}  // namespace progress_tracker

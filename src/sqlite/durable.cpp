#include "sqlite/durable.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace progress_tracker::sqlite {

void sync_directory_of(const std::string& path) {
  sync_directory(std::filesystem::path(path).parent_path().native());
}

void sync_directory(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    throw Failure(SQLITE_CANTOPEN, "cannot open " + directory + ": " + std::strerror(errno));
  }
  const bool synced = ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (!synced) {
    throw Failure(SQLITE_IOERR_DIR_FSYNC, "cannot sync " + directory + ": " + std::strerror(error));
  }
}

void sync_log(const Connection& connection) {
  sqlite3_file* log = nullptr;
  const int code = sqlite3_file_control(connection.handle(), "main", SQLITE_FCNTL_JOURNAL_POINTER,
                                        static_cast<void*>(&log));
  if (code != SQLITE_OK || log == nullptr || log->pMethods == nullptr) {
    throw Failure(SQLITE_IOERR_FSYNC, "SQLite has no write-ahead log open");
  }
  const int synced = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
  if (synced != SQLITE_OK) {
    throw Failure(synced, "the disk refused to sync the write-ahead log");
  }
}

void sync_to_disk(Connection& connection, const std::string& path) {
  // The log is opened by the first read.
  Query(connection, "SELECT count(*) FROM property").run();
  sync_log(connection);
  // The log's name is in its directory, and the connection that made the log is the only one that
  // would sync that.
  sync_directory_of(path);
}

}  // namespace progress_tracker::sqlite

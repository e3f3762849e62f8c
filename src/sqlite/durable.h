// Making what was committed survive a power loss.
#ifndef PROGRESS_TRACKER_SRC_SQLITE_DURABLE_H_
#define PROGRESS_TRACKER_SRC_SQLITE_DURABLE_H_

#include <string>

#include "sqlite/connection.h"

namespace progress_tracker::sqlite {

// Syncs the write-ahead log, and so everything that anybody committed before the call: what is not
// in the log any more was synced into the database before the log began anew. Through SQLite's own
// handle, because closing one of ours would drop SQLite's locks. The connection must have read or
// written before. Throws Failure.
void sync_log(const Connection& connection);

// The same, and the log's name. To be called in a read transaction. Throws Failure.
void sync_to_disk(Connection& connection, const std::string& path);

// Syncs a directory, and with it the names in it; the second, the one that `path` is in. Throws
// Failure.
void sync_directory(const std::string& directory);
void sync_directory_of(const std::string& path);

}  // namespace progress_tracker::sqlite

#endif  // PROGRESS_TRACKER_SRC_SQLITE_DURABLE_H_

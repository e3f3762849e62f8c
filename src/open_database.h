// From a path to a database file that is ours and ready to be used.
#ifndef PROGRESS_TRACKER_SRC_OPEN_DATABASE_H_
#define PROGRESS_TRACKER_SRC_OPEN_DATABASE_H_

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "clock.h"
#include "progress_tracker/options.h"
#include "sqlite/connection.h"

namespace progress_tracker {

struct Database {
  std::string path;                                // to be used from now on
  std::unique_ptr<sqlite::Connection> connection;  // the first one, as open_connection() makes it
};

// Checks the path, then the place, then the file's header; and only if it is ours, or new, opens it
// for writing, makes or migrates the schema in one transaction, and switches to WAL. A file that is
// refused is left as it was, byte for byte. Throws Error as the constructor of ProgressTracker
// does.
Database open_database(const std::filesystem::path& given, const Options& options, Clock& clock);

// Opens a further connection to an open database, sets it up, and makes sure that it is in WAL
// mode. Waits for others within busy_timeout. Throws Error.
//
// `check` may refuse the file that was opened, by throwing, before SQLite looks at its log: from
// then on a connection that is the only one to its file would copy that log into it at its end.
std::unique_ptr<sqlite::Connection> open_connection(
    const std::string& path, const Options& options, Clock& clock,
    const std::function<void(const sqlite::Connection&)>& check = {});

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_OPEN_DATABASE_H_

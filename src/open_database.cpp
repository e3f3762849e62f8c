#include "open_database.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <vector>

#include "liveness.h"
#include "log_internal.h"
#include "progress_tracker/error.h"
#include "sqlite/after_fork.h"
#include "sqlite/durable.h"
#include "sqlite/file_identity.h"
#include "sqlite/transaction.h"
#include "store/inspection.h"
#include "store/schema.h"

namespace progress_tracker {
namespace {

using sqlite::Connection;
using sqlite::OpenMode;
using sqlite::Query;
using store::FileKind;

[[noreturn]] void refuse(ErrorCode code, const std::string& path, const std::string& cause) {
  throw Error(code, "open: " + path + ": " + cause);
}

[[noreturn]] void refuse(int error, const std::string& path, const std::string& what) {
  ErrorCode code = ErrorCode::kIo;
  if (error == EACCES || error == EPERM || error == EROFS) {
    code = ErrorCode::kReadOnly;
  } else if (error == ENOSPC || error == EDQUOT) {
    code = ErrorCode::kFull;
  }
  refuse(code, path, what + ": " + std::strerror(error));
}

// Ours, or new; anything else throws.
void check_kind(FileKind kind, const std::string& path, bool read_only) {
  switch (kind) {
    case FileKind::kNew:
      if (read_only) {
        refuse(ErrorCode::kNotFound, path, "is empty, and read_only makes nothing");
      }
      return;
    case FileKind::kOurs:
      return;
    case FileKind::kForeign:
      refuse(ErrorCode::kForeignDatabase, path, "an SQLite file, but not one of progress_tracker");
    case FileKind::kTooNew:
      refuse(ErrorCode::kSchemaTooNew, path,
             "written by a newer version of progress_tracker; this one knows schema version " +
                 std::to_string(store::kSchemaVersion));
    case FileKind::kOutdated:
      if (read_only) {
        refuse(ErrorCode::kSchemaTooOld, path,
               "written by an earlier version of progress_tracker: open it once for writing");
      }
      return;
    case FileKind::kTooOld:
      refuse(ErrorCode::kSchemaTooOld, path, "has a schema version that was never released");
  }
}

// Each new name is synced, or a power loss could take the directories with all that is in them.
void make_directories(const std::string& path) {
  const auto nearest = sqlite::nearest_directory(path);
  std::vector<std::filesystem::path> missing;
  for (auto directory = std::filesystem::path(path).parent_path(); directory != nearest;
       directory = directory.parent_path()) {
    missing.push_back(directory);
  }
  std::error_code error;
  for (; !missing.empty() && !error; missing.pop_back()) {
    std::filesystem::create_directory(missing.back(), error);
    try {
      sqlite::sync_directory_of(missing.back().native());
    } catch (const sqlite::Failure&) {
      // Its parent cannot be opened by us, or does not sync directories: SQLite passes over that
      // too.
    }
  }
  if (error) {
    refuse(error.value(), path, "cannot make its directory");
  }
}

void check_writable(const std::string& path, bool exists) {
  const std::string directory = std::filesystem::path(path).parent_path().native();
  if (::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    refuse(errno, path, "cannot write to its directory");
  }
  if (exists && ::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) != 0) {
    refuse(errno, path, "cannot write to it");
  }
  // As somebody else leaves them who reads the database where others may write.
  for (const char* suffix : {"-wal", "-shm", "-workers"}) {
    const std::string side = path + suffix;
    if (::faccessat(AT_FDCWD, side.c_str(), R_OK | W_OK, AT_EACCESS) != 0 && errno != ENOENT) {
      refuse(errno, path, "cannot write to " + side + " beside it");
    }
  }
}

bool has_content(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return !error && size > 0;
}

// A log whose database is gone may hold the latest commits of one that was moved away, and SQLite
// would remove it. So it gets a second name. Returns a warning.
std::string keep_lost_log(const std::string& path) {
  constexpr int kMostKept = 1000;
  const std::string log = path + "-wal";
  for (int number = 1;; ++number) {
    const std::string kept = std::string(log).append("-lost-").append(std::to_string(number));
    if (::link(log.c_str(), kept.c_str()) == 0) {
      return std::string("open: ")
          .append(path)
          .append(": is new, but a write-ahead log lay there, perhaps with commits of a database ")
          .append("that was moved away; it is kept as ")
          .append(kept);
    }
    if (errno != EEXIST || number == kMostKept) {
      refuse(errno, path, "is missing, and its write-ahead log, which is there, cannot be kept");
    }
  }
}

bool is_wal(Connection& connection) {
  Query query(connection, "PRAGMA journal_mode");
  return query.next() && query.text(0) == "wal";
}

// A worker of an earlier version would go on with the tables that it knows.
void check_nobody_works(Connection& connection, const std::string& path) {
  WorkerLocks locks(path);
  for (const Worker& worker :
       store::all_workers(connection, [&](WorkerId id) { return locks.is_alive(id); })) {
    if (worker.alive) {
      refuse(ErrorCode::kBusy, path,
             "was made by an earlier version of progress_tracker, and process " +
                 std::to_string(worker.pid) + " still works with it: end it first");
    }
  }
}

// A table that was changed could run code (generated columns, CHECKs), or lack what our statements
// rely on.
void check_schema(Connection& connection, const std::string& path, bool read_only) {
  if (const std::string change = store::schema_change(connection); !change.empty()) {
    check_kind(store::kind_of(connection), path, read_only);  // it may have been migrated just now
    refuse(ErrorCode::kCorrupt, path,
           change +
               ": another program changed the schema, or the file is damaged: undo the change, or "
               "restore a copy");
  }
}

// Makes the schema if the file is new, or brings it up to date. A new file is in rollback-journal
// mode, so that the file itself carries its identity before there is a WAL; SQLite's default then
// syncs it.
void make_schema(Connection& connection, const std::string& path) {
  connection.execute("PRAGMA foreign_keys = OFF");  // as migrate() wants it
  Query(connection, "BEGIN IMMEDIATE").run();
  const FileKind kind = store::kind_of(connection);
  check_kind(kind, path, false);
  if (kind == FileKind::kNew) {
    store::create_schema(connection);
  } else if (kind == FileKind::kOutdated) {
    check_nobody_works(connection, path);
    store::migrate(connection);
  }
  check_schema(connection, path, false);
  Query(connection, "COMMIT").run();
}

// SQLite does not wait for others here, so we do.
void switch_to_wal(Connection& connection, const std::string& path, sqlite::WaitBudget& budget) {
  for (int tries = 0;; ++tries) {
    try {
      connection.execute("PRAGMA journal_mode = WAL");
      break;
    } catch (const sqlite::Failure& failure) {
      if (failure.primary() != SQLITE_BUSY || !budget.sleep(sqlite::busy_pause(tries))) {
        throw;
      }
    }
  }
  if (!is_wal(connection)) {
    refuse(ErrorCode::kUnsupportedFilesystem, path,
           "SQLite cannot use a write-ahead log there: no shared memory");
  }
}

// The identity as the log has it, which may be newer than the header.
void check_through_log(const std::string& path, const Options& options,
                       sqlite::WaitBudget& budget) {
  sqlite::retry("open", path, options, budget, [&] {
    try {
      Connection connection(path, OpenMode::kReadOnly);
      connection.set_budget(&budget);
      check_kind(store::kind_of(connection), path, true);
      check_schema(connection, path, true);
    } catch (const sqlite::Failure& failure) {
      if (failure.primary() == SQLITE_READONLY || failure.primary() == SQLITE_CANTOPEN) {
        refuse(ErrorCode::kIo, path,
               std::string("is in WAL mode, and SQLite cannot make its -wal and -shm beside it, or "
                           "use them: read a snapshot() of it (") +
                   failure.what() + ")");
      }
      throw;
    }
  });
}

// As open_connection(), within what is left of the budget.
std::unique_ptr<Connection> connect(const std::string& path, const Options& options,
                                    sqlite::WaitBudget& budget,
                                    const std::function<void(const Connection&)>& check = {}) {
  std::unique_ptr<Connection> connection;
  sqlite::retry("open", path, options, budget, [&] {
    connection = std::make_unique<Connection>(
        path, options.read_only ? OpenMode::kReadOnly : OpenMode::kReadWrite);
    if (check) {
      check(*connection);
    }
    connection->set_budget(&budget);
    connection->configure(options);
    // Reading needs no WAL: snapshot() makes files without one.
    if (!options.read_only && !is_wal(*connection)) {
      refuse(ErrorCode::kIo, path, "is not in WAL mode any more");
    }
  });
  connection->set_budget(nullptr);
  return connection;
}

}  // namespace

Database open_database(const std::filesystem::path& given, const Options& options, Clock& clock) {
  sqlite::prepare_for_forks();
  std::string path = sqlite::canonical_path(given);
  // Before the database: whoever makes one makes its log later.
  const bool has_log = has_content(path + "-wal");
  std::error_code ignored;
  const bool exists = std::filesystem::exists(path, ignored);
  if (!exists && options.read_only) {
    refuse(ErrorCode::kNotFound, path, "no such file");
  }
  const std::string warning = sqlite::check_place(path);
  std::optional<sqlite::Header> header;
  if (!exists) {
    make_directories(path);
  } else {
    if (!options.read_only) {
      check_writable(path, true);
    }
    if (!sqlite::creation_was_cut_off(path)) {
      header = sqlite::read_header(path);
    }
  }
  const FileKind kind = header.has_value()
                            ? store::kind_of(header->application_id, header->user_version)
                            : FileKind::kNew;
  if (kind != FileKind::kOutdated) {  // its log may have brought it up to date
    check_kind(kind, path, options.read_only);
  }
  if (!warning.empty()) {
    internal::log(LogLevel::kWarn, warning);
  }
  // One for all that follows, as the constructor waits no longer than one transaction.
  sqlite::WaitBudget budget(clock, options.busy_timeout);
  if (options.read_only) {
    check_through_log(path, options, budget);
    return {path, connect(path, options, budget)};
  }
  check_writable(path, exists);
  if (kind == FileKind::kNew && has_log) {
    internal::log(LogLevel::kWarn, keep_lost_log(path));
  }

  Database database{path, nullptr};
  sqlite::retry("open", path, options, budget, [&] {
    Connection connection(path, OpenMode::kCreate);
    connection.set_budget(&budget);
    connection.leave_log_at_close(true);
    if (sqlite3_db_readonly(connection.handle(), "main") == 1) {
      refuse(ErrorCode::kReadOnly, path, "cannot be written");
    }
    // The header may be older than the WAL, or the remains of a creation that was cut off; this is
    // what holds.
    if (store::kind_of(connection) != FileKind::kOurs) {
      make_schema(connection, path);
    } else {
      check_schema(connection, path, false);
    }
    connection.leave_log_at_close(false);  // it is ours
    if (!is_wal(connection)) {
      switch_to_wal(connection, path, budget);
    }
    // While this one is open: the last one to close would copy the log into the file, and sync it,
    // only for the next one to begin it anew.
    database.connection = connect(path, options, budget);
  });
  return database;
}

std::unique_ptr<Connection> open_connection(const std::string& path, const Options& options,
                                            Clock& clock,
                                            const std::function<void(const Connection&)>& check) {
  sqlite::WaitBudget budget(clock, options.busy_timeout);
  return connect(path, options, budget, check);
}

}  // namespace progress_tracker

#include "sqlite/transaction.h"

#include <algorithm>
#include <chrono>

namespace progress_tracker::sqlite {
namespace {

ErrorCode code_of(const Failure& failure) {
  if (failure.code() == SQLITE_READONLY_DBMOVED) {
    return ErrorCode::kDatabaseMoved;
  }
  switch (failure.primary()) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return ErrorCode::kBusy;
    case SQLITE_READONLY:
      return ErrorCode::kReadOnly;
    case SQLITE_FULL:
      return ErrorCode::kFull;
    case SQLITE_NOTADB:
      return ErrorCode::kNotADatabase;
    case SQLITE_CORRUPT:
    case SQLITE_CONSTRAINT:  // our statements break no rule on a sound file
    case SQLITE_ERROR:       // nor do they name a table that a sound file lacks
    case SQLITE_MISMATCH:
    case SQLITE_SCHEMA:
      return ErrorCode::kCorrupt;
    default:
      return ErrorCode::kIo;
  }
}

bool worth_running_again(const Failure& failure) {
  return failure.code() == SQLITE_BUSY_SNAPSHOT || failure.code() == SQLITE_BUSY_RECOVERY ||
         failure.primary() == SQLITE_PROTOCOL;
}

std::string describe(std::string_view operation, const std::string& path, std::string_view cause) {
  std::string message(operation);
  message += ": ";
  message += path;
  message += ": ";
  message += cause;
  return message;
}

Error busy(std::string_view operation, const std::string& path, const Options& options, int code,
           std::string_view cause) {
  std::string waited(cause);
  waited += " (waited " + std::to_string(options.busy_timeout.count()) + " ms)";
  return {ErrorCode::kBusy, describe(operation, path, waited), code};
}

// Lends the budget to a connection, and sees to it that no transaction outlives the scope.
class Scope {
 public:
  Scope(Connection& connection, WaitBudget& budget) : connection_(connection) {
    connection_.set_budget(&budget);
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() {
    // Some errors end the transaction and some do not; only SQLite knows. A rollback that fails
    // leaves nothing either: what was not committed is not there.
    if (connection_.in_transaction()) {
      sqlite3_exec(connection_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
    connection_.set_budget(nullptr);
  }

 private:
  Connection& connection_;
};

}  // namespace

Error to_error(std::string_view operation, const std::string& path, const Failure& failure) {
  return {code_of(failure), describe(operation, path, failure.what()), failure.code()};
}

void retry(std::string_view operation, const std::string& path, const Options& options,
           WaitBudget& budget, const std::function<void()>& attempt) {
  // A pause of nothing would use nothing of the budget up.
  std::chrono::nanoseconds delay = std::max(options.retry_delay, std::chrono::milliseconds(1));
  for (int tries = 0;; ++tries) {
    try {
      return attempt();
    } catch (const Failure& failure) {
      if (!worth_running_again(failure)) {
        if (code_of(failure) == ErrorCode::kBusy) {
          throw busy(operation, path, options, failure.code(), failure.what());
        }
        throw to_error(operation, path, failure);
      }
      if (!budget.sleep(delay)) {
        throw busy(operation, path, options, failure.code(), failure.what());
      }
    }
    if (tries < options.max_retries && delay < std::chrono::hours(1)) {
      delay *= 2;
    }
  }
}

Connection& Transactions::connection_of_this_thread(std::string_view operation) {
  try {
    return connections_.mine();
  } catch (const Failure& failure) {
    throw to_error(operation, path_, failure);
  }
}

void Transactions::check_not_poisoned(std::string_view operation) const {
  if (poisoned()) {
    throw Error(ErrorCode::kOutcomeUnknown,
                describe(operation, path_, "what became of an earlier commit is unknown: reopen"));
  }
}

void Transactions::run_write(std::string_view operation, const Step& step) {
  Connection& connection = connection_of_this_thread(operation);
  WaitBudget budget(clock_, options_.busy_timeout);
  retry(operation, path_, options_, budget, [&] {
    const WriterQueue::Place place(writers_, budget);
    if (!place.held()) {
      throw busy(operation, path_, options_, SQLITE_BUSY, "other threads are writing");
    }
    check_not_poisoned(operation);
    const Scope scope(connection, budget);
    Query(connection, "BEGIN IMMEDIATE").run();
    connection.note_beginning();
    // Before anything is made beside a file that is gone, and again before it is acknowledged.
    check_not_moved(operation, connection);
    step(connection);
    check_not_moved(operation, connection);
    commit(operation, connection, budget);
    connection.note_end();
    if (const std::string notice = guard_.after_commit(connection); !notice.empty()) {
      const std::lock_guard lock(notice_mutex_);
      notice_ = describe(operation, path_, notice);
      has_notice_.store(true, std::memory_order_relaxed);
    }
  });
  if (options_.synchronous == Options::Synchronous::kFull) {
    wait_for_disk(operation, connection);
  }
}

// Called when the writer's place is free again, so that others commit while the disk works.
void Transactions::wait_for_disk(std::string_view operation, const Connection& connection) {
  try {
    shared_sync_.wait(connection);
  } catch (const Failure& failure) {
    poison();
    throw Error(
        ErrorCode::kOutcomeUnknown,
        describe(operation, path_,
                 std::string("committed, but perhaps not for a power loss: ") + failure.what()),
        failure.code());
  }
}

// In WAL mode SQLite itself goes on with a file that nobody else can find any more.
void Transactions::check_not_moved(std::string_view operation, const Connection& connection) {
  if (connection.has_moved()) {
    throw Error(ErrorCode::kDatabaseMoved,
                describe(operation, path_, "the file was deleted, renamed or replaced"));
  }
}

std::string Transactions::take_notice() {
  if (!has_notice_.load(std::memory_order_relaxed)) {
    return {};
  }
  const std::lock_guard lock(notice_mutex_);
  has_notice_.store(false, std::memory_order_relaxed);
  return std::exchange(notice_, {});
}

void Transactions::commit(std::string_view operation, Connection& connection, WaitBudget& budget) {
  for (int tries = 0;; ++tries) {
    try {
      return Query(connection, "COMMIT").run();
    } catch (const Failure& failure) {
      if (failure.primary() == SQLITE_IOERR) {
        poison();
        throw Error(ErrorCode::kOutcomeUnknown,
                    describe(operation, path_,
                             std::string("I/O error while committing: ") + failure.what()),
                    failure.code());
      }
      const bool only_busy = failure.primary() == SQLITE_BUSY && connection.in_transaction();
      if (!only_busy || !budget.sleep(busy_pause(tries))) {
        throw;
      }
    }
  }
}

void Transactions::run_read(std::string_view operation, const Step& step) {
  Connection& connection = connection_of_this_thread(operation);
  WaitBudget budget(clock_, options_.busy_timeout);
  retry(operation, path_, options_, budget, [&] {
    check_not_poisoned(operation);
    const Scope scope(connection, budget);
    connection.note_beginning();
    Query(connection, "BEGIN").run();
    check_not_moved(operation, connection);
    step(connection);
    Query(connection, "COMMIT").run();
    connection.note_end();
  });
}

}  // namespace progress_tracker::sqlite

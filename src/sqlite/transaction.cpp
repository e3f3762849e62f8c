#include "sqlite/transaction.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <new>
#include <span>

namespace progress_tracker::sqlite {
namespace {

ErrorCode code_of(const Failure& failure) {
  if (failure.code() == SQLITE_READONLY_DBMOVED) {
    return ErrorCode::kDatabaseMoved;
  }
  if (failure.code() == SQLITE_IOERR_SHMSIZE) {
    return ErrorCode::kFull;  // nearly always: there is no room for the log's index to grow
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
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:      // the header said that it is ours
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

// The exception that is being handled, as one of `operation`, where it names the operation that it
// was committed with.
std::exception_ptr current_failure_of(std::string_view operation, std::string_view named) noexcept {
  std::exception_ptr failure = std::current_exception();
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    try {
      std::string message(error.what());
      if (message.starts_with(named)) {
        message.replace(0, named.size(), operation);
      }
      failure = std::make_exception_ptr(Error(error.code(), message, error.sqlite_code()));
    } catch (const std::bad_alloc&) {
      // Then as it was.
    }
  } catch (...) {
  }
  return failure;
}

// Lends the budget to a connection, and sees to it that no transaction outlives the scope.
class Scope {
 public:
  Scope(Connection& connection, WaitBudget& budget) : connection_(connection) {
    connection_.rollback();  // of what could not be rolled back when it ended
    connection_.set_budget(&budget);
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() {
    // Some errors end the transaction and some do not; only SQLite knows. A rollback that fails
    // leaves nothing either: what was not committed is not there.
    connection_.rollback();
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
        if (failure.code() == SQLITE_IOERR_NOMEM) {
          throw std::bad_alloc();
        }
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

Transactions::Transactions(const std::string& path, const Options& options, Clock& clock,
                           ThreadConnections& connections, CheckpointGuard& guard)
    : path_(path),
      options_(options),
      clock_(clock),
      connections_(connections),
      guard_(guard),
      shared_sync_(path),
      outcome_unknown_(std::make_exception_ptr(
          Error(ErrorCode::kOutcomeUnknown, path + ": what became of a commit is unknown"))) {}

const char* Transactions::poison_in_words() const {
  return poison_.load(std::memory_order_relaxed) == Poison::kDisk
             ? "the disk has refused to sync"
             : "what became of an earlier commit is unknown";
}

void Transactions::throw_outcome_unknown(std::string_view operation, Poison why,
                                         std::string_view what, const char* cause, int code) {
  poison(why);
  try {
    throw Error(ErrorCode::kOutcomeUnknown,
                describe(operation, path_, std::string(what) + ": " + cause), code);
  } catch (const std::bad_alloc&) {
    std::rethrow_exception(outcome_unknown_);
  }
}

void Transactions::check_not_poisoned(std::string_view operation) const {
  if (poisoned()) {
    throw Error(ErrorCode::kOutcomeUnknown,
                describe(operation, path_, std::string(poison_in_words()) + ": reopen"));
  }
}

void Transactions::run_write(std::string_view operation, const Step& step) {
  Connection& connection = connections_.mine();
  WaitBudget budget(clock_, options_.busy_timeout);
  retry(operation, path_, options_, budget, [&] {
    const WriterQueue::Place place(writers_, budget);
    if (!place.held()) {
      throw busy(operation, path_, options_, SQLITE_BUSY, "other threads are writing");
    }
    check_not_poisoned(operation);
    const Scope scope(connection, budget);
    begin_write(operation, connection);
    step(connection);
    end_write(operation, connection, budget);
  });
  wait_for_disk(operation, connection);
}

// What a thread asks of whoever has the writer's place.
struct Transactions::Request : WriterQueue::Visitor {
  Request(std::string_view its_operation, const Step& its_step, WaitBudget& its_budget)
      : Visitor(its_budget, true), operation(its_operation), step(its_step), budget(its_budget) {}

  std::string_view operation;
  const Step& step;
  WaitBudget& budget;
  std::exception_ptr failure;  // of the work, or of what it was committed with
};

void Transactions::run_write_by_any(std::string_view operation, const Step& step) {
  Connection& connection = connections_.mine();
  WaitBudget budget(clock_, options_.busy_timeout);
  retry(operation, path_, options_, budget, [&] {
    Request request(operation, step, budget);
    switch (writers_.enter(request)) {
      case WriterQueue::Entry::kPlace:
        write_together(request, connection);
        break;
      case WriterQueue::Entry::kDone:
        break;
      case WriterQueue::Entry::kNone:
        throw busy(operation, path_, options_, SQLITE_BUSY, "other threads are writing");
    }
    if (request.failure != nullptr) {
      std::rethrow_exception(request.failure);
    }
  });
}

// Nothing may be thrown here, as others wait.
void Transactions::write_together(Request& first, Connection& connection) {
  std::array<WriterQueue::Visitor*, kMostTogether> together;
  std::size_t count = 0;
  together[count++] = &first;
  const auto fail_all = [&] {
    for (std::size_t i = 0; i < count; ++i) {
      auto& request = static_cast<Request&>(*together[i]);
      if (request.failure == nullptr) {
        request.failure = current_failure_of(request.operation, first.operation);
      }
    }
  };
  bool committed = false;
  try {
    check_not_poisoned(first.operation);
    const Scope scope(connection, first.budget);
    begin_write(first.operation, connection);
    first.step(connection);
    while (count < kMostTogether && (together[count] = writers_.take_next()) != nullptr) {
      add_to_transaction(static_cast<Request&>(*together[count++]), connection);
    }
    end_write(first.operation, connection, first.budget);
    committed = true;
  } catch (...) {
    fail_all();
  }
  writers_.leave();
  if (committed) {
    try {
      wait_for_disk(first.operation, connection);
    } catch (...) {
      fail_all();
    }
  }
  writers_.done(std::span(together).subspan(1, count - 1));
}

void Transactions::add_to_transaction(Request& request, Connection& connection) {
  Query(connection, "SAVEPOINT request").run();
  try {
    request.step(connection);
  } catch (...) {
    request.failure = std::current_exception();
    if (!connection.in_transaction()) {
      throw;  // SQLite has rolled back all of it
    }
    Query(connection, "ROLLBACK TO request").run();
  }
  Query(connection, "RELEASE request").run();
}

void Transactions::begin_write(std::string_view operation, Connection& connection) {
  Query(connection, "BEGIN IMMEDIATE").run();
  connection.note_beginning();
  // Before anything is made beside a file that is gone, and again before it is acknowledged.
  check_not_moved(operation, connection);
}

void Transactions::end_write(std::string_view operation, Connection& connection,
                             WaitBudget& budget) {
  check_not_moved(operation, connection);
  commit(operation, connection, budget);
  connection.note_end();
  try {
    if (const std::string notice = guard_.after_commit(connection); !notice.empty()) {
      std::string described = describe(operation, path_, notice);
      const std::lock_guard lock(notice_mutex_);
      notice_ = std::move(described);
      has_notice_.store(true, std::memory_order_relaxed);
    }
  } catch (const std::bad_alloc&) {
    // The work is done and committed. A later commit will checkpoint.
  }
  if (guard_.disk_has_refused()) {
    disk_has_refused();  // this commit stands, and a power loss may cost what no sync will save
  }
}

// In WAL mode SQLite itself goes on with a file that nobody else can find any more.
void Transactions::check_not_moved(std::string_view operation, const Connection& connection) {
  if (connection.has_moved()) {
    throw Error(ErrorCode::kDatabaseMoved,
                describe(operation, path_, "the file was deleted, renamed or replaced"));
  }
}

void Transactions::wait_for_disk(std::string_view operation, const Connection& connection) {
  if (options_.synchronous != Options::Synchronous::kFull) {
    return;
  }
  constexpr std::string_view kWhat = "committed, but perhaps not for a power loss";
  try {
    shared_sync_.wait(connection);
  } catch (const Failure& failure) {
    throw_outcome_unknown(operation, Poison::kDisk, kWhat, failure.what(), failure.code());
  } catch (const std::exception& error) {
    throw_outcome_unknown(operation, Poison::kDisk, kWhat, error.what(), 0);
  }
  if (poisoned()) {  // by a sync() that the disk refused meanwhile
    throw_outcome_unknown(operation, Poison::kDisk, kWhat, poison_in_words(), 0);
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
  Query commit(connection, "COMMIT");
  for (int tries = 0;; ++tries) {
    try {
      return commit.run_again();
    } catch (const Failure& failure) {
      if (failure.primary() == SQLITE_IOERR) {
        throw_outcome_unknown(operation, Poison::kCommit, "I/O error while committing",
                              failure.what(), failure.code());
      }
      const bool only_busy = failure.primary() == SQLITE_BUSY && connection.in_transaction();
      if (!only_busy || !budget.sleep(busy_pause(tries))) {
        throw;
      }
    } catch (const std::bad_alloc&) {
      // SQLite writes the log before it makes room in the log's index. Whoever recovers the log
      // after a crash finds in it what nobody can see now.
      throw_outcome_unknown(operation, Poison::kCommit, "while committing", "out of memory",
                            SQLITE_NOMEM);
    }
  }
}

void Transactions::run_read(std::string_view operation, const Step& step) {
  Connection& connection = connections_.mine();
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

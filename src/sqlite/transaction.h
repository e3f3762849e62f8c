// Runs a piece of work as one transaction: begins it, waits for others, runs it again where that
// helps, commits it, and turns what SQLite says into the library's Error.
//
// What is repeated and what is not, in one place:
//
//   busy while beginning or inside a statement    SQLite has waited through our busy handler, as
//                                                 long as Options::busy_timeout: kBusy
//   a lost snapshot (BUSY_SNAPSHOT), recovery     rolled back, and all of the work run again after
//   after a crash (BUSY_RECOVERY), the WAL start  Options::retry_delay, doubling max_retries times,
//   race (PROTOCOL)                               until busy_timeout is used up: kBusy
//   busy at COMMIT, transaction still open        only the COMMIT again, until then: kBusy
//   I/O error or no memory at COMMIT, or I/O      nobody knows what became of it: kOutcomeUnknown,
//   error at the sync that kFull waits for        and no further transaction is begun
//   the disk refuses to sync for a checkpoint     the commit before it stands; no further one
//   or for sync()                                 is begun: kOutcomeUnknown
//   anything else                                 rolled back, thrown, never repeated
#ifndef PROGRESS_TRACKER_SRC_SQLITE_TRANSACTION_H_
#define PROGRESS_TRACKER_SRC_SQLITE_TRANSACTION_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "progress_tracker/error.h"
#include "progress_tracker/options.h"
#include "sqlite/checkpoint_guard.h"
#include "sqlite/connection.h"
#include "sqlite/shared_sync.h"
#include "sqlite/thread_connections.h"
#include "writer_queue.h"

namespace progress_tracker::sqlite {

// The Error that a failure of SQLite stands for, naming the operation and the file.
Error to_error(std::string_view operation, const std::string& path, const Failure& failure);

// Calls `attempt` until it succeeds, under the rules above; for work that is not a plain
// transaction, such as opening a file. `attempt` has to leave nothing behind when it throws.
void retry(std::string_view operation, const std::string& path, const Options& options,
           WaitBudget& budget, const std::function<void()>& attempt);

class Transactions {
 public:
  // All of these must outlive the object.
  Transactions(const std::string& path, const Options& options, Clock& clock,
               ThreadConnections& connections, CheckpointGuard& guard);

  // Runs `work(connection)` in a write transaction (BEGIN IMMEDIATE) and returns its result. The
  // work may be run several times; what it throws rolls the transaction back and goes to the
  // caller.
  template <typename Work>
  auto write(std::string_view operation, const Work& work) {
    return collect(work, [&](const Step& step) { run_write(operation, step); });
  }

  // The same for short work that any thread of the tracker may do: it locks nothing, and does not
  // depend on the thread. What several threads ask for at the same time is committed together; what
  // the work of one throws is rolled back alone.
  template <typename Work>
  auto write_by_any(std::string_view operation, const Work& work) {
    return collect(work, [&](const Step& step) { run_write_by_any(operation, step); });
  }

  // The same for work that only reads: it sees one state of the database and waits for no writer.
  template <typename Work>
  auto read(std::string_view operation, const Work& work) {
    return collect(work, [&](const Step& step) { run_read(operation, step); });
  }

  // What this thread's connection knows of the log: its state now, and the one in which all held
  // that this thread's latest transaction saw and wrote.
  std::optional<LogState> log_state() { return connections_.mine().log_state(); }
  std::optional<LogState> known_state() { return connections_.mine().known_state(); }

  // To be called between two of the transactions that a long piece of work was cut into. Sleeps
  // longer than the longest busy_pause(), so that whoever waits for the write lock gets it: one
  // who takes it again at once would keep everybody else out.
  void make_way() { clock_.sleep_for(kMakeWay); }

  // What went wrong without hurting anybody, to be logged by whoever holds no lock; "" if nothing.
  std::string take_notice();

  // Whether no transaction is begun any more, and why.
  bool poisoned() const { return poison_.load(std::memory_order_relaxed) != Poison::kNone; }
  const char* poison_in_words() const;

  // To be called when the disk refused to sync. The kernel forgets what it could not write, so that
  // another sync would falsely succeed.
  void disk_has_refused() { poison(Poison::kDisk); }

 private:
  using Step = std::function<void(Connection&)>;

  // How many requests are committed together at most: some milliseconds' work, as each is short.
  static constexpr std::size_t kMostTogether = 32;

  // The longest busy_pause() is 1 ms, and a sleep takes some 0.1 ms more than asked for.
  static constexpr std::chrono::microseconds kMakeWay{1'500};

  template <typename Work, typename Run>
  static auto collect(const Work& work, const Run& run) {
    using Result = std::invoke_result_t<const Work&, Connection&>;
    if constexpr (std::is_void_v<Result>) {
      run([&](Connection& connection) { work(connection); });
    } else {
      std::optional<Result> result;
      run([&](Connection& connection) { result.emplace(work(connection)); });
      return std::move(*result);
    }
  }

  enum class Poison {
    kNone,
    kCommit,  // nobody knows what became of one
    kDisk,    // it has refused to sync
  };
  // The first reason stays.
  void poison(Poison why) {
    Poison none = Poison::kNone;
    poison_.compare_exchange_strong(none, why, std::memory_order_relaxed);
  }
  // Poisons, and throws kOutcomeUnknown whether or not there is memory to say more.
  [[noreturn]] void throw_outcome_unknown(std::string_view operation, Poison why,
                                          std::string_view what, const char* cause, int code);

  void check_not_poisoned(std::string_view operation) const;
  struct Request;

  void run_write(std::string_view operation, const Step& step);
  void run_write_by_any(std::string_view operation, const Step& step);
  // Of a request that holds the writer's place: does its work and that of those who wait behind it,
  // in one transaction.
  void write_together(Request& first, Connection& connection);
  static void add_to_transaction(Request& request, Connection& connection);
  void begin_write(std::string_view operation, Connection& connection);
  void end_write(std::string_view operation, Connection& connection, WaitBudget& budget);
  void run_read(std::string_view operation, const Step& step);
  void check_not_moved(std::string_view operation, const Connection& connection);
  void commit(std::string_view operation, Connection& connection, WaitBudget& budget);
  // With Synchronous::kFull. Called when the writer's place is free again, so that others commit
  // while the disk works.
  void wait_for_disk(std::string_view operation, const Connection& connection);

  const std::string& path_;
  const Options& options_;
  Clock& clock_;
  ThreadConnections& connections_;
  CheckpointGuard& guard_;
  WriterQueue writers_;
  SharedSync shared_sync_;
  std::atomic<Poison> poison_{Poison::kNone};
  const std::exception_ptr outcome_unknown_;  // made while there was memory for it

  std::atomic<bool> has_notice_{false};
  std::mutex notice_mutex_;
  std::string notice_;  // guarded by notice_mutex_: the latest
};

}  // namespace progress_tracker::sqlite

#endif  // PROGRESS_TRACKER_SRC_SQLITE_TRANSACTION_H_

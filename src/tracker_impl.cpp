#include "tracker_impl.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "store/jobs.h"
#include "store/work.h"
#include "testing_hooks.h"

namespace progress_tracker {
namespace {

using sqlite::Connection;

Options checked(Options options) {
  const auto require = [](bool good, const char* what) {
    if (!good) {
      throw Error(ErrorCode::kInvalidArgument, std::string("open: Options::") + what);
    }
  };
  require(options.busy_timeout.count() >= 0, "busy_timeout is negative");
  require(options.retry_delay.count() >= 0, "retry_delay is negative");
  require(options.max_retries >= 0, "max_retries is negative");
  require(options.cache_size_kib >= 0, "cache_size_kib is negative");
  require(options.max_deaths >= 0, "max_deaths is negative");
  require(options.synchronous == Options::Synchronous::kNormal ||
              options.synchronous == Options::Synchronous::kFull,
          "synchronous is neither kNormal nor kFull");
  // For ever, for every purpose; and small enough for arithmetic in nanoseconds.
  constexpr std::chrono::milliseconds kForEver = std::chrono::hours(24 * 365 * 10);
  options.busy_timeout = std::min(options.busy_timeout, kForEver);
  options.retry_delay = std::min(options.retry_delay, kForEver);
  return options;
}

[[noreturn]] void throw_completed(std::string_view operation, ImageId image) {
  throw Error(
      ErrorCode::kInvalidTransition,
      std::string(operation) + ": " + store::describe(image) + ": completed images stay completed");
}

}  // namespace

void throw_not_found(std::string_view operation, ImageId image) {
  throw Error(ErrorCode::kNotFound, std::string(operation) + ": no such " + store::describe(image));
}

ProgressTracker::Impl::Impl(const std::filesystem::path& given_path, const Options& given_options,
                            Clock& given_clock)
    : Impl(checked(given_options), given_clock,
           open_database(given_path, checked(given_options), given_clock)) {}

ProgressTracker::Impl::Impl(const Options& checked_options, Clock& given_clock, Database database)
    : options(checked_options),
      clock(given_clock),
      path(std::move(database.path)),
      checkpointer(std::move(database.connection)),
      file(sqlite::file_id(path)),
      guard(*checkpointer, clock),
      connections([this] { return open_same_file(); }),
      transactions(path, options, clock, connections, guard),
      worker(transactions, path, options, clock),
      loader(transactions, worker, options, clock),
      buffer(options.mark_buffer) {}

void ProgressTracker::Impl::throw_moved(std::string_view operation) const {
  throw Error(ErrorCode::kDatabaseMoved,
              std::string(operation) + ": " + path + ": the file was deleted, renamed or replaced");
}

// A further connection, to the file that the first one opened, and not to whatever has its name
// now: that may come and go while this one is opened.
std::unique_ptr<Connection> ProgressTracker::Impl::open_same_file() const {
  const auto is_same = [&] { return sqlite::file_id(path) == file; };
  const auto check = [&](const Connection& connection) {
    if (connection.has_moved() || !is_same()) {
      throw_moved("open");
    }
  };
  if (!is_same()) {
    throw_moved("open");
  }
  try {
    auto connection = open_connection(path, options, clock, check);
    check(*connection);
    return connection;
  } catch (const Error&) {
    if (!is_same()) {
      throw_moved("open");
    }
    throw;
  }
}

std::size_t ProgressTracker::Impl::flush_marks() {
  if (!buffer.enabled()) {
    return 0;
  }
  const std::lock_guard lock(buffer_mutex);
  return flush_marks_locked();
}

std::size_t ProgressTracker::Impl::flush_marks_locked() {
  if (buffer.empty()) {
    return 0;
  }
  constexpr std::string_view kOperation = "commit buffered marks";
  std::optional<sqlite::LogState> before;
  const auto marked = transactions.write(kOperation, [&](Connection& db) {
    before = db.log_state();
    store::StateChanges changes(db, clock.wall_ms());
    auto result = changes.mark_all(buffer.marks());
    changes.finish();
    return result;
  });
  buffer.committed(before, transactions.known_state());
  return marked.refused + marked.unknown.size();
}

std::string ProgressTracker::Impl::describe_dropped(std::size_t marks) const {
  return "buffered marks: " + path + ": dropped " + std::to_string(marks) +
         " that another tracker had made impossible";
}

void ProgressTracker::Impl::remember_open(std::span<const Image> images) {
  if (!buffer.enabled()) {
    return;
  }
  std::vector<ImageId> ids;
  try {
    ids.reserve(images.size());
  } catch (const std::bad_alloc&) {
    return;  // they are handed out: the buffer will have to ask for them
  }
  for (const Image& image : images) {
    ids.push_back(image.id);
  }
  remember_open(ids);
}

void ProgressTracker::Impl::remember_open(std::span<const ImageId> images) {
  if (buffer.enabled()) {
    const auto state = transactions.known_state();
    const std::lock_guard lock(buffer_mutex);
    try {
      buffer.know_open(images, state);
    } catch (const std::bad_alloc&) {
      // The buffer will have to ask for those that it does not know.
    }
  }
}

void ProgressTracker::Impl::mark(Call& call, ImageId image, std::optional<std::string> error) {
  call.check_writable();
  Outcome outcome{.id = image, .attempt = 0, .error = std::move(error)};
  if (buffer.enabled()) {
    hold_mark(call, std::move(outcome));
  } else {
    mark_now(call.operation(), outcome);
  }
}

void ProgressTracker::Impl::mark_now(std::string_view operation, const Outcome& mark) {
  transactions.write_by_any(operation, [&](Connection& db) {
    store::StateChanges changes(db, clock.wall_ms());
    const auto result = changes.mark(
        mark.id, mark.attempt,
        mark.error.has_value() ? std::optional<std::string_view>(*mark.error) : std::nullopt);
    if (result == store::StateChanges::Result::kUnknown) {
      throw_not_found(operation, mark.id);
    }
    if (result == store::StateChanges::Result::kCompleted) {
      throw_completed(operation, mark.id);
    }
    changes.finish();
  });
}

void ProgressTracker::Impl::hold_mark(Call& call, Outcome mark) {
  const std::lock_guard lock(buffer_mutex);
  if (buffer.full()) {
    call.warn_of_dropped(flush_marks_locked());  // a commit failed: no more than N are held
  }
  std::optional<Status> standing = buffer.held(mark.id);
  if (!buffer.is_known_open(mark.id, transactions.log_state())) {
    const auto stored = call.read([&](Connection& db) { return store::standing_of(db, mark.id); });
    if (!stored.exists) {
      throw_not_found(call.operation(), mark.id);
    }
    if (stored.status == Status::kCompleted) {
      standing = Status::kCompleted;
    }
  }
  if (standing == Status::kCompleted && mark.error.has_value()) {
    throw_completed(call.operation(), mark.id);
  }
  const auto now = clock.now();
  if (standing != Status::kCompleted) {
    buffer.add(std::move(mark), now);
  }
  if (buffer.is_due(now)) {
    call.warn_of_dropped(flush_marks_locked());
  }
}

void ProgressTracker::Impl::close() {
  if (process != fork_generation()) {
    throw Error(ErrorCode::kForked, "close: " + path + ": opened before fork()");
  }
  const std::string warning = close_quietly();
  if (!warning.empty()) {
    internal::log(LogLevel::kWarn, warning);
  }
}

// Returns a warning, to be logged once no lock is held. What it throws leaves the tracker open.
std::string ProgressTracker::Impl::close_quietly() {
  const std::lock_guard lock(closing);
  if (gate.is_closed()) {
    return {};
  }
  gate.close();
  try {
    std::string warning = take_leave();
    let_go();
    return warning;
  } catch (...) {
    gate.open();
    throw;
  }
}

// The last things that are written; returns a warning.
std::string ProgressTracker::Impl::take_leave() {
  if (transactions.poisoned()) {
    const std::lock_guard buffer_lock(buffer_mutex);
    return buffer.empty() ? std::string()
                          : "close: " + path + ": lost " + std::to_string(buffer.size()) +
                                " buffered marks: " + transactions.poison_in_words();
  }
  try {
    const std::size_t dropped = flush_marks();
    worker.farewell();
    return dropped == 0 ? std::string() : describe_dropped(dropped);
  } catch (const Error& error) {
    const std::lock_guard buffer_lock(buffer_mutex);
    // What can be had by trying again is not given up.
    if (!buffer.empty() || error.code() == ErrorCode::kBusy) {
      throw;
    }
    return error.what();
  }
}

void ProgressTracker::Impl::let_go() noexcept {
  worker.drop_lock();
  connections.close_all();
  checkpointer.reset();
}

// ---- For our own tests -------------------------------------------------------------------------

namespace internal {

struct TestAccess {
  static std::unique_ptr<ProgressTracker> open(const std::filesystem::path& path,
                                               const Options& options, Clock& clock) {
    return std::unique_ptr<ProgressTracker>(
        new ProgressTracker(std::make_unique<ProgressTracker::Impl>(path, options, clock)));
  }
  static void die(ProgressTracker& tracker) {
    tracker.impl_->gate.close();
    tracker.impl_->let_go();
  }
};

std::unique_ptr<ProgressTracker> open_with_clock(const std::filesystem::path& path,
                                                 const Options& options, Clock& clock) {
  return TestAccess::open(path, options, clock);
}

void simulate_death(ProgressTracker& tracker) { TestAccess::die(tracker); }

}  // namespace internal

}  // namespace progress_tracker

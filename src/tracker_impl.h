// What is behind a ProgressTracker: its parts, from the disk to the door, how a call comes in, and
// how the tracker ends.
#ifndef PROGRESS_TRACKER_SRC_TRACKER_IMPL_H_
#define PROGRESS_TRACKER_SRC_TRACKER_IMPL_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clock.h"
#include "fork_generation.h"
#include "gate.h"
#include "loader.h"
#include "log_internal.h"
#include "mark_buffer.h"
#include "open_database.h"
#include "progress_tracker/error.h"
#include "progress_tracker/progress_tracker.h"
#include "sqlite/checkpoint_guard.h"
#include "sqlite/connection.h"
#include "sqlite/file_identity.h"
#include "sqlite/thread_connections.h"
#include "sqlite/transaction.h"
#include "store/jobs.h"
#include "store/workers.h"
#include "worker_identity.h"

namespace progress_tracker {

// Throws for a call that names an image that does not exist.
[[noreturn]] void throw_not_found(std::string_view operation, ImageId image);

class ProgressTracker::Impl {
 public:
  Impl(const std::filesystem::path& given_path, const Options& given_options, Clock& given_clock);

  class Call;

  [[noreturn]] void throw_moved(std::string_view operation) const;
  void check_not_moved(std::string_view operation, const sqlite::Connection& connection) const {
    if (connection.has_moved()) {
      throw_moved(operation);
    }
  }

  store::IsAlive is_alive() {
    return [this](WorkerId other) { return worker.is_alive(other); };
  }

  // Commits the buffered marks. Returns how many of them had become impossible.
  std::size_t flush_marks();

  // Tells the buffer which images this call's transaction handed out or started, so that it need
  // not ask for them.
  void remember_open(std::span<const Image> images);
  void remember_open(std::span<const ImageId> images);

  // Marks one image, unfenced; at once or, where marks are buffered, in memory.
  void mark(Call& call, ImageId image, std::optional<std::string> error);

  void close();
  // What the destructor does if close() threw; also what a death does. Writes nothing.
  void let_go() noexcept;

  // Constant after construction.
  const Options options;
  Clock& clock;
  const std::string path;
  const std::uint64_t process = fork_generation();

  Gate gate;
  std::mutex closing;  // taken before buffer_mutex

  // From the disk to the door; each uses those above it.
  std::unique_ptr<sqlite::Connection> checkpointer;
  const std::optional<sqlite::FileId> file;
  sqlite::CheckpointGuard guard;
  sqlite::ThreadConnections connections;
  sqlite::Transactions transactions;
  WorkerIdentity worker;
  Loader loader;

  std::mutex buffer_mutex;  // taken before the writer's place
  MarkBuffer buffer;        // guarded by buffer_mutex

 private:
  Impl(const Options& checked_options, Clock& given_clock, Database database);
  std::unique_ptr<sqlite::Connection> open_same_file() const;
  std::size_t flush_marks_locked();
  std::string describe_dropped(std::size_t marks) const;
  void mark_now(std::string_view operation, const Outcome& mark);
  void hold_mark(Call& call, Outcome mark);
  std::string close_quietly();
  std::string take_leave();
};

// One call of the public interface: refused if the tracker is closed or a parent's; and what it
// has to warn of is logged when it holds nothing any more.
class ProgressTracker::Impl::Call {
 public:
  Call(Impl& impl, std::string_view operation) : impl_(impl), operation_(operation) {
    if (impl.process != fork_generation()) {
      throw Error(ErrorCode::kForked, std::string(operation) + ": " + impl.path +
                                          ": opened before fork(): open a new tracker");
    }
    if (!impl.gate.enter()) {
      throw Error(ErrorCode::kClosed,
                  std::string(operation) + ": " + impl.path + ": the tracker is closed");
    }
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() {
    const std::string notice = impl_.transactions.take_notice();
    impl_.gate.leave();
    for (const std::string& warning : warnings_) {
      internal::log(LogLevel::kWarn, warning);
    }
    if (!notice.empty()) {
      internal::log(LogLevel::kWarn, notice);
    }
  }

  std::string_view operation() const { return operation_; }

  // What there is to warn of is committed: without memory for a warning there is none.
  void warn_of_dropped(std::size_t marks) noexcept {
    if (marks > 0) {
      warn([&] { return impl_.describe_dropped(marks); });
    }
  }
  void warn_of_differing_splits(const Loader::Result& loaded) noexcept {
    if (loaded.differing > 0) {
      warn([&] {
        return std::string(operation_) + ": " + store::describe(loaded.job) +
               " keeps the split of " + std::to_string(loaded.differing) +
               " images that were given with another one";
      });
    }
  }

  // To be called when the arguments are checked. Marks held back are committed first, so that the
  // call sees them.
  void will_read() { warn_of_dropped(impl_.flush_marks()); }
  void will_write() {
    check_writable();
    warn_of_dropped(impl_.flush_marks());
  }
  void check_writable() const {
    if (impl_.options.read_only) {
      throw Error(ErrorCode::kReadOnly,
                  std::string(operation_) + ": " + impl_.path + ": opened read-only");
    }
  }

  // Run the work as one transaction: see sqlite/transaction.h.
  template <typename Work>
  auto read(const Work& work) {
    return impl_.transactions.read(operation_, work);
  }
  template <typename Work>
  auto write(const Work& work) {
    return impl_.transactions.write(operation_, work);
  }
  template <typename Work>
  auto write_by_any(const Work& work) {
    return impl_.transactions.write_by_any(operation_, work);
  }

 private:
  template <typename Describe>
  void warn(const Describe& describe) noexcept {
    try {
      warnings_.push_back(describe());
    } catch (const std::bad_alloc&) {
    }
  }

  Impl& impl_;
  std::string_view operation_;
  std::vector<std::string> warnings_;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_TRACKER_IMPL_H_

// PROGRESS_TRACKER_TRACE("Type.function"); opens a scope that logs its own beginning and end.
//
//   → Type.function enter
//   ← Type.function exit (1.2 ms)
//   ✗ Type.function raised after 1.2 ms         (left by an exception; at level error)
//
// The lines are written if the log level (log.h) is debug when the scope is entered. Otherwise the
// scope is one relaxed load and writes nothing, the ✗ line included. The name is evaluated once,
// and must outlive the scope: use a literal.
//
// Defining PROGRESS_TRACKER_NO_TRACE before this header removes the scopes altogether; the name is
// then not evaluated.
#ifndef PROGRESS_TRACKER_TRACE_H_
#define PROGRESS_TRACKER_TRACE_H_

#include <atomic>
#include <chrono>
#include <string_view>

#include "progress_tracker/log.h"

namespace progress_tracker {
namespace internal {

// The current LogLevel, as set by set_log_level().
extern std::atomic<LogLevel> log_level;

}  // namespace internal

// What the macro puts into the scope.
class TraceScope {
 public:
  explicit TraceScope(std::string_view name) {
    if (internal::log_level.load(std::memory_order_relaxed) == LogLevel::kDebug) [[unlikely]] {
      enter(name);
    }
  }
  TraceScope(const TraceScope&) = delete;
  TraceScope& operator=(const TraceScope&) = delete;
  ~TraceScope() {
    if (on_) [[unlikely]] {
      leave();
    }
  }

 private:
  void enter(std::string_view name);
  void leave() noexcept;

  bool on_{false};
  int exceptions_at_entry_{0};
  std::string_view name_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace progress_tracker

#ifdef PROGRESS_TRACKER_NO_TRACE
#define PROGRESS_TRACKER_TRACE(name) static_cast<void>(0)
#else
#define PROGRESS_TRACKER_TRACE_JOIN_(a, b) a##b
#define PROGRESS_TRACKER_TRACE_NAME_(line) \
  PROGRESS_TRACKER_TRACE_JOIN_(progress_tracker_trace_scope_, line)
#define PROGRESS_TRACKER_TRACE(name) \
  const ::progress_tracker::TraceScope PROGRESS_TRACKER_TRACE_NAME_(__LINE__)(name)
#endif

#endif  // PROGRESS_TRACKER_TRACE_H_

// What the rest of the library calls to log. Nothing here throws, so destructors may use it.
#ifndef PROGRESS_TRACKER_SRC_LOG_INTERNAL_H_
#define PROGRESS_TRACKER_SRC_LOG_INTERNAL_H_

#include <string_view>

#include "progress_tracker/log.h"

namespace progress_tracker::internal {

// Whether a message of this level would be produced: ask before building an expensive one.
bool log_enabled(LogLevel level) noexcept;

// Logs `message` if its level is enabled. What is foreign in it need not be escaped: all of it is.
// A message that cannot be logged is lost. Any thread; do not hold a lock that a user's log handler
// could want, which is to say: any lock at all.
void log(LogLevel level, std::string_view message) noexcept;

// The same where nothing may be thrown: without memory for the message there is none.
template <typename Describe>
void log_if_possible(LogLevel level, const Describe& describe) noexcept {
  try {
    log(level, describe());
  } catch (...) {
  }
}

// The same whatever the level is now. For a trace scope, which decided when it was entered.
void log_unfiltered(LogLevel level, std::string_view message) noexcept;

}  // namespace progress_tracker::internal

#endif  // PROGRESS_TRACKER_SRC_LOG_INTERNAL_H_

// What the library logs, and where it goes.
//
// Few things are logged: at debug, the entry and exit of every public function (trace.h); at warn,
// what a user should know but no caller can act on, such as a differing split at create_job(); at
// error, what a destructor could not throw.
//
// Messages go to the spdlog logger named "progress_tracker": the program's own if it registered one
// (it may filter further, and is never changed), else one of ours that writes to stderr and is not
// registered. spdlog's default logger and global settings are never touched.
#ifndef PROGRESS_TRACKER_LOG_H_
#define PROGRESS_TRACKER_LOG_H_

#include <functional>
#include <string_view>

namespace progress_tracker {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };

// Sets what is produced at all: messages of this level and above. Default: kWarn.
// Any thread, any time.
void set_log_level(LogLevel level);

// Sends messages to `handler` instead of spdlog; an empty handler restores spdlog. The handler is
// called by the thread that logs, with no lock of the library held, possibly by several threads at
// once; exceptions it throws are swallowed. In the text, control characters, line breaks, escape
// sequences and bytes that are not UTF-8 are escaped, so that no file name can forge a line.
void set_log_handler(std::function<void(LogLevel, std::string_view)> handler);

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_LOG_H_

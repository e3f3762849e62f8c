// Where the library's messages go: to the log file, if there is one, and to the user.
#ifndef PROGRESS_TRACKER_CLI_TOOL_LOG_H_
#define PROGRESS_TRACKER_CLI_TOOL_LOG_H_

#include <functional>
#include <mutex>
#include <ostream>
#include <string>
#include <string_view>

#include "cli/configuration.h"
#include "cli/descriptor.h"
#include "progress_tracker/log.h"

namespace progress_tracker::cli {

// Sets the level and takes the messages, from its construction to its end. With a log file all of
// them go there, each as one line with its time in UTC, and only warnings and errors to the user as
// well. At most one at a time; any thread may log.
class ToolLog {
 public:
  using Say = std::function<void(const std::string& message)>;

  // Makes the log file's directories. Throws UsageError if the file cannot be appended to.
  ToolLog(const Configuration& configuration, std::ostream& err);
  ToolLog(const ToolLog&) = delete;
  ToolLog& operator=(const ToolLog&) = delete;
  ~ToolLog();

  // `say` gets what the user is to see, in place of standard error; an empty one undoes that.
  void show_through(Say say);

 private:
  void take(LogLevel level, std::string_view message);

  Descriptor file_;
  std::ostream& err_;
  std::mutex mutex_;
  Say say_;  // guarded by mutex_
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_TOOL_LOG_H_

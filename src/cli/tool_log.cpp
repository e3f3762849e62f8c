#include "cli/tool_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "cli/output.h"
#include "cli/time_text.h"

namespace progress_tracker::cli {
namespace {

constexpr mode_t kNewFile = 0666;  // less the umask

Descriptor open_log_file(const Setting<std::string>& setting) {
  if (setting.value.empty()) return Descriptor();
  const std::filesystem::path path(setting.value);
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  Descriptor file(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, kNewFile));
  if (file.get() < 0) {
    throw UsageError("log file " + display(setting.value) + " (" + setting.origin +
                     "): " + std::generic_category().message(errno));
  }
  return file;
}

const char* label_of(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return "error";
    case LogLevel::kWarn:
      return "warning";
    case LogLevel::kInfo:
    case LogLevel::kDebug:
    case LogLevel::kOff:
      break;
  }
  return "log";
}

}  // namespace

ToolLog::ToolLog(const Configuration& configuration, std::ostream& err)
    : file_(open_log_file(configuration.log_file)), err_(err) {
  set_log_level(configuration.log_level.value);
  set_log_handler([this](LogLevel level, std::string_view message) { take(level, message); });
}

ToolLog::~ToolLog() { set_log_handler({}); }

void ToolLog::show_through(Say say) {
  const std::scoped_lock lock(mutex_);
  say_ = std::move(say);
}

void ToolLog::take(LogLevel level, std::string_view message) {
  if (file_.get() >= 0) {
    const std::string line = utc_milliseconds(std::chrono::system_clock::now()) + ' ' +
                             name_of(level) + ' ' + std::string(message) + '\n';
    // In one piece, so that processes that share the file do not tear each other's lines. A full
    // disk costs the line, and not the run.
    [[maybe_unused]] const ssize_t written = write(file_.get(), line.data(), line.size());
    if (level < LogLevel::kWarn) return;
  }
  const std::string shown = std::string(label_of(level)).append(": ").append(message);
  const std::scoped_lock lock(mutex_);
  if (say_) {
    say_(shown);
  } else {
    complain(err_, shown);
  }
}

}  // namespace progress_tracker::cli

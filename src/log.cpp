// The only file that includes spdlog: doing so nearly doubles what a file compiles, and no caller
// of ours should depend on its version.
#include "progress_tracker/log.h"

#include <pthread.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "log_internal.h"
#include "progress_tracker/rules.h"
#include "progress_tracker/trace.h"
#include "undestroyed.h"

namespace progress_tracker {
namespace internal {

constinit std::atomic<LogLevel> log_level{LogLevel::kWarn};

namespace {

constexpr char kLoggerName[] = "progress_tracker";

using Handler = std::function<void(LogLevel, std::string_view)>;

struct HandlerSlot {
  std::mutex mutex;
  std::shared_ptr<const Handler> handler;  // guarded by mutex

  std::mutex spdlog;  // held while its registry is asked, and while our own logger writes
};

// Destructors of a program's static objects may still log.
constinit Undestroyed<HandlerSlot> undestroyed;

HandlerSlot& handler_slot() noexcept { return undestroyed.value; }

// Both locks are held over a fork: in the child there is no other thread to let them go.
void lock_for_fork() {
  handler_slot().spdlog.lock();
  handler_slot().mutex.lock();
}
void unlock_after_fork() {
  handler_slot().mutex.unlock();
  handler_slot().spdlog.unlock();
}

// At load for the reason given in fork_generation.cpp. Without it, messages are logged all the
// same.
[[maybe_unused]] const int registered_at_load =
    ::pthread_atfork(lock_for_fork, unlock_after_fork, unlock_after_fork);

std::shared_ptr<const Handler> current_handler() {
  HandlerSlot& slot = handler_slot();
  const std::scoped_lock lock(slot.mutex);
  return slot.handler;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
    case LogLevel::kOff:  // which no message has
      break;
  }
  return spdlog::level::err;
}

// Built by hand, because spdlog's factory functions would register it and apply the program's
// global level and pattern to it. Passes everything: set_log_level() alone decides. To be used with
// its lock held.
spdlog::logger& own_logger() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger(kLoggerName, std::make_shared<spdlog::sinks::stderr_sink_st>());
    made->set_level(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

// spdlog's registry is a static object, gone when later static destructors run.
constinit std::atomic<bool> registry_is_gone{false};

struct RegistryWatch {
  ~RegistryWatch() { registry_is_gone.store(true); }
};

// The program's logger, or null.
std::shared_ptr<spdlog::logger> registered_logger() {
  if (registry_is_gone.load()) {
    return nullptr;
  }
  std::shared_ptr<spdlog::logger> logger = spdlog::get(kLoggerName);
  // Made after the registry, hence destroyed before it.
  static const RegistryWatch watch;
  return logger;
}

void write(LogLevel level, std::string_view message) {
  const std::string text = escape_for_display(message);
  if (const auto handler = current_handler()) {
    (*handler)(level, text);
    return;
  }
  // As one argument, not as a format string: a brace in a file name means nothing.
  const spdlog::string_view_t view(text.data(), text.size());
  std::shared_ptr<spdlog::logger> logger;
  {
    const std::scoped_lock lock(handler_slot().spdlog);
    logger = registered_logger();
    if (logger == nullptr) {
      own_logger().log(to_spdlog(level), view);
      return;
    }
  }
  logger->log(to_spdlog(level), view);  // the program's code: with no lock held
}

}  // namespace

bool log_enabled(LogLevel level) noexcept {
  return level != LogLevel::kOff && level >= log_level.load(std::memory_order_relaxed);
}

void log(LogLevel level, std::string_view message) noexcept {
  if (log_enabled(level)) {
    log_unfiltered(level, message);
  }
}

void log_unfiltered(LogLevel level, std::string_view message) noexcept {
  try {
    write(level, message);
  } catch (...) {
    // A handler's own exception, or no memory. There is nobody left to tell.
  }
}

}  // namespace internal

void set_log_level(LogLevel level) { internal::log_level.store(level, std::memory_order_relaxed); }

void set_log_handler(std::function<void(LogLevel, std::string_view)> handler) {
  std::shared_ptr<const internal::Handler> made;
  if (handler) {
    made = std::make_shared<const internal::Handler>(std::move(handler));
  }
  internal::HandlerSlot& slot = internal::handler_slot();
  {
    const std::scoped_lock lock(slot.mutex);
    slot.handler.swap(made);
  }
  // The old handler is destroyed here, with no lock held: its destructor is the program's code.
}

}  // namespace progress_tracker

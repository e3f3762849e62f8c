#include "progress_tracker/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <barrier>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "log_internal.h"
#include "progress_tracker/trace.h"

namespace progress_tracker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

const LogLevel level_at_start = internal::log_level.load();

// A logger that writes "LEVEL MESSAGE" lines to a string.
struct StringLogger {
  explicit StringLogger(const std::string& name)
      : logger(std::make_shared<spdlog::logger>(
            name, std::make_shared<spdlog::sinks::ostream_sink_mt>(text, /*force_flush=*/true))) {
    logger->set_pattern("%l %v");
    logger->set_level(spdlog::level::trace);
  }

  std::ostringstream text;
  std::shared_ptr<spdlog::logger> logger;
};

class LogTest : public testing::Test {
 protected:
  ~LogTest() override {
    set_log_handler({});
    set_log_level(LogLevel::kWarn);
    spdlog::drop("progress_tracker");
  }

  // Sends messages to `seen`.
  void collect() {
    set_log_handler([this](LogLevel level, std::string_view text) {
      const std::scoped_lock lock(mutex);
      seen.emplace_back(level, text);
    });
  }

  std::string stderr_of(const std::function<void()>& action) {
    testing::internal::CaptureStderr();
    action();
    return testing::internal::GetCapturedStderr();
  }

  std::mutex mutex;
  std::vector<std::pair<LogLevel, std::string>> seen;
};

// ---- Levels ----------------------------------------------------------------------------------

TEST_F(LogTest, LevelIsWarnByDefault) { EXPECT_EQ(level_at_start, LogLevel::kWarn); }

struct LevelCase {
  LogLevel level;
  std::vector<LogLevel> produced;
};

class LogLevelTest : public LogTest, public testing::WithParamInterface<LevelCase> {};

TEST_P(LogLevelTest, ProducesThisLevelAndAbove) {
  collect();
  set_log_level(GetParam().level);

  std::vector<LogLevel> enabled;
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError, LogLevel::kOff}) {
    internal::log(level, "x");
    if (internal::log_enabled(level)) {
      enabled.push_back(level);
    }
  }

  std::vector<LogLevel> produced;
  for (const auto& [level, text] : seen) {
    produced.push_back(level);
  }
  EXPECT_EQ(produced, GetParam().produced);
  EXPECT_EQ(enabled, GetParam().produced);
}

INSTANTIATE_TEST_SUITE_P(
    Levels, LogLevelTest,
    testing::Values(
        LevelCase{LogLevel::kDebug,
                  {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}},
        LevelCase{LogLevel::kInfo, {LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}},
        LevelCase{LogLevel::kWarn, {LogLevel::kWarn, LogLevel::kError}},
        LevelCase{LogLevel::kError, {LogLevel::kError}}, LevelCase{LogLevel::kOff, {}}));

// ---- The handler -----------------------------------------------------------------------------

TEST_F(LogTest, NoFileNameCanForgeALine) {
  collect();

  internal::log(LogLevel::kWarn, "bad file: a\nERROR all lost\r\x1b[2J\xff\t\xe2\x80\xae.png");

  EXPECT_THAT(seen,
              ElementsAre(Pair(LogLevel::kWarn,
                               "bad file: a\\nERROR all lost\\x0D\\x1B[2J\\xFF\\t\\u{202E}.png")));
}

TEST_F(LogTest, SwallowsWhatTheHandlerThrows) {
  set_log_handler([](LogLevel, std::string_view) { throw std::runtime_error("no"); });
  internal::log(LogLevel::kError, "x");

  set_log_handler([](LogLevel, std::string_view) { throw 42; });
  internal::log(LogLevel::kError, "x");
}

TEST_F(LogTest, ReplacesTheHandler) {
  set_log_handler([](LogLevel, std::string_view) { FAIL() << "the handler that was replaced"; });
  collect();

  internal::log(LogLevel::kWarn, "x");

  EXPECT_THAT(seen, ElementsAre(Pair(LogLevel::kWarn, "x")));
}

TEST_F(LogTest, HandlerMayLogAndReplaceItself) {
  set_log_handler([this](LogLevel, std::string_view) {
    collect();
    internal::log(LogLevel::kWarn, "from inside");
  });

  internal::log(LogLevel::kWarn, "x");

  EXPECT_THAT(seen, ElementsAre(Pair(LogLevel::kWarn, "from inside")));
}

TEST_F(LogTest, ReplacedHandlerLivesUntilItReturns) {
  auto token = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = token;
  bool alive_inside = false;
  set_log_handler([&alive_inside, watch, token = std::move(token)](LogLevel, std::string_view) {
    set_log_handler({});
    alive_inside = !watch.expired();
  });

  internal::log(LogLevel::kWarn, "x");

  EXPECT_TRUE(alive_inside);
  EXPECT_TRUE(watch.expired());
}

TEST_F(LogTest, CallsTheHandlerOfSeveralThreadsAtOnce) {
  // Ends only if both are inside together.
  std::barrier both(2);
  set_log_handler([&both](LogLevel, std::string_view) { both.arrive_and_wait(); });

  const std::jthread one([] { internal::log(LogLevel::kWarn, "x"); });
  const std::jthread two([] { internal::log(LogLevel::kWarn, "x"); });
}

TEST_F(LogTest, HandlerAndLevelMayChangeWhileOthersLog) {
  std::atomic<int> calls = 0;
  const auto count = [&calls](LogLevel, std::string_view) { ++calls; };
  set_log_handler(count);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([] {
        for (int j = 0; j < 1000; ++j) {
          internal::log(LogLevel::kError, "x");
        }
      });
    }
    for (int i = 0; i < 200; ++i) {
      set_log_handler(count);
      set_log_level(i % 2 == 0 ? LogLevel::kError : LogLevel::kDebug);
    }
  }
  EXPECT_EQ(calls, 3000);
}

// ---- spdlog ----------------------------------------------------------------------------------

TEST_F(LogTest, GoesToTheLoggerThatTheProgramRegistered) {
  const StringLogger mine("progress_tracker");
  spdlog::register_logger(mine.logger);
  set_log_level(LogLevel::kDebug);

  const std::string on_stderr = stderr_of([] {
    internal::log(LogLevel::kDebug, "d");
    internal::log(LogLevel::kInfo, "i");
    internal::log(LogLevel::kWarn, "w");
    internal::log(LogLevel::kError, "e\n");
  });

  EXPECT_EQ(mine.text.str(), "debug d\ninfo i\nwarning w\nerror e\\n\n");
  EXPECT_THAT(on_stderr, IsEmpty());
}

TEST_F(LogTest, TheProgramsLoggerFiltersFurtherAndIsNotChanged) {
  const StringLogger mine("progress_tracker");
  spdlog::register_logger(mine.logger);
  mine.logger->set_level(spdlog::level::err);
  set_log_level(LogLevel::kDebug);

  internal::log(LogLevel::kWarn, "w");
  internal::log(LogLevel::kError, "e");

  EXPECT_EQ(mine.text.str(), "error e\n");
  EXPECT_EQ(mine.logger->level(), spdlog::level::err);
  EXPECT_EQ(mine.logger->sinks().size(), 1U);
}

TEST_F(LogTest, BracesAreText) {
  const StringLogger mine("progress_tracker");
  spdlog::register_logger(mine.logger);

  internal::log(LogLevel::kWarn, "{} {0:d} {");

  EXPECT_EQ(mine.text.str(), "warning {} {0:d} {\n");
}

TEST_F(LogTest, EmptyHandlerRestoresTheLogger) {
  const StringLogger mine("progress_tracker");
  spdlog::register_logger(mine.logger);
  collect();
  internal::log(LogLevel::kWarn, "to the handler");

  set_log_handler({});
  internal::log(LogLevel::kWarn, "to the logger");

  EXPECT_THAT(seen, ElementsAre(Pair(LogLevel::kWarn, "to the handler")));
  EXPECT_EQ(mine.text.str(), "warning to the logger\n");
}

TEST_F(LogTest, WithoutOneOfTheProgramsGoesToStderr) {
  const std::string on_stderr = stderr_of([] { internal::log(LogLevel::kWarn, "a {}\nb"); });

  EXPECT_THAT(on_stderr, HasSubstr("[progress_tracker] [warning] a {}\\nb\n"));
  EXPECT_EQ(spdlog::get("progress_tracker"), nullptr) << "ours must not be registered";
}

TEST_F(LogTest, GoesToStderrAgainOnceTheProgramDropsItsLogger) {
  const StringLogger mine("progress_tracker");
  spdlog::register_logger(mine.logger);
  internal::log(LogLevel::kWarn, "one");
  spdlog::drop("progress_tracker");

  const std::string on_stderr = stderr_of([] { internal::log(LogLevel::kWarn, "two"); });

  EXPECT_EQ(mine.text.str(), "warning one\n");
  EXPECT_THAT(on_stderr, HasSubstr("two"));
}

TEST_F(LogTest, LeavesSpdlogsDefaultLoggerAndGlobalsAlone) {
  const std::shared_ptr<spdlog::logger> before = spdlog::default_logger();
  const StringLogger programs("app");
  spdlog::set_default_logger(programs.logger);
  spdlog::set_level(spdlog::level::critical);
  programs.logger->set_level(spdlog::level::trace);
  set_log_level(LogLevel::kDebug);

  const std::string on_stderr = stderr_of([] { internal::log(LogLevel::kDebug, "x"); });

  EXPECT_THAT(on_stderr, HasSubstr("[debug] x\n")) << "the global level is the program's, not ours";
  EXPECT_THAT(programs.text.str(), IsEmpty());
  EXPECT_EQ(spdlog::default_logger(), programs.logger);
  EXPECT_EQ(programs.logger->level(), spdlog::level::trace);
  spdlog::set_level(spdlog::level::info);
  spdlog::set_default_logger(before);
  spdlog::drop("app");
}

// ---- The end of the program ------------------------------------------------------------------

struct LogsWhenDestroyed {
  ~LogsWhenDestroyed() { internal::log(LogLevel::kError, "goodbye"); }
};

using LogDeathTest = LogTest;

TEST_F(LogDeathTest, StaticObjectsMayLogAfterSpdlogIsGone) {
  EXPECT_EXIT(
      {
        static const LogsWhenDestroyed older_than_the_registry;
        internal::log(LogLevel::kError, "hello");
        std::exit(0);
      },
      testing::ExitedWithCode(0), "hello\n.*goodbye\n");
}

}  // namespace
}  // namespace progress_tracker

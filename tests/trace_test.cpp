#include "progress_tracker/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "progress_tracker/log.h"
#include "progress_tracker/progress_tracker.h"
#include "support.h"

namespace progress_tracker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Pair;

class TraceTest : public testing::Test {
 protected:
  TraceTest() {
    set_log_level(LogLevel::kDebug);
    set_log_handler(
        [this](LogLevel level, std::string_view text) { lines.emplace_back(level, text); });
  }
  ~TraceTest() override {
    set_log_handler({});
    set_log_level(LogLevel::kWarn);
  }

  std::vector<std::pair<LogLevel, std::string>> lines;
};

auto enter_line(const std::string& name) { return Pair(LogLevel::kDebug, "→ " + name + " enter"); }
auto exit_line(const std::string& name) {
  return Pair(LogLevel::kDebug, MatchesRegex("← " + name + R"( exit \([0-9]+\.[0-9] ms\))"));
}
auto raised_line(const std::string& name) {
  return Pair(LogLevel::kError, MatchesRegex("✗ " + name + R"( raised after [0-9]+\.[0-9] ms)"));
}

void raise_within(std::string_view name) {
  PROGRESS_TRACKER_TRACE(name);
  throw std::runtime_error("x");
}

TEST_F(TraceTest, WritesEnterAndExit) {
  {
    PROGRESS_TRACKER_TRACE("Type.function");
    EXPECT_THAT(lines, ElementsAre(enter_line("Type.function")));
  }
  EXPECT_THAT(lines, ElementsAre(enter_line("Type.function"), exit_line("Type.function")));
}

TEST_F(TraceTest, WritesAnErrorWhenLeftByAnException) {
  EXPECT_THROW(raise_within("f"), std::runtime_error);

  EXPECT_THAT(lines, ElementsAre(enter_line("f"), raised_line("f")));
}

TEST_F(TraceTest, AnExceptionCaughtInsideIsANormalExit) {
  {
    PROGRESS_TRACKER_TRACE("outer");
    EXPECT_THROW(raise_within("inner"), std::runtime_error);
  }
  EXPECT_THAT(lines, ElementsAre(enter_line("outer"), enter_line("inner"), raised_line("inner"),
                                 exit_line("outer")));
}

TEST_F(TraceTest, AScopeThatRunsDuringUnwindingIsLeftNormally) {
  struct Cleanup {
    ~Cleanup() { PROGRESS_TRACKER_TRACE("cleanup"); }
  };
  const auto fail = [] {
    const Cleanup cleanup;
    throw std::runtime_error("x");
  };

  EXPECT_THROW(fail(), std::runtime_error);

  EXPECT_THAT(lines, ElementsAre(enter_line("cleanup"), exit_line("cleanup")));
}

TEST_F(TraceTest, SeveralScopesMayShareABlock) {
  {
    PROGRESS_TRACKER_TRACE("a");
    PROGRESS_TRACKER_TRACE("b");
  }
  EXPECT_THAT(lines, ElementsAre(enter_line("a"), enter_line("b"), exit_line("b"), exit_line("a")));
}

TEST_F(TraceTest, WritesNothingAboveDebug) {
  for (const LogLevel level :
       {LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError, LogLevel::kOff}) {
    set_log_level(level);
    { PROGRESS_TRACKER_TRACE("f"); }
    EXPECT_THROW(raise_within("g"), std::runtime_error);
  }
  EXPECT_THAT(lines, IsEmpty());
}

TEST_F(TraceTest, IsDecidedAtEntry) {
  {
    PROGRESS_TRACKER_TRACE("on");
    set_log_level(LogLevel::kOff);
  }
  EXPECT_THAT(lines, ElementsAre(enter_line("on"), exit_line("on")));
  lines.clear();

  {
    PROGRESS_TRACKER_TRACE("off");
    set_log_level(LogLevel::kDebug);
  }
  EXPECT_THAT(lines, IsEmpty());
}

TEST_F(TraceTest, EvaluatesTheNameOnce) {
  int evaluated = 0;
  const auto name = [&evaluated] {
    ++evaluated;
    return std::string_view("f");
  };

  { PROGRESS_TRACKER_TRACE(name()); }
  EXPECT_EQ(evaluated, 1);

  set_log_level(LogLevel::kOff);
  { PROGRESS_TRACKER_TRACE(name()); }
  EXPECT_EQ(evaluated, 2);
}

TEST_F(TraceTest, ATrackersWholeLifeIsTraced) {
  const test::TempDirectory directory;
  { const ProgressTracker tracker(directory / "jobs.db"); }

  EXPECT_THAT(lines, ElementsAre(enter_line("ProgressTracker.ProgressTracker"),
                                 exit_line("ProgressTracker.ProgressTracker"),
                                 enter_line("ProgressTracker.~ProgressTracker"),
                                 exit_line("ProgressTracker.~ProgressTracker")));
}

TEST_F(TraceTest, SurvivesAHandlerThatThrows) {
  set_log_handler([](LogLevel, std::string_view) { throw std::runtime_error("handler"); });

  { PROGRESS_TRACKER_TRACE("f"); }
  EXPECT_THROW(raise_within("g"), std::runtime_error);
}

}  // namespace
}  // namespace progress_tracker

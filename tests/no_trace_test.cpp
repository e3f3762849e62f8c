// What is left of the scopes in a file that wants none.
#define PROGRESS_TRACKER_NO_TRACE
#include <gtest/gtest.h>

#include <string_view>

#include "progress_tracker/log.h"
#include "progress_tracker/trace.h"

namespace progress_tracker {
namespace {

TEST(NoTrace, RemovesTheScopesAndTheirNames) {
  int lines = 0;
  [[maybe_unused]] int evaluated = 0;
  set_log_handler([&](LogLevel, std::string_view) { ++lines; });
  set_log_level(LogLevel::kDebug);

  { PROGRESS_TRACKER_TRACE((++evaluated, "f")); }

  set_log_handler({});
  set_log_level(LogLevel::kWarn);
  EXPECT_EQ(lines, 0);
  EXPECT_EQ(evaluated, 0);
}

}  // namespace
}  // namespace progress_tracker

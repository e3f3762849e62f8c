#include "cli/exit_code.h"

#include <gmock/gmock.h>

#include <map>
#include <string>
#include <string_view>

namespace progress_tracker::cli {
namespace {

using enum ErrorCode;
using ::testing::HasSubstr;

// README's table of exit codes, in the order of ErrorCode.
const std::map<ErrorCode, int> kExitCodes{
    {kInvalidArgument, 2},
    {kNotFound, 3},
    {kInvalidTransition, 2},
    {kBusy, 6},
    {kClosed, 6},
    {kReadOnly, 6},
    {kFull, 6},
    {kIo, 6},
    {kOutcomeUnknown, 6},
    {kCorrupt, 6},
    {kNotADatabase, 6},
    {kForeignDatabase, 6},
    {kSchemaTooNew, 6},
    {kSchemaTooOld, 6},
    {kUnsupportedFilesystem, 6},
    {kDatabaseMoved, 6},
    {kForked, 6},
};

std::string advice(ErrorCode code) {
  const char* text = advice_for(code);
  return text == nullptr ? "" : text;
}

TEST(ExitCodeTest, EachErrorHasThatOfTheTable) {
  for (const auto& [code, exit_code] : kExitCodes) {
    EXPECT_EQ(exit_code_for(code), exit_code) << to_string(code);
  }
}

TEST(ExitCodeTest, NoErrorIsLeftOut) {
  int value = 0;
  for (const auto& [code, exit_code] : kExitCodes) EXPECT_EQ(static_cast<int>(code), value++);
  EXPECT_EQ(static_cast<int>(kForked) + 1, value);
}

// kNotFound may also mean a job or an image.
TEST(AdviceTest, AnotherDatabaseOnlyWhereThatHelps) {
  for (const ErrorCode code :
       {kReadOnly, kNotADatabase, kForeignDatabase, kUnsupportedFilesystem}) {
    EXPECT_THAT(advice(code), HasSubstr("--db")) << to_string(code);
  }
  for (const ErrorCode code :
       {kInvalidArgument, kNotFound, kInvalidTransition, kBusy, kClosed, kFull, kIo,
        kOutcomeUnknown, kCorrupt, kSchemaTooNew, kSchemaTooOld, kDatabaseMoved, kForked}) {
    for (const std::string_view option : {"--db", "PROGRESS_TRACKER_DB"}) {
      EXPECT_EQ(advice(code).find(option), std::string::npos) << to_string(code);
    }
  }
}

// A repair or the same command again would do harm, or nothing.
TEST(AdviceTest, WhatIsDamagedIsKept) {
  EXPECT_THAT(advice(kCorrupt), HasSubstr("keep the file"));
  EXPECT_THAT(advice(kCorrupt), ::testing::Not(HasSubstr("same command")));
}

}  // namespace
}  // namespace progress_tracker::cli

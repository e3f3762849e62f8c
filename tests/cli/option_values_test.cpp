#include "cli/option_values.h"

#include <gmock/gmock.h>

#include <limits>
#include <string>

namespace progress_tracker::cli {
namespace {

using ::testing::StartsWith;
using ::testing::ThrowsMessage;

constexpr auto kMost = std::numeric_limits<std::int64_t>::max();

TEST(OptionValuesTest, TakesWholeNumbersWithinTheirBounds) {
  EXPECT_EQ(parse_whole_number("-j", "0", 0, 4096), 0);
  EXPECT_EQ(parse_whole_number("-j", "4096", 0, 4096), 4096);
  EXPECT_EQ(parse_whole_number("-j", "007", 0, 4096), 7);
  EXPECT_EQ(parse_whole_number("--limit", "9223372036854775807", 0, kMost), kMost);
}

TEST(OptionValuesTest, RefusesWhatIsNoWholeNumberWithinTheBounds) {
  for (const char* text : {"", " 1", "1 ", "+1", "-1", "1.0", "1e3", "0x10", "4097", "x", "1,000",
                           "9223372036854775808", "99999999999999999999999999", "\xd9\xa1"}) {
    EXPECT_THAT([&] { parse_whole_number("-j", text, 0, 4096); },
                ThrowsMessage<UsageError>("-j: '" + std::string(text) +
                                          "' is not a whole number from 0 to 4096"));
  }
  EXPECT_THAT([] { parse_whole_number("--limit", "-1", 0, kMost); },
              ThrowsMessage<UsageError>("--limit: '-1' is not a whole number from 0"));
  EXPECT_THAT([] { parse_whole_number("-j", "\x1b[2J", 0, 9); },
              ThrowsMessage<UsageError>("-j: '\\x1B[2J' is not a whole number from 0 to 9"));
}

TEST(OptionValuesTest, TakesSecondsInStepsOfAMillisecond) {
  using std::chrono::milliseconds;
  EXPECT_EQ(parse_seconds("--timeout", "1"), milliseconds(1000));
  EXPECT_EQ(parse_seconds("--timeout", "0.001"), milliseconds(1));
  EXPECT_EQ(parse_seconds("--timeout", "1.5"), milliseconds(1500));
  EXPECT_EQ(parse_seconds("--timeout", ".5"), milliseconds(500));
  EXPECT_EQ(parse_seconds("--timeout", "1e3"), milliseconds(1'000'000));
  EXPECT_EQ(parse_seconds("--timeout", "0.0014"), milliseconds(1));
  EXPECT_EQ(parse_seconds("--timeout", "1e9"), milliseconds(1'000'000'000'000));
}

TEST(OptionValuesTest, RefusesWhatIsNoTimeAboveZero) {
  for (const char* text : {"", "0", "-1", "-0", "0.0009", "nan", "inf", "-inf", "1s", "1,5", " 1",
                           "1e10", "1e999", "1e-999", "0x1"}) {
    EXPECT_THAT([&] { parse_seconds("--timeout", text); },
                ThrowsMessage<UsageError>("--timeout: '" + std::string(text) +
                                          "' is not a number of seconds above 0"));
  }
}

TEST(OptionValuesTest, TakesPatternsAndSaysWhatIsWrongWithOthers) {
  EXPECT_TRUE(std::regex_match("abc", parse_pattern("--split-pattern", "a.c")));
  for (const char* text : {"(", "[", "\\", "(?<n>a)", "a{2,1}"}) {
    EXPECT_THAT([&] { parse_pattern("--split-pattern", text); },
                ThrowsMessage<UsageError>(StartsWith("--split-pattern: '" + std::string(text) +
                                                     "' is not a regular expression: ")))
        << text;
  }
}

TEST(OptionValuesTest, TakesOneOfTheChoicesAsItIsWritten) {
  constexpr Choices<int, 2> kChoices{{{"one", 1}, {"two", 2}}};
  EXPECT_EQ(parse_choice("--n", "two", kChoices), 2);
  EXPECT_EQ(names_of(kChoices), "one|two");
  for (const char* text : {"", "Two", "tw", "two "}) {
    EXPECT_THAT(
        [&] { parse_choice("--n", text, kChoices); },
        ThrowsMessage<UsageError>("--n: '" + std::string(text) + "' is not one of one|two"));
  }
}

}  // namespace
}  // namespace progress_tracker::cli

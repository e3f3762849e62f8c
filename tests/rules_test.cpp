// The rules for arguments (rules.h), and the small functions of error.h, types.h and tracker.h.
#include "progress_tracker/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "progress_tracker/error.h"
#include "progress_tracker/tracker.h"
#include "progress_tracker/types.h"
#include "support.h"

namespace progress_tracker {
namespace {

using namespace std::string_view_literals;
using progress_tracker::test::ThrowsError;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::string_view kReplacement = "\xef\xbf\xbd";
constexpr std::string_view kCutMark = "\xe2\x80\xa6 [cut]";

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "(no error)";
}

// ---- UTF-8 --------------------------------------------------------------------------------------

struct Utf8Case {
  const char* description;
  std::string_view bytes;
  bool valid;
};

class Utf8Test : public testing::TestWithParam<Utf8Case> {};

TEST_P(Utf8Test, IsStrict) { EXPECT_EQ(is_valid_utf8(GetParam().bytes), GetParam().valid); }

// The fast way over ASCII must not hide what comes behind it.
TEST_P(Utf8Test, IsStrictAtEveryOffset) {
  for (std::size_t lead = 0; lead < 20; ++lead) {
    const std::string bytes = std::string(lead, 'x').append(GetParam().bytes).append("yyyyyyyyy");
    EXPECT_EQ(is_valid_utf8(bytes), GetParam().valid) << lead;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, Utf8Test,
    testing::Values(Utf8Case{"empty", ""sv, true}, Utf8Case{"ascii", "a.png"sv, true},
                    Utf8Case{"nul", "\0"sv, true}, Utf8Case{"smallest_of_two", "\xc2\x80"sv, true},
                    Utf8Case{"largest_of_two", "\xdf\xbf"sv, true},
                    Utf8Case{"smallest_of_three", "\xe0\xa0\x80"sv, true},
                    Utf8Case{"before_surrogates", "\xed\x9f\xbf"sv, true},
                    Utf8Case{"after_surrogates", "\xee\x80\x80"sv, true},
                    Utf8Case{"largest_of_three", "\xef\xbf\xbf"sv, true},
                    Utf8Case{"smallest_of_four", "\xf0\x90\x80\x80"sv, true},
                    Utf8Case{"largest_of_four", "\xf4\x8f\xbf\xbf"sv, true},
                    Utf8Case{"lone_continuation", "\x80"sv, false},
                    Utf8Case{"overlong_two", "\xc1\xbf"sv, false},
                    Utf8Case{"overlong_nul", "\xc0\x80"sv, false},
                    Utf8Case{"overlong_three", "\xe0\x9f\xbf"sv, false},
                    Utf8Case{"overlong_four", "\xf0\x8f\xbf\xbf"sv, false},
                    Utf8Case{"first_surrogate", "\xed\xa0\x80"sv, false},
                    Utf8Case{"last_surrogate", "\xed\xbf\xbf"sv, false},
                    Utf8Case{"above_the_last", "\xf4\x90\x80\x80"sv, false},
                    Utf8Case{"five_bytes", "\xf8\x88\x80\x80\x80"sv, false},
                    Utf8Case{"ff", "\xff"sv, false}, Utf8Case{"short_two", "\xc3"sv, false},
                    Utf8Case{"short_three", "\xe2\x82"sv, false},
                    Utf8Case{"short_four", "\xf0\x9f\x93"sv, false},
                    Utf8Case{"broken_three", "\xe2\x28\xa1"sv, false}),
    [](const auto& tested) { return std::string(tested.param.description); });

// ---- check_job_name, check_images ---------------------------------------------------------------

TEST(CheckJobName, NamesTheOperationTheNameAndTheCause) {
  EXPECT_EQ(message_of([] { check_job_name("create_job", ""); }),
            "create_job: job name: the name is empty");
  EXPECT_EQ(message_of([] { check_job_name("chain_job", "a\nb"); }),
            "chain_job: job name \"a\\nb\": control characters are not allowed");
  EXPECT_EQ(message_of([] { check_job_name("create_job", "a\xff"); }),
            "create_job: job name \"a\\xFF\": not valid UTF-8");
}

TEST(CheckJobName, AcceptsAnyTextWithoutControlCharacters) {
  for (const auto name : {"job"sv, " "sv, "caf\xc3\xa9"sv, "\xc2\xa0"sv, "~"sv}) {
    EXPECT_NO_THROW(check_job_name("create_job", name));
  }
}

TEST(CheckJobName, RefusesEveryControlCharacter) {
  std::vector<std::string> controls{"\x7f"};
  for (int c = 0; c < 0x20; ++c) controls.emplace_back(1, static_cast<char>(c));
  for (int c = 0x80; c < 0xa0; ++c)
    controls.push_back("\xc2" + std::string(1, static_cast<char>(c)));
  for (const std::string& control : controls) {
    EXPECT_THAT([&] { check_job_name("create_job", "a" + control); },
                ThrowsError(ErrorCode::kInvalidArgument))
        << escape_for_display(control);
  }
}

TEST(CheckImages, AcceptsEmptyListsAndListsWithoutSplits) {
  const std::vector<std::filesystem::path> paths{"a", "\xff\n"};
  const std::vector<std::string> splits{"train", ""};

  EXPECT_NO_THROW(check_images("create_job", {}, {}));
  EXPECT_NO_THROW(check_images("create_job", paths, {}));
  EXPECT_NO_THROW(check_images("create_job", paths, splits));
}

TEST(CheckImages, NamesTheElementThatIsWrong) {
  const std::vector<std::filesystem::path> empty{"a", "b", ""};
  const std::vector<std::filesystem::path> with_nul{"a", std::string("b\0c", 3)};
  const std::vector<std::filesystem::path> good{"a", "b", "c"};
  const std::vector<std::string> bad_split{"train", "train", "x\ty"};
  const std::vector<std::string> two{"train", "train"};

  EXPECT_EQ(message_of([&] { check_images("add_images", empty, {}); }),
            "add_images: image_paths[2]: the path is empty");
  EXPECT_EQ(message_of([&] { check_images("add_images", with_nul, {}); }),
            "add_images: image_paths[1] \"b\\x00c\": a NUL in the path");
  EXPECT_EQ(message_of([&] { check_images("add_images", good, bad_split); }),
            "add_images: splits[2] \"x\\ty\": control characters are not allowed");
  EXPECT_EQ(message_of([&] { check_images("add_images", good, two); }),
            "add_images: splits: 2 splits for 3 paths; give one for each, or none at all");
}

// ---- clean_message ------------------------------------------------------------------------------

TEST(CleanMessage, KeepsValidTextAsItIs) {
  for (const std::string& text : {std::string(), std::string("broken\n\tat line 3"),
                                  std::string("caf\xc3\xa9"), std::string(kMaxMessageBytes, 'x')}) {
    EXPECT_EQ(clean_message(text), text);
  }
}

TEST(CleanMessage, ReplacesEachInvalidByteAndEachNul) {
  const std::string r(kReplacement);
  EXPECT_EQ(clean_message("a\0b"sv), "a" + r + "b");
  EXPECT_EQ(clean_message("\xff\xfe"sv), r + r);
  EXPECT_EQ(clean_message("\xe2\x82"sv), r + r);
  EXPECT_EQ(clean_message("\xed\xa0\x80x"sv), r + r + r + "x");
}

TEST(CleanMessage, CutsWhatIsOneByteTooLong) {
  const std::string cut = clean_message(std::string(kMaxMessageBytes + 1, 'x'));

  EXPECT_EQ(cut, std::string(kMaxMessageBytes - kCutMark.size(), 'x').append(kCutMark));
}

TEST(CleanMessage, CutsAtACharacterWhereverItFalls) {
  std::string snowmen;
  while (snowmen.size() < 2 * kMaxMessageBytes) snowmen += "\xe2\x98\x83";
  for (const auto lead : {""sv, "x"sv, "xx"sv}) {
    const std::string cut = clean_message(std::string(lead) + snowmen);
    EXPECT_LE(cut.size(), kMaxMessageBytes);
    EXPECT_GT(cut.size(), kMaxMessageBytes - 3);
    EXPECT_TRUE(is_valid_utf8(cut));
    EXPECT_THAT(cut, EndsWith("\xe2\x98\x83\xe2\x80\xa6 [cut]"));
  }
}

TEST(CleanMessage, MeasuresWhatIsStoredNotWhatWasGiven) {
  const std::string cut = clean_message(std::string(kMaxMessageBytes / 2, '\xff'));

  EXPECT_LE(cut.size(), kMaxMessageBytes);
  EXPECT_THAT(cut, AllOf(StartsWith(kReplacement), EndsWith(kCutMark)));
}

TEST(CleanMessage, OfACleanMessageIsThatMessage) {
  for (const std::string& raw :
       {std::string(100'000, 'x'), std::string(100'000, '\xff'), std::string("a\0b", 3)}) {
    EXPECT_EQ(clean_message(clean_message(raw)), clean_message(raw));
  }
}

// ---- escape_for_display -------------------------------------------------------------------------

TEST(EscapeForDisplay, LeavesPrintableTextAlone) {
  for (const auto text : {""sv, "dir/a b.png"sv, "caf\xc3\xa9 \xf0\x9f\x93\xb7"sv, R"(C:\x)"sv}) {
    EXPECT_EQ(escape_for_display(text), text);
  }
}

TEST(EscapeForDisplay, ShowsWhatCouldForgeALineOrAColour) {
  EXPECT_EQ(escape_for_display("a\nb\tc\rd"), "a\\nb\\tc\\x0Dd");
  EXPECT_EQ(escape_for_display("\x1b[31m"), "\\x1B[31m");
  EXPECT_EQ(escape_for_display("a\0b\x7f"sv), "a\\x00b\\x7F");
  EXPECT_EQ(escape_for_display("\xc2\x9b"), "\\u{009B}");
}

TEST(EscapeForDisplay, ShowsLineAndDirectionCharacters) {
  EXPECT_EQ(escape_for_display("\xe2\x80\xa8"), "\\u{2028}");
  EXPECT_EQ(escape_for_display("a\xe2\x80\xaegnp"), "a\\u{202E}gnp");
  EXPECT_EQ(escape_for_display("\xe2\x81\xa6"), "\\u{2066}");
  EXPECT_EQ(escape_for_display("\xd8\x9c"), "\\u{061C}");
}

TEST(EscapeForDisplay, ShowsBytesThatAreNotUtf8) {
  EXPECT_EQ(escape_for_display("caf\xe9.png"), "caf\\xE9.png");
  EXPECT_EQ(escape_for_display("\xff\xfe"), "\\xFF\\xFE");
}

TEST(EscapeForDisplay, MakesAnyBytesPrintable) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  const std::string shown = escape_for_display(bytes + bytes);

  EXPECT_TRUE(is_valid_utf8(shown));
  for (const char c : shown) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
}

// ---- Error, Status, StatusCounts ----------------------------------------------------------------

TEST(ErrorTest, CarriesCodeMessageAndSqliteCode) {
  const Error error(ErrorCode::kBusy, "checkpoint: jobs.db: busy", 5);
  EXPECT_EQ(error.code(), ErrorCode::kBusy);
  EXPECT_STREQ(error.what(), "checkpoint: jobs.db: busy");
  EXPECT_EQ(error.sqlite_code(), 5);
  EXPECT_EQ(Error(ErrorCode::kClosed, "x").sqlite_code(), 0);
}

TEST(ErrorTest, EveryCodeHasANameOfItsOwn) {
  EXPECT_EQ(to_string(ErrorCode::kInvalidArgument), "invalid_argument");
  EXPECT_EQ(to_string(ErrorCode::kNotADatabase), "not_a_database");
  std::set<std::string_view> names;
  constexpr int kCodes = static_cast<int>(ErrorCode::kForked) + 1;
  for (int code = 0; code < kCodes; ++code) names.insert(to_string(static_cast<ErrorCode>(code)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(kCodes));
  EXPECT_EQ(names.count("unknown"), 0U);
  EXPECT_EQ(to_string(static_cast<ErrorCode>(kCodes)), "unknown");
}

TEST(StatusTest, HasTheNamesAndNumbersThatAreStored) {
  const std::vector<std::string_view> statuses{"pending", "processing", "completed", "error",
                                               "unknown"};
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    EXPECT_EQ(to_string(static_cast<Status>(i)), statuses[i]);
  }
  const std::vector<std::string_view> batch_statuses{"pending", "uploaded", "error", "unknown"};
  for (std::size_t i = 0; i < batch_statuses.size(); ++i) {
    EXPECT_EQ(to_string(static_cast<BatchStatus>(i)), batch_statuses[i]);
  }
}

TEST(StatusCountsTest, TotalIsTheSumOfAll) {
  EXPECT_EQ((StatusCounts{1, 20, 300, 4000}.total()), 4321);
  EXPECT_EQ(StatusCounts{}.total(), 0);
}

}  // namespace
}  // namespace progress_tracker

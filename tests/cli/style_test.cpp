#include "cli/style.h"

#include <gmock/gmock.h>

#include <map>
#include <optional>
#include <string>

namespace progress_tracker::cli {
namespace {

using Variables = std::map<std::string, std::string>;
using enum ColorChoice;

struct ColorCase {
  ColorChoice asked;
  bool is_terminal;
  Variables variables;
  bool is_colored;
};

TEST(StyleTest, DecidesInTheOrderItPromises) {
  const ColorCase cases[] = {
      // The option before all else.
      {kAlways, false, {{"NO_COLOR", "1"}, {"TERM", "dumb"}}, true},
      {kNever, true, {{"FORCE_COLOR", "1"}, {"TERM", "xterm"}}, false},
      // NO_COLOR before what forces.
      {kAuto, true, {{"NO_COLOR", "1"}, {"CLICOLOR_FORCE", "1"}, {"TERM", "xterm"}}, false},
      {kAuto, true, {{"NO_COLOR", "0"}, {"TERM", "xterm"}}, false},
      {kAuto, false, {{"NO_COLOR", "1"}, {"FORCE_COLOR", "1"}}, false},
      // What forces before what the stream is.
      {kAuto, false, {{"CLICOLOR_FORCE", "1"}}, true},
      {kAuto, false, {{"FORCE_COLOR", "1"}}, true},
      {kAuto, false, {{"FORCE_COLOR", "true"}, {"TERM", "dumb"}}, true},
      {kAuto, false, {{"CLICOLOR_FORCE", "0"}, {"FORCE_COLOR", "1"}}, true},
      {kAuto, false, {{"CLICOLOR_FORCE", "0"}, {"FORCE_COLOR", "0"}}, false},
      {kAuto, true, {{"FORCE_COLOR", "0"}, {"TERM", "xterm"}}, true},
      // The stream, then TERM.
      {kAuto, false, {{"TERM", "xterm"}}, false},
      {kAuto, true, {{"TERM", "xterm"}}, true},
      {kAuto, true, {{"TERM", "dumb"}}, false},
      {kAuto, true, {}, false},
  };
  for (const ColorCase& c : cases) {
    const auto environment = [&](const char* name) -> std::optional<std::string> {
      const auto found = c.variables.find(name);
      return found == c.variables.end() ? std::nullopt : std::optional(found->second);
    };
    EXPECT_EQ(choose_color(c.asked, c.is_terminal, environment), c.is_colored)
        << "case " << &c - cases;
  }
}

TEST(StyleTest, PaintsOnlyWhereThereIsColor) {
  EXPECT_EQ(paint("a", Color::kRed, false), "a");
  EXPECT_EQ(paint("a", Color::kRed, true), "\x1b[31ma\x1b[0m");
  EXPECT_EQ(paint("a", Color::kGreen, true), "\x1b[32ma\x1b[0m");
  EXPECT_EQ(paint("a", Color::kYellow, true), "\x1b[33ma\x1b[0m");
  EXPECT_EQ(paint("", Color::kBold, true), "\x1b[1m\x1b[0m");
}

}  // namespace
}  // namespace progress_tracker::cli

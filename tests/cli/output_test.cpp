#include "cli/output.h"

#include <gmock/gmock.h>

#include <array>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "progress_tracker/rules.h"

namespace progress_tracker::cli {
namespace {

std::string output_of(const std::string& command) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    output.append(buffer.data(), n);
  }
  pclose(pipe);
  return output;
}

TEST(ShellLineTest, ComesBackThroughAShellByteForByte) {
  const std::vector<std::string> words{
      "printf", "%s\\n",       "",  "a b", "it's", "{/.}",     "$HOME", "\"*?", "\xff!", "line\nb",
      "é",      "\x1b[31m'\\", "~", "#x",  "a=b",  "\u202e.g", "--"};
  const std::string line = shell_line(words);
  EXPECT_EQ(escape_for_display(line), line) << "not safe on a terminal";

  std::string expected;
  for (auto word = words.begin() + 2; word != words.end(); ++word) expected += *word + '\n';
  std::string quoted_again;
  for (const char c : line) quoted_again += c == '\'' ? std::string("'\\''") : std::string(1, c);
  EXPECT_EQ(output_of("bash -c '" + quoted_again + "'"), expected);
}

TEST(ShellLineTest, LeavesPlainWordsPlain) {
  const std::vector<std::string> words{"progress-tracker", "run", "--job=a_1", "-j", "4", "--"};
  EXPECT_EQ(shell_line(words), "progress-tracker run --job=a_1 -j 4 --");
}

TEST(Base64Test, KnowsTheVectorsOfRfc4648) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe"), "//4=");
}

TEST(DisplayCutTest, CutsAtACharacterAndShowsIt) {
  EXPECT_EQ(display_cut("short", 10), "short");
  EXPECT_EQ(display_cut("0123456789", 10), "0123456789");
  EXPECT_EQ(display_cut("0123456789a", 10), "0123456…");
  EXPECT_EQ(display_cut("éééééé", 10), "ééé…");
  EXPECT_EQ(display_cut("a\nb\nc\nd\ne\n", 10), "a\\nb\\nc…");
}

TEST(DisplayLinesTest, KeepsTheLinesOfAMessageAndIndentsThem) {
  EXPECT_EQ(display_lines("one", "  ", 100), "one");
  EXPECT_EQ(display_lines("one\ntwo\n\nfour", "  ", 100), "one\n  two\n  \n  four");
  EXPECT_EQ(display_lines("a\x1b[2Jb\r\nc", "  ", 100), "a\\x1B[2Jb\\x0D\n  c");
}

TEST(DisplayLinesTest, ShowsWhatIsCut) {
  EXPECT_EQ(display_lines("12345\n12345", "  ", 10), "12345\n  12345");
  EXPECT_EQ(display_lines("12345\n123456", "  ", 10), "12345\n  12…");
  EXPECT_EQ(display_lines("12345\n12345\n1", "  ", 10), "12345\n  12345\n  …");
  EXPECT_EQ(display_lines("1234567890a\nb", "  ", 10), "1234567…");
}

TEST(ComplainTest, SaysWhoSpeaks) {
  std::ostringstream err;
  complain(err, "what: cause");
  EXPECT_EQ(err.str(), "progress-tracker: what: cause\n");
}

}  // namespace
}  // namespace progress_tracker::cli

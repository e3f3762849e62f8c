#include "cli/frames.h"

#include <gmock/gmock.h>

#include <sstream>
#include <string>

#include "cli/output.h"

namespace progress_tracker::cli {
namespace {

struct CutCase {
  const char* line;
  std::size_t columns;
  const char* kept;
};

TEST(CutToColumnsTest, KeepsWhatFitsAndMarksACut) {
  for (const CutCase& c : {CutCase{"", 3, ""},
                           {"abc", 3, "abc"},
                           {"abcd", 3, "ab…"},
                           {"abcd", 1, "…"},
                           {"a", 1, "a"},
                           {"", 0, ""},
                           {"abc", 0, ""},
                           {"größe", 5, "größe"},
                           {"größer", 5, "größ…"},
                           {"……", 1, "…"},
                           {"画像", 4, "画像"},
                           {"画像", 3, "画…"},
                           {"画像", 2, "…"},
                           {"a\U0001f600b", 4, "a\U0001f600b"},
                           {"a\U0001f600b", 3, "a…"}}) {
    EXPECT_EQ(cut_to_columns(c.line, c.columns), c.kept) << c.line << ' ' << c.columns;
  }
}

TEST(CutToColumnsTest, SequencesOfColorTakeNoRoomAndAreAllKept) {
  EXPECT_EQ(cut_to_columns("\x1b[31mabc\x1b[0m", 3), "\x1b[31mabc\x1b[0m");
  EXPECT_EQ(cut_to_columns("\x1b[31mabcd\x1b[0m", 3), "\x1b[31mab…\x1b[0m");
  EXPECT_EQ(cut_to_columns("ab\x1b[31mcd\x1b[0mef", 3), "ab\x1b[31m…\x1b[0m");
  EXPECT_EQ(cut_to_columns("abc\x1b[31md\x1b[0m", 3), "ab…\x1b[31m\x1b[0m");
  EXPECT_EQ(cut_to_columns("a\x1b[3", 3), "a\x1b[3");  // a sequence that does not end
}

class FramesTest : public ::testing::Test {
 protected:
  // The bytes that this frame writes.
  std::string draw(const std::string& text, std::size_t columns = 80, std::size_t rows = 24) {
    out_.str("");
    frames_.draw(text, columns, rows);
    return out_.str();
  }

  std::ostringstream out_;
  Frames frames_{out_};
};

TEST_F(FramesTest, DrawsOverTheFrameBefore) {
  EXPECT_EQ(draw("a\nb\n"), "\ra\x1b[K\nb\x1b[K\n\x1b[J");
  EXPECT_EQ(draw("c\n"), "\r\x1b[2Ac\x1b[K\n\x1b[J");
  EXPECT_EQ(draw("d\ne\nf\n"), "\r\x1b[1Ad\x1b[K\ne\x1b[K\nf\x1b[K\n\x1b[J");
  EXPECT_EQ(draw(""), "\r\x1b[3A\x1b[J");
  EXPECT_EQ(draw("g\n"), "\rg\x1b[K\n\x1b[J");
}

TEST_F(FramesTest, KeepsEmptyLinesAndALastLineWithoutItsEnd) {
  EXPECT_EQ(draw("a\n\nb"), "\ra\x1b[K\n\x1b[K\nb\x1b[K\n\x1b[J");
  EXPECT_EQ(draw("\n"), "\r\x1b[3A\x1b[K\n\x1b[J");
}

TEST_F(FramesTest, LeavesTheLastColumnAndTheLastRowFree) {
  EXPECT_EQ(draw("abc\nd\n", 3, 3), "\ra…\x1b[K\nd\x1b[K\n\x1b[J");
  EXPECT_EQ(draw("abc\n", 4, 3),
            "\r\x1b[2A"
            "abc\x1b[K\n\x1b[J");
}

TEST_F(FramesTest, FitsTheSmallestTerminals) {
  EXPECT_EQ(draw("abc\n", 1, 2), "\r…\x1b[K\n\x1b[J");
  EXPECT_EQ(draw("abc\nd\n", 2, 1), "\r\x1b[1A\x1b[J");  // whatever it drew, it would scroll
}

TEST_F(FramesTest, SaysHowManyLinesHaveNoRoom) {
  EXPECT_EQ(draw("a\nb\nc\nd\n", 80, 5), "\ra\x1b[K\nb\x1b[K\nc\x1b[K\nd\x1b[K\n\x1b[J");
  EXPECT_EQ(draw("a\nb\nc\nd\n", 80, 4), "\r\x1b[4Aa\x1b[K\nb\x1b[K\n… 2 more lines\x1b[K\n\x1b[J");
}

TEST(DisplayWidthTest, IsNeverLessThanATerminalTakes) {
  EXPECT_EQ(display_width(""), 0U);
  EXPECT_EQ(display_width("größe…"), 6U);
  EXPECT_EQ(display_width("画像"), 4U);
  EXPECT_EQ(display_width("한국"), 4U);
  EXPECT_EQ(display_width("\U0001f600!"), 3U);
}

}  // namespace
}  // namespace progress_tracker::cli

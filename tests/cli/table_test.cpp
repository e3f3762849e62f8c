#include "cli/table.h"

#include <gmock/gmock.h>

#include <sstream>
#include <string>
#include <vector>

namespace progress_tracker::cli {
namespace {

using Align = Table::Align;

std::vector<Table::Cell> row(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

std::string written(const Table& table) {
  std::ostringstream out;
  table.write(out);
  return out.str();
}

TEST(TableTest, AlignsColumnsAndEndsNoLineInSpaces) {
  Table table({{"job"}, {"count", Align::kRight}, {"note"}}, false);
  table.add(row({"first", "7", ""}));
  table.add(row({"x", "123456", "a b"}));
  table.add(row({"", "", ""}));
  table.add(row({"", "1", ""}));
  EXPECT_EQ(written(table),
            "job     count  note\n"
            "first       7\n"
            "x      123456  a b\n"
            "\n"
            "            1\n");
}

TEST(TableTest, CountsCharactersAndNotBytes) {
  Table table({{"größe"}, {"n", Align::kRight}}, false);
  table.add(row({"a", "1"}));
  table.add(row({"…", "22"}));
  EXPECT_EQ(written(table),
            "größe   n\n"
            "a       1\n"
            "…      22\n");
}

TEST(TableTest, ColorTakesNoRoom) {
  for (const bool is_colored : {false, true}) {
    Table table({{"n", Align::kRight}, {"m"}}, is_colored);
    table.add({{"1", Color::kRed}, {"x", Color::kBold}});
    table.add(row({"222", "y"}));
    EXPECT_EQ(written(table), is_colored ? "  n  m\n"
                                           "  \x1b[31m1\x1b[0m  \x1b[1mx\x1b[0m\n"
                                           "222  y\n"
                                         : "  n  m\n"
                                           "  1  x\n"
                                           "222  y\n");
  }
}

TEST(TableTest, HasItsTitlesAlsoWithoutRows) {
  EXPECT_EQ(written(Table({{"a"}, {"b"}}, true)), "a  b\n");
  EXPECT_EQ(written(Table({}, false)), "\n");
}

}  // namespace
}  // namespace progress_tracker::cli

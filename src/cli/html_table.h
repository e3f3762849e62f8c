// Tables of a page, readable on a narrow screen and by a screen reader.
#ifndef PROGRESS_TRACKER_CLI_HTML_TABLE_H_
#define PROGRESS_TRACKER_CLI_HTML_TABLE_H_

#include <string>
#include <vector>

#include "cli/html_writer.h"

namespace progress_tracker::cli {

struct Column {
  // What its cells hold, by which they are aligned and broken into lines.
  enum class Kind { kText, kNumber, kTime, kName, kPath };

  const char* heading;
  Kind kind;
};

// A box that scrolls by itself where the table in it is too wide for the screen.
HtmlWriter::Element inside_scroll(HtmlWriter& html, const char* label);

void write_column_headings(HtmlWriter& html, const std::vector<Column>& columns);

// Each row has a cell for each column, the first of which is the heading of the row.
void write_table(HtmlWriter& html, const char* label, const std::vector<Column>& columns,
                 const std::vector<std::vector<std::string>>& rows);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_HTML_TABLE_H_

#include "cli/html_table.h"

#include <cstddef>

namespace progress_tracker::cli {
namespace {

using Kind = Column::Kind;

std::string style_of(Kind kind) {
  switch (kind) {
    case Kind::kNumber:
      return "number";
    case Kind::kTime:
      return "time";
    case Kind::kName:
      return "name";
    case Kind::kPath:
      return "path";
    case Kind::kText:
      break;
  }
  return "text";
}

void write_row(HtmlWriter& html, const std::vector<Column>& columns,
               const std::vector<std::string>& cells) {
  const auto row = html.inside("tr");
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string style = style_of(columns[i].kind);
    if (i == 0) {
      html.element("th", {{"scope", "row"}, {"class", style}}, cells[i]);
    } else {
      html.element("td", {{"class", style}}, cells[i]);
    }
  }
}

}  // namespace

HtmlWriter::Element inside_scroll(HtmlWriter& html, const char* label) {
  return html.inside(
      "div", {{"class", "scroll"}, {"role", "region"}, {"aria-label", label}, {"tabindex", "0"}});
}

void write_column_headings(HtmlWriter& html, const std::vector<Column>& columns) {
  const auto head = html.inside("thead");
  const auto row = html.inside("tr");
  for (const Column& column : columns) {
    html.element("th",
                 {{"scope", "col"}, {"class", column.kind == Kind::kNumber ? "number" : "text"}},
                 column.heading);
  }
}

void write_table(HtmlWriter& html, const char* label, const std::vector<Column>& columns,
                 const std::vector<std::vector<std::string>>& rows) {
  const auto scroll = inside_scroll(html, label);
  const auto table = html.inside("table");
  write_column_headings(html, columns);
  const auto body = html.inside("tbody");
  for (const std::vector<std::string>& cells : rows) write_row(html, columns, cells);
}

}  // namespace progress_tracker::cli

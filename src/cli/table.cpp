#include "cli/table.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "cli/output.h"

namespace progress_tracker::cli {

Table::Table(std::vector<Column> columns, bool is_colored)
    : columns_(std::move(columns)), is_colored_(is_colored) {
  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.emplace_back(column.title);
  add(std::move(titles));
}

void Table::add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }

void Table::write(std::ostream& out) const {
  std::vector<std::size_t> widths(columns_.size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(row[i].text));
    }
  }
  for (const auto& row : rows_) {
    std::string line;
    std::string gap;  // written only before a text that follows
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - display_width(row[i].text), ' ');
      if (columns_[i].align == Align::kRight) gap += space;
      if (!row[i].text.empty()) {
        line += gap;
        gap.clear();
        line += row[i].color ? paint(row[i].text, *row[i].color, is_colored_) : row[i].text;
      }
      if (columns_[i].align == Align::kLeft) gap += space;
      gap += "  ";
    }
    out << line << '\n';
  }
}

}  // namespace progress_tracker::cli

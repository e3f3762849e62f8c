// Text in aligned columns.
#ifndef PROGRESS_TRACKER_CLI_TABLE_H_
#define PROGRESS_TRACKER_CLI_TABLE_H_

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "cli/style.h"

namespace progress_tracker::cli {

class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  // Foreign text must have gone through display().
  struct Cell {
    Cell(std::string what, std::optional<Color> in = std::nullopt)  // NOLINT: meant to be implicit
        : text(std::move(what)), color(in) {}
    std::string text;
    std::optional<Color> color;
  };

  Table(std::vector<Column> columns, bool is_colored);

  // As many cells as there are columns.
  void add(std::vector<Cell> row);

  // The titles, then the rows. No line ends in spaces.
  void write(std::ostream& out) const;

 private:
  std::vector<Column> columns_;
  bool is_colored_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_TABLE_H_

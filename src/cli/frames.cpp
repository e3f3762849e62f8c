#include "cli/frames.h"

#include <algorithm>
#include <vector>

#include "cli/output.h"

namespace progress_tracker::cli {
namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// The length of what begins a line: a sequence of colour, or a character.
std::size_t piece_length(std::string_view line) {
  if (line.front() != '\x1b') return character_length(line);
  return std::min(line.find('m'), line.size() - 1) + 1;
}

std::size_t width_of(std::string_view piece) {
  return piece.front() == '\x1b' ? 0 : display_width(piece);
}

std::size_t width_of_line(std::string_view line) {
  std::size_t width = 0;
  while (!line.empty()) {
    const std::string_view piece = line.substr(0, piece_length(line));
    width += width_of(piece);
    line.remove_prefix(piece.size());
  }
  return width;
}

}  // namespace

std::string cut_to_columns(std::string_view line, std::size_t columns) {
  if (columns == 0) return {};
  if (width_of_line(line) <= columns) return std::string(line);
  const std::size_t room = columns - 1;  // beside the mark
  std::string kept;
  std::size_t used = 0;
  bool is_cut = false;
  while (!line.empty()) {
    const std::string_view piece = line.substr(0, piece_length(line));
    line.remove_prefix(piece.size());
    if (piece.front() == '\x1b') {
      kept += piece;  // also behind the cut: the last one ends the colour
    } else if (!is_cut && used + width_of(piece) <= room) {
      kept += piece;
      used += width_of(piece);
    } else if (!is_cut) {
      is_cut = true;
      kept += "…";
    }
  }
  return kept;
}

void Frames::draw(std::string_view text, std::size_t columns, std::size_t rows) {
  std::vector<std::string_view> lines = lines_of(text);
  // One row stays free for the cursor.
  const std::size_t room = std::max<std::size_t>(rows, 1) - 1;
  std::string more;
  if (lines.size() > room) {
    more = "… " + std::to_string(lines.size() - room + 1) + " more lines";
    lines.resize(room);
    if (room > 0) lines.back() = more;
  }
  std::string frame = "\r";
  if (lines_ > 0) frame += "\x1b[" + std::to_string(lines_) + 'A';
  for (const std::string_view line : lines) {
    frame += cut_to_columns(line, columns > 1 ? columns - 1 : 1) + "\x1b[K\n";
  }
  frame += "\x1b[J";
  out_ << frame << std::flush;
  lines_ = lines.size();
}

}  // namespace progress_tracker::cli

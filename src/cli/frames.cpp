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

// The length of what begins at `at` and takes at most one column: a sequence of colour, or a
// character.
std::size_t piece_length(std::string_view line, std::size_t at) {
  if (line[at] == '\x1b') return std::min(line.find('m', at), line.size() - 1) + 1 - at;
  std::size_t end = at + 1;
  while (end < line.size() && (static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) ++end;
  return end - at;
}

}  // namespace

std::string cut_to_columns(std::string_view line, std::size_t columns) {
  std::string kept;
  std::size_t used = 0;
  bool is_cut = false;
  std::size_t last = 0;  // where the last character begins,
  std::size_t last_length = 0;
  for (std::size_t at = 0; at < line.size();) {
    const std::string_view piece = line.substr(at, piece_length(line, at));
    at += piece.size();
    if (piece.front() == '\x1b') {
      kept += piece;  // also behind the cut: the last one ends the colour
    } else if (used < columns) {
      last = kept.size();
      last_length = piece.size();
      kept += piece;
      ++used;
    } else if (!is_cut) {
      is_cut = true;
      kept.replace(last, last_length, "…");  // which makes room for the mark
    }
  }
  return kept;
}

void Frames::draw(std::string_view text, std::size_t columns, std::size_t rows) {
  std::vector<std::string_view> lines = lines_of(text);
  // One row stays free for the cursor.
  if (rows > 1 && lines.size() > rows - 1) lines.resize(rows - 1);
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

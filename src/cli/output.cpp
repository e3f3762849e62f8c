#include "cli/output.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

#include "progress_tracker/rules.h"

namespace progress_tracker::cli {
namespace {

bool is_plain_in_shell(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("%+,-./:=@_").find(c) != std::string_view::npos;
}

bool is_inside_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// Of one character of valid UTF-8.
std::uint32_t code_point(std::string_view character) {
  const auto first = static_cast<unsigned char>(character.front());
  if (character.size() == 1) return first;
  std::uint32_t value = first & (0x7fU >> character.size());
  for (const char c : character.substr(1))
    value = value << 6 | (static_cast<unsigned char>(c) & 63);
  return value;
}

// By whole blocks of Unicode, which hold a few narrow characters too: better a column too few used
// than a line that is longer than the terminal.
bool is_wide(std::uint32_t character) {
  struct Block {
    std::uint32_t first;
    std::uint32_t last;
  };
  constexpr Block kWide[] = {
      {0x1100, 0x115f}, {0x231a, 0x231b},   {0x23e9, 0x23f3},   {0x25fd, 0x25fe},
      {0x2600, 0x27bf}, {0x2b1b, 0x2b55},   {0x2e80, 0xa4cf},   {0xa960, 0xa97f},
      {0xac00, 0xd7a3}, {0xf900, 0xfaff},   {0xfe10, 0xfe6f},   {0xff01, 0xff60},
      {0xffe0, 0xffe6}, {0x16fe0, 0x1b2ff}, {0x1f000, 0x1faff}, {0x20000, 0x3fffd}};
  return std::any_of(std::begin(kWide), std::end(kWide), [character](const Block& block) {
    return block.first <= character && character <= block.last;
  });
}

// Some shells read {} as a word and some as a brace: quoted it is safe in all.
std::string shell_word(const std::string& word) {
  // zsh takes "=ls" for the path of ls.
  if (!word.empty() && word.front() != '=' &&
      std::all_of(word.begin(), word.end(), is_plain_in_shell)) {
    return word;
  }

  const bool is_printable = escape_for_display(word) == word;
  std::string quoted = is_printable ? "'" : "$'";
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_printable) {
      quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    } else if (byte < 0x20 || byte >= 0x7f || c == '\'' || c == '\\') {
      constexpr char kHex[] = "0123456789abcdef";
      quoted += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      quoted += c;
    }
  }
  return quoted + '\'';
}

}  // namespace

std::string display(std::string_view text) { return escape_for_display(text); }

std::string display_cut(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view kEllipsis = "…";
  // What is shown is never shorter than the text, so the rest of a long text need not be looked at.
  std::string shown = display(text.substr(0, max_bytes));
  if (shown.size() <= max_bytes && text.size() <= max_bytes) return shown;
  std::size_t end = std::min(shown.size(), max_bytes - kEllipsis.size());
  while (end > 0 && is_inside_character(shown[end])) --end;
  shown.resize(end);
  return shown.append(kEllipsis);
}

std::string display_lines(std::string_view text, std::string_view indent, std::size_t max_bytes) {
  std::string lines;
  for (;;) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines += display_cut(text.substr(0, end), max_bytes);
    if (end == text.size() || end > max_bytes) return lines;
    max_bytes -= end;
    text.remove_prefix(end + 1);
    lines.append("\n").append(indent);
    if (max_bytes == 0) return lines.append("…");
  }
}

std::string shown_message(std::string_view message) {
  constexpr std::size_t kShownBytes = 400;
  return display_cut(message, kShownBytes);
}

std::size_t character_length(std::string_view text) {
  std::size_t length = 1;
  while (length < text.size() && is_inside_character(text[length])) ++length;
  return length;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const std::string_view character = text.substr(0, character_length(text));
    width += is_wide(code_point(character)) ? 2 : 1;
    text.remove_prefix(character.size());
  }
  return width;
}

void complain(std::ostream& err, std::string_view message) {
  // In one piece, so that a line is not torn where several processes write.
  err << std::string("progress-tracker: ").append(message).append("\n") << std::flush;
}

std::string shell_line(std::span<const std::string> words) {
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    line += shell_word(word);
  }
  return line;
}

std::string base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string encoded;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::string_view group = bytes.substr(at, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = bits << 8 | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      encoded += i <= group.size() ? kDigits[bits >> (18 - 6 * i) & 63] : '=';
    }
  }
  return encoded;
}

std::string counted(long long count, std::string_view singular, std::string_view plural) {
  std::string text = std::to_string(count) + ' ';
  if (count == 1) return text.append(singular);
  return plural.empty() ? text.append(singular).append("s") : text.append(plural);
}

}  // namespace progress_tracker::cli

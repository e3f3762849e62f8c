#include "cli/output.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "progress_tracker/rules.h"

namespace progress_tracker::cli {
namespace {

bool is_plain_in_shell(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("%+,-./:=@_").find(c) != std::string_view::npos;
}

// Some shells read {} as a word and some as a brace: quoted it is safe in all.
std::string shell_word(const std::string& word) {
  if (!word.empty() && std::all_of(word.begin(), word.end(), is_plain_in_shell)) return word;

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
  while (end > 0 && (static_cast<unsigned char>(shown[end]) & 0xc0) == 0x80) --end;
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

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
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

#include "progress_tracker/rules.h"

#include <cstdint>
#include <cstring>
#include <optional>

#include "progress_tracker/error.h"

namespace progress_tracker {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";    // U+FFFD
constexpr std::string_view kCutMark = "\xE2\x80\xA6 [cut]";  // "… [cut]"

// One step through a string: a character of valid UTF-8, or a single byte that starts none.
struct Step {
  std::size_t length{1};
  std::optional<char32_t> character;  // no value: not UTF-8
};

// The character with which `bytes`, which is not empty, begins.
Step next_character(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {1, lead};

  std::size_t length = 0;
  char32_t smallest = 0;  // below it the form is overlong
  char32_t value = 0;
  if ((lead & 0xE0) == 0xC0) {
    length = 2, smallest = 0x80, value = lead & 0x1F;
  } else if ((lead & 0xF0) == 0xE0) {
    length = 3, smallest = 0x800, value = lead & 0x0F;
  } else if ((lead & 0xF8) == 0xF0) {
    length = 4, smallest = 0x10000, value = lead & 0x07;
  } else {
    return {};
  }
  if (bytes.size() < length) return {};
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    value = (value << 6) | (byte(i) & 0x3F);
  }
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < smallest || value > 0x10FFFF || surrogate) return {};
  return {length, value};
}

// The length of the leading run of eight-byte words without a byte above 0x7F. Nearly every path is
// ASCII, and each is checked as it is stored.
std::size_t ascii_words(std::string_view bytes) {
  std::size_t length = 0;
  for (std::uint64_t word = 0; bytes.size() - length >= sizeof word; length += sizeof word) {
    std::memcpy(&word, bytes.data() + length, sizeof word);
    if ((word & 0x8080808080808080U) != 0) break;
  }
  return length;
}

// Unicode's category Cc.
bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7F && c <= 0x9F); }

// Characters that start a new line or reorder the text around them.
bool is_line_or_direction_mark(char32_t c) {
  return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);
}

// What is wrong with a name or a split, or nullptr.
const char* fault_of_label(std::string_view label) {
  while (!label.empty()) {
    const Step step = next_character(label);
    if (!step.character) return "not valid UTF-8";
    if (is_control(*step.character)) return "control characters are not allowed";
    label.remove_prefix(step.length);
  }
  return nullptr;
}

[[noreturn]] void refuse(std::string_view operation, const std::string& thing,
                         std::string_view cause) {
  std::string message(operation);
  message.append(": ").append(thing).append(": ").append(cause);
  throw Error(ErrorCode::kInvalidArgument, message);
}

std::string in_quotes(std::string_view text) { return '"' + escape_for_display(text) + '"'; }

std::string element(std::string_view list, std::size_t index) {
  return std::string(list) + '[' + std::to_string(index) + ']';
}

void check_path(std::string_view operation, std::size_t index, const std::string& path) {
  if (path.empty()) refuse(operation, element("image_paths", index), "the path is empty");
  if (path.find('\0') != std::string::npos) {
    refuse(operation, element("image_paths", index) + ' ' + in_quotes(path), "a NUL in the path");
  }
}

std::string hex(std::uint32_t value, int digits) {
  std::string text;
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
    text += "0123456789ABCDEF"[(value >> shift) & 0xF];
  }
  return text;
}

}  // namespace

bool is_valid_utf8(std::string_view bytes) {
  while (true) {
    bytes.remove_prefix(ascii_words(bytes));
    if (bytes.empty()) return true;
    const Step step = next_character(bytes);
    if (!step.character) return false;
    bytes.remove_prefix(step.length);
  }
}

void check_job_name(std::string_view operation, std::string_view name) {
  if (name.empty()) refuse(operation, "job name", "the name is empty");
  if (const char* fault = fault_of_label(name))
    refuse(operation, "job name " + in_quotes(name), fault);
}

void check_images(std::string_view operation, std::span<const std::filesystem::path> image_paths,
                  std::span<const std::string> splits) {
  if (!splits.empty() && splits.size() != image_paths.size()) {
    refuse(operation, "splits",
           std::to_string(splits.size()) + " splits for " + std::to_string(image_paths.size()) +
               " paths; give one for each, or none at all");
  }
  for (std::size_t i = 0; i < image_paths.size(); ++i) {
    check_path(operation, i, image_paths[i].native());
  }
  for (std::size_t i = 0; i < splits.size(); ++i) {
    if (i > 0 && splits[i] == splits[i - 1]) continue;  // lists have few splits, in long runs
    if (const char* fault = fault_of_label(splits[i])) {
      refuse(operation, element("splits", i) + ' ' + in_quotes(splits[i]), fault);
    }
  }
}

std::string clean_message(std::string_view message) {
  std::string cleaned;
  std::size_t room_for_mark = 0;  // where to cut, should it become too long
  while (!message.empty()) {
    const Step step = next_character(message);
    const bool storable = step.character && *step.character != 0;
    cleaned += storable ? message.substr(0, step.length) : kReplacement;
    if (cleaned.size() > kMaxMessageBytes) {
      cleaned.resize(room_for_mark);
      cleaned += kCutMark;
      break;
    }
    if (cleaned.size() + kCutMark.size() <= kMaxMessageBytes) room_for_mark = cleaned.size();
    message.remove_prefix(step.length);
  }
  return cleaned;
}

std::string escape_for_display(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  while (!text.empty()) {
    const Step step = next_character(text);
    if (!step.character) {
      escaped += "\\x" + hex(static_cast<std::uint8_t>(text[0]), 2);
    } else if (*step.character == '\n') {
      escaped += "\\n";
    } else if (*step.character == '\t') {
      escaped += "\\t";
    } else if (*step.character < 0x80 && is_control(*step.character)) {
      escaped += "\\x" + hex(*step.character, 2);
    } else if (is_control(*step.character) || is_line_or_direction_mark(*step.character)) {
      escaped += "\\u{" + hex(*step.character, 4) + '}';
    } else {
      escaped += text.substr(0, step.length);
    }
    text.remove_prefix(step.length);
  }
  return escaped;
}

}  // namespace progress_tracker

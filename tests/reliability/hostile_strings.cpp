#include "hostile_strings.h"

#include <array>
#include <cstdio>

namespace progress_tracker::reliability {
namespace {

// Written out byte by byte, so that this is not the library's own table of them.
constexpr auto kMarks = std::to_array<std::string_view>({
    "\xD8\x9C",      // Arabic letter mark
    "\xE2\x80\x8E",  // left-to-right mark
    "\xE2\x80\x8F",  // right-to-left mark
    "\xE2\x80\xA8",  // line separator
    "\xE2\x80\xA9",  // paragraph separator
    "\xE2\x80\xAA",  // embeddings and overrides, up to
    "\xE2\x80\xAB",
    "\xE2\x80\xAC",
    "\xE2\x80\xAD",
    "\xE2\x80\xAE",  // right-to-left override
    "\xE2\x81\xA6",  // isolates, up to
    "\xE2\x81\xA7",
    "\xE2\x81\xA8",
    "\xE2\x81\xA9",
});

std::string hex(unsigned char byte) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%02X ", byte);
  return text.data();
}

void append_character(std::string& text, char32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += {static_cast<char>(0xC0U | (c >> 6U)), static_cast<char>(0x80U | (c & 0x3FU))};
  } else if (c < 0x10000) {
    text += {static_cast<char>(0xE0U | (c >> 12U)), static_cast<char>(0x80U | ((c >> 6U) & 0x3FU)),
             static_cast<char>(0x80U | (c & 0x3FU))};
  } else {
    text +=
        {static_cast<char>(0xF0U | (c >> 18U)), static_cast<char>(0x80U | ((c >> 12U) & 0x3FU)),
         static_cast<char>(0x80U | ((c >> 6U) & 0x3FU)), static_cast<char>(0x80U | (c & 0x3FU))};
  }
}

}  // namespace

const std::vector<std::string>& hostile_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names{
        ".",
        "..",
        "/",
        "//",
        "///",
        "a/",
        "a//",
        "a/b",
        "a//b",
        "a/./b",
        "a/../b",
        "../../etc",
        "/absolute",
        "./a",
        " ",
        "  a ",
        "-",
        "--",
        "-rf",
        "--db=x",
        "-0",
        "~",
        "~root",
        "$HOME",
        "`id`",
        "$(id)",
        "a;b",
        "a|b",
        "a&b",
        "a>b",
        "*",
        "?",
        "[a-z]",
        "{a,b}",
        "{}",
        "{/.}",
        "a\\b",
        "a'b",
        "a\"b",
        "'; DROP TABLE image; --",
        "\" OR 1=1 --",
        "%",
        "%s%s%s%n",
        "%00",
        "100%",
        "a%20b",
        "?mode=memory",
        "a?b=c",
        "#",
        "a#b",
        "file:a.db",
        "file:a.db?mode=memory",
        "file:///a?vfs=x",
        "file::memory:?cache=shared",
        ":memory:x",
        "a:b",
        "C:\\a",
        "nul",
        "con",
        "a\nb",
        "\n",
        "\r",
        "a\r\nb",
        "\t",
        "a\tb",
        "\v\f\b",
        "\a",
        "\x7F",
        "\x1B[31mred\x1B[0m",
        "\x1B]0;title\a",
        "\x1B[2J\x1B[H",
        "\x1B[1A\x1B[2Kforged",
        "\x1BPq\x1B\\",
        "\x9B"
        "31m",
        "\xC2\x9B"
        "31m",
        "\xC2\x85next line",
        "\xE2\x80\xA8line",
        "\xE2\x80\xAE"
        "gnp.exe",
        "\xE2\x81\xA6"
        "a\xE2\x81\xA9",
        "\xD8\x9C",
        "\xE2\x80\x8F",
        "\xEF\xBB\xBF"
        "bom",
        "\xC3\xA4",
        "a\xCC\x88",
        "\xE4",
        "\xFF",
        "\xFE\xFF",
        "\xC0\xAF",
        "\xE0\x80\xAF",
        "\xED\xA0\x80",
        "\xED\xA0\xBD\xED\xB8\x80",
        "\xF4\x90\x80\x80",
        "\xF8\x88\x80\x80\x80",
        "\xC3",
        "\xE2\x82",
        "\xF0\x9F\x98",
        "a\xC3",
        "\xC3(",
        "\xF0\x9F\x98\x80",
        "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x94\xAC",
        "\xE2\x80\x8B",
        "\xC2\xA0",
        "\xEF\xBF\xBD",
        "\xEF\xBF\xBF",
        "\xF3\xA0\x80\x81",
        "\xD7\xA9\xD7\x9C",
        "\xE3\x83\x86",
        "A",
        "a",
        "\xC3\x85",
        "A\xCC\x8A",
        "\xE2\x84\xAB",
        "NULL",
        "null",
        "0",
        "-1",
        "1e999",
        "0x10",
        "true",
        "x'41'",
        "a.db-wal",
        "a-shm",
        "a-journal",
        "a-workers",
        "image.png ",
        "image.png.",
        std::string(255, 'n'),
        std::string(32 * 1024, 'p'),
        std::string(32 * 1024, '/'),
        std::string(32 * 1024, '\xFF'),
    };
    for (const std::string_view mark : kMarks) {
      names.push_back("a" + std::string(mark) + "b");
    }
    std::string deep;
    for (int i = 0; i < 4'000; ++i) {
      deep += "d" + std::to_string(i % 10) + "/";
    }
    names.push_back(deep + "file");
    return names;
  }();
  return kNames;
}

std::string random_bytes(std::mt19937& random, std::size_t length) {
  std::string text;
  for (std::size_t i = 0; i < length; ++i) {
    text += static_cast<char>(random() & 0xFFU);
  }
  return text;
}

std::string random_name(std::mt19937& random) {
  std::string name;
  const std::size_t length = 1 + random() % 40;
  switch (random() % 5) {
    case 0:
      name = random_bytes(random, length);
      break;
    case 1:
      while (name.size() < length) {
        const auto c = static_cast<char32_t>(random() % 0x110000);
        append_character(name, c >= 0xD800 && c < 0xE000 ? U'?' : c);
      }
      break;
    case 2:  // few different ones, so that many share a beginning or an end
      while (name.size() < length) {
        name += "ab/.-\x1B\xC3\xA4\n "[random() % 10];
      }
      break;
    case 3:
      for (int pieces = 0; pieces < 3; ++pieces) {
        name += hostile_names()[random() % hostile_names().size()].substr(0, 20);
      }
      break;
    default:
      for (auto depth = random() % 6; depth > 0; --depth) {
        name += std::to_string(random() % 50) + "/";
      }
      name += "image_" + std::to_string(random() % 100'000) + ".png";
      break;
  }
  for (char& byte : name) {
    byte = byte == '\0' ? '0' : byte;
  }
  return name;
}

std::string raw_controls(std::string_view text, bool line_breaks) {
  std::string found;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto before = i > 0 ? static_cast<unsigned char>(text[i - 1]) : 0U;
    // A byte of C1 is one by itself or after C2; within another character it is not.
    const bool c1 = byte >= 0x80 && byte <= 0x9F && (before < 0x80 || before == 0xC2);
    if ((byte < 0x20 && !(line_breaks && byte == '\n')) || byte == 0x7F || c1) {
      found += hex(byte);
    }
    for (const std::string_view mark : kMarks) {
      if (text.substr(i).starts_with(mark)) {
        for (const char each : mark) {
          found += hex(static_cast<unsigned char>(each));
        }
      }
    }
  }
  return found;
}

}  // namespace progress_tracker::reliability

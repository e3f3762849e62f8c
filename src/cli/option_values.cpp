#include "cli/option_values.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

namespace progress_tracker::cli {
namespace {

// Whether all of `text` is a number, and nothing else.
template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stopped == end;
}

}  // namespace

void refuse_value(std::string_view option, std::string_view value, std::string_view wanted) {
  throw UsageError(
      std::string(option).append(": '").append(display(value)).append("' is not ").append(wanted));
}

std::int64_t parse_whole_number(std::string_view option, std::string_view text, std::int64_t least,
                                std::int64_t most) {
  std::int64_t number = 0;
  if (!read_number(text, number) || number < least || number > most) {
    std::string wanted = "a whole number from " + std::to_string(least);
    if (most < std::numeric_limits<int>::max()) wanted += " to " + std::to_string(most);
    refuse_value(option, text, wanted);
  }
  return number;
}

std::chrono::milliseconds parse_seconds(std::string_view option, std::string_view text) {
  double seconds = 0;
  if (!read_number(text, seconds) || !(seconds >= 0.001) || seconds > 1e9) {
    refuse_value(option, text, "a number of seconds above 0");
  }
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

std::regex parse_pattern(std::string_view option, const std::string& text) {
  try {
    return std::regex(text);
  } catch (const std::regex_error& error) {
    refuse_value(option, text, std::string("a regular expression: ") + error.what());
  }
}

}  // namespace progress_tracker::cli

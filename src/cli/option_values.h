// The values of options, with messages of our own: CLI11's number parsing prints limits of hundreds
// of digits, and converts more than it should.
#ifndef PROGRESS_TRACKER_CLI_OPTION_VALUES_H_
#define PROGRESS_TRACKER_CLI_OPTION_VALUES_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <regex>
#include <string>
#include <string_view>
#include <utility>

#include "cli/output.h"

namespace progress_tracker::cli {

// Throws UsageError: "OPTION: 'VALUE' is not WANTED".
[[noreturn]] void refuse_value(std::string_view option, std::string_view value,
                               std::string_view wanted);

// `option` is what the value came from, to be named in the UsageError of a bad one.
std::int64_t parse_whole_number(std::string_view option, std::string_view text, std::int64_t least,
                                std::int64_t most);

// A number of seconds above 0, in steps of a millisecond.
std::chrono::milliseconds parse_seconds(std::string_view option, std::string_view text);

std::regex parse_pattern(std::string_view option, const std::string& text);

template <typename Value, std::size_t N>
using Choices = std::array<std::pair<const char*, Value>, N>;

// "a|b|c"
template <typename Value, std::size_t N>
std::string names_of(const Choices<Value, N>& choices) {
  std::string names;
  for (const auto& choice : choices) names.append(names.empty() ? "" : "|").append(choice.first);
  return names;
}

template <typename Value, std::size_t N>
Value parse_choice(std::string_view option, std::string_view text,
                   const Choices<Value, N>& choices) {
  for (const auto& [name, value] : choices) {
    if (text == name) return value;
  }
  refuse_value(option, text, "one of " + names_of(choices));
}

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_OPTION_VALUES_H_

#include "cli/report_words.h"

#include <array>
#include <cstddef>
#include <cstdio>

#include "cli/progress_line.h"

namespace progress_tracker::cli {
namespace {

// `number` of its unit, and what is left over in the next smaller one, unless that is nothing.
std::string two_units(std::int64_t number, const char* unit, std::int64_t rest,
                      const char* smaller_unit) {
  std::string text = number_text(number) + ' ' + unit;
  if (rest > 0) text += ' ' + std::to_string(rest) + ' ' + smaller_unit;
  return text;
}

// Up to a minute, with three digits at most: 1,230 ms is "1.23 s".
std::string seconds_text(std::int64_t ms) {
  std::string fraction = std::to_string(1000 + ms % 1000).substr(1);
  fraction.resize(ms < 10'000 ? 2 : 1);
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  return std::to_string(ms / 1000) + (fraction.empty() ? "" : '.' + fraction) + " s";
}

}  // namespace

std::string number_text(std::int64_t number) {
  std::string text = std::to_string(number);
  const std::size_t sign = number < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > sign + 3;) {
    at -= 3;
    text.insert(at, 1, ',');
  }
  return text;
}

std::string number_of(std::int64_t number, const std::string& singular, const std::string& plural) {
  const std::string noun = number == 1 ? singular : plural.empty() ? singular + 's' : plural;
  return number_text(number) + ' ' + noun;
}

std::string percent_text(std::int64_t part, std::int64_t whole) {
  if (part <= 0 || whole <= 0) return "0%";
  if (part >= whole) return "100%";
  const auto tenths =
      static_cast<std::int64_t>(1000 * static_cast<double>(part) / static_cast<double>(whole));
  if (tenths == 0) return "<0.1%";
  // A part just below the whole may be the whole, to a double.
  const std::int64_t shown = tenths < 1000 ? tenths : 999;
  return std::to_string(shown / 10) + '.' + std::to_string(shown % 10) + '%';
}

std::string rate_text(double per_second) {
  constexpr double kDay = 86'400;
  if (per_second * 3600 >= 1) return format_rate(per_second);
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f/d", per_second * kDay);
  return text.data();
}

std::string duration_text(std::chrono::milliseconds duration) {
  const std::int64_t ms = duration.count();
  if (ms < 1000) return std::to_string(ms) + " ms";
  if (ms < 60'000) return seconds_text(ms);
  const std::int64_t seconds = ms / 1000;
  if (seconds < 3600) return two_units(seconds / 60, "min", seconds % 60, "s");
  if (seconds < 86'400) return two_units(seconds / 3600, "h", seconds / 60 % 60, "min");
  return two_units(seconds / 86'400, "d", seconds / 3600 % 24, "h");
}

}  // namespace progress_tracker::cli

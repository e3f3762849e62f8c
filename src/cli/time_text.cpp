#include "cli/time_text.h"

#include <array>
#include <cstdio>
#include <ctime>

namespace progress_tracker::cli {

std::string utc_text(std::chrono::system_clock::time_point time, const char* format) {
  const std::time_t seconds =
      std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm fields{};
  gmtime_r(&seconds, &fields);  // cannot fail: what a time_point holds ends in the year 2262
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), format, &fields)};
}

std::string utc_milliseconds(std::chrono::system_clock::time_point time) {
  const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time) -
                            std::chrono::floor<std::chrono::seconds>(time);
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(milliseconds.count()));
  return utc_text(time, "%FT%T") + fraction.data();
}

std::string utc_for_people(std::chrono::system_clock::time_point time) {
  return utc_text(time, "%F %T UTC");
}

}  // namespace progress_tracker::cli

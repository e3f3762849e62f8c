// Times in words, always in UTC.
#ifndef PROGRESS_TRACKER_CLI_TIME_TEXT_H_
#define PROGRESS_TRACKER_CLI_TIME_TEXT_H_

#include <chrono>
#include <string>

namespace progress_tracker::cli {

// `format`: as strftime() has it.
std::string utc_text(std::chrono::system_clock::time_point time, const char* format);

// "2026-11-29T19:30:00.123Z"
std::string utc_milliseconds(std::chrono::system_clock::time_point time);

// "2026-11-29 19:30:00 UTC", for people.
std::string utc_for_people(std::chrono::system_clock::time_point time);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_TIME_TEXT_H_

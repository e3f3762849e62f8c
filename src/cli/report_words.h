// Figures as the report writes them.
#ifndef PROGRESS_TRACKER_CLI_REPORT_WORDS_H_
#define PROGRESS_TRACKER_CLI_REPORT_WORDS_H_

#include <chrono>
#include <cstdint>
#include <string>

namespace progress_tracker::cli {

// "1,234,567".
std::string number_text(std::int64_t number);

// number_text() with its noun: "1 image", "1,234 images"; "12 entries" if `plural` is given.
std::string number_of(std::int64_t number, const std::string& singular,
                      const std::string& plural = {});

// "42.5%". Rounded down, so that 100% means all; what is not nothing is at least "<0.1%".
std::string percent_text(std::int64_t part, std::int64_t whole);

// "12.3/s", "4.1/min", "4.1/h", "4.1/d": in the smallest unit that makes it one or more.
std::string rate_text(double per_second);

// The two largest units: "850 ms", "4.21 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". Rounded down.
std::string duration_text(std::chrono::milliseconds duration);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_REPORT_WORDS_H_

// Strings that have broken programs, and a filter for what must not reach a terminal.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_HOSTILE_STRINGS_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_HOSTILE_STRINGS_H_

#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace progress_tracker::reliability {

// As names of files: not empty, without NUL.
const std::vector<std::string>& hostile_names();

// Of one of many kinds: random bytes, random characters, pieces of hostile names, deep paths.
std::string random_name(std::mt19937& random);

// Any bytes, NUL among them.
std::string random_bytes(std::mt19937& random, std::size_t length);

// What in `text` a terminal would obey, named: control characters (of ASCII, and of C1 in UTF-8 or
// as a lone byte), and characters that reorder text or break lines. "" if there is none. A line
// feed is one unless `line_breaks`.
std::string raw_controls(std::string_view text, bool line_breaks = false);

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_HOSTILE_STRINGS_H_

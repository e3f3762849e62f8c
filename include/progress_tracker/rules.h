// The rules that every Tracker applies to its arguments (tracker.h, "Rules for all functions"), for
// those who implement one.
//
// The check_ functions throw Error kInvalidArgument, naming `operation`, the thing and the cause.
#ifndef PROGRESS_TRACKER_RULES_H_
#define PROGRESS_TRACKER_RULES_H_

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace progress_tracker {

// The most bytes that a stored error message has, the mark of a cut included.
inline constexpr std::size_t kMaxMessageBytes = 65'536;

// Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_valid_utf8(std::string_view bytes);

void check_job_name(std::string_view operation, std::string_view name);

// Checks a whole list: lengths, every path and every split.
void check_images(std::string_view operation, std::span<const std::filesystem::path> image_paths,
                  std::span<const std::string> splits);

// `message` made fit to be stored: invalid UTF-8 and NUL replaced by U+FFFD, and cut at a character
// so that it and the mark of the cut, "… [cut]", fit kMaxMessageBytes.
std::string clean_message(std::string_view message);

// A foreign string made fit for a log or a terminal: control characters, line breaks, escape
// sequences, bidirectional overrides and bytes that are not UTF-8 are written as \n, \t, \xHH or
// \u{HHHH}; all else is unchanged.
std::string escape_for_display(std::string_view text);

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_RULES_H_

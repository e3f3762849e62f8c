// How the tool speaks: foreign text made safe, complaints in one form.
#ifndef PROGRESS_TRACKER_CLI_OUTPUT_H_
#define PROGRESS_TRACKER_CLI_OUTPUT_H_

#include <cstddef>
#include <istream>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "cli/exit_code.h"

namespace progress_tracker::cli {

// Where a command reads and writes: results on `out`; progress and complaints on `err`.
struct Streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
};

// What keeps a command from its end, in words for the user, and the exit code that says so.
class Refusal : public std::runtime_error {
 public:
  // `advice`: what the user can do next, or nullptr. Both must have gone through display().
  Refusal(const std::string& message, int exit_code, const char* advice = nullptr)
      : std::runtime_error(message), exit_code_(exit_code), advice_(advice) {}

  int exit_code() const { return exit_code_; }
  const char* advice() const { return advice_; }

 private:
  int exit_code_;
  const char* advice_;
};

// What the user has to put right.
class UsageError : public Refusal {
 public:
  explicit UsageError(const std::string& message) : Refusal(message, kExitUsage) {}
};

// What the user named is not there.
class NotFound : public Refusal {
 public:
  explicit NotFound(const std::string& message, const char* advice = nullptr)
      : Refusal(message, kExitNotFound, advice) {}
};

// `text` as it may be shown on a terminal.
std::string display(std::string_view text);

// The same, at most `max_bytes` long; a cut is shown by "…".
std::string display_cut(std::string_view text, std::size_t max_bytes);

// A message as its own lines, each safe to show, with `indent` before all but the first. At most
// `max_bytes` of it; a cut is shown by "…".
std::string display_lines(std::string_view text, std::string_view indent, std::size_t max_bytes);
// An image's error message in a list or as it happens: the beginning of a long one.
std::string shown_message(std::string_view message);

// "progress-tracker: MESSAGE". The message is shown as it is: foreign parts must have gone through
// display().
void complain(std::ostream& err, std::string_view message);

// The bytes of the first character of `text`, which is not empty.
std::size_t character_length(std::string_view text);

// How many columns `text` takes: two for East Asian characters and emoji, one for any other. So it
// never takes more, though accents that are characters of their own take none.
std::size_t display_width(std::string_view text);

// The words as a line that bash and zsh read back byte for byte, safe to show on a terminal.
std::string shell_line(std::span<const std::string> words);

std::string base64(std::string_view bytes);

// "1 image", "2 images"; "12 entries" if `plural` is given.
std::string counted(long long count, std::string_view singular, std::string_view plural = {});

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_OUTPUT_H_

// Shows something again and again in the same place of a terminal.
#ifndef PROGRESS_TRACKER_CLI_FRAMES_H_
#define PROGRESS_TRACKER_CLI_FRAMES_H_

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>

namespace progress_tracker::cli {

class Frames {
 public:
  explicit Frames(std::ostream& out) : out_(out) {}

  // Draws `text`, whole lines, over what was drawn before. Lines are cut at `columns`, and the
  // frame at `rows`, so that it never scrolls; its last line says how many are missing.
  void draw(std::string_view text, std::size_t columns, std::size_t rows);

 private:
  std::ostream& out_;
  std::size_t lines_ = 0;  // of what stands there
};

// The first columns of a line, sequences of colour apart; a cut is shown by "…".
std::string cut_to_columns(std::string_view line, std::size_t columns);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_FRAMES_H_

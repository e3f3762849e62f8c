// Colour, which says nothing that the words do not say.
#ifndef PROGRESS_TRACKER_CLI_STYLE_H_
#define PROGRESS_TRACKER_CLI_STYLE_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace progress_tracker::cli {

enum class ColorChoice { kAuto, kAlways, kNever };

enum class Color { kRed, kGreen, kYellow, kBold };

// Whether a stream is coloured. In this order: --color; NO_COLOR; CLICOLOR_FORCE and FORCE_COLOR;
// whether the stream is a terminal; TERM=dumb. `environment` gives the variables that are set and
// not empty.
bool choose_color(ColorChoice asked, bool is_terminal,
                  const std::function<std::optional<std::string>(const char*)>& environment);

// `text`, with the sequences of a terminal around it if `is_colored`.
std::string paint(std::string_view text, Color color, bool is_colored);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_STYLE_H_

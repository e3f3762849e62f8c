#include "cli/style.h"

namespace progress_tracker::cli {
namespace {

const char* code_of(Color color) {
  switch (color) {
    case Color::kRed:
      return "31";
    case Color::kGreen:
      return "32";
    case Color::kYellow:
      return "33";
    case Color::kBold:
      break;
  }
  return "1";
}

}  // namespace

bool choose_color(ColorChoice asked, bool is_terminal,
                  const std::function<std::optional<std::string>(const char*)>& environment) {
  if (asked != ColorChoice::kAuto) return asked == ColorChoice::kAlways;
  if (environment("NO_COLOR")) return false;
  for (const char* name : {"CLICOLOR_FORCE", "FORCE_COLOR"}) {
    if (const auto force = environment(name); force && *force != "0") return true;
  }
  return is_terminal && environment("TERM").value_or("dumb") != "dumb";
}

std::string paint(std::string_view text, Color color, bool is_colored) {
  if (!is_colored) return std::string(text);
  return std::string("\x1b[").append(code_of(color)).append("m").append(text).append("\x1b[0m");
}

}  // namespace progress_tracker::cli

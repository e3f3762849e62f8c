#include "cli/context.h"

#include <utility>

namespace progress_tracker::cli {

std::string line_to_type(const Context& context, std::vector<std::string> words) {
  words.insert(words.begin(), context.program());
  // The environment stays, and the default is the default; what was typed has to be typed again.
  const std::string& origin = context.configuration.database.origin;
  if (origin != "PROGRESS_TRACKER_DB" && origin != "default") {
    words.insert(words.end(), {"--db", context.database()});
  }
  return shell_line(words);
}

}  // namespace progress_tracker::cli

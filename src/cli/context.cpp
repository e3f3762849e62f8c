#include "cli/context.h"

namespace progress_tracker::cli {

std::string line_to_type(const Context& context, const std::string& command, const std::string& job,
                         std::vector<std::string> options) {
  // The environment stays, and the default is the default; what was typed has to be typed again.
  const std::string& origin = context.configuration.database.origin;
  if (origin != "PROGRESS_TRACKER_DB" && origin != "default") {
    options.insert(options.end(), {"--db", context.database()});
  }
  std::vector<std::string> words{context.program(), command};
  const bool looks_like_option = job.starts_with('-');
  if (!job.empty() && !looks_like_option) words.push_back(job);
  words.insert(words.end(), options.begin(), options.end());
  if (looks_like_option) words.insert(words.end(), {"--", job});
  return shell_line(words);
}

}  // namespace progress_tracker::cli

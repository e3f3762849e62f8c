#include "cli/open_files.h"

#include <algorithm>

namespace progress_tracker::cli {
namespace {

constexpr rlim_t kEachCommand = 3;
constexpr rlim_t kEachOutput = 2;

// The standard streams, the database's connections with their files, pipes, and some to spare.
constexpr rlim_t kOurOwn = 64;

}  // namespace

OpenFiles make_room_for(std::size_t commands, bool with_output) {
  const rlim_t each = kEachCommand + (with_output ? kEachOutput : 0);
  OpenFiles files{.commands = commands};
  if (getrlimit(RLIMIT_NOFILE, &files.before) != 0) return files;
  const rlim_t wanted = kOurOwn + each * commands;
  rlimit limit = files.before;
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = std::min(wanted, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit = files.before;
  }
  const rlim_t room = limit.rlim_cur > kOurOwn ? (limit.rlim_cur - kOurOwn) / each : 0;
  files.commands = std::clamp<std::size_t>(room, 1, commands);
  return files;
}

}  // namespace progress_tracker::cli

// The limit on open files: every running command takes two descriptors of the tool, and three while
// it starts; two more if its output goes through the tool.
#ifndef PROGRESS_TRACKER_CLI_OPEN_FILES_H_
#define PROGRESS_TRACKER_CLI_OPEN_FILES_H_

#include <sys/resource.h>

#include <cstddef>

namespace progress_tracker::cli {

struct OpenFiles {
  std::size_t commands{0};  // how many can run at a time; at least 1
  rlimit before{};          // what the commands themselves should start with
};

// Raises the soft limit to what `commands` commands at a time need, as far as the hard limit
// allows. `with_output`: their output goes through the tool.
OpenFiles make_room_for(std::size_t commands, bool with_output);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_OPEN_FILES_H_

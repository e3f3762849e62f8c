// A file that is there whole or as it was before.
#ifndef PROGRESS_TRACKER_CLI_ATOMIC_FILE_H_
#define PROGRESS_TRACKER_CLI_ATOMIC_FILE_H_

#include <filesystem>
#include <functional>
#include <ostream>
#include <string>

namespace progress_tracker::cli {

// Lets `write` fill a file beside `path`, then gives it that name, in place of what had it. Readers
// see the old content or the new. If anything fails, exceptions of `write` included, `path` stays
// as it was and nothing is left beside it. A link stays, and what it leads to is replaced. The file
// keeps its mode; a new one gets what the umask allows.
//
// Throws std::system_error, which names the file, if it cannot be written, or is no regular file.
void write_file_atomically(const std::filesystem::path& path,
                           const std::function<void(std::ostream&)>& write);

// The same for a file that the user asked for with `option`; "-" is `standard_output`. What is no
// regular file, such as a pipe, is written to in place.
// Throws UsageError in place of std::system_error.
void write_output(const std::string& option, const std::string& path, std::ostream& standard_output,
                  const std::function<void(std::ostream&)>& write);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_ATOMIC_FILE_H_

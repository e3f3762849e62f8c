// The command that `run` starts for each image.
//
// Words after the first are arguments, in which these are replaced, with GNU parallel's meanings:
//
//   {}    the path                         photos/train/cat.jpg
//   {.}   without its extension            photos/train/cat
//   {/}   without its directory            cat.jpg
//   {/.}  without either                   cat
//   {//}  the directory alone, or "."      photos/train
//
// If none of them occurs anywhere, the path is added as the last argument. Any other {...} is left
// alone, and what was put in is not looked at again: a path may contain "{}".
#ifndef PROGRESS_TRACKER_CLI_COMMAND_TEMPLATE_H_
#define PROGRESS_TRACKER_CLI_COMMAND_TEMPLATE_H_

#include <string>
#include <string_view>
#include <vector>

namespace progress_tracker::cli {

class CommandTemplate {
 public:
  // `words`: the command and its arguments; at least the command.
  explicit CommandTemplate(std::vector<std::string> words);

  const std::string& command() const { return words_.front(); }

  // The words for one image.
  std::vector<std::string> expand(std::string_view path) const;

 private:
  std::vector<std::string> words_;
  bool append_path_;
};

// Where a command is, as the shell would find it.
struct FoundCommand {
  std::string path{};  // empty: not to be had, and `error` says why
  int error{0};        // ENOENT: there is none; else what stands against running it

  std::string missing_interpreter{};  // of a script, if that is what `error` means
  bool for_shell{false};              // neither a program nor a script that says who reads it
};

// `search_path` is the value of PATH, or nullptr for the system's default. A command with a slash
// is not searched for. Looks into the file: nothing should be claimed for a command that cannot
// run.
FoundCommand find_command(const std::string& command, const char* search_path);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_COMMAND_TEMPLATE_H_

// What every command gets beside its own settings.
#ifndef PROGRESS_TRACKER_CLI_CONTEXT_H_
#define PROGRESS_TRACKER_CLI_CONTEXT_H_

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cli/configuration.h"
#include "cli/output.h"
#include "cli/tool_log.h"

namespace progress_tracker::cli {

// The terminal behind a stream, if there is one.
struct Terminal {
  bool is_there = false;
  bool is_colored = false;
  std::function<std::size_t()> columns{};
  std::function<std::size_t()> rows{};
};

struct Context {
  const Configuration& configuration;
  std::span<const std::string> typed;  // the words of the command line, to be shown as a line
  ToolLog& log;
  Streams streams;
  Terminal out;  // behind streams.out
  Terminal err;  // behind streams.err

  const std::string& database() const { return configuration.database.value; }
  const std::string& program() const { return typed.front(); }
};

// What to type for a command on the same database. `job`: its positional argument; empty: none.
std::string line_to_type(const Context& context, const std::string& command,
                         const std::string& job = {}, std::vector<std::string> options = {});

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_CONTEXT_H_

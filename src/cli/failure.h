// How a command that failed says so.
#ifndef PROGRESS_TRACKER_CLI_FAILURE_H_
#define PROGRESS_TRACKER_CLI_FAILURE_H_

#include <exception>
#include <ostream>
#include <string>

namespace progress_tracker::cli {

struct Failure {
  std::string message;   // safe to show
  const char* advice{};  // what the user can do next, or nullptr
  int exit_code{};
};

// Of a Refusal, an Error, or what should not have been thrown.
Failure failure_of(const std::exception& error);

// In lines, or as one object where every line has to be one.
void tell(const Failure& failure, bool in_json, std::ostream& err);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_FAILURE_H_

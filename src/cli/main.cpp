// progress-tracker: runs a command over images with durable resume, shows how a job is doing, and
// looks after the database.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <iostream>
#include <streambuf>
#include <string>
#include <variant>
#include <vector>

#include "cli/command_line.h"
#include "cli/doctor_command.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/run_command.h"
#include "cli/status_command.h"
#include "progress_tracker/error.h"
#include "progress_tracker/log.h"

namespace {

using namespace progress_tracker;       // NOLINT(google-build-using-namespace)
using namespace progress_tracker::cli;  // NOLINT(google-build-using-namespace)

// Whoever starts us with one of them closed must not find a database behind that number. Returns
// whether standard output was open.
bool open_standard_descriptors() {
  const bool has_output = fcntl(STDOUT_FILENO, F_GETFD) != -1;
  for (int descriptor = 0; descriptor >= 0 && descriptor <= STDERR_FILENO;) {
    descriptor = open("/dev/null", O_RDWR);
    if (descriptor > STDERR_FILENO) close(descriptor);
  }
  return has_output;
}

// In place of a standard output that was closed: fails whatever is written.
class NoOutput : public std::streambuf {};

std::size_t terminal_columns() {
  winsize size{};
  const bool is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? size.ws_col : 80;
}

// What the user can do next, or nothing.
const char* advice_for(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return "check --db and PROGRESS_TRACKER_DB; `run` makes the database";
    case ErrorCode::kBusy:
      return "run the same command again once no other process holds the database";
    case ErrorCode::kFull:
      return "make room, then run the same command again";
    case ErrorCode::kReadOnly:
      return "make the database and its directory writable, or give another with --db";
    case ErrorCode::kNotADatabase:
    case ErrorCode::kForeignDatabase:
    case ErrorCode::kUnsupportedFilesystem:
      return "give another place with --db";
    case ErrorCode::kSchemaTooNew:
      return "use the newer progress-tracker that wrote it";
    case ErrorCode::kSchemaTooOld:
      return "`run` or `doctor --repair` brings it up to date";
    case ErrorCode::kDatabaseMoved:
      return "put it back before you run the same command again: with no database there, the job "
             "begins anew";
    case ErrorCode::kOutcomeUnknown:
    case ErrorCode::kIo:
      return "run the same command again once the cause is gone; nothing recorded is lost";
    case ErrorCode::kCorrupt:
      return "keep the file and those beside it as they are; if nothing else helps, restore a "
             "backup";
    default:
      return nullptr;
  }
}

int carry_out(const CommandLine& line, const std::vector<std::string>& typed,
              const Streams& streams) {
  set_log_level(line.log_level);
  if (const auto* run = std::get_if<RunSettings>(&line.command)) {
    signal(SIGPIPE, SIG_IGN);  // a closed standard error is no reason to drop the work
    const Terminal terminal{.is_there = isatty(STDERR_FILENO) == 1, .columns = terminal_columns};
    return run_command(*run, line.database, typed, streams, terminal);
  }
  if (const auto* doctor = std::get_if<DoctorSettings>(&line.command)) {
    return doctor_command(*doctor, line.database, typed.front(), streams);
  }
  return status_command(std::get<StatusSettings>(line.command), line.database, streams);
}

int run_tool(const std::vector<std::string>& typed, const Streams& streams) {
  try {
    const auto parsed = parse_command_line({typed.begin() + 1, typed.end()}, streams);
    if (const int* exit_code = std::get_if<int>(&parsed)) return *exit_code;
    return carry_out(std::get<CommandLine>(parsed), typed, streams);
  } catch (const Error& error) {
    complain(streams.err, display(error.what()));
    if (const char* advice = advice_for(error.code())) complain(streams.err, advice);
    return exit_code_for(error.code());
  } catch (const UsageError& error) {
    complain(streams.err, error.what());
    return kExitUsage;
  } catch (const std::exception& error) {
    complain(streams.err, display(error.what()));
    return kExitUsage;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool has_output = open_standard_descriptors();
  std::ios::sync_with_stdio(false);
  if (!has_output) std::cout.rdbuf(new NoOutput);  // NOLINT: the stream outlives main()
  std::vector<std::string> typed(argv, argv + argc);
  if (typed.empty()) typed.emplace_back("progress-tracker");
  const int exit_code = run_tool(typed, {.in = std::cin, .out = std::cout, .err = std::cerr});
  std::cout.flush();
  if (!std::cout) {
    complain(std::cerr, "standard output: cannot be written");
    return kExitUsage;
  }
  return exit_code;
}

// progress-tracker: runs a command over images with durable resume, shows and tells how a job is
// doing, and looks after the record.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <exception>
#include <iostream>
#include <streambuf>
#include <string>
#include <variant>
#include <vector>

#include "cli/batches_command.h"
#include "cli/change_commands.h"
#include "cli/command_line.h"
#include "cli/config_command.h"
#include "cli/configuration.h"
#include "cli/context.h"
#include "cli/database.h"
#include "cli/doctor_command.h"
#include "cli/errors_command.h"
#include "cli/exit_code.h"
#include "cli/explain_command.h"
#include "cli/export_command.h"
#include "cli/failure.h"
#include "cli/import_command.h"
#include "cli/json_output.h"
#include "cli/output.h"
#include "cli/report_command.h"
#include "cli/run_command.h"
#include "cli/status_command.h"
#include "cli/style.h"
#include "cli/tool_log.h"
#include "progress_tracker/error.h"

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

winsize size_of(int descriptor) {
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) != 0) size = {};
  return size;
}

Terminal terminal_at(int descriptor, ColorChoice color) {
  constexpr std::size_t kUsualColumns = 80;  // some terminals do not tell
  constexpr std::size_t kUsualRows = 24;
  const bool is_there = isatty(descriptor) == 1;
  return {.is_there = is_there,
          .is_colored = choose_color(color, is_there, process_environment),
          .columns =
              [descriptor] {
                const std::size_t columns = size_of(descriptor).ws_col;
                return columns > 0 ? columns : kUsualColumns;
              },
          .rows =
              [descriptor] {
                const std::size_t rows = size_of(descriptor).ws_row;
                return rows > 0 ? rows : kUsualRows;
              }};
}

// A command for each kind of settings.
struct CarryOut {
  const Context& context;

  int operator()(const RunSettings& run) const { return run_command(run, context); }
  int operator()(const StatusSettings& status) const { return status_command(status, context); }
  int operator()(const JobsSettings& jobs) const { return jobs_command(jobs, context); }
  int operator()(const ErrorsSettings& errors) const { return errors_command(errors, context); }
  int operator()(const ExplainSettings& explain) const { return explain_command(explain, context); }
  int operator()(const RetrySettings& retry) const { return retry_command(retry, context); }
  int operator()(const ResetSettings& reset) const { return reset_command(reset, context); }
  int operator()(const RemoveSettings& remove) const { return remove_command(remove, context); }
  int operator()(const ChainSettings& chain) const { return chain_command(chain, context); }
  int operator()(const BatchesSettings& batches) const { return batches_command(batches, context); }
  int operator()(const ReportSettings& report) const { return report_command(report, context); }
  int operator()(const ExportSettings& asked) const { return export_command(asked, context); }
  int operator()(const ImportSettings& asked) const { return import_command(asked, context); }
  int operator()(const DoctorSettings& doctor) const { return doctor_command(doctor, context); }
  int operator()(const ConfigSettings& config) const { return config_command(config, context); }
};

// `in_json` becomes true where each line on standard error has to be an object.
int run_tool(const std::vector<std::string>& typed, const Streams& streams, bool& in_json) {
  try {
    const auto parsed = parse_command_line({typed.begin() + 1, typed.end()}, streams);
    if (const int* exit_code = std::get_if<int>(&parsed)) return *exit_code;
    const auto& line = std::get<CommandLine>(parsed);
    in_json = std::holds_alternative<RunSettings>(line.command) &&
              wants_json_progress(line.flags, process_environment);
    const Configuration configuration = resolve_configuration(line.flags, process_environment);
    if (const std::string& file = configuration.log_file.value; !file.empty()) {
      refuse_database_as_output(configuration.database.value, configuration.log_file.origin, file);
    }
    ToolLog log(configuration, streams.err);
    const Context context{.configuration = configuration,
                          .typed = typed,
                          .log = log,
                          .streams = streams,
                          .out = terminal_at(STDOUT_FILENO, configuration.color.value),
                          .err = terminal_at(STDERR_FILENO, configuration.color.value)};
    return std::visit(CarryOut{context}, line.command);
  } catch (const std::exception& error) {
    const Failure failure = failure_of(error);
    tell(failure, in_json, streams.err);
    return failure.exit_code;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool has_output = open_standard_descriptors();
  std::ios::sync_with_stdio(false);
  if (!has_output) std::cout.rdbuf(new NoOutput);  // NOLINT: the stream outlives main()
  std::vector<std::string> typed(argv, argv + argc);
  if (typed.empty()) typed.emplace_back("progress-tracker");
  bool in_json = false;
  const int exit_code =
      run_tool(typed, {.in = std::cin, .out = std::cout, .err = std::cerr}, in_json);
  std::cout.flush();
  if (std::cout) return exit_code;
  tell(
      {.message = "standard output: cannot be written", .advice = nullptr, .exit_code = kExitUsage},
      in_json, std::cerr);
  return exit_code == kExitOk ? kExitUsage : exit_code;  // which says more
}

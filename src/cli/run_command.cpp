#include "cli/run_command.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "cli/child_processes.h"
#include "cli/command_template.h"
#include "cli/database.h"
#include "cli/dry_run.h"
#include "cli/every_few_images.h"
#include "cli/exit_code.h"
#include "cli/failure.h"
#include "cli/image_source.h"
#include "cli/image_work.h"
#include "cli/interruption.h"
#include "cli/json_output.h"
#include "cli/metrics_file.h"
#include "cli/open_files.h"
#include "cli/pausable_clock.h"
#include "cli/progress_report.h"
#include "cli/watchdog.h"
#include "progress_tracker/error.h"
#include "progress_tracker/rules.h"
#include "progress_tracker/run_job.h"

namespace progress_tracker::cli {
namespace {

// The first pause before an image is tried again; run_job() doubles it.
constexpr std::chrono::milliseconds kRetryDelay{200};

// How old the counts that are shown may be. A checkpoint takes some 10 microseconds.
constexpr std::chrono::milliseconds kShowAgain{200};

int exit_code_for_start_error(int error) {
  return error == ENOENT ? kExitNoCommand : kExitCannotRun;
}

int exit_code_for(const FoundCommand& missing) {
  return missing.missing_interpreter.empty() ? exit_code_for_start_error(missing.error)
                                             : kExitCannotRun;
}

std::string cannot_start_message(const std::string& command, int error) {
  if (error == ENOENT) {
    return display(command) + ": command not found: nothing was started; check its name and PATH";
  }
  return display(command) +
         ": the command cannot be run: " + std::generic_category().message(error);
}

std::string cannot_start_message(const std::string& command, const FoundCommand& missing) {
  if (missing.missing_interpreter.empty()) return cannot_start_message(command, missing.error);
  return display(command) + ": the command cannot be run: its interpreter " +
         display(missing.missing_interpreter) + ": " +
         std::generic_category().message(missing.error);
}

// What the library logs goes through the report, so that it does not tear a bar.
class LogThroughReport {
 public:
  LogThroughReport(ToolLog& log, ProgressReport& report) : log_(log) {
    log.show_through([&report](const std::string& message) { report.note(message); });
  }
  LogThroughReport(const LogThroughReport&) = delete;
  LogThroughReport& operator=(const LogThroughReport&) = delete;
  ~LogThroughReport() { log_.show_through({}); }

 private:
  ToolLog& log_;
};

// Throws UsageError if there is neither a source of images nor a job that has some.
void require_images(const RunSettings& settings, const ImageSource& source,
                    const Context& context) {
  if (source.is_given()) return;
  try {
    if (open_tracker(context.database(), Access::kRead)->get_job_id(settings.job)) return;
  } catch (const NotFound&) {  // NOLINT(bugprone-empty-catch): as where the job is not there
  } catch (const Error& error) {
    // A schema that is too old is for the run itself to bring up to date.
    if (error.code() == ErrorCode::kSchemaTooOld) return;
    throw;
  }
  throw UsageError("--images DIR or --from FILE is required: there is no job " +
                   display(settings.job) + " yet");
}

// Loads the images into the job, which is made if it is new.
JobId load_images(Tracker& tracker, const RunSettings& settings, ImageSource& source,
                  const Context& context, ProgressReport& report) {
  if (!source.is_given()) return require_job(tracker, context, settings.job);
  if (const auto existing = tracker.get_job_id(settings.job)) {
    refuse_images_if_chained(tracker, *existing, settings.job);
  }
  std::optional<JobId> job;
  std::size_t found = 0;
  const PieceSink load = [&](const ImagePiece& piece) {
    if (job) {
      tracker.add_images(*job, piece.paths, piece.splits);
    } else {
      job = tracker.create_job(settings.job, piece.paths, piece.splits);
    }
    found += piece.paths.size();
    report.scanning(found);
  };
  report.scanning(found);  // a list may be slow to come
  try {
    source.read(load, [&](const std::string& note) { report.note(note); });
  } catch (...) {
    if (found > 0) {
      report.note("the job has the first " + counted(static_cast<long long>(found), "image") +
                  " of the list: the same line adds the rest");
    }
    throw;
  }
  return job.value();
}

int exit_code_of(const StatusCounts& counts, const RunSummary& summary, int signal,
                 int start_error) {
  if (signal != 0) return kExitSignalBase + signal;
  if (start_error != 0) return exit_code_for_start_error(start_error);
  if (summary.stopped) return kExitIncomplete;
  return counts.error > 0 ? kExitImageErrors : kExitOk;
}

std::size_t wanted_workers(const RunSettings& settings) {
  if (settings.workers != 0) return settings.workers;
  return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

ProgressMode progress_mode(const Context& context) {
  return choose_progress_mode(context.configuration.progress.value, context.err.is_there,
                              std::getenv("TERM"), std::getenv("CI"));
}

// Whether what commands write would tear the bar, or stand between objects.
bool is_output_in_the_way(const RunSettings& settings, const Context& context) {
  switch (progress_mode(context)) {
    case ProgressMode::kBar:
      return settings.json || context.out.is_there;
    case ProgressMode::kJson:
      return settings.json;
    default:
      return false;
  }
}

Program program_of(const RunSettings& settings, const FoundCommand& command,
                   const OpenFiles& open_files, const Context& context, ProgressReport& report) {
  Program program{.path = command.path,
                  .for_shell = command.for_shell,
                  .open_files = open_files.before,
                  .output_to_error = settings.json};
  if (is_output_in_the_way(settings, context)) {
    std::ostream& out = settings.json ? context.streams.err : context.streams.out;
    program.take_output = [&](std::string_view lines) { report.pass_on(out, lines); };
  }
  return program;
}

RunOptions options_of(const RunSettings& settings, std::size_t workers, std::stop_token stop) {
  RunOptions options;
  options.workers = workers;
  options.tries = settings.retries + 1;
  options.retry_delay = kRetryDelay;
  options.limit = settings.limit;
  options.max_errors = settings.max_errors;
  options.wait_for_others = settings.wait;
  options.checkpoint_interval = kShowAgain;
  options.stop = std::move(stop);
  return options;
}

NextSteps next_steps(const RunSettings& settings, const Context& context,
                     const StatusCounts& counts, int exit_code) {
  NextSteps next;
  if (exit_code == kExitIncomplete || exit_code > kExitSignalBase) {
    next.to_go_on = shell_line(context.typed);
  }
  if (counts.error > 0) next.what_failed = line_to_type(context, "errors", settings.job);
  return next;
}

// Says why the tool ends before any image was started.
void give_up(const Context& context, ProgressReport& report, const std::string& message,
             int exit_code) {
  if (progress_mode(context) == ProgressMode::kJson) {
    tell({.message = message, .advice = nullptr, .exit_code = exit_code}, true,
         context.streams.err);
  } else {
    report.note(message);
  }
}

int work_through(const RunSettings& settings, const FoundCommand& command, ImageSource& source,
                 Watchdog& watchdog, const OpenFiles& open_files, const Context& context) {
  const std::size_t workers = open_files.commands;
  PausableClock clock;
  ProgressReport report(context.streams.err, clock,
                        {.mode = progress_mode(context),
                         .job = settings.job,
                         .workers = workers,
                         .limit = settings.limit,
                         .columns = context.err.columns});
  // Before any other thread, so that all have the signals blocked.
  Interruption interruption(
      [&](const std::string& text) { report.note(text); },
      [&](const std::string& text, int exit_code) { give_up(context, report, text, exit_code); },
      clock);
  const LogThroughReport log_through_report(context.log, report);
  if (const std::size_t wanted = wanted_workers(settings); workers < wanted) {
    report.note("-j " + std::to_string(wanted) +
                ": the limit on open files (ulimit -n) leaves room for " +
                counted(static_cast<long long>(workers), "command") + " at a time");
  }
  ChildProcesses children(watchdog, clock,
                          program_of(settings, command, open_files, context, report));

  std::unique_ptr<Tracker> tracker = open_tracker(context.database(), Access::kCreate);
  const JobId job = load_images(*tracker, settings, source, context, report);
  tracker->reset_stuck_images(job);
  std::optional<MetricsFile> metrics;
  if (!settings.metrics_file.empty()) {
    metrics.emplace(settings.metrics_file, *tracker, job, settings.job,
                    [&](const std::string& text) { report.note(text); });
  }

  std::optional<EveryFewImages> checkpoints(std::in_place,
                                            context.configuration.checkpoint_interval.value,
                                            [&] { tracker->checkpoint(job); });
  ImageWork work(settings, children, interruption, report, [&] { checkpoints->count(); });
  report.start(tracker->get_status_counts(job).value_or(StatusCounts{}));
  interruption.begin_work(children, [&] { report.show_now(); });
  struct AtEnd {
    Interruption& interruption;
    ~AtEnd() { interruption.end_work(); }
  };
  RunSummary summary;
  {
    const AtEnd at_end{interruption};
    RunOptions options = options_of(settings, workers, interruption.stop_token());
    options.on_progress = [&](const StatusCounts& counts) {
      report.update(counts);
      if (metrics) metrics->update(report.figures_now(), std::chrono::steady_clock::now());
    };
    summary = run_job(*tracker, job, std::ref(work), options);
  }

  checkpoints.reset();
  tracker->checkpoint(job);
  const StatusCounts counts = tracker->get_status_counts(job).value_or(StatusCounts{});
  const int exit_code = exit_code_of(counts, summary, interruption.signal(), work.start_error());
  const Seconds elapsed = report.figures_now().elapsed;
  if (metrics) {
    metrics->finish(report.figures_now(), exit_code == kExitOk && counts.processing == 0);
  }
  if (work.start_error() != 0) {
    report.note(cannot_start_message(settings.command.front(), work.start_error()));
  }
  metrics.reset();
  tracker.reset();  // what it says at its end comes before the report's
  const NextSteps next = next_steps(settings, context, counts, exit_code);
  report.finish(counts, summary, exit_code, next);
  if (settings.json) {
    context.streams.out << run_document(settings.job, counts, summary, elapsed, exit_code,
                                        next.to_go_on)
                        << '\n';
  }
  return exit_code;
}

int start(const RunSettings& settings, const Context& context) {
  const FoundCommand command = find_command(settings.command.front(), std::getenv("PATH"));
  if (command.error != 0) {
    throw Refusal(cannot_start_message(settings.command.front(), command), exit_code_for(command));
  }
  // What is wrong with the rest of the line is said before there is a database.
  check_job_name("run", settings.job);
  ImageSource source(settings, context.streams.in);
  if (!settings.metrics_file.empty()) {
    refuse_database_as_output(context.database(), "--metrics-file", settings.metrics_file);
  }
  if (settings.dry_run) return dry_run(settings, source, context);
  signal(SIGPIPE, SIG_IGN);  // a closed standard error is no reason to drop the work
  require_images(settings, source, context);

  const OpenFiles open_files =
      make_room_for(wanted_workers(settings), is_output_in_the_way(settings, context));
  // While there is one thread, and no database.
  std::optional<Watchdog> watchdog;
  try {
    watchdog.emplace(open_files.commands);
  } catch (const std::system_error& error) {
    throw Refusal(display(error.what()), kExitCannotRun);
  }
  return work_through(settings, command, source, *watchdog, open_files, context);
}

}  // namespace

int run_command(const RunSettings& settings, const Context& context) {
  const bool in_json = context.configuration.progress.value == ProgressMode::kJson;
  if (in_json) {  // until there is a report
    context.log.show_through([&err = context.streams.err](const std::string& message) {
      err << note_event(message) + "\n" << std::flush;
    });
  }
  return start(settings, context);
}

}  // namespace progress_tracker::cli

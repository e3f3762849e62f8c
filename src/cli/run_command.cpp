#include "cli/run_command.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

#include "cli/child_processes.h"
#include "cli/command_template.h"
#include "cli/exit_code.h"
#include "cli/image_list.h"
#include "cli/interruption.h"
#include "cli/open_files.h"
#include "cli/pausable_clock.h"
#include "cli/progress_report.h"
#include "cli/watchdog.h"
#include "progress_tracker/log.h"
#include "progress_tracker/progress_tracker.h"
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

bool is_gone(const std::filesystem::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

// What the library logs goes through the report, so that it does not tear a bar.
class LogToReport {
 public:
  explicit LogToReport(ProgressReport& report) {
    set_log_handler([&report](LogLevel level, std::string_view message) {
      const char* label = level == LogLevel::kError  ? "error: "
                          : level == LogLevel::kWarn ? "warning: "
                                                     : "log: ";
      report.note(label + std::string(message));
    });
  }
  LogToReport(const LogToReport&) = delete;
  LogToReport& operator=(const LogToReport&) = delete;
  ~LogToReport() { set_log_handler({}); }
};

// The file of --from; not open if the images come from elsewhere. Throws UsageError.
std::ifstream open_list(const RunSettings& settings) {
  std::ifstream list;
  if (settings.from.empty() || settings.from == "-") return list;
  list.open(settings.from, std::ios::binary);
  std::error_code unknown;
  if (!list || std::filesystem::is_directory(settings.from, unknown)) {
    const int error = list ? EISDIR : errno;
    throw UsageError("--from " + display(settings.from) + ": " +
                     std::generic_category().message(error));
  }
  return list;
}

// Loads the images into the job, which is made if it is new.
JobId load_images(Tracker& tracker, const RunSettings& settings, std::istream& list,
                  ProgressReport& report) {
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

  if (!settings.images.empty()) {
    const std::size_t unreadable =
        scan_images(settings.images, settings.extensions, load,
                    [&](const std::string& complaint) { report.note(complaint); });
    if (unreadable > 0) {
      report.note(counted(static_cast<long long>(unreadable), "directory", "directories") +
                  " left out: what they hold is not part of the job");
    }
  } else {
    read_image_list(list, settings.from, settings.separator, load);
  }
  if (found == 0) {
    report.note("no image found in " +
                display(settings.images.empty() ? settings.from : settings.images) +
                ": going on with those the job has");
  }
  return job.value();
}

// Works on one image at a time for each of run_job()'s threads.
class ImageWork {
 public:
  ImageWork(const RunSettings& settings, ChildProcesses& children, Interruption& interruption,
            ProgressReport& report)
      : settings_(settings),
        words_(settings.command),
        children_(children),
        interruption_(interruption),
        report_(report) {}

  // Throws what becomes the image's error, or, once a stop was requested, gives the image back.
  void operator()(const Image& image) {
    std::optional<std::string> failure;
    try {
      failure = run_one(image);
    } catch (const CannotStart& error) {
      int none = 0;
      start_error_.compare_exchange_strong(none, error.error());
      interruption_.request_stop();
      throw;
    }
    if (!failure) {
      forget_failures(image);
      report_.image_finished();
      return;
    }
    if (!interruption_.stop_token().stop_requested() && is_last_try(image)) {
      report_.image_failed(image.path, *failure);
      report_.image_finished();
    }
    throw std::runtime_error(*failure);
  }

  // The errno that kept the command itself from starting, or 0.
  int start_error() const { return start_error_.load(); }

 private:
  // Returns why it failed, or nothing.
  std::optional<std::string> run_one(const Image& image) {
    if (interruption_.stop_token().stop_requested()) return "interrupted";
    if (!settings_.images.empty() && is_gone(image.path)) return "no such file";
    report_.command_started();
    struct AtEnd {
      ProgressReport& report;
      ~AtEnd() { report.command_ended(); }
    } const at_end{report_};
    try {
      const ChildResult result =
          children_.run(words_.expand(image.path.native()), settings_.timeout);
      if (result.succeeded()) return std::nullopt;
      return describe_failure(result);
    } catch (const std::system_error& error) {
      return error.what();
    }
  }

  // run_job() does not say which try this is.
  bool is_last_try(const Image& image) {
    if (settings_.retries == 0) return true;
    const std::scoped_lock lock(mutex_);
    if (++failures_[static_cast<std::int64_t>(image.id)] <= settings_.retries) return false;
    failures_.erase(static_cast<std::int64_t>(image.id));
    return true;
  }

  void forget_failures(const Image& image) {
    if (settings_.retries == 0) return;
    const std::scoped_lock lock(mutex_);
    failures_.erase(static_cast<std::int64_t>(image.id));
  }

  const RunSettings& settings_;
  const CommandTemplate words_;
  ChildProcesses& children_;
  Interruption& interruption_;
  ProgressReport& report_;
  std::atomic<int> start_error_{0};

  std::mutex mutex_;
  std::unordered_map<std::int64_t, int> failures_;  // of images that are being tried; by mutex_
};

int exit_code_of(const StatusCounts& counts, const RunSummary& summary, int signal,
                 int start_error) {
  if (signal != 0) return kExitSignalBase + signal;
  if (start_error != 0) return exit_code_for_start_error(start_error);
  if (summary.stopped) return kExitIncomplete;
  return counts.error > 0 ? kExitImageErrors : kExitOk;
}

}  // namespace

int run_command(const RunSettings& settings, const std::string& database,
                std::span<const std::string> words, const Streams& streams,
                const Terminal& terminal) {
  const FoundCommand command = find_command(settings.command.front(), std::getenv("PATH"));
  if (command.error != 0) {
    complain(streams.err, cannot_start_message(settings.command.front(), command));
    return exit_code_for(command);
  }
  // What is wrong with the rest of the line is said before there is a database.
  check_job_name("run", settings.job);
  if (!settings.images.empty()) check_directory(settings.images);
  std::ifstream list = open_list(settings);

  const std::size_t wanted = settings.workers != 0
                                 ? settings.workers
                                 : std::max<std::size_t>(1, std::thread::hardware_concurrency());
  const OpenFiles open_files = make_room_for(wanted);
  const std::size_t workers = open_files.commands;
  if (workers < wanted) {
    complain(streams.err, "-j " + std::to_string(wanted) +
                              ": the limit on open files (ulimit -n) "
                              "leaves room for " +
                              counted(static_cast<long long>(workers), "command") + " at a time");
  }

  // In this order: the watchdog while there is one thread and no database, the signals before any
  // other thread.
  Watchdog watchdog(workers);
  PausableClock clock;
  Interruption interruption(streams.err, clock);
  ProgressReport report(streams.err, clock,
                        {.mode = choose_progress_mode(settings.progress, terminal.is_there,
                                                      std::getenv("TERM"), std::getenv("CI")),
                         .job = settings.job,
                         .workers = workers,
                         .limit = settings.limit,
                         .columns = terminal.columns});
  const LogToReport log_to_report(report);
  ChildProcesses children(
      watchdog, clock,
      {.path = command.path, .for_shell = command.for_shell, .open_files = open_files.before});

  ProgressTracker tracker(database);
  const JobId job = load_images(tracker, settings, list.is_open() ? list : streams.in, report);
  tracker.reset_stuck_images(job);

  ImageWork work(settings, children, interruption, report);
  report.start(tracker.get_status_counts(job).value_or(StatusCounts{}));
  interruption.begin_work(
      children, [&] { report.show_now(); }, [&](const std::string& text) { report.note(text); });
  struct AtEnd {
    Interruption& interruption;
    ~AtEnd() { interruption.end_work(); }
  };
  RunSummary summary;
  {
    const AtEnd at_end{interruption};
    RunOptions options;
    options.workers = workers;
    options.tries = settings.retries + 1;
    options.retry_delay = kRetryDelay;
    options.limit = settings.limit;
    options.max_errors = settings.max_errors;
    options.checkpoint_interval = kShowAgain;
    options.stop = interruption.stop_token();
    options.on_progress = [&](const StatusCounts& counts) { report.update(counts); };
    summary = run_job(tracker, job, std::ref(work), options);
  }

  tracker.checkpoint(job);
  const StatusCounts counts = tracker.get_status_counts(job).value_or(StatusCounts{});
  const int exit_code = exit_code_of(counts, summary, interruption.signal(), work.start_error());
  report.finish(counts, summary, exit_code);
  if (work.start_error() != 0) {
    complain(streams.err, cannot_start_message(settings.command.front(), work.start_error()));
  }
  if (interruption.signal() != 0 || (interruption.draining() && summary.stopped)) {
    complain(streams.err, "to go on: " + shell_line(words));
  }
  return exit_code;
}

}  // namespace progress_tracker::cli

#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <utility>

#include "cli/exit_code.h"
#include "cli/image_list.h"
#include "progress_tracker/version.h"

namespace progress_tracker::cli {
namespace {

constexpr std::int64_t kMostWorkers = 4096;

constexpr char kDescription[] =
    "Runs a command over images with a durable record of what is done, so that the same line goes\n"
    "on where the last one ended, however it ended.\n"
    "\n"
    "Examples:\n"
    "  progress-tracker run --job thumbs --images photos -- convert {} -resize 200 "
    "thumbs/{/.}.jpg\n"
    "  find photos -name '*.png' -print0 | progress-tracker run --job check --from - -0 -- "
    "identify\n"
    "  progress-tracker status thumbs\n"
    "  progress-tracker doctor\n";

constexpr char kRunDescription[] =
    "Adds the images to the job and runs COMMAND for each one that is not completed or in error.\n"
    "\n"
    "Examples:\n"
    "  progress-tracker run --job thumbs --images photos -- convert {} -resize 200 "
    "thumbs/{/.}.jpg\n"
    "  progress-tracker run --job check --from list.txt -j 8 --timeout 60 -- ./check.sh\n"
    "\n"
    "In each ARG: {} the path, {.} without extension, {/} without directory, {/.} without both,\n"
    "{//} the directory. If none occurs, the path is added at the end.\n";

constexpr char kRunFooter[] =
    "Exit codes: 0 nothing left to do here and no error (images in work in another run may be "
    "left),\n"
    "1 images in error, 2 usage, 3 not found, 4 stopped early with images left, 6 database,\n"
    "126 command cannot be run, 127 command not found, 130 SIGINT, 143 SIGTERM.\n"
    "\n"
    "An image in error stays so: the same line again does not try it again.";

constexpr char kStatusDescription[] =
    "Shows how far a job is, by split; without JOB, how far all jobs are. Changes nothing.\n";

constexpr char kDoctorDescription[] =
    "Examines the database: its file and place, the counts against a recount, what no longer fits\n"
    "together, who works with it and what was left behind. Changes nothing without --repair.\n"
    "\n"
    "--repair corrects counts, gives back what dead workers hold (each death is counted), clears\n"
    "away what cut-off loads and removals left, and empties a write-ahead log that has grown, if\n"
    "nobody else has the file open. It leaves a damaged file as it is.\n"
    "\n"
    "Examples:\n"
    "  progress-tracker doctor --db /data/progress.db\n"
    "  progress-tracker doctor --db /data/progress.db --repair\n"
    "\n"
    "Runs may go on meanwhile. It reads the whole file: 1 to 3 s for a million images.\n";

constexpr char kDoctorFooter[] =
    "Exit codes: 0 no problem (a note is not one), 2 usage, 3 no such database, 6 a problem, or a\n"
    "database that cannot be examined. With --repair: as it is afterwards; 6 also if the repair\n"
    "stopped before its end.";

class HelpFormatter : public CLI::Formatter {
 public:
  // What stands in the list of commands is a line; a command's own help says more.
  std::string make_description(const CLI::App* app) const override {
    if (app->get_name() == "run") return kRunDescription;
    if (app->get_name() == "status") return kStatusDescription;
    if (app->get_name() == "doctor") return kDoctorDescription;
    return CLI::Formatter::make_description(app);
  }
  std::string make_usage(const CLI::App* app, std::string name) const override {
    if (app->get_name() == "run") {
      return "Usage: progress-tracker run --job NAME (--images DIR | --from FILE) [OPTIONS]"
             " -- COMMAND [ARG...]\n";
    }
    return CLI::Formatter::make_usage(app, std::move(name));
  }
};

[[noreturn]] void refuse(const std::string& option, const std::string& value,
                         const std::string& wanted) {
  throw CLI::ValidationError(option + ": '" + value + "' is not " + wanted);
}

// CLI11's own number parsing prints limits of hundreds of digits.
template <typename Number>
void add_whole_number(CLI::App& app, const std::string& names, Number& target, std::int64_t least,
                      std::int64_t most, const std::string& description) {
  const std::string option = names.substr(names.rfind(',') + 1);
  app.add_option_function<std::string>(
         names,
         [&target, option, least, most](const std::string& text) {
           std::int64_t number = 0;
           const char* end = text.data() + text.size();
           const auto [stopped, error] = std::from_chars(text.data(), end, number);
           if (error != std::errc() || stopped != end || number < least || number > most) {
             std::string wanted = "a whole number from " + std::to_string(least);
             if (most < std::numeric_limits<int>::max()) wanted += " to " + std::to_string(most);
             refuse(option, text, wanted);
           }
           target = static_cast<Number>(number);
         },
         description)
      ->type_name("N");
}

template <typename Value, std::size_t N>
using Choices = std::array<std::pair<const char*, Value>, N>;

constexpr Choices<ProgressMode, 5> kProgressModes{{{"auto", ProgressMode::kAuto},
                                                   {"bar", ProgressMode::kBar},
                                                   {"plain", ProgressMode::kPlain},
                                                   {"json", ProgressMode::kJson},
                                                   {"none", ProgressMode::kNone}}};

constexpr Choices<LogLevel, 5> kLogLevels{{{"debug", LogLevel::kDebug},
                                           {"info", LogLevel::kInfo},
                                           {"warn", LogLevel::kWarn},
                                           {"error", LogLevel::kError},
                                           {"off", LogLevel::kOff}}};

template <typename Value, std::size_t N>
std::string names_of(const Choices<Value, N>& choices) {
  std::string names;
  for (const auto& choice : choices) names.append(names.empty() ? "" : "|").append(choice.first);
  return names;
}

template <typename Value, std::size_t N>
Value choose(const std::string& option, const std::string& text, const Choices<Value, N>& choices) {
  for (const auto& [name, value] : choices) {
    if (text == name) return value;
  }
  refuse(option, text, "one of " + names_of(choices));
}

template <typename Value, std::size_t N>
void add_choice(CLI::App& app, const std::string& option, Value& target,
                const Choices<Value, N>& choices, const std::string& description) {
  app.add_option_function<std::string>(
         option,
         [&target, option, &choices](const std::string& text) {
           target = choose(option, text, choices);
         },
         description)
      ->type_name(names_of(choices));
}

void add_timeout(CLI::App& app, RunSettings& run) {
  app.add_option_function<std::string>(
         "--timeout",
         [&run](const std::string& text) {
           double seconds = 0;
           const char* end = text.data() + text.size();
           const auto [stopped, error] = std::from_chars(text.data(), end, seconds);
           if (error != std::errc() || stopped != end || !(seconds >= 0.001) || seconds > 1e9) {
             refuse("--timeout", text, "a number of seconds above 0");
           }
           run.timeout = std::chrono::milliseconds(std::llround(seconds * 1000));
         },
         "Seconds a command may take; then it is ended and the image is in error")
      ->type_name("S");
}

// CLI11 would look at the environment for every subcommand's options, asked for or not.
std::optional<std::string> from_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

void add_common_options(CLI::App& app, CommandLine& line) {
  app.add_option("--db", line.database,
                 "The database [default: $PROGRESS_TRACKER_DB, or progress.db]")
      ->type_name("FILE");
  add_choice(app, "--log-level", line.log_level, kLogLevels,
             "What the library logs to standard error [default: warn]");
}

// The first word that is neither an option of every command nor its value: the command's name.
std::string command_name(const std::vector<std::string>& words) {
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (*word == "--db" || *word == "--log-level") {
      if (++word == words.end()) break;
    } else if (!word->starts_with('-')) {
      return *word;
    }
  }
  return {};
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : ",").append(word);
  return text;
}

CLI::App* add_run(CLI::App& app, CommandLine& line, RunSettings& run, bool& null_separated,
                  std::string& extensions) {
  CLI::App* command = app.add_subcommand("run", "Run a command for each image of a job");
  command->footer(kRunFooter);
  command->add_option("--job", run.job, "The job's name; made when it is new")
      ->type_name("NAME")
      ->required();
  auto* images = command->add_option("--images", run.images, "Take the images below this directory")
                     ->type_name("DIR");
  auto* from =
      command->add_option("--from", run.from, "Take the paths in this file; -: standard input")
          ->type_name("FILE");
  images->excludes(from);
  command
      ->add_flag("-0,--null", null_separated, "With --from: paths end in NUL, not in a line break")
      ->needs(from);
  command
      ->add_option("--ext", extensions,
                   "With --images: extensions to look for, in any case [default: " +
                       joined(default_extensions()) + "]")
      ->type_name("LIST")
      ->needs(images);
  add_whole_number(*command, "-j,--jobs", run.workers, 0, kMostWorkers,
                   "Commands at a time; 0: one per core [default: 0]");
  add_whole_number(*command, "--retries", run.retries, 0, 1'000'000,
                   "Try a failed image so many times more [default: 0]");
  add_whole_number(*command, "--limit", run.limit, 0, std::numeric_limits<std::int64_t>::max(),
                   "Work on at most so many images; 0: on all [default: 0]");
  add_whole_number(*command, "--max-errors", run.max_errors, 0,
                   std::numeric_limits<std::int64_t>::max(),
                   "Stop once so many images of this run failed; 0: never [default: 0]");
  add_timeout(*command, run);
  add_choice(
      *command, "--progress", run.progress, kProgressModes,
      "How to show progress on standard error [default: $PROGRESS_TRACKER_PROGRESS, or auto]");
  add_common_options(*command, line);
  return command;
}

CLI::App* add_status(CLI::App& app, CommandLine& line, StatusSettings& status) {
  CLI::App* command = app.add_subcommand("status", "Show how far a job is");
  command->add_option("JOB", status.job, "The job's name");
  command->add_flag("--json", status.json, "One JSON document instead of a table");
  add_common_options(*command, line);
  return command;
}

CLI::App* add_doctor(CLI::App& app, CommandLine& line, DoctorSettings& doctor) {
  CLI::App* command = app.add_subcommand("doctor", "Examine the database, and repair it");
  command->footer(kDoctorFooter);
  command->add_flag("--repair", doctor.repair,
                    "Mend what can be mended without loss, then examine");
  command->add_flag("--json", doctor.json, "One JSON document instead of text");
  add_common_options(*command, line);
  return command;
}

// CLI11 takes "--job= next" as "--job next".
void refuse_empty_values(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word.starts_with("--") && word.ends_with('=') && word.find('=') + 1 == word.size()) {
      throw CLI::ArgumentMismatch(word.substr(0, word.size() - 1) + ": a value is missing");
    }
  }
}

void check_run(RunSettings& run, std::optional<std::vector<std::string>> command,
               const std::string& extensions, bool has_extensions) {
  if (run.images.empty() && run.from.empty()) {
    throw CLI::RequiredError("--images DIR or --from FILE");
  }
  if (!command || command->empty() || command->front().empty()) {
    throw CLI::RequiredError("a command after --, such as -- convert {} out/{/},");
  }
  run.command = *std::move(command);
  run.extensions = has_extensions ? parse_extensions(extensions) : default_extensions();
}

// CLI11 puts "Could not convert" and the like in several lines, and repeats the user's bytes.
std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return display(text);
}

}  // namespace

SplitWords split_at_separator(const std::vector<std::string>& words) {
  const auto separator = std::find(words.begin(), words.end(), "--");
  SplitWords split{.own = {words.begin(), separator}, .command = std::nullopt};
  if (separator != words.end()) split.command.emplace(separator + 1, words.end());
  return split;
}

std::variant<CommandLine, int> parse_command_line(const std::vector<std::string>& words,
                                                  const Streams& streams) {
  CommandLine line{.database = from_environment("PROGRESS_TRACKER_DB").value_or("progress.db"),
                   .log_level = LogLevel::kWarn,
                   .command = {}};
  RunSettings run;
  StatusSettings status;
  DoctorSettings doctor;
  bool null_separated = false;
  std::string extensions;

  CLI::App app(kDescription, "progress-tracker");
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", std::string("progress-tracker ") + PROGRESS_TRACKER_VERSION);
  app.require_subcommand(1);
  add_common_options(app, line);
  const CLI::App* run_command = add_run(app, line, run, null_separated, extensions);
  const CLI::App* status_command = add_status(app, line, status);
  const CLI::App* doctor_command = add_doctor(app, line, doctor);
  const std::array commands{run_command, status_command, doctor_command};

  SplitWords split = split_at_separator(words);
  try {
    refuse_empty_values(split.own);
    // Only `run` has a command; elsewhere "--" means what it always means.
    const std::string name = command_name(split.own);
    std::vector<std::string> own = name == "run" ? split.own : words;
    const auto is_named = [&](const CLI::App* command) { return command->check_name(name); };
    if (!name.empty() && std::none_of(commands.begin(), commands.end(), is_named)) {
      throw UsageError("no such command: " + display(name));
    }
    std::reverse(own.begin(), own.end());  // as CLI11 wants it
    app.parse(std::move(own));
    if (run_command->parsed()) {
      check_run(run, std::move(split.command), extensions, run_command->count("--ext") > 0);
      if (const auto mode = from_environment("PROGRESS_TRACKER_PROGRESS");
          mode && run_command->count("--progress") == 0) {
        run.progress = choose("PROGRESS_TRACKER_PROGRESS", *mode, kProgressModes);
      }
      if (null_separated) run.separator = '\0';
      line.command = std::move(run);
    } else if (doctor_command->parsed()) {
      line.command = doctor;
    } else {
      if (status_command->count("JOB") == 0) status.job.reset();
      line.command = std::move(status);
    }
    return line;
  } catch (const CLI::Success& request) {  // --help, --version
    app.exit(request, streams.out, streams.err);
    return kExitOk;
  } catch (const CLI::Error& error) {
    complain(streams.err, one_line(error.what()));
  } catch (const UsageError& error) {
    complain(streams.err, error.what());
  }
  std::string which;
  for (const CLI::App* command : commands) {
    if (command->parsed()) which = command->get_name() + ' ';
  }
  streams.err << "Try: progress-tracker " << which << "--help\n" << std::flush;
  return kExitUsage;
}

}  // namespace progress_tracker::cli

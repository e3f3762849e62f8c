#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "cli/exit_code.h"
#include "cli/image_list.h"
#include "cli/option_values.h"
#include "progress_tracker/version.h"

namespace progress_tracker::cli {
namespace {

constexpr std::int64_t kMostWorkers = 4096;
constexpr std::int64_t kMostCount = std::numeric_limits<std::int64_t>::max();

constexpr char kDescription[] =
    "Runs a command over images with a durable record of what is done, so that the same line goes\n"
    "on where the last one ended, however it ended; and shows how far it is.\n"
    "\n"
    "Examples:\n"
    "  progress-tracker run --job thumbs --images photos -- convert {} -resize 200 "
    "thumbs/{/.}.jpg\n"
    "  find photos -name '*.png' -print0 | progress-tracker run --job check --from - -0 -- "
    "identify\n"
    "  progress-tracker status thumbs --watch\n"
    "  progress-tracker errors thumbs\n"
    "  progress-tracker retry thumbs\n";

constexpr char kRunDescription[] =
    "Adds the images to the job and runs COMMAND for each one that is not completed or in error.\n"
    "\n"
    "Examples:\n"
    "  progress-tracker run --job thumbs --images photos -- convert {} -resize 200 "
    "thumbs/{/.}.jpg\n"
    "  progress-tracker run --job check --from list.txt -j 8 --timeout 60 -- ./check.sh\n"
    "  progress-tracker run --job thumbs --images photos --dry-run -- convert {} thumbs/{/.}.jpg\n"
    "  progress-tracker run --job upload --wait -- ./upload.sh\n"
    "\n"
    "In each ARG: {} the path, {.} without extension, {/} without directory, {/.} without both,\n"
    "{//} the directory. If none occurs, the path is added at the end.\n"
    "\n"
    "Without --images and --from it works through the images that the job has, as one made by\n"
    "`chain` gets them.\n";

constexpr char kRunFooter[] =
    "Exit codes: 0 nothing left to do here and no error (images in work in another run may be "
    "left),\n"
    "1 images in error, 2 usage, 3 not found, 4 stopped early with images left, 6 database,\n"
    "126 command cannot be run, 127 command not found, 130 SIGINT, 143 SIGTERM.\n"
    "\n"
    "An image in error stays so until `retry`: the same line again does not try it again.";

constexpr char kStatusDescription[] =
    "Shows how far a job is, by split, and how fast it goes; without JOB, how far all jobs are.\n"
    "Changes nothing.\n"
    "\n"
    "Examples:\n"
    "  progress-tracker status thumbs\n"
    "  progress-tracker status thumbs --watch\n"
    "  progress-tracker status thumbs --json\n";

constexpr char kErrorsDescription[] =
    "Shows what failed: images in error by message, the most frequent first, with some of their\n"
    "paths. Changes nothing.\n"
    "\n"
    "Examples:\n"
    "  progress-tracker errors thumbs\n"
    "  progress-tracker errors thumbs --list\n";

constexpr char kExplainDescription[] =
    "Tells the story of one image of a job, and whether `run` will work on it. PATH is the path "
    "as\n"
    "it was given to `run`. Changes nothing.\n"
    "\n"
    "Example:\n"
    "  progress-tracker explain thumbs photos/train/cat.jpg\n";

constexpr char kRetryDescription[] =
    "Makes images in error pending again, so that the next `run` works on them.\n"
    "\n"
    "Examples:\n"
    "  progress-tracker retry thumbs\n"
    "  progress-tracker retry thumbs --message 'timed out*'\n";

constexpr char kResetDescription[] =
    "Makes images pending again whose worker died. `run` does it by itself; images in work in a\n"
    "living run stay as they are.\n";

constexpr char kRemoveDescription[] =
    "Removes a job with its images and batches from the record. The image files are not touched.\n"
    "Refused while a run works on it, or another job is chained to it.\n";

constexpr char kChainDescription[] =
    "Makes a job that is fed by another: what is completed there, already or from now on, becomes\n"
    "pending here. So the stages of a pipeline follow each other, image by image.\n"
    "\n"
    "Examples:\n"
    "  progress-tracker chain upload --after thumbs\n"
    "  progress-tracker run --job upload --wait -- ./upload.sh\n";

constexpr char kReportDescription[] =
    "Writes a page about a job that can be passed on: totals, splits, images over time, "
    "durations,\n"
    "slowest images, errors, workers. One file, which loads nothing from elsewhere.\n"
    "\n"
    "Example:\n"
    "  progress-tracker report thumbs -o report.html\n";

constexpr char kExportDescription[] =
    "Writes the images of a job as CSV or JSON, or a copy of the whole database that any "
    "read-only\n"
    "tool can open. FILE is there when it is complete; - is standard output.\n"
    "\n"
    "Examples:\n"
    "  progress-tracker export thumbs --csv thumbs.csv\n"
    "  progress-tracker export thumbs --json - | jq .images[0]\n"
    "  progress-tracker export --snapshot copy.db\n";

constexpr char kImportDescription[] =
    "Brings over the jobs, images and batches of a database of the Python progress tracker that\n"
    "this one replaces. OLD.db is not changed. Times are not kept. Doing it again does no harm.\n";

constexpr char kConfigDescription[] =
    "`config show` shows every setting and where it comes from: a flag, the environment, the file "
    "of\n"
    "--config, or the default.\n";

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

constexpr char kJsonHelp[] = "One JSON document instead of text";

// CLI11 puts descriptions into the second column, whose lines have this width then.
std::string wrapped(const std::string& text) {
  constexpr std::size_t kColumns = 62;
  std::string lines;
  std::size_t column = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string_view word = std::string_view(text).substr(at, end - at);
    if (column > 0 && column + 1 + word.size() > kColumns) {
      lines += '\n';
      column = 0;
    } else if (column > 0) {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += word.size();
    at = end + 1;
  }
  return lines;
}

// What stands in the list of commands is a line; a command's own help says more.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_description(const CLI::App* app) const override {
    const auto found = descriptions.find(app->get_name());
    if (found != descriptions.end() && app->get_parent() != nullptr) {
      return std::string(found->second) + '\n';
    }
    return CLI::Formatter::make_description(app);
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    return wrapped(CLI::Formatter::make_option_desc(option));
  }
  std::string make_usage(const CLI::App* app, std::string name) const override {
    if (app->get_name() == "run") {
      return "Usage: progress-tracker run --job NAME [--images DIR | --from FILE] [OPTIONS]"
             " -- COMMAND [ARG...]\n";
    }
    return CLI::Formatter::make_usage(app, std::move(name));
  }

  std::map<std::string, const char*> descriptions;
};

// A value that is empty was meant to be another: a variable that is not set.
const std::string& require_text(const std::string& names, const std::string& text) {
  const std::string option = names.substr(names.rfind(',') + 1);
  if (text.empty() && option.starts_with("--")) throw UsageError(option + ": a value is missing");
  return text;
}

template <typename Target>
CLI::Option* add_text(CLI::App& app, const std::string& names, Target& target, const char* type,
                      const std::string& description) {
  return app
      .add_option_function<std::string>(
          names, [&target, names](const std::string& text) { target = require_text(names, text); },
          description)
      ->type_name(type);
}

template <typename Number>
void add_whole_number(CLI::App& app, const std::string& names, Number& target, std::int64_t least,
                      std::int64_t most, const std::string& description) {
  const std::string option = names.substr(names.rfind(',') + 1);
  app.add_option_function<std::string>(
         names,
         [&target, option, least, most](const std::string& text) {
           target = static_cast<Number>(parse_whole_number(option, text, least, most));
         },
         description)
      ->type_name("N");
}

void add_common_options(CLI::App& app, Flags& flags) {
  add_text(app, "--db", flags.database, "LOCATION",
           "The database [default: $PROGRESS_TRACKER_DB, or progress.db]");
  add_text(app, "--config", flags.config_file, "FILE",
           "Take what is not given otherwise from `progress:` in this YAML file");
  add_text(app, "--log-level", flags.log_level, "LEVEL",
           "What the library logs: debug, info, warn, error, off [default: "
           "$PROGRESS_TRACKER_LOG_LEVEL, or warn]");
  add_text(app, "--log-file", flags.log_file, "FILE",
           "Append what is logged to this file, warnings to standard error as well [default: "
           "$PROGRESS_TRACKER_LOG_FILE, or none]");
  add_text(app, "--color", flags.color, "WHEN", "auto, always or never [default: auto]");
}

constexpr std::string_view kCommonOptions[] = {"--db", "--config", "--log-level", "--log-file",
                                               "--color"};

// The first word that is neither an option of every command nor its value: the command's name.
std::string command_name(const std::vector<std::string>& words) {
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (std::find(std::begin(kCommonOptions), std::end(kCommonOptions), *word) !=
        std::end(kCommonOptions)) {
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

// CLI11 takes "--job= next" as "--job next".
void refuse_empty_values(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word.starts_with("--") && word.ends_with('=') && word.find('=') + 1 == word.size()) {
      throw CLI::ArgumentMismatch(word.substr(0, word.size() - 1) + ": a value is missing");
    }
  }
}

// CLI11 puts "Could not convert" and the like in several lines, and repeats the user's bytes.
std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return display(text);
}

// All that can be typed. What was typed goes into its members.
class Grammar {
 public:
  Grammar() : app_(kDescription, "progress-tracker"), formatter_(new HelpFormatter) {
    app_.formatter(formatter_);
    app_.set_version_flag("--version", std::string("progress-tracker ") + PROGRESS_TRACKER_VERSION);
    app_.require_subcommand(1);
    add_common_options(app_, flags_);
    add_run();
    add_status();
    add_jobs();
    add_errors();
    add_explain();
    add_retry();
    add_reset();
    add_remove();
    add_chain();
    add_batches();
    add_report();
    add_export();
    add_import();
    add_doctor();
    add_config();
  }

  CommandLine parse(const std::vector<std::string>& words) {
    SplitWords split = split_at_separator(words);
    refuse_empty_values(split.own);
    // Only `run` has a command; elsewhere "--" means what it always means.
    const std::string name = command_name(split.own);
    if (!name.empty() && !is_command(name)) {
      throw UsageError("no such command: " + display(name));
    }
    std::vector<std::string> own = name == "run" ? split.own : words;
    command_words_ = std::move(split.command);
    std::reverse(own.begin(), own.end());  // as CLI11 wants it
    app_.parse(std::move(own));
    for (const auto& [command, settings] : commands_) {
      if (command->parsed()) return {.flags = flags_, .command = settings()};
    }
    throw UsageError("a command is missing");
  }

  // "run ", or nothing: the command whose help helps.
  std::string parsed_command() const {
    for (const auto& [command, settings] : commands_) {
      if (command->parsed()) return command->get_name() + ' ';
    }
    return {};
  }

  CLI::App& app() { return app_; }

 private:
  bool is_command(const std::string& name) const {
    return std::any_of(commands_.begin(), commands_.end(),
                       [&](const auto& command) { return command.first->check_name(name); });
  }

  // `settings` is called once the words have been parsed; it throws CLI::Error or UsageError.
  CLI::App& add(const std::string& name, const char* summary, const char* description,
                std::function<Command()> settings) {
    CLI::App* command = app_.add_subcommand(name, summary);
    if (description != nullptr) formatter_->descriptions[name] = description;
    commands_.emplace_back(command, std::move(settings));
    return *command;
  }

  void add_run() {
    CLI::App& command = add("run", "Run a command for each image of a job", kRunDescription,
                            [this] { return finish_run(); });
    command.footer(kRunFooter);
    add_text(command, "--job", run_.job, "NAME", "The job's name; made when it is new")->required();
    auto* images =
        add_text(command, "--images", run_.images, "DIR", "Take the images below this directory");
    auto* from = add_text(command, "--from", run_.from, "FILE",
                          "Take the paths in this file; -: standard input");
    images->excludes(from);
    command
        .add_flag("-0,--null", null_separated_,
                  "With --from: paths end in NUL, not in a line break")
        ->needs(from);
    command
        .add_option("--ext", extensions_,
                    "With --images: extensions to look for, in any case [default: " +
                        joined(default_extensions()) + "]")
        ->type_name("LIST")
        ->needs(images);
    command
        .add_option_function<std::string>(
            "--split-pattern",
            [this](const std::string& text) {
              run_.split_pattern = parse_pattern("--split-pattern", text);
            },
            "The split of an image is what this regular expression finds in its path below DIR "
            "(with --from: in its path), or its first group [default: the first folder]")
        ->type_name("RE");
    add_whole_number(command, "-j,--jobs", run_.workers, 0, kMostWorkers,
                     "Commands at a time; 0: one per core [default: 0]");
    add_whole_number(command, "--retries", run_.retries, 0, 1'000'000,
                     "Try a failed image so many times more [default: 0]");
    command
        .add_option_function<std::string>(
            "--timeout",
            [this](const std::string& text) { run_.timeout = parse_seconds("--timeout", text); },
            "Seconds a command may take; then it is ended and the image is in error")
        ->type_name("S");
    add_whole_number(command, "--limit", run_.limit, 0, kMostCount,
                     "Work on at most so many images; 0: on all [default: 0]");
    add_whole_number(command, "--max-errors", run_.max_errors, 0, kMostCount,
                     "Stop once so many images of this run failed; 0: never [default: 0]");
    command.add_flag("--wait", run_.wait,
                     "Wait also for images that other runs have in work, and for what a chained "
                     "job still gets");
    command.add_flag("--dry-run", run_.dry_run,
                     "Say what would be run and why; run nothing, change nothing");
    add_text(command, "--progress", flags_.progress, "MODE",
             "How to show progress on standard error: auto, bar, plain, json, none [default: "
             "$PROGRESS_TRACKER_PROGRESS, or auto]");
    command.add_flag("--json", run_.json,
                     "At the end one JSON document on standard output; what commands write there "
                     "goes to standard error");
    add_text(command, "--metrics-file", run_.metrics_file, "FILE",
             "Keep the figures in this file, as the Prometheus textfile collector reads them");
    add_text(command, "--checkpoint-interval", flags_.checkpoint_interval, "N",
             "Write the job's counts for other readers every N images as well as every 0.2 s "
             "[default: $PROGRESS_TRACKER_CHECKPOINT_INTERVAL, or by time alone]");
    add_common_options(command, flags_);
  }

  Command finish_run() {
    if (!command_words_ || command_words_->empty() || command_words_->front().empty()) {
      throw CLI::RequiredError("a command after --, such as -- convert {} out/{/},");
    }
    run_.command = *command_words_;
    run_.extensions = extensions_ ? parse_extensions(*extensions_) : default_extensions();
    if (null_separated_) run_.separator = '\0';
    return run_;
  }

  void add_status() {
    CLI::App& command = add("status", "Show how far a job is", kStatusDescription, [this] {
      if (status_json_) status_.format = StatusFormat::kJson;
      return status_;
    });
    add_text(command, "JOB", status_.job, "", "The job's name");
    auto* json = command.add_flag("--json", status_json_,
                                  "One JSON document instead of text; with --watch one a line");
    command
        .add_option_function<std::string>(
            "--format",
            [this](const std::string& text) {
              constexpr Choices<StatusFormat, 3> kFormats{
                  {{"text", StatusFormat::kText},
                   {"json", StatusFormat::kJson},
                   {"prometheus", StatusFormat::kPrometheus}}};
              status_.format = parse_choice("--format", text, kFormats);
            },
            "text, json, or prometheus, as its textfile collector reads it [default: text]")
        ->type_name("FORMAT")
        ->excludes(json);
    auto* watch = command.add_flag("-w,--watch", status_.watch,
                                   "Show it again and again, until nothing is left to do");
    command
        .add_option_function<std::string>(
            "--interval",
            [this](const std::string& text) {
              status_.interval = parse_seconds("--interval", text);
            },
            "With --watch: seconds between two looks [default: 1]")
        ->type_name("S")
        ->needs(watch);
    add_common_options(command, flags_);
  }

  void add_jobs() {
    CLI::App& command = add("jobs", "List the jobs", nullptr, [this] { return jobs_; });
    command.add_flag("--json", jobs_.json, kJsonHelp);
    add_common_options(command, flags_);
  }

  void add_errors() {
    CLI::App& command = add("errors", "Show what failed, by message", kErrorsDescription,
                            [this] { return errors_; });
    add_job(command, errors_.job);
    command.add_flag("--list", errors_.list, "Every image in error, a line each");
    command.add_flag("--json", errors_.json, kJsonHelp);
    add_common_options(command, flags_);
  }

  void add_explain() {
    CLI::App& command = add("explain", "Tell the story of one image", kExplainDescription,
                            [this] { return explain_; });
    add_job(command, explain_.job);
    command.add_option("PATH", explain_.path, "The image's path")->required();
    command.add_flag("--json", explain_.json, kJsonHelp);
    add_common_options(command, flags_);
  }

  void add_retry() {
    CLI::App& command = add("retry", "Make images in error pending again", kRetryDescription,
                            [this] { return retry_; });
    add_job(command, retry_.job);
    add_text(command, "--message", retry_.message, "M",
             "Only those with this message, as `errors` shows it; * stands for any text");
    command.add_flag("--json", retry_.json, kJsonHelp);
    add_common_options(command, flags_);
  }

  void add_reset() {
    CLI::App& command = add("reset", "Make images pending again whose worker died",
                            kResetDescription, [this] { return reset_; });
    add_job(command, reset_.job);
    command.add_flag("--json", reset_.json, kJsonHelp);
    add_common_options(command, flags_);
  }

  void add_remove() {
    CLI::App& command = add("remove", "Remove a job from the record", kRemoveDescription,
                            [this] { return remove_; });
    add_job(command, remove_.job);
    command.add_flag("--json", remove_.json, kJsonHelp);
    add_common_options(command, flags_);
  }

  void add_chain() {
    CLI::App& command = add("chain", "Make a job that is fed by another", kChainDescription,
                            [this] { return chain_; });
    command.add_option("NEW", chain_.job, "The name of the job that is fed")->required();
    command.add_option("--after", chain_.upstream, "The job that feeds it")
        ->type_name("JOB")
        ->required();
    command.add_flag("--json", chain_.json, kJsonHelp);
    add_common_options(command, flags_);
  }

  void add_batches() {
    CLI::App& command =
        add("batches", "List the upload batches of a job", nullptr, [this] { return batches_; });
    add_job(command, batches_.job);
    command.add_flag("--json", batches_.json, kJsonHelp);
    add_common_options(command, flags_);
  }

  void add_report() {
    CLI::App& command = add("report", "Write a page about a job that can be passed on",
                            kReportDescription, [this] { return report_; });
    add_job(command, report_.job);
    command.add_option("-o,--output", report_.output, "The page; -: standard output")
        ->type_name("FILE")
        ->required();
    add_common_options(command, flags_);
  }

  void add_export() {
    CLI::App& command = add("export", "Write a job's images, or a copy of the database",
                            kExportDescription, [this] { return finish_export(); });
    add_text(command, "JOB", export_job_, "", "The job's name");
    const auto add_format = [&](const char* name, ExportFormat format, const char* description) {
      command
          .add_option_function<std::string>(
              name,
              [this, name, format](const std::string& path) {
                require_text(name, path);
                ++export_formats_;
                export_.format = format;
                export_.output = path;
              },
              description)
          ->type_name("FILE");
    };
    add_format("--csv", ExportFormat::kCsv, "The job's images as CSV");
    add_format("--json", ExportFormat::kJson, "The job and its images as one JSON document");
    add_format("--snapshot", ExportFormat::kSnapshot,
               "The whole database as it is at one moment; FILE must not exist yet, nor be -");
    add_common_options(command, flags_);
  }

  Command finish_export() {
    if (export_formats_ != 1) {
      throw UsageError("export: one of --csv FILE, --json FILE and --snapshot FILE is needed");
    }
    const bool is_snapshot = export_.format == ExportFormat::kSnapshot;
    if (is_snapshot && export_job_) {
      throw UsageError("--snapshot copies the whole database: leave " + display(*export_job_) +
                       " out");
    }
    if (!is_snapshot && !export_job_) throw CLI::RequiredError("JOB");
    export_.job = export_job_.value_or("");
    return export_;
  }

  void add_import() {
    CLI::App& command = add("import", "Bring over a database of the Python progress tracker",
                            kImportDescription, [this] { return import_; });
    command.add_option("OLD.db", import_.old_database, "The old database")->required();
    command.add_flag("--json", import_.json, kJsonHelp);
    add_common_options(command, flags_);
  }

  void add_doctor() {
    CLI::App& command = add("doctor", "Examine the database, and repair it", kDoctorDescription,
                            [this] { return doctor_; });
    command.footer(kDoctorFooter);
    command.add_flag("--repair", doctor_.repair,
                     "Mend what can be mended without loss, then examine");
    command.add_flag("--json", doctor_.json, kJsonHelp);
    add_common_options(command, flags_);
  }

  void add_config() {
    CLI::App& command = add("config", "Show the settings and where they come from",
                            kConfigDescription, [this] { return finish_config(); });
    command.add_option("show", config_word_, "The word `show`")->required();
    command.add_flag("--json", config_.json, kJsonHelp);
    add_common_options(command, flags_);
  }

  Command finish_config() {
    if (config_word_ != "show") {
      throw UsageError("config " + display(config_word_) + ": there is only `config show`");
    }
    return config_;
  }

  static void add_job(CLI::App& command, std::string& job) {
    command.add_option("JOB", job, "The job's name")->required();
  }

  CLI::App app_;
  std::shared_ptr<HelpFormatter> formatter_;
  std::vector<std::pair<CLI::App*, std::function<Command()>>> commands_;
  std::optional<std::vector<std::string>> command_words_;  // those after "--"

  Flags flags_;
  RunSettings run_;
  bool null_separated_ = false;
  std::optional<std::string> extensions_;
  bool status_json_ = false;
  std::optional<std::string> export_job_;
  int export_formats_ = 0;
  std::string config_word_;
  StatusSettings status_;
  JobsSettings jobs_;
  ErrorsSettings errors_;
  ExplainSettings explain_;
  RetrySettings retry_;
  ResetSettings reset_;
  RemoveSettings remove_;
  ChainSettings chain_;
  BatchesSettings batches_;
  ReportSettings report_;
  ExportSettings export_;
  ImportSettings import_;
  DoctorSettings doctor_;
  ConfigSettings config_;
};

}  // namespace

SplitWords split_at_separator(const std::vector<std::string>& words) {
  const auto separator = std::find(words.begin(), words.end(), "--");
  SplitWords split{.own = {words.begin(), separator}, .command = std::nullopt};
  if (separator != words.end()) split.command.emplace(separator + 1, words.end());
  return split;
}

std::variant<CommandLine, int> parse_command_line(const std::vector<std::string>& words,
                                                  const Streams& streams) {
  Grammar grammar;
  try {
    return grammar.parse(words);
  } catch (const CLI::Success& request) {  // --help, --version
    grammar.app().exit(request, streams.out, streams.err);
    return kExitOk;
  } catch (const CLI::Error& error) {
    complain(streams.err, one_line(error.what()));
  } catch (const UsageError& error) {
    complain(streams.err, error.what());
  }
  streams.err << "Try: progress-tracker " << grammar.parsed_command() << "--help\n" << std::flush;
  return kExitUsage;
}

}  // namespace progress_tracker::cli

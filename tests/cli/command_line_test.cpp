#include "cli/command_line.h"

#include <gmock/gmock.h>

#include <sstream>
#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "cli/image_list.h"

namespace progress_tracker::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

using Words = std::vector<std::string>;

class CommandLineTest : public ::testing::Test {
 protected:
  std::variant<CommandLine, int> parse(const Words& words) {
    out_.str("");
    err_.str("");
    return parse_command_line(words, {.in = in_, .out = out_, .err = err_});
  }
  CommandLine understood(const Words& words) {
    auto parsed = parse(words);
    EXPECT_TRUE(std::holds_alternative<CommandLine>(parsed)) << err_.str();
    return std::get<CommandLine>(parsed);
  }
  RunSettings run(Words words, const Words& command = {"cmd"}) {
    words.insert(words.begin(), "run");
    words.emplace_back("--");
    words.insert(words.end(), command.begin(), command.end());
    return std::get<RunSettings>(understood(words).command);
  }
  StatusSettings status(Words words) {
    words.insert(words.begin(), "status");
    return std::get<StatusSettings>(understood(words).command);
  }
  DoctorSettings doctor(Words words) {
    words.insert(words.begin(), "doctor");
    return std::get<DoctorSettings>(understood(words).command);
  }

  std::istringstream in_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(CommandLineTest, SplitsAtTheFirstSeparatorOnly) {
  const SplitWords split = split_at_separator({"run", "-j", "2", "--", "a", "--", "b"});
  EXPECT_THAT(split.own, ElementsAre("run", "-j", "2"));
  EXPECT_THAT(split.command.value(), ElementsAre("a", "--", "b"));
  EXPECT_FALSE(split_at_separator({"run"}).command);
  EXPECT_THAT(split_at_separator({"--"}).command.value(), IsEmpty());
}

TEST_F(CommandLineTest, PassesTheCommandByteForByte) {
  const Words command{"cmd", "[a,b]", "", "x y", "-j", "9", "--", "--job=z", "{}", "\xff\n"};
  EXPECT_EQ(run({"--job", "j", "--images", "d"}, command).command, command);
}

TEST_F(CommandLineTest, HasTheDefaultsItPromises) {
  const RunSettings settings = run({"--job", "j", "--images", "d"});
  EXPECT_EQ(settings.workers, 0U);
  EXPECT_EQ(settings.retries, 0);
  EXPECT_EQ(settings.limit, 0);
  EXPECT_EQ(settings.max_errors, 0);
  EXPECT_FALSE(settings.timeout);
  EXPECT_FALSE(settings.wait);
  EXPECT_FALSE(settings.dry_run);
  EXPECT_FALSE(settings.json);
  EXPECT_FALSE(settings.split_pattern);
  EXPECT_THAT(settings.metrics_file, IsEmpty());
  EXPECT_EQ(settings.separator, '\n');
  EXPECT_EQ(settings.extensions, default_extensions());
  EXPECT_FALSE(understood({"status"}).flags.database);
}

TEST_F(CommandLineTest, UnderstandsEveryOption) {
  const RunSettings settings =
      run({"--job=[a,b]", "--from", "-", "-0", "-j4", "--retries", "2", "--limit", "10",
           "--max-errors=3", "--timeout", "1.5", "--wait", "--dry-run", "--json", "--metrics-file",
           "m", "--split-pattern", "^(a|b)/"});
  EXPECT_EQ(settings.job, "[a,b]");
  EXPECT_EQ(settings.from, "-");
  EXPECT_EQ(settings.separator, '\0');
  EXPECT_EQ(settings.workers, 4U);
  EXPECT_EQ(settings.retries, 2);
  EXPECT_EQ(settings.limit, 10);
  EXPECT_EQ(settings.max_errors, 3);
  EXPECT_EQ(settings.timeout, std::chrono::milliseconds(1500));
  EXPECT_TRUE(settings.wait);
  EXPECT_TRUE(settings.dry_run);
  EXPECT_TRUE(settings.json);
  EXPECT_EQ(settings.metrics_file, "m");
  EXPECT_TRUE(std::regex_search("a/b", settings.split_pattern.value()));
  EXPECT_THAT(run({"--job", "j", "--images", "[x,y]\xff", "--ext", "PNG,.jpg"}).extensions,
              ElementsAre("png", "jpg"));
  EXPECT_EQ(run({"--job", "-j", "--images", "[x,y]\xff"}).images, "[x,y]\xff");
}

TEST_F(CommandLineTest, TakesTheOptionsOfEveryCommandBeforeAndAfterItsName) {
  for (const Words& words : {Words{"--db", "x.db", "--config", "c", "--log-level=debug",
                                   "--log-file", "l", "--color", "never", "status", "j"},
                             Words{"status", "j", "--db=x.db", "--config", "c", "--log-level",
                                   "debug", "--log-file=l", "--color", "never"}}) {
    const Flags flags = understood(words).flags;
    EXPECT_EQ(flags.database, "x.db");
    EXPECT_EQ(flags.config_file, "c");
    EXPECT_EQ(flags.log_level, "debug");
    EXPECT_EQ(flags.log_file, "l");
    EXPECT_EQ(flags.color, "never");
    EXPECT_FALSE(flags.progress);
  }
  const Flags flags = understood({"run", "--job", "j", "--images", "d", "--progress", "bar",
                                  "--checkpoint-interval", "7", "--", "c"})
                          .flags;
  EXPECT_EQ(flags.progress, "bar");
  EXPECT_EQ(flags.checkpoint_interval, "7");
  // What belongs to one command does not hide the name of another.
  EXPECT_TRUE(
      std::holds_alternative<StatusSettings>(understood({"--db", "run", "status"}).command));
}

TEST_F(CommandLineTest, StatusTakesAnyJobName) {
  EXPECT_FALSE(status({}).job);
  EXPECT_EQ(status({}).format, StatusFormat::kText);
  EXPECT_EQ(status({"--json"}).format, StatusFormat::kJson);
  EXPECT_EQ(status({"--format", "prometheus"}).format, StatusFormat::kPrometheus);
  EXPECT_FALSE(status({}).watch);
  EXPECT_TRUE(status({"--watch"}).watch);
  EXPECT_EQ(status({"-w", "--interval", "0.5"}).interval, std::chrono::milliseconds(500));
  EXPECT_EQ(status({"run"}).job, "run");
  EXPECT_EQ(status({"status", "--json"}).job, "status");
  EXPECT_EQ(status({"[a,b]"}).job, "[a,b]");
  EXPECT_EQ(status({"--", "--json"}).job, "--json");
  EXPECT_EQ(status({""}).job, "");
}

TEST_F(CommandLineTest, DoctorChangesNothingUnlessAskedTo) {
  EXPECT_FALSE(doctor({}).repair);
  EXPECT_FALSE(doctor({}).json);
  EXPECT_TRUE(doctor({"--repair"}).repair);
  EXPECT_TRUE(doctor({"--json"}).json);
  EXPECT_TRUE(doctor({"--json", "--repair", "--db", "x.db"}).repair);
}

TEST_F(CommandLineTest, UnderstandsTheOtherCommands) {
  const auto of = [&](const Words& words) { return understood(words).command; };
  EXPECT_TRUE(std::get<JobsSettings>(of({"jobs", "--json"})).json);
  EXPECT_EQ(std::get<ErrorsSettings>(of({"errors", "[a,b]"})).job, "[a,b]");
  EXPECT_TRUE(std::get<ErrorsSettings>(of({"errors", "j", "--list"})).list);
  EXPECT_EQ(std::get<ExplainSettings>(of({"explain", "j", "[a,b]"})).path, "[a,b]");
  EXPECT_EQ(std::get<ExplainSettings>(of({"explain", "j", "--", "-x\xff"})).path, "-x\xff");
  EXPECT_FALSE(std::get<RetrySettings>(of({"retry", "j"})).message);
  EXPECT_EQ(std::get<RetrySettings>(of({"retry", "j", "--message", "[m]"})).message, "[m]");
  EXPECT_EQ(std::get<ResetSettings>(of({"reset", "j"})).job, "j");
  EXPECT_EQ(std::get<RemoveSettings>(of({"remove", "j"})).job, "j");
  EXPECT_EQ(std::get<ChainSettings>(of({"chain", "k", "--after", "j"})).job, "k");
  EXPECT_EQ(std::get<ChainSettings>(of({"chain", "k", "--after", "j"})).upstream, "j");
  EXPECT_EQ(std::get<BatchesSettings>(of({"batches", "j"})).job, "j");
  EXPECT_EQ(std::get<ReportSettings>(of({"report", "j", "-o", "r.html"})).output, "r.html");
  EXPECT_EQ(std::get<ImportSettings>(of({"import", "old.db"})).old_database, "old.db");
  EXPECT_TRUE(std::get<ConfigSettings>(of({"config", "show", "--json"})).json);
}

TEST_F(CommandLineTest, ExportsInOneOfItsForms) {
  const auto exported = [&](const Words& words) {
    return std::get<ExportSettings>(understood(words).command);
  };
  EXPECT_EQ(exported({"export", "j", "--csv", "-"}).format, ExportFormat::kCsv);
  EXPECT_EQ(exported({"export", "j", "--csv", "-"}).output, "-");
  EXPECT_EQ(exported({"export", "j", "--json", "f"}).format, ExportFormat::kJson);
  EXPECT_EQ(exported({"export", "--snapshot", "f"}).format, ExportFormat::kSnapshot);
  EXPECT_EQ(exported({"export", "j", "--csv", "-"}).job, "j");
}

struct WrongCase {
  Words words;
  const char* complaint;
};

TEST_F(CommandLineTest, RefusesWrongUsageWithExitCode2AndAShortText) {
  const Words job{"run", "--job", "j", "--images", "d"};
  const auto with = [&](Words words, bool with_command = true) {
    words.insert(words.begin(), job.begin(), job.end());
    if (with_command) words.insert(words.end(), {"--", "c"});
    return words;
  };
  for (const WrongCase& c : std::vector<WrongCase>{
           {{}, "subcommand"},
           {{"fly"}, "no such command: fly"},
           {{"--", "run"}, ""},
           {{"--db"}, ""},
           {{"run", "--images", "d", "--", "c"}, "--job is required"},
           {{"run", "--job", "j", "--images", "d", "--from", "f", "--", "c"}, "excludes"},
           {{"run", "--job=", "--images", "d", "--", "c"}, "--job: a value is missing"},
           {{"run", "--job"}, "--job"},
           {{"run", "--job", "j", "--from", "", "--", "c"}, "--from: a value is missing"},
           {{"run", "--job", "j", "--images", "", "--", "c"}, "--images: a value is missing"},
           {with({"--metrics-file", ""}), "--metrics-file: a value is missing"},
           {{"status", "--db", ""}, "--db: a value is missing"},
           {{"export", "j", "--csv", ""}, "--csv: a value is missing"},
           {with({}, false), "a command after --"},
           {with({"--"}, false), "a command after --"},
           {with({"--", ""}, false), "a command after --"},
           {with({"extra"}), "extra"},
           {with({"--nonsense"}), "--nonsense"},
           {with({"-0"}), "--from"},
           {with({"-j", "x"}), "--jobs: 'x' is not a whole number from 0 to 4096"},
           {with({"-j", "-1"}), "'-1' is not a whole number"},
           {with({"-j", "4.5"}), "'4.5' is not a whole number"},
           {with({"-j", "99999999999999999999"}), "is not a whole number"},
           {with({"--retries", ""}), "'' is not a whole number"},
           {with({"--limit", "1e3"}), "--limit"},
           {with({"--max-errors", "-5"}), "--max-errors"},
           {with({"--timeout", "0"}), "--timeout"},
           {with({"--timeout", "nan"}), "--timeout"},
           {with({"--timeout", "inf"}), "--timeout"},
           {with({"--timeout", "5s"}), "--timeout"},
           {with({"--ext", "jpg,,png"}), "--ext"},
           {with({"--split-pattern", "("}), "--split-pattern: '(' is not a regular expression"},
           {with({"--job", "again"}), "--job"},
           {{"run", "--job", "j", "--from", "f", "--ext", "png", "--", "c"}, "--images"},
           {{"status", "a", "b"}, "b"},
           {{"status", "a", "--jsom"}, "--jsom"},
           {{"status", "--repair"}, "--repair"},
           {{"status", "--interval", "1"}, "--watch"},
           {{"status", "--watch", "--interval", "0"}, "--interval: '0' is not"},
           {{"status", "--json", "--format", "text"}, "excludes"},
           {{"status", "--format", "xml"}, "--format: 'xml' is not one of"},
           {{"errors"}, "JOB is required"},
           {{"explain", "j"}, "PATH is required"},
           {{"explain", "j", "p", "q"}, "q"},
           {{"chain", "k"}, "--after is required"},
           {{"report", "j"}, "--output is required"},
           {{"export", "j"}, "one of --csv FILE"},
           {{"export", "j", "--csv", "a", "--json", "b"}, "one of --csv FILE"},
           {{"export", "--csv", "a"}, "JOB is required"},
           {{"export", "j", "--snapshot", "a"}, "leave j out"},
           {{"import"}, "OLD.db is required"},
           {{"config"}, "show is required"},
           {{"config", "edit"}, "there is only `config show`"},
           {{"doctor", "thumbs"}, "thumbs"},
           {{"doctor", "--", "--repair"}, "--repair"},
           {{"doctor", "--repair=sure"}, "--repair"},
           {{"doctor", "--repiar"}, "--repiar"},
           {{"status", "\x1b[2J", "\x1b[3J"}, "\\x1B[3J"},
       }) {
    const auto parsed = parse(c.words);
    const std::string words = ::testing::PrintToString(c.words);
    ASSERT_TRUE(std::holds_alternative<int>(parsed)) << words;
    EXPECT_EQ(std::get<int>(parsed), kExitUsage) << words;
    EXPECT_THAT(err_.str(), StartsWith("progress-tracker: ")) << words;
    EXPECT_THAT(err_.str(), HasSubstr(c.complaint)) << words;
    EXPECT_LT(err_.str().size(), 300U) << err_.str();
    EXPECT_THAT(out_.str(), IsEmpty()) << words;
  }
}

TEST_F(CommandLineTest, AnswersHelpAndVersionOnStandardOutput) {
  for (const Words& words :
       {Words{"--help"}, Words{"--version"}, Words{"run", "--help"}, Words{"status", "-h"},
        Words{"doctor", "--help"}, Words{"export", "--help"}, Words{"config", "--help"}}) {
    EXPECT_EQ(std::get<int>(parse(words)), kExitOk);
    EXPECT_THAT(err_.str(), IsEmpty());
    EXPECT_THAT(out_.str(), HasSubstr("progress-tracker"));
  }
  parse({"run", "--help"});
  EXPECT_THAT(out_.str(), HasSubstr("-- COMMAND [ARG...]"));
  EXPECT_THAT(out_.str(), HasSubstr("Exit codes:"));
  parse({"doctor", "--help"});
  EXPECT_THAT(out_.str(), HasSubstr("--repair"));
  EXPECT_THAT(out_.str(), HasSubstr("Exit codes:"));
}

}  // namespace
}  // namespace progress_tracker::cli

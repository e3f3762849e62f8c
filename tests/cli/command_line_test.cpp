#include "cli/command_line.h"

#include <gmock/gmock.h>

#include <cstdlib>
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
  void SetUp() override {
    unsetenv("PROGRESS_TRACKER_DB");
    unsetenv("PROGRESS_TRACKER_PROGRESS");
  }
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
  EXPECT_EQ(settings.progress, ProgressMode::kAuto);
  EXPECT_EQ(settings.separator, '\n');
  EXPECT_EQ(settings.extensions, default_extensions());
  EXPECT_EQ(understood({"status"}).database, "progress.db");
}

TEST_F(CommandLineTest, UnderstandsEveryOption) {
  const RunSettings settings =
      run({"--job=[a,b]", "--from", "-", "-0", "-j4", "--retries", "2", "--limit", "10",
           "--max-errors=3", "--timeout", "1.5", "--progress", "json"});
  EXPECT_EQ(settings.job, "[a,b]");
  EXPECT_EQ(settings.from, "-");
  EXPECT_EQ(settings.separator, '\0');
  EXPECT_EQ(settings.workers, 4U);
  EXPECT_EQ(settings.retries, 2);
  EXPECT_EQ(settings.limit, 10);
  EXPECT_EQ(settings.max_errors, 3);
  EXPECT_EQ(settings.timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(settings.progress, ProgressMode::kJson);
  EXPECT_THAT(run({"--job", "j", "--images", "[x,y]\xff", "--ext", "PNG,.jpg"}).extensions,
              ElementsAre("png", "jpg"));
  EXPECT_EQ(run({"--job", "-j", "--images", "[x,y]\xff"}).images, "[x,y]\xff");
}

TEST_F(CommandLineTest, TakesTheDatabaseFromFlagThenEnvironmentThenDefault) {
  setenv("PROGRESS_TRACKER_DB", "env.db", 1);
  EXPECT_EQ(understood({"status", "j"}).database, "env.db");
  EXPECT_EQ(understood({"status", "j", "--db", "flag.db"}).database, "flag.db");
  EXPECT_EQ(understood({"run", "--db=flag.db", "--job=j", "--images=d", "--", "c"}).database,
            "flag.db");
  setenv("PROGRESS_TRACKER_DB", "", 1);
  EXPECT_EQ(understood({"status", "j"}).database, "progress.db");
}

TEST_F(CommandLineTest, TakesTheProgressModeFromTheEnvironment) {
  setenv("PROGRESS_TRACKER_PROGRESS", "none", 1);
  EXPECT_EQ(run({"--job", "j", "--images", "d"}).progress, ProgressMode::kNone);
  EXPECT_EQ(run({"--job", "j", "--images", "d", "--progress=bar"}).progress, ProgressMode::kBar);
  setenv("PROGRESS_TRACKER_PROGRESS", "loud", 1);
  EXPECT_EQ(std::get<int>(parse({"run", "--job", "j", "--images", "d", "--", "c"})), kExitUsage);
  EXPECT_THAT(err_.str(), HasSubstr("PROGRESS_TRACKER_PROGRESS: 'loud' is not one of"));
  status({"j"});  // which shows no progress
}

TEST_F(CommandLineTest, StatusTakesAnyJobName) {
  EXPECT_FALSE(status({}).job);
  EXPECT_TRUE(status({"--json"}).json);
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
  EXPECT_EQ(understood({"--db", "x.db", "doctor"}).database, "x.db");
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
           {{"run", "--job", "j", "--", "c"}, "--images DIR or --from FILE"},
           {{"run", "--job", "j", "--images", "d", "--from", "f", "--", "c"}, "excludes"},
           {{"run", "--job=", "--images", "d", "--", "c"}, "--job: a value is missing"},
           {{"run", "--job"}, "--job"},
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
           {with({"--progress", "loud"}), "auto|bar|plain|json|none"},
           {with({"--log-level", "loud"}), "--log-level"},
           {with({"--job", "again"}), "--job"},
           {{"run", "--job", "j", "--from", "f", "--ext", "png", "--", "c"}, "--images"},
           {{"status", "a", "b"}, "b"},
           {{"status", "a", "--jsom"}, "--jsom"},
           {{"status", "--repair"}, "--repair"},
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
  for (const Words& words : {Words{"--help"}, Words{"--version"}, Words{"run", "--help"},
                             Words{"status", "-h"}, Words{"doctor", "--help"}}) {
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

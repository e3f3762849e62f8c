#include "cli/configuration.h"

#include <gmock/gmock.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "temporary_directory.h"

namespace progress_tracker::cli {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ConfigurationTest : public ::testing::Test {
 protected:
  // The file of --config, with this text.
  void write(const std::string& text) {
    directory_.make_file("pipeline.yaml", text);
    flags_.config_file = file_;
  }
  void set(const std::string& name, const std::string& value) { variables_[name] = value; }

  Configuration resolve() {
    return resolve_configuration(flags_, [this](const char* name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      if (found == variables_.end()) return std::nullopt;
      return found->second;
    });
  }

  // What resolve() complains of; nothing if it does not.
  std::string refusal() {
    try {
      resolve();
    } catch (const UsageError& error) {
      return error.what();
    }
    return {};
  }
  std::string refusal_of(const std::string& text) {
    write(text);
    return refusal();
  }
  std::string database_of(const std::string& text) {
    write(text);
    return resolve().database.value;
  }

  // "FILE:LINE"
  std::string line(int number) const { return file_ + ':' + std::to_string(number); }

  TemporaryDirectory directory_;
  const std::string file_ = directory_ / "pipeline.yaml";
  Flags flags_;
  std::map<std::string, std::string> variables_;
};

TEST_F(ConfigurationTest, HasTheDefaultsItPromises) {
  const Configuration found = resolve();
  EXPECT_EQ(found.database.value, "progress.db");
  EXPECT_EQ(found.checkpoint_interval.value, std::nullopt);
  EXPECT_EQ(found.log_file.value, "");
  EXPECT_EQ(found.log_level.value, LogLevel::kWarn);
  EXPECT_EQ(found.progress.value, ProgressMode::kAuto);
  EXPECT_EQ(found.color.value, ColorChoice::kAuto);
  for (const std::string& origin :
       {found.database.origin, found.checkpoint_interval.origin, found.log_file.origin,
        found.log_level.origin, found.progress.origin, found.color.origin}) {
    EXPECT_EQ(origin, "default");
  }
}

constexpr char kWholeFile[] =
    "stages:\n"
    "  - progress: nothing of ours\n"
    "progress:\n"
    "  db_path: file.db\n"
    "  checkpoint_interval: 100\n"
    "  log_file: file.log\n"
    "  log_level: INFO\n";

TEST_F(ConfigurationTest, TakesTheFileBeforeTheDefaults) {
  write(kWholeFile);
  const Configuration found = resolve();
  EXPECT_EQ(found.database.value, "file.db");
  EXPECT_EQ(found.database.origin, line(4));
  EXPECT_EQ(found.checkpoint_interval.value, 100);
  EXPECT_EQ(found.checkpoint_interval.origin, line(5));
  EXPECT_EQ(found.log_file.value, "file.log");
  EXPECT_EQ(found.log_file.origin, line(6));
  EXPECT_EQ(found.log_level.value, LogLevel::kInfo);
  EXPECT_EQ(found.log_level.origin, line(7));
}

TEST_F(ConfigurationTest, TakesTheEnvironmentBeforeTheFile) {
  write(kWholeFile);
  set("PROGRESS_TRACKER_DB", "environment.db");
  set("PROGRESS_TRACKER_CHECKPOINT_INTERVAL", "7");
  set("PROGRESS_TRACKER_LOG_FILE", "environment.log");
  set("PROGRESS_TRACKER_LOG_LEVEL", "debug");
  set("PROGRESS_TRACKER_PROGRESS", "none");
  const Configuration found = resolve();
  EXPECT_EQ(found.database.value, "environment.db");
  EXPECT_EQ(found.database.origin, "PROGRESS_TRACKER_DB");
  EXPECT_EQ(found.checkpoint_interval.value, 7);
  EXPECT_EQ(found.checkpoint_interval.origin, "PROGRESS_TRACKER_CHECKPOINT_INTERVAL");
  EXPECT_EQ(found.log_file.value, "environment.log");
  EXPECT_EQ(found.log_file.origin, "PROGRESS_TRACKER_LOG_FILE");
  EXPECT_EQ(found.log_level.value, LogLevel::kDebug);
  EXPECT_EQ(found.log_level.origin, "PROGRESS_TRACKER_LOG_LEVEL");
  EXPECT_EQ(found.progress.value, ProgressMode::kNone);
  EXPECT_EQ(found.progress.origin, "PROGRESS_TRACKER_PROGRESS");
}

TEST_F(ConfigurationTest, TakesAFlagBeforeAllElse) {
  write(kWholeFile);
  for (const char* name : {"DB", "CHECKPOINT_INTERVAL", "LOG_FILE", "LOG_LEVEL", "PROGRESS"}) {
    set(std::string("PROGRESS_TRACKER_") + name, "not looked at");
  }
  flags_.database = "flag.db";
  flags_.checkpoint_interval = "1";
  flags_.log_file = "flag.log";
  flags_.log_level = "off";
  flags_.progress = "json";
  flags_.color = "never";
  const Configuration found = resolve();
  EXPECT_EQ(found.database.value, "flag.db");
  EXPECT_EQ(found.database.origin, "--db");
  EXPECT_EQ(found.checkpoint_interval.value, 1);
  EXPECT_EQ(found.checkpoint_interval.origin, "--checkpoint-interval");
  EXPECT_EQ(found.log_file.value, "flag.log");
  EXPECT_EQ(found.log_file.origin, "--log-file");
  EXPECT_EQ(found.log_level.value, LogLevel::kOff);
  EXPECT_EQ(found.log_level.origin, "--log-level");
  EXPECT_EQ(found.progress.value, ProgressMode::kJson);
  EXPECT_EQ(found.progress.origin, "--progress");
  EXPECT_EQ(found.color.value, ColorChoice::kNever);
  EXPECT_EQ(found.color.origin, "--color");
}

TEST_F(ConfigurationTest, AnEmptyVariableIsNoVariable) {
  setenv("PROGRESS_TRACKER_TEST_VARIABLE", "", 1);
  EXPECT_EQ(process_environment("PROGRESS_TRACKER_TEST_VARIABLE"), std::nullopt);
  setenv("PROGRESS_TRACKER_TEST_VARIABLE", "x", 1);
  EXPECT_EQ(process_environment("PROGRESS_TRACKER_TEST_VARIABLE"), "x");
  unsetenv("PROGRESS_TRACKER_TEST_VARIABLE");
  EXPECT_EQ(process_environment("PROGRESS_TRACKER_TEST_VARIABLE"), std::nullopt);
}

TEST_F(ConfigurationTest, NamesWhereABadValueComesFrom) {
  EXPECT_EQ(refusal_of("progress:\n  checkpoint_interval: many\n"),
            line(2) + ": 'many' is not a whole number from 1");
  EXPECT_EQ(refusal_of("progress:\n\n  log_level: loud\n"),
            line(3) + ": 'loud' is not one of debug|info|warn|error|off");
  set("PROGRESS_TRACKER_CHECKPOINT_INTERVAL", "0");
  EXPECT_THAT(refusal(), StartsWith("PROGRESS_TRACKER_CHECKPOINT_INTERVAL: '0' is not "));
  flags_.checkpoint_interval = "-1";
  EXPECT_THAT(refusal(), StartsWith("--checkpoint-interval: '-1' is not "));
  flags_.checkpoint_interval = "9223372036854775808";
  EXPECT_THAT(refusal(), StartsWith("--checkpoint-interval: '9223372036854775808' is not "));
  flags_ = {};
  variables_.clear();
  set("PROGRESS_TRACKER_PROGRESS", "BAR");
  EXPECT_EQ(refusal(), "PROGRESS_TRACKER_PROGRESS: 'BAR' is not one of auto|bar|plain|json|none");
  variables_.clear();
  flags_.color = "red\x1b";
  EXPECT_EQ(refusal(), "--color: 'red\\x1B' is not one of auto|always|never");
}

struct LevelCase {
  const char* word;
  LogLevel level;
};

TEST_F(ConfigurationTest, TakesLogLevelsInAnyCaseAndThoseOfPython) {
  for (const LevelCase& c : {LevelCase{"debug", LogLevel::kDebug},
                             {"DEBUG", LogLevel::kDebug},
                             {"Info", LogLevel::kInfo},
                             {"warn", LogLevel::kWarn},
                             {"WARNING", LogLevel::kWarn},
                             {"Warning", LogLevel::kWarn},
                             {"ERROR", LogLevel::kError},
                             {"CRITICAL", LogLevel::kError},
                             {"critical", LogLevel::kError},
                             {"OFF", LogLevel::kOff}}) {
    write("progress:\n  log_level: " + std::string(c.word) + "\n");
    EXPECT_EQ(resolve().log_level.value, c.level) << c.word;
  }
  for (const char* word : {"", "warnings", "0", "debug ", "critical!"}) {
    EXPECT_THROW(parse_log_level("--log-level", word), UsageError) << word;
  }
}

TEST_F(ConfigurationTest, NamesAnUnknownKeyAndItsLine) {
  EXPECT_EQ(refusal_of("progress:\n  log_level: info\n  db_paht: x.db\n"),
            line(3) +
                ": progress.db_paht: no such key: there are db_path, checkpoint_interval, "
                "log_file and log_level");
  EXPECT_THAT(refusal_of("progress:\n  DB_PATH: x.db\n"),
              StartsWith(line(2) + ": progress.DB_PATH: no such key"));
  EXPECT_THAT(refusal_of("progress:\n  \"db\\e_path\": x.db\n"),
              StartsWith(line(2) + ": progress.db\\x1B_path: no such key"));
  EXPECT_THAT(refusal_of("progress:\n  [db_path]: x.db\n"), StartsWith(line(2) + ": progress.: "));
}

TEST_F(ConfigurationTest, ADottedKeyIsNoOtherSection) {
  EXPECT_EQ(refusal_of("a: 1\nprogress.db_path: x.db\n"),
            line(2) + ": write progress.db_path as `progress:` with the rest below it");
  EXPECT_THAT(refusal_of("progress.\xe2\x80\xae: x.db\n"), HasSubstr("progress.\\u{202E} as"));
  EXPECT_THAT(refusal_of("progress:\n  progress.db_path: x.db\n"),
              StartsWith(line(2) + ": progress.progress.db_path: no such key"));
  EXPECT_EQ(database_of("progress_of_others.db_path: x.db\n"), "progress.db");
}

TEST_F(ConfigurationTest, RefusesWhatIsThereTwice) {
  EXPECT_EQ(refusal_of("progress:\n  db_path: a\nother: 1\nprogress:\n  log_file: b\n"),
            line(4) + ": progress is there twice");
  EXPECT_EQ(refusal_of("progress:\nprogress:\n"), line(2) + ": progress is there twice");
  EXPECT_EQ(refusal_of("progress:\n  db_path: a\n  log_file: l\n  db_path: a\n"),
            line(4) + ": progress.db_path is there twice");
}

TEST_F(ConfigurationTest, RefusesAValueThatIsNone) {
  for (const char* value : {"", " ~", " null", " ''", " \"\"", " # a comment"}) {
    EXPECT_EQ(refusal_of("progress:\n  db_path:" + std::string(value) + "\n"),
              line(2) + ": progress.db_path: a value is missing")
        << value;
  }
  for (const char* value : {" [a, b]", " {a: b}", "\n    - a", "\n    a: b"}) {
    EXPECT_THAT(refusal_of("progress:\n  db_path:" + std::string(value) + "\n"),
                EndsWith(": progress.db_path: one value was expected, not a list or keys"))
        << value;
  }
}

TEST_F(ConfigurationTest, RefusesWhatIsNotInSections) {
  for (const char* text : {"- progress\n", "progress\n", "[]\n", "42\n", "'progress: x'\n"}) {
    EXPECT_EQ(refusal_of(text), line(1) + ": sections were expected, such as `progress:`") << text;
  }
  for (const char* text : {"progress: x.db\n", "progress: [a]\n", "progress: ''\n"}) {
    EXPECT_EQ(refusal_of(text), line(1) + ": progress: keys were expected below it") << text;
  }
}

TEST_F(ConfigurationTest, AnEmptyFileOrSectionSaysNothing) {
  for (const char* text :
       {"", "\n\n", "# a comment\n", "---\n", "---\n...\n", "{}", "progress:\n", "progress: ~\n",
        "progress: {}\n", "other: [1, {a: b}]\n\"\": 2\n? [a]\n: 3\n", "\xef\xbb\xbf"}) {
    EXPECT_EQ(database_of(text), "progress.db") << text;
  }
}

TEST_F(ConfigurationTest, NamesThePlaceWhereItIsNoYaml) {
  EXPECT_THAT(refusal_of("progress:\n  db_path: \"\\q\"\n"), StartsWith(line(2) + ": "));
  EXPECT_THAT(refusal_of("progress: {\n"), StartsWith(file_ + ':'));
  EXPECT_THAT(refusal_of("progress:\n\tdb_path: x.db\n"), StartsWith(line(2) + ": "));
  EXPECT_THAT(refusal_of("progress:\n  db_path: a: b\n"), StartsWith(line(2) + ": "));
  EXPECT_THAT(refusal_of("progress:\n  db_path: *absent\n"), StartsWith(line(2) + ": "));
  EXPECT_THAT(refusal_of("progress:\n  db_path: *a\xe2\x80\xae\n"),
              AllOf(StartsWith(line(2) + ": "), Not(HasSubstr("\xe2\x80\xae"))));
  EXPECT_THAT(refusal_of(std::string(100'000, '[')), StartsWith(file_ + ':'));
}

TEST_F(ConfigurationTest, AValueIsTakenAsItIsWritten) {
  EXPECT_EQ(database_of("progress: {db_path: 'a b#c: d.db'}\n"), "a b#c: d.db");
  EXPECT_EQ(database_of("progress:\r\n  db_path: x.db\r\n"), "x.db");
  EXPECT_EQ(database_of("\xef\xbb\xbfprogress:\n  db_path: x.db"), "x.db");
  EXPECT_EQ(database_of("progress:\n  db_path: größe.db # here\n"), "größe.db");
  EXPECT_EQ(database_of("progress:\n  db_path: 0123\n"), "0123");
  EXPECT_EQ(database_of("progress:\n  db_path: !!str yes\n"), "yes");
  EXPECT_EQ(database_of("progress:\n  db_path: \"null\"\n"), "null");
  EXPECT_EQ(database_of("progress:\n  ? db_path\n  : x.db\n"), "x.db");
  EXPECT_EQ(database_of("progress:\n  db_path:\tx.db\n"), "x.db");
}

TEST_F(ConfigurationTest, FollowsAliasesAndRefusesMergeKeys) {
  EXPECT_EQ(database_of("paths:\n  main: &main x.db\nprogress:\n  db_path: *main\n"), "x.db");
  EXPECT_EQ(database_of("defaults: &all\n  db_path: x.db\nprogress: *all\n"), "x.db");
  // Read as a key of its own it would be passed over, with what it brings.
  EXPECT_THAT(refusal_of("defaults: &all\n  db_path: x.db\nprogress:\n  <<: *all\n"),
              StartsWith(line(4) + ": progress.<<: no such key"));
  EXPECT_THAT(refusal_of("progress: &self\n  db_path: *self\n"),
              EndsWith(": progress.db_path: one value was expected, not a list or keys"));
}

TEST_F(ConfigurationTest, RefusesASecondDocument) {
  EXPECT_EQ(refusal_of("other: 1\n---\nprogress:\n  db_path: x.db\n"),
            file_ + ": one document was expected: there are 2");
}

TEST_F(ConfigurationTest, RefusesWhatIsNoText) {
  EXPECT_EQ(refusal_of(std::string("progress:\n  db_path: gr\xf6\xdf"
                                   "e.db\n")),
            file_ + ": it is not UTF-8");
  EXPECT_EQ(refusal_of(std::string("a: 1\n\0progress:\n  db_path: x.db\n", 31)),
            file_ + ": it holds control characters");
  // To yaml-cpp this byte is the end of the file.
  EXPECT_EQ(refusal_of("a: 1\n\x04progress:\n  db_path: x.db\n"),
            file_ + ": it holds control characters");
  EXPECT_EQ(refusal_of("progress:\n  db_path: x\x1b[2J.db\n"),
            file_ + ": it holds control characters");
  EXPECT_EQ(refusal_of(std::string("\x7f"
                                   "ELF\0\0\0",
                                   7)),
            file_ + ": it holds control characters");
}

TEST_F(ConfigurationTest, ReadsALongFile) {
  std::string text = "progress:\n  db_path: x.db\nother:\n";
  while (text.size() < 10'000'000) text.append("  # ").append(std::string(9'000, '-')).append("\n");
  EXPECT_EQ(database_of(text), "x.db");
}

TEST_F(ConfigurationTest, NamesAFileThatCannotBeRead) {
  const auto refusal_of_file = [&](const std::string& path) {
    flags_.config_file = path;
    return refusal();
  };
  const std::string absent = directory_.path() / "absent\x1b";
  EXPECT_EQ(refusal_of_file(absent), "--config " + (directory_.path() / "absent\\x1B").native() +
                                         ": No such file or directory");
  EXPECT_EQ(refusal_of_file(directory_.path()),
            "--config " + directory_.path().native() + ": Is a directory");
  EXPECT_EQ(refusal_of_file("/proc/self/mem"), "--config /proc/self/mem: Input/output error");
  EXPECT_EQ(refusal_of_file(""), "--config : No such file or directory");
}

TEST_F(ConfigurationTest, ReadsWhatIsNoRegularFile) {
  flags_.config_file = "/dev/null";
  EXPECT_EQ(resolve().database.value, "progress.db");
}

}  // namespace
}  // namespace progress_tracker::cli

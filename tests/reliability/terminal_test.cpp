// The tool, given everything hostile at once: nothing that a terminal would obey comes out of it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "campaign.h"
#include "hostile_strings.h"
#include "process.h"
#include "progress_tracker/progress_tracker.h"
#include "progress_tracker/rules.h"
#include "support.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it to the program

namespace progress_tracker::reliability {
namespace {

namespace fs = std::filesystem;

// Of the README's table.
constexpr int kExitOk = 0;
constexpr int kExitImageErrors = 1;
constexpr int kExitUsage = 2;
constexpr int kExitNotFound = 3;
constexpr int kExitDatabase = 6;
constexpr int kExitNoCommand = 127;

struct Output {
  int status{0};  // -1: a signal ended it
  std::string out;
  std::string err;
};

class TerminalTest : public testing::Test {
 protected:
  // Runs the tool to its end.
  Output tool(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), PROGRESS_TRACKER_TOOL);
    std::vector<char*> argv;
    for (std::string& argument : arguments) {
      argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    const fs::path out = directory_.path() / "stdout";
    const fs::path err = directory_.path() / "stderr";
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out.c_str(),
                                     O_CREAT | O_TRUNC | O_WRONLY, 0600);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, err.c_str(),
                                     O_CREAT | O_TRUNC | O_WRONLY, 0600);
    pid_t child = -1;
    const int error = ::posix_spawn(&child, argv[0], &files, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    if (error != 0) {
      throw std::runtime_error("cannot start the tool");
    }
    Output output;
    ::waitpid(child, &output.status, 0);
    output.status = WIFEXITED(output.status) ? WEXITSTATUS(output.status) : -1;
    output.out = test::contents_of(out);
    output.err = test::contents_of(err);
    return output;
  }

  // `statuses`: those of the README's table that this may end with.
  Output expect_clean(const std::vector<std::string>& arguments,
                      const std::set<int>& statuses = {kExitOk}) {
    const Output output = tool(arguments);
    ++tried_;
    const bool ended_well = statuses.contains(output.status);
    EXPECT_TRUE(ended_well) << "exit status " << output.status << ", not "
                            << testing::PrintToString(statuses) << ", of "
                            << escape_for_display(arguments.at(2) + " ... " + arguments.back())
                            << ":\n"
                            << escape_for_display(output.err.substr(0, 2'000));
    wrong_ += ended_well ? 0 : 1;
    for (const std::string& text : {output.out, output.err}) {
      const std::string raw = raw_controls(text, /*line_breaks=*/true);
      EXPECT_EQ(raw, "") << "exit status " << output.status << " of "
                         << escape_for_display(arguments.at(0) + " ... " + arguments.back())
                         << ":\n"
                         << escape_for_display(text.substr(0, 2'000));
      EXPECT_TRUE(is_valid_utf8(text));
      wrong_ += raw.empty() && is_valid_utf8(text) ? 0 : 1;
    }
    return output;
  }

  // As names in one directory.
  static std::vector<std::string> file_names() {
    std::vector<std::string> names;
    for (std::string name : hostile_names()) {
      name = name.substr(0, 200);
      std::replace(name.begin(), name.end(), '/', '_');
      names.push_back(name == "." || name == ".." ? name + "x" : name);
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }

  processes::TemporaryDirectory directory_;
  std::int64_t tried_{0};
  std::int64_t wrong_{0};
};

// One run in which database, split folders, images and what the command complains of are hostile.
TEST_F(TerminalTest, ARunOverHostileNamesShowsNothingRaw) {
  const fs::path images = directory_.path() / "images \x1B[31m";
  const std::string database = directory_.path() / "jobs\x1B[2J\xE2\x80\xAE\n.db";
  std::string complaint;
  std::size_t number = 0;
  const auto names = file_names();
  for (const std::string& name : names) {
    const fs::path folder = images / names[(number * 7) % names.size()];
    fs::create_directories(folder);
    test::write_file(folder / (name + ".png"), name);
    complaint += name + (number++ % 5 == 0 ? "\n" : "");
  }
  // What a label may hold: a right-to-left override too.
  const std::string job = "a job, \xD7\xA9 \xE2\x80\xAE\xF0\x9F\x98\x80";
  std::int64_t failed = 0;
  for (const char* progress : {"plain", "json", "none"}) {
    // Every other image fails, with its own bytes and all of the hostile ones.
    const Output run = expect_clean(
        {"--db", database, "run", "--job", job, "--images", images, "-j", "2", "--progress",
         progress, "--", "sh", "-c",
         R"(case $$ in *[02468]) exit 0;; esac; cat -- "$0" >&2; printf %s "$1" >&2; exit 1)", "{}",
         complaint},
        {kExitOk, kExitImageErrors});
    ProgressTracker tracker(database);
    const JobId id = tracker.get_job_id(job).value();
    const StatusCounts counts = tracker.get_status_counts(id).value();
    EXPECT_EQ(counts.completed + counts.error, static_cast<std::int64_t>(names.size()));
    EXPECT_EQ(run.status, counts.error > 0 ? kExitImageErrors : kExitOk);
    failed += counts.error;
    tracker.reset_error_images(id);
  }
  EXPECT_GT(failed, 10) << "the commands hardly complained";
  {
    ProgressTracker tracker(database);
    const JobId id = tracker.get_job_id(job).value();
    std::vector<Outcome> outcomes;
    for (const Image& image : tracker.claim_images(id, 1'000)) {
      outcomes.push_back({.id = image.id, .attempt = image.attempt, .error = complaint});
    }
    tracker.mark_outcomes(outcomes);
  }
  expect_clean({"--db", database, "status"});
  expect_clean({"--db", database, "status", "--json"});
  expect_clean({"--db", database, "status", job});
  expect_clean({"--db", database, "status", job, "--json"});
  report("G12", "runs of the tool over hostile names at once", tried_, wrong_);
}

// Each by itself, as what is not there, cannot be opened or is not allowed.
TEST_F(TerminalTest, AComplaintAboutAHostileNameShowsNothingRaw) {
  const std::string database = directory_.path() / "jobs.db";
  ProgressTracker(database).create_job("job", {}, {});
  const unsigned seed = processes::test_seed();
  SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<std::string> names = file_names();
  const auto step = static_cast<std::size_t>(sized(5, 1));
  for (std::size_t i = random() % step; i < names.size(); i += step) {
    const std::string& name = names[i];
    SCOPED_TRACE(escape_for_display(name));
    const std::string missing = directory_.path() / name;
    expect_clean({"--db", database, "status", "job" + name}, {kExitNotFound});
    expect_clean({"--db", missing, "status"}, {kExitNotFound});
    expect_clean({"--db", database, name}, {kExitUsage});
    // An option that there is not; or a job, where no option can be called so.
    expect_clean({"--db", database, "status", "--" + name}, {kExitUsage, kExitNotFound});
    expect_clean({"--db", database, "run", "--job", name, "--images", missing, "--", "true"},
                 {kExitUsage});
    expect_clean({"--db", database, "run", "--job", "job", "--from", missing, "--", "true"},
                 {kExitUsage});
    expect_clean({"--db", database, "run", "--job", "job", "--from", "/dev/null", "--", missing},
                 {kExitNoCommand});
    expect_clean({"--db", database, "run", "--job", "job", "--progress", name, "--", "true"},
                 {kExitUsage});
    test::write_file(missing, "not a database");
    expect_clean({"--db", missing, "status"}, {kExitDatabase});
    fs::remove(missing);
  }
  report("G12", "complaints of the tool about hostile names", tried_, wrong_);
}

}  // namespace
}  // namespace progress_tracker::reliability

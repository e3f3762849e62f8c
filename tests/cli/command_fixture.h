// Commands carried out in the test's own process, on a database of its own.
#ifndef PROGRESS_TRACKER_TESTS_CLI_COMMAND_FIXTURE_H_
#define PROGRESS_TRACKER_TESTS_CLI_COMMAND_FIXTURE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/tool_log.h"
#include "progress_tracker/progress_tracker.h"
#include "temporary_directory.h"

namespace progress_tracker::cli {

class CommandTest : public ::testing::Test {
 protected:
  // The record, as a program that uses the library makes it. Close it before a command counts who
  // is alive.
  ProgressTracker& tracker() {
    if (!tracker_) tracker_.emplace(directory_.database());
    return *tracker_;
  }
  void close_tracker() { tracker_.reset(); }

  JobId make_job(const std::string& name, const std::vector<std::filesystem::path>& paths) {
    return tracker().create_job(name, paths, {});
  }

  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }
  void forget_output() {
    out_.str("");
    err_.str("");
  }

  TemporaryDirectory directory_;
  std::istringstream in_;
  std::ostringstream out_;
  std::ostringstream err_;
  Configuration configuration_{.database = {directory_.database().native(), "--db"},
                               .checkpoint_interval = {std::nullopt, "default"},
                               .log_file = {"", "default"},
                               .log_level = {LogLevel::kWarn, "default"},
                               .progress = {ProgressMode::kPlain, "default"},
                               .color = {ColorChoice::kNever, "default"}};
  const std::vector<std::string> typed_{"progress-tracker"};
  ToolLog log_{configuration_, err_};
  const Context context_{.configuration = configuration_,
                         .typed = typed_,
                         .log = log_,
                         .streams = {.in = in_, .out = out_, .err = err_},
                         .out = {},
                         .err = {}};

 private:
  std::optional<ProgressTracker> tracker_;
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_TESTS_CLI_COMMAND_FIXTURE_H_

#include "cli/metrics.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "cli/metrics_file.h"
#include "cli/output.h"
#include "progress_tracker/error.h"
#include "progress_tracker/testing/in_memory_tracker.h"
#include "progress_tracker/testing/mock_tracker.h"
#include "temporary_directory.h"

namespace progress_tracker::cli {
namespace {

using progress_tracker_testing::InMemoryTracker;
using progress_tracker_testing::MockTracker;
using std::chrono::seconds;
using std::chrono::sys_seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::NiceMock;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::Throw;

JobFigures figures_of(const std::string& job) {
  JobFigures figures;
  figures.job = job;
  figures.live_workers = 2;
  return figures;
}

std::string text_of(const std::vector<JobFigures>& jobs,
                    const std::optional<RunMetrics>& run = std::nullopt) {
  std::ostringstream out;
  write_metrics(out, jobs, run);
  return out.str();
}

// What the format asks for: HELP and TYPE once for each name, before its samples, which stand
// together; a sample is a name, labels and a number. Returns what is wrong, line by line.
std::vector<std::string> faults_of(const std::string& text) {
  static const std::regex kHead("# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)");
  static const std::regex kSample(
      R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-z_]+="([^"\\]|\\\\|\\"|\\n)*"(,(?=[a-z]))?)+\})? -?[0-9][0-9.e+-]*)re");
  std::vector<std::string> faults;
  std::set<std::string> heads;
  std::set<std::string> samples;
  std::string family;
  if (!text.ends_with('\n')) faults.emplace_back("the last line has no end");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::smatch found;
    if (std::regex_match(line, found, kHead)) {
      if (!heads.insert(found[1].str() + found[2].str()).second) faults.push_back("again: " + line);
      if (found[1] == "TYPE" && found[3] != "gauge") faults.push_back("type: " + line);
      family = found[2];
    } else if (!std::regex_match(line, found, kSample)) {
      faults.push_back("no sample: " + line);
    } else if (found[1] != family || !heads.contains("TYPE" + family)) {
      faults.push_back("out of place: " + line);
    } else if (!samples.insert(line.substr(0, line.rfind(' '))).second) {
      faults.push_back("twice: " + line);
    }
  }
  return faults;
}

TEST(MetricsTest, WritesExactlyThis) {
  JobFigures job = figures_of("thumbs");
  job.splits[""] = {.pending = 1, .processing = 2, .completed = 3, .error = 4};
  job.rate = Rate{.per_second = 12.3456789, .low = 12.3456789, .high = 12.3456789, .images = 9};
  const RunMetrics run{
      .is_active = true, .running = 2, .last_success = sys_seconds(seconds(1'796'000'000))};
  EXPECT_EQ(text_of({job}, run),
            R"(# HELP progress_tracker_images Images of a job by split and status.
# TYPE progress_tracker_images gauge
progress_tracker_images{job="thumbs",split="",status="pending"} 1
progress_tracker_images{job="thumbs",split="",status="processing"} 2
progress_tracker_images{job="thumbs",split="",status="completed"} 3
progress_tracker_images{job="thumbs",split="",status="error"} 4
# HELP progress_tracker_images_per_second Images finished a second, lately.
# TYPE progress_tracker_images_per_second gauge
progress_tracker_images_per_second{job="thumbs"} 12.3457
# HELP progress_tracker_live_workers Live workers of the whole database.
# TYPE progress_tracker_live_workers gauge
progress_tracker_live_workers 2
# HELP progress_tracker_run_active 1 while a run works on the job, 0 after it.
# TYPE progress_tracker_run_active gauge
progress_tracker_run_active{job="thumbs"} 1
# HELP progress_tracker_run_commands Commands of the run at this moment.
# TYPE progress_tracker_run_commands gauge
progress_tracker_run_commands{job="thumbs"} 2
# HELP progress_tracker_last_success_timestamp_seconds When a run last ended with nothing left to do and no error.
# TYPE progress_tracker_last_success_timestamp_seconds gauge
progress_tracker_last_success_timestamp_seconds{job="thumbs"} 1796000000
)");
}

TEST(MetricsTest, KeepsTheFormatForAnyJobs) {
  JobFigures a = figures_of("a\\b\"c\"");
  a.splits["train"] = {.pending = 5, .processing = 0, .completed = 0, .error = 0};
  a.splits["größe {\"x\"} \\n"] = {};
  a.rate = Rate{.per_second = 1e-7, .low = 1e-7, .high = 1e-7, .images = 9};
  JobFigures b = figures_of("b");
  b.splits["train"] = {};
  b.rate = Rate{.per_second = 123456789.0, .low = 123456789.0, .high = 123456789.0, .images = 9};
  JobFigures c = figures_of("no images, no speed");
  EXPECT_THAT(faults_of(text_of({a, b, c})), IsEmpty());
  EXPECT_THAT(faults_of(text_of({c}, RunMetrics{})), IsEmpty());
  EXPECT_THAT(faults_of(text_of({})), IsEmpty());
}

TEST(MetricsTest, TheCheckAboveFindsWhatIsWrong) {
  EXPECT_THAT(faults_of("# TYPE a gauge\na 1\na 2\n"), SizeIs(1));
  EXPECT_THAT(faults_of("a 1\n"), SizeIs(1));
  EXPECT_THAT(faults_of("# TYPE a gauge\n# TYPE b gauge\na 1\n"), SizeIs(1));
  EXPECT_THAT(faults_of("# TYPE a gauge\na{x=\"\"\"} 1\n"), SizeIs(1));
  EXPECT_THAT(faults_of("# TYPE a gauge\n# TYPE a gauge\n"), SizeIs(1));
  EXPECT_THAT(faults_of("# TYPE a gauge\na 1"), SizeIs(1));
}

TEST(MetricsTest, EscapesLabels) {
  JobFigures job = figures_of(R"(a\"b)");
  job.splits["x\ny"] = {};
  EXPECT_THAT(text_of({job}), HasSubstr(R"({job="a\\\"b",split="x\ny",status="pending"} 0)"));
}

TEST(MetricsTest, LeavesOutWhatIsNotKnown) {
  const std::string text = text_of({figures_of("j")}, RunMetrics{});
  EXPECT_THAT(text, Not(HasSubstr("per_second")));
  EXPECT_THAT(text, Not(HasSubstr("last_success")));
}

class LastSuccessTest : public ::testing::Test {
 protected:
  std::optional<std::int64_t> read(const std::string& text, const std::string& job = "j") {
    const auto found = read_last_success(directory_.make_file("metrics", text), job);
    if (!found) return std::nullopt;
    return found->time_since_epoch().count();
  }

  TemporaryDirectory directory_;
};

TEST_F(LastSuccessTest, ReadsBackWhatWasWritten) {
  for (const std::string job : {"j", "a\\\"b", "größe {}", "j\"} 7"}) {
    const RunMetrics run{
        .is_active = false, .running = 0, .last_success = sys_seconds(seconds(1'796'000'000))};
    const std::string text = text_of({figures_of(job)}, run);
    EXPECT_EQ(read(text, job), 1'796'000'000) << job;
    EXPECT_EQ(read(text, "other"), std::nullopt);
    EXPECT_EQ(read(text, job + "x"), std::nullopt);
  }
}

TEST_F(LastSuccessTest, IsNoneInAnyOtherFile) {
  const std::string name = "progress_tracker_last_success_timestamp_seconds";
  for (const std::string& text :
       {std::string(), std::string("\0\xff\n", 3), name + "{job=\"j\"} \n",
        name + "{job=\"j\"} 1e9\n", name + "{job=\"j\"} 99999999999999999999\n",
        name + "{job=\"j\"} 5 6\n", name + "{job=\"j\"}5\n", name + " 5\n",
        '#' + name + "{job=\"j\"} 5\n"}) {
    EXPECT_EQ(read(text), std::nullopt) << text;
  }
  EXPECT_EQ(read_last_success(directory_ / "absent", "j"), std::nullopt);
  EXPECT_EQ(read_last_success(directory_.path(), "j"), std::nullopt);
}

TEST_F(LastSuccessTest, DoesNotWaitForAPipe) {
  const auto pipe = directory_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(read_last_success(pipe, "j"), std::nullopt);
}

class MetricsFileTest : public ::testing::Test {
 protected:
  MetricsFile open() {
    return {file_, tracker_, job_, "j",
            [this](const std::string& note) { notes_.push_back(note); }};
  }
  std::string text() const {
    std::ostringstream text;
    text << std::ifstream(file_, std::ios::binary).rdbuf();
    return text.str();
  }

  TemporaryDirectory directory_;
  const std::filesystem::path file_ = directory_ / "metrics.prom";
  InMemoryTracker tracker_;
  const JobId job_ = tracker_.create_job("j", std::vector<std::filesystem::path>{"a", "b"}, {});
  std::vector<std::string> notes_;
};

TEST_F(MetricsFileTest, IsWrittenAtOnceThenWhenItIsDue) {
  const auto start = std::chrono::steady_clock::now();
  MetricsFile metrics = open();
  EXPECT_THAT(text(), HasSubstr("run_commands{job=\"j\"} 0\n"));
  ProgressFigures figures;
  figures.running = 1;
  metrics.update(figures, start);
  EXPECT_THAT(text(), HasSubstr("run_commands{job=\"j\"} 1\n"));
  figures.running = 2;
  metrics.update(figures, start + MetricsFile::kInterval - std::chrono::milliseconds(1));
  EXPECT_THAT(text(), HasSubstr("run_commands{job=\"j\"} 1\n"));
  metrics.update(figures, start + MetricsFile::kInterval);
  EXPECT_THAT(text(), HasSubstr("run_commands{job=\"j\"} 2\n"));
  EXPECT_THAT(text(), HasSubstr("run_active{job=\"j\"} 1\n"));
  metrics.finish(figures, false);
  EXPECT_THAT(text(), HasSubstr("run_commands{job=\"j\"} 0\n"));
  EXPECT_THAT(text(), HasSubstr("run_active{job=\"j\"} 0\n"));
  EXPECT_THAT(text(), Not(HasSubstr("last_success")));
  EXPECT_THAT(faults_of(text()), IsEmpty());
}

TEST_F(MetricsFileTest, TheLastSuccessSurvivesRunsWithoutOne) {
  const auto before = std::chrono::floor<seconds>(std::chrono::system_clock::now());
  open().finish({}, true);
  const auto succeeded = read_last_success(file_, "j");
  ASSERT_TRUE(succeeded);
  EXPECT_GE(*succeeded, before);
  {
    MetricsFile metrics = open();
    EXPECT_EQ(read_last_success(file_, "j"), succeeded);
    metrics.finish({}, false);
  }
  EXPECT_EQ(read_last_success(file_, "j"), succeeded);
}

TEST_F(MetricsFileTest, WhatCannotBeWrittenIsRefusedAtFirstAndToldOnceLater) {
  std::filesystem::create_directory(file_);
  try {
    open();
    ADD_FAILURE() << "a directory was taken";
  } catch (const UsageError& error) {
    EXPECT_EQ(std::string(error.what()), "--metrics-file " + file_.native() + ": Is a directory");
  }
  std::filesystem::remove(file_);
  MetricsFile metrics = open();
  std::filesystem::remove(file_);
  std::filesystem::create_directory(file_);
  metrics.update({}, std::chrono::steady_clock::now());
  metrics.finish({}, true);
  const std::string why = "--metrics-file " + file_.native() + ": Is a directory";
  EXPECT_THAT(notes_, ElementsAre(why, why + ": it does not have the last figures"));
}

TEST_F(MetricsFileTest, NeitherAPipeNorADeviceIsTaken) {
  ASSERT_EQ(mkfifo(file_.c_str(), 0600), 0);
  EXPECT_THROW(open(), UsageError);
  EXPECT_TRUE(std::filesystem::is_fifo(file_));
}

// It is for the run itself to stop for what is wrong with the database, or to go on.
TEST_F(MetricsFileTest, ADatabaseThatIsBusyLaterIsNoReasonToStop) {
  NiceMock<MockTracker> tracker;
  MetricsFile metrics(file_, tracker, job_, "j",
                      [this](const std::string& note) { notes_.push_back(note); });
  EXPECT_CALL(tracker, get_progress_by_split)
      .WillRepeatedly(Throw(Error(ErrorCode::kBusy, "counts: p\x1b.db: busy")));
  metrics.update({}, std::chrono::steady_clock::now());
  metrics.finish({}, false);
  const std::string why = "--metrics-file: counts: p\\x1B.db: busy";
  EXPECT_THAT(notes_, ElementsAre(why, why + ": it does not have the last figures"));
}

TEST_F(MetricsFileTest, ARunThatFailedIsNotActiveAnyMore) {
  {
    MetricsFile metrics = open();
    metrics.update({}, std::chrono::steady_clock::now());
    EXPECT_THAT(text(), HasSubstr("progress_tracker_run_active{job=\"j\"} 1\n"));
  }
  EXPECT_THAT(text(), HasSubstr("progress_tracker_run_active{job=\"j\"} 0\n"));
}

}  // namespace
}  // namespace progress_tracker::cli

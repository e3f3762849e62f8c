#include "cli/progress_report.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

namespace progress_tracker::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

struct ModeCase {
  ProgressMode asked;
  bool is_terminal;
  const char* term;
  const char* ci;
  ProgressMode chosen;
};

TEST(ChooseProgressModeTest, ShowsABarOnlyWhereOneCanBeSeen) {
  using enum ProgressMode;
  for (const ModeCase& c : {ModeCase{kAuto, true, "xterm", nullptr, kBar},
                            {kAuto, true, nullptr, nullptr, kBar},
                            {kAuto, true, "xterm", "", kBar},
                            {kAuto, true, "dumb", nullptr, kPlain},
                            {kAuto, true, "xterm", "true", kPlain},
                            {kAuto, false, "xterm", nullptr, kPlain},
                            {kBar, false, "dumb", "1", kBar},
                            {kNone, true, "xterm", nullptr, kNone},
                            {kJson, true, "xterm", nullptr, kJson}}) {
    EXPECT_EQ(choose_progress_mode(c.asked, c.is_terminal, c.term, c.ci), c.chosen);
  }
}

class ProgressReportTest : public ::testing::Test {
 protected:
  // What one small run writes.
  std::string run(ProgressMode mode) {
    std::ostringstream err;
    const PausableClock clock;
    {
      ProgressReport report(
          err, clock, {.mode = mode, .job = "j\x1b", .workers = 2, .columns = [] { return 60U; }});
      report.scanning(3);
      report.start({.pending = 3, .processing = 0, .completed = 0, .error = 0});
      report.image_failed("bad\n.png", "exit status 1: \x1b[2J");
      report.note("a note");
      report.show_now();
      report.finish({.pending = 0, .processing = 0, .completed = 2, .error = 1},
                    {.completed = 2, .errors = 1, .released = 0, .stopped = false}, 1);
    }
    return err.str();
  }
};

TEST_F(ProgressReportTest, PlainIsWholeLinesWithoutControlBytes) {
  const std::string text = run(ProgressMode::kPlain);
  for (const char c : text) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << text;
  EXPECT_THAT(text,
              AllOf(HasSubstr("job j\\x1B: 3 images, 0 completed, 0 errors, 3 to do, 2 workers\n"),
                    HasSubstr("error: bad\\n.png: exit status 1: \\x1B[2J\n"),
                    HasSubstr("progress-tracker: a note\n"), HasSubstr("0/3 0% 0 errors"),
                    HasSubstr("2 of 3 images completed, 1 error, 0 left; this run: 2 completed")));
}

TEST_F(ProgressReportTest, EndsWithWhatOthersHaveInWork) {
  std::ostringstream err;
  const PausableClock clock;
  ProgressReport report(err, clock, {.job = "j", .columns = {}});
  report.finish({.pending = 1, .processing = 4, .completed = 2, .error = 0},
                {.completed = 2, .errors = 0, .released = 0, .stopped = false}, 0);
  EXPECT_THAT(err.str(), HasSubstr("2 of 7 images completed, 0 errors, "
                                   "5 left (4 in work elsewhere); this run: "));
}

TEST_F(ProgressReportTest, BarIsClearedBeforeAnyOtherLine) {
  const std::string text = run(ProgressMode::kBar);
  EXPECT_THAT(text, HasSubstr("scanning… 3 found\r\x1b[K"));
  EXPECT_THAT(text, HasSubstr("2 of 3 images completed"));
  EXPECT_TRUE(text.ends_with("\n")) << text;
  for (std::size_t at = text.find("progress-tracker:"); at != std::string::npos;
       at = text.find("progress-tracker:", at + 1)) {
    EXPECT_TRUE(at == 0 || text[at - 1] == '\n' || text[at - 1] == 'K') << text.substr(at);
  }
}

TEST_F(ProgressReportTest, JsonIsOneObjectALine) {
  std::istringstream lines(run(ProgressMode::kJson));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_THAT(line, MatchesRegex("\\{\"event\":\"[a-z]+\".*\\}"));
  }
  EXPECT_EQ(count, 5);
}

TEST_F(ProgressReportTest, NoneSaysOnlyWhatMustBeSaid) {
  EXPECT_EQ(run(ProgressMode::kNone),
            "progress-tracker: a note\nprogress-tracker: 0/3 0% 0 errors "
            "elapsed 0:00 0 running\n");
}

// ---- In its own time ---------------------------------------------------------------------------

struct Step {
  std::int64_t completed;       // so many of the job's 100 images are,
  std::chrono::seconds passed;  // and then so much time passes
};

// What a report writes that is asked after each step for what is due. Its own thread may have shown
// that already: nothing may be shown twice.
std::string lines_shown(ProgressMode mode, const std::vector<Step>& steps) {
  std::mutex mutex;
  PausableClock::TimePoint now{std::chrono::hours(1)};  // guarded by mutex
  std::ostringstream err;
  const PausableClock clock([&] {
    const std::scoped_lock lock(mutex);
    return now;
  });
  {
    ProgressReport report(err, clock, {.mode = mode, .job = "j", .workers = 1, .columns = {}});
    report.start({.pending = 100, .processing = 0, .completed = 0, .error = 0});
    for (const auto& [completed, passed] : steps) {
      report.update(
          {.pending = 100 - completed, .processing = 0, .completed = completed, .error = 0});
      {
        const std::scoped_lock lock(mutex);
        now += passed;
      }
      report.show_what_is_due();
    }
  }
  return err.str();
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST(TimedReportTest, PlainComesAfterThirtySecondsAndFivePercent) {
  const std::string text = lines_shown(ProgressMode::kPlain, {{28, 29s},    // too early
                                                              {30, 2s},     // shown
                                                              {80, 29s},    // too early
                                                              {34, 1s},     // too little
                                                              {34, 1000s},  // still
                                                              {35, 1s},     // shown
                                                              {50, 1s}});   // too early
  EXPECT_THAT(text, HasSubstr("progress-tracker: 30/100 30% 0 errors"));
  EXPECT_THAT(text, HasSubstr("progress-tracker: 35/100 35% 0 errors"));
  EXPECT_EQ(count_of(text, "\n"), 3U) << text;  // with that of the start
}

TEST(TimedReportTest, JsonComesWhenTheCountsHaveChanged) {
  const std::string text = lines_shown(ProgressMode::kJson, {{0, 1s}, {7, 1s}, {7, 1s}, {9, 1s}});
  EXPECT_EQ(count_of(text, R"("event":"progress")"), 2U) << text;
  EXPECT_EQ(count_of(text, "\n"), 3U) << text;
}

TEST(TimedReportTest, NoneShowsNothing) {
  EXPECT_EQ(lines_shown(ProgressMode::kNone, {{50, 100s}}), "");
}

}  // namespace
}  // namespace progress_tracker::cli

#include "cli/progress_report.h"

#include <gmock/gmock.h>

#include <sstream>
#include <string>

namespace progress_tracker::cli {
namespace {

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

}  // namespace
}  // namespace progress_tracker::cli

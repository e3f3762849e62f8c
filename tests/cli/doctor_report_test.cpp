#include "cli/doctor_report.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <sstream>
#include <string>

#include "progress_tracker/rules.h"

namespace progress_tracker::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

Examination healthy_file() {
  Examination found;
  found.path = "/data/progress.db";
  found.sqlite_version = "3.51.3";
  found.has_wal_reset_fix = true;
  found.filesystem = "ext4";
  found.pragmas = {{"journal_mode", "wal"}, {"synchronous", "1"}};
  found.application_id = 0x5054726b;
  found.schema_version = 2;
  found.database_bytes = 74'763'469;
  found.jobs = {{JobId{1}, "thumbs"}};
  found.images = 1000;
  return found;
}

std::string report(const Examination& found, const std::optional<Treatment>& treatment = {}) {
  std::ostringstream out;
  write_doctor_report(out, found, treatment, "progress-tracker");
  return out.str();
}

constexpr char kRepairLine[] = "next: progress-tracker doctor --db /data/progress.db --repair\n";

TEST(DoctorReportTest, AHealthyFileIsAPageOfFactsAndOneVerdict) {
  EXPECT_EQ(report(healthy_file()),
            "database     /data/progress.db\n"
            "file system  ext4\n"
            "size         71.3 MiB; write-ahead log empty\n"
            "identity     progress_tracker's (application_id 0x5054726b), schema version 2\n"
            "SQLite       3.51.3, which has the fix of the WAL-reset bug\n"
            "pragmas      journal_mode=wal synchronous=1\n"
            "quick check  ok\n"
            "counts       agree with a recount of 1000 images in 1 job\n"
            "references   ok\n"
            "leftovers    none\n"
            "workers      none\n"
            "\n"
            "ALL IS WELL\n");
}

TEST(DoctorReportTest, TheLastLineIsWhatToTypeNext) {
  Examination found = healthy_file();
  found.problems = {"a count is wrong"};
  found.mendable = 1;
  EXPECT_THAT(report(found),
              EndsWith(std::string("\nNOT WELL: 1 problem, which a repair mends\n") + kRepairLine));
  found.problems.emplace_back("a row is gone");
  EXPECT_THAT(
      report(found),
      EndsWith(std::string("\nNOT WELL: 2 problems, of which a repair mends 1\n") + kRepairLine));
  found.mendable = 2;
  EXPECT_THAT(report(found), HasSubstr("2 problems, all of which a repair mends"));
  found.mendable = 0;
  EXPECT_THAT(report(found), HasSubstr("2 problems, which a repair does not mend"));
  EXPECT_THAT(report(found), Not(HasSubstr("--repair")));
}

TEST(DoctorReportTest, ADeathIsNoProblemAndStillHasALineToType) {
  Examination found = healthy_file();
  found.workers = {{.id = WorkerId{7},
                    .host = "node7",
                    .pid = 31337,
                    .alive = false,
                    .processing = 4,
                    .started_at = {}}};
  const std::string text = report(found);
  EXPECT_THAT(text, HasSubstr("workers      0 alive, 1 gone\n"));
  EXPECT_THAT(text, HasSubstr("worker  state  images  process  started                  host\n"));
  EXPECT_THAT(text, HasSubstr("     7  gone        4    31337  1970-01-01 00:00:00 UTC  node7\n"));
  EXPECT_THAT(text, HasSubstr("\nALL IS WELL; workers that are gone hold 4 images\n"));
  EXPECT_THAT(text, EndsWith("progress-tracker doctor --db /data/progress.db --repair\n"));
}

TEST(DoctorReportTest, ADamagedFileIsToBeKeptAsItIs) {
  Examination found = healthy_file();
  found.damage = {"*** in database main ***\nPage 13: wrong"};
  found.problems = {"the file is damaged"};
  const std::string text = report(found, Treatment{.is_refused = true, .done = {}});
  EXPECT_THAT(text, HasSubstr("quick check  DAMAGED: 1 finding\n"));
  EXPECT_THAT(text, HasSubstr("  - *** in database main *** Page 13: wrong\n"));
  EXPECT_THAT(text, HasSubstr("counts       not looked at\n"));
  EXPECT_THAT(text, HasSubstr("nothing was repaired"));
  EXPECT_THAT(text, HasSubstr("\nDAMAGED: "));
  EXPECT_THAT(text, EndsWith(" /data/progress.db /data/progress.db-wal /data/progress.db-shm\n"));
}

TEST(DoctorReportTest, TellsWhatWasRepaired) {
  EXPECT_THAT(report(healthy_file(), Treatment{}), HasSubstr("there was nothing to repair"));
  EXPECT_THAT(report(healthy_file(), Treatment{.done = {"one thing", "another"}}),
              HasSubstr("\nrepaired just now\n  - one thing\n  - another\n"));
}

TEST(DoctorReportTest, FitsTheScreenHoweverMuchThereIsToSay) {
  Examination found = healthy_file();
  found.problems.assign(100,
                        "words and words, as many of them as it takes to fill two lines, and "
                        "then some more of them");
  found.workers.assign(500, {.id = WorkerId{1}, .host = "h", .pid = 2});
  found.workers.back().processing = 77;
  const std::string text = report(found);
  EXPECT_THAT(text, HasSubstr("  - and 80 more, which --json has\n"));
  EXPECT_THAT(text, HasSubstr("and 480 more, which --json has\n"));
  EXPECT_THAT(text, HasSubstr("  gone       77  ")) << "who holds images is among those shown";
  EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 100);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
}

TEST(DoctorReportTest, TextFromTheFileCannotReachTheTerminal) {
  const std::string bad = "\x1b[2J\r\n\x9b\u202e\xff";
  Examination found = healthy_file();
  found.path = "/data/" + bad;
  found.filesystem = found.sqlite_version = bad;
  found.pragmas = {{bad, bad}};
  found.dangling_references = found.problems = found.notes = {bad};
  found.workers = {{.id = WorkerId{1}, .host = bad}};
  for (const bool is_damaged : {false, true}) {
    if (is_damaged) found.damage = {bad};
    std::string text = report(found, Treatment{.done = {bad}});
    EXPECT_THAT(text, HasSubstr("\\x1B[2J"));
    std::replace(text.begin(), text.end(), '\n', ' ');
    EXPECT_EQ(text, escape_for_display(text));
  }
}

TEST(DoctorReportTest, TimesThatNoCalendarHasAreShownAsUnknown) {
  using Time = std::chrono::system_clock::time_point;
  EXPECT_EQ(utc_text(Time{} - std::chrono::milliseconds(1), "%FT%TZ"), "1969-12-31T23:59:59Z");
  EXPECT_NE(utc_text(Time::max(), "%F"), "");
  EXPECT_NE(utc_text(Time::min(), "%F"), "");
}

}  // namespace
}  // namespace progress_tracker::cli

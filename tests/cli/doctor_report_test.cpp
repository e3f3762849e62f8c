#include "cli/doctor_report.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/time_text.h"
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

Treatment treatment(std::vector<std::string> done, std::string refusal = "") {
  Treatment treatment;
  treatment.repaired.done = std::move(done);
  treatment.refusal = std::move(refusal);
  return treatment;
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
  const std::string text = report(found, treatment({}, "repair: the file is damaged:\nPage 13"));
  EXPECT_THAT(text, HasSubstr("quick check  DAMAGED: 1 finding\n"));
  EXPECT_THAT(text, HasSubstr("  - *** in database main *** Page 13: wrong\n"));
  EXPECT_THAT(text, HasSubstr("counts       not looked at\n"));
  EXPECT_THAT(text, HasSubstr("  - nothing: a damaged file is left as it is: repair: the file is "
                              "damaged: Page\n    13\n"));
  EXPECT_THAT(text, HasSubstr("\nDAMAGED: "));
  EXPECT_THAT(text, EndsWith(" /data/progress.db /data/progress.db-wal /data/progress.db-shm\n"));
}

TEST(DoctorReportTest, TellsWhatWasRepaired) {
  EXPECT_THAT(report(healthy_file(), Treatment{}), HasSubstr("there was nothing to repair"));
  EXPECT_THAT(report(healthy_file(), treatment({"one thing", "another"})),
              HasSubstr("\nrepaired just now\n  - one thing\n  - another\n"));
}

TEST(DoctorReportTest, ARepairThatWasRefusedIsNeverWell) {
  const Treatment refused = treatment({}, "list_jobs: a time is out of range");
  std::string text = report(healthy_file(), refused);
  EXPECT_THAT(text,
              HasSubstr("\nrepaired just now\n  - nothing: list_jobs: a time is out of range\n"));
  EXPECT_THAT(text,
              EndsWith("\nNOT WELL: the repair stopped for the reason above\n"
                       "next: stop all runs that use it; keep these files as they are:\n"
                       "      /data/progress.db /data/progress.db-wal /data/progress.db-shm\n"));
  EXPECT_THAT(text, Not(HasSubstr("damaged")));

  Examination found = healthy_file();
  found.problems = {"a count is wrong"};
  found.mendable = 1;
  text = report(found, refused);
  EXPECT_THAT(text,
              HasSubstr("\nNOT WELL: the repair stopped for the reason above; 1 problem, which "
                        "the repair did not mend\n"));
  EXPECT_THAT(text, Not(HasSubstr("backup")));
}

TEST(DoctorReportTest, WhyARepairStoppedIsShownHoweverMuchWasDone) {
  const Treatment stopped = treatment(std::vector<std::string>(100, "a thing"), "the reason");
  EXPECT_THAT(report(healthy_file(), stopped),
              HasSubstr("  - and 80 more, which --json has\n  - then stopped: the reason\n"));
}

TEST(DoctorReportTest, OffersABackupOnlyWhereRowsAreGone) {
  Examination found = healthy_file();
  found.problems = {"the log is large"};
  found.mendable = 1;
  EXPECT_THAT(report(found), Not(HasSubstr("backup")));
  // What a repair mends and this one did not: the same line again would not either.
  EXPECT_THAT(report(found, Treatment{}),
              EndsWith("\nNOT WELL: 1 problem, which the repair did not mend\n"
                       "next: see what each problem says\n"));
  found.problems.emplace_back("a row is gone");
  EXPECT_THAT(report(found, Treatment{}),
              EndsWith("\nNOT WELL: 2 problems, which the repair did not mend\n"
                       "next: see what each problem says; or restore a backup of the file\n"));
  EXPECT_THAT(report(found, treatment({}, "the reason")),
              HasSubstr("keep these files as they are, and restore a backup:\n"));
}

TEST(DoctorReportTest, APathIsNotBrokenWhereItHasSpaces) {
  Examination found = healthy_file();
  const std::string path = "/data/" + std::string(40, 'a') + ' ' + std::string(40, 'b') + "  c.db";
  found.path = path;
  EXPECT_THAT(report(found), HasSubstr("database     " + path + "\n"));
}

TEST(DoctorReportTest, ListsThatAreCutAreCountedAsAtLeast) {
  Examination found = healthy_file();
  found.dangling_references.assign(99, "a row");
  found.problems = found.dangling_references;
  EXPECT_THAT(report(found), HasSubstr("references   WRONG: 99 that lead nowhere\n"));
  EXPECT_THAT(report(found), HasSubstr("NOT WELL: 99 problems"));
  found.dangling_references.emplace_back("a row");
  found.problems = found.dangling_references;
  EXPECT_THAT(report(found), HasSubstr("references   WRONG: at least 100 that lead nowhere\n"));
  EXPECT_THAT(report(found), HasSubstr("NOT WELL: at least 100 problems"));
  found.damage.assign(100, "a page");
  EXPECT_THAT(report(found), HasSubstr("quick check  DAMAGED: at least 100 findings\n"));
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
    std::string text = report(found, treatment({bad}, bad));
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

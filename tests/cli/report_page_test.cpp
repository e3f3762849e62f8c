#include "cli/report_page.h"

#include <gmock/gmock.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "cli/report_words.h"
#include "progress_tracker/rules.h"

namespace progress_tracker::cli {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using TimePoint = std::chrono::system_clock::time_point;

const TimePoint kStart{1'773'306'195'000ms};  // 2026-03-12 09:03:15

ImageRecord finished(std::int64_t id, const std::filesystem::path& path, milliseconds start,
                     milliseconds duration) {
  ImageRecord image;
  image.image.id = ImageId{id};
  image.image.path = path;
  image.image.split = "train";
  image.status = Status::kCompleted;
  image.attempts = 1;
  image.started_at = kStart + start;
  image.finished_at = kStart + start + duration;
  return image;
}

JobReport report_of(const ImagePass& pass) {
  JobReport report;
  report.job = "thumbs";
  report.created_at = kStart;
  report.taken_at = kStart + 1h;
  report.counts = report.passed = pass.counts();
  report.splits["train"] = pass.counts();
  report.first_start = pass.first_start();
  report.last_finish = pass.last_finish();
  report.timeline = pass.timeline();
  report.durations = pass.durations();
  report.slowest = pass.slowest();
  report.most_tried = pass.most_tried();
  report.tried_again = pass.tried_again();
  report.errors = pass.errors();
  return report;
}

// 1,200 completed images, one a second, of 1 to 4 s.
JobReport finished_job() {
  ImagePass pass({});
  for (int i = 0; i < 1200; ++i) {
    pass.add(finished(i + 1, "d/" + std::to_string(i) + ".png", i * 1s, 1s + (i % 4) * 1000ms));
  }
  return report_of(pass);
}

std::string page(const JobReport& report) {
  std::ostringstream out;
  write_report_page(out, report);
  return out.str();
}

// The names of all elements, by their start tags.
std::set<std::string> elements_of(const std::string& html) {
  std::set<std::string> names;
  const std::regex tag("<([A-Za-z][^\\s/>]*)");
  for (std::sregex_iterator match(html.begin(), html.end(), tag), end; match != end; ++match) {
    names.insert((*match)[1]);
  }
  return names;
}

// The first place where elements are not properly nested, or "".
std::string fault_in_nesting(const std::string& html) {
  std::vector<std::string> open;
  const std::regex tag("<(/?)([A-Za-z][A-Za-z0-9]*)([^<>]*?)(/?)>");
  for (std::sregex_iterator match(html.begin(), html.end(), tag), end; match != end; ++match) {
    const std::string name = (*match)[2];
    if ((*match)[4] == "/") continue;
    if ((*match)[1] != "/") {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return match->str() + " at " + std::to_string(match->position());
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : "never ended: " + open.back();
}

// ---- Words --------------------------------------------------------------------------------------

TEST(ReportWordsTest, NumbersHaveTheirThousandsApart) {
  EXPECT_EQ(number_text(0), "0");
  EXPECT_EQ(number_text(999), "999");
  EXPECT_EQ(number_text(1000), "1,000");
  EXPECT_EQ(number_text(-123456), "-123,456");
  EXPECT_EQ(number_text(std::numeric_limits<std::int64_t>::min()), "-9,223,372,036,854,775,808");
  EXPECT_EQ(number_of(1, "image"), "1 image");
  EXPECT_EQ(number_of(1200, "image"), "1,200 images");
  EXPECT_EQ(number_of(2, "entry", "entries"), "2 entries");
}

TEST(ReportWordsTest, PercentAreRoundedDownAndNeverSayAllOrNothingWrongly) {
  EXPECT_EQ(percent_text(0, 0), "0%");
  EXPECT_EQ(percent_text(0, 5), "0%");
  EXPECT_EQ(percent_text(5, 5), "100%");
  EXPECT_EQ(percent_text(1, 3), "33.3%");
  EXPECT_EQ(percent_text(999'999, 1'000'000), "99.9%");
  EXPECT_EQ(percent_text(1, 1'000'000), "<0.1%");
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(percent_text(kMost - 1, kMost), "99.9%");
}

TEST(ReportWordsTest, DurationsHaveTwoUnits) {
  EXPECT_EQ(duration_text(0ms), "0 ms");
  EXPECT_EQ(duration_text(999ms), "999 ms");
  EXPECT_EQ(duration_text(1s), "1 s");
  EXPECT_EQ(duration_text(4219ms), "4.21 s");
  EXPECT_EQ(duration_text(1050ms), "1.05 s");
  EXPECT_EQ(duration_text(59'999ms), "59.9 s");
  EXPECT_EQ(duration_text(60s), "1 min");
  EXPECT_EQ(duration_text(200s), "3 min 20 s");
  EXPECT_EQ(duration_text(2h + 5min + 59s), "2 h 5 min");
  EXPECT_EQ(duration_text(76h), "3 d 4 h");
  EXPECT_EQ(duration_text(24h * 2000), "2,000 d");
}

TEST(ReportWordsTest, RatesAreInTheSmallestUnitThatMakesThemOne) {
  EXPECT_EQ(rate_text(12.34), "12.3/s");
  EXPECT_EQ(rate_text(0.5), "30.0/min");
  EXPECT_EQ(rate_text(2.0 / 3600), "2.0/h");
  EXPECT_EQ(rate_text(8.0 / (7 * 86'400)), "1.1/d");
}

// ---- The page -----------------------------------------------------------------------------------

TEST(ReportPageTest, IsOneDocumentThatLoadsNothingAndHasNoScript) {
  const std::string html = page(finished_job());
  EXPECT_THAT(html, StartsWith("<!DOCTYPE html>\n<html lang=\"en\">"));
  EXPECT_THAT(html, HasSubstr("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
                              "&#39;none&#39;; style-src &#39;unsafe-inline&#39;\"/>"));
  EXPECT_THAT(html, Not(HasSubstr("http:")));
  EXPECT_THAT(html, Not(HasSubstr("https:")));
  EXPECT_THAT(html, Not(HasSubstr("@import")));
  EXPECT_THAT(html, Not(HasSubstr("href")));
  EXPECT_THAT(html, Not(HasSubstr("src=")));
  EXPECT_EQ(elements_of(html).count("script"), 0U);
  // url() of what is in the page itself only.
  const std::regex url("url\\((?!#)");
  EXPECT_FALSE(std::regex_search(html, url));
}

TEST(ReportPageTest, ElementsAreNestedWhateverTheStateOfTheJob) {
  JobReport started = report_of(ImagePass({}));
  started.counts = started.passed = {.pending = 5, .processing = 1, .completed = 0, .error = 0};
  for (const JobReport& report : {JobReport{}, started, finished_job(), report_of([] {
                                    ImagePass pass({});
                                    pass.add(finished(1, "one.png", 0s, 4210ms));
                                    return pass;
                                  }())}) {
    EXPECT_EQ(fault_in_nesting(page(report)), "");
  }
}

TEST(ReportPageTest, ShowsTheFiguresOfTheJob) {
  const std::string html = page(finished_job());
  EXPECT_THAT(html, HasSubstr("<title>Job thumbs: report</title>"));
  EXPECT_THAT(html, HasSubstr("All 1,200 images are completed."));
  EXPECT_THAT(html, HasSubstr("<dd class=\"value\">20 min 3 s</dd>"));
  EXPECT_THAT(html, HasSubstr("First start 2026-03-12 09:03:15, last finish 2026-03-12 09:23:18"));
  EXPECT_THAT(html, HasSubstr("Each bar is 15 s."));
  EXPECT_THAT(html, HasSubstr("2026-03-12 09:05:00 to 09:05:15: 16 images completed, 0 in error"));
  EXPECT_THAT(html, HasSubstr("Half of 1,200 images took at most 2 s."));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\" class=\"path\">d/3.png</th>"
                              "<td class=\"number\">4 s</td>"));
  EXPECT_THAT(html, Not(HasSubstr("taken while the job was running")));
}

TEST(ReportPageTest, AJobWithoutImagesIsAShortPage) {
  JobReport report;
  report.job = "nothing";
  const std::string html = page(report);
  EXPECT_THAT(html, HasSubstr("The job has no images."));
  EXPECT_THAT(html, Not(HasSubstr("By split")));
  EXPECT_THAT(html, Not(HasSubstr("role=\"img\"")));
}

TEST(ReportPageTest, AJobWithNothingFinishedHasNoCharts) {
  JobReport report;
  report.counts = report.passed = {.pending = 3, .processing = 0, .completed = 0, .error = 0};
  report.splits[""] = report.counts;
  const std::string html = page(report);
  EXPECT_THAT(html, HasSubstr("None of 3 images was started yet."));
  EXPECT_THAT(html, HasSubstr("No image is finished yet."));
  EXPECT_THAT(html, HasSubstr("(none)"));
  EXPECT_THAT(html, Not(HasSubstr("role=\"img\"")));
}

TEST(ReportPageTest, OneImageNeedsNoCharts) {
  ImagePass pass({});
  pass.add(finished(1, "one.png", 0s, 4210ms));
  const std::string html = page(report_of(pass));
  EXPECT_THAT(html, HasSubstr("The image is completed."));
  EXPECT_THAT(html, HasSubstr("<td class=\"number\">4.21 s</td>"));
  EXPECT_THAT(html, Not(HasSubstr("role=\"img\"")));
}

TEST(ReportPageTest, SaysThatItWasTakenWhileTheJobWasRunning) {
  JobReport report = finished_job();
  report.counts.completed -= 200;
  report.counts.pending += 200;
  const std::string html = page(report);
  EXPECT_THAT(html, HasSubstr("taken while the job was running"));
  EXPECT_THAT(html, HasSubstr("with 1,000 finished images;"));
  EXPECT_THAT(html, HasSubstr("and have 1,200."));
}

TEST(ReportPageTest, ForeignTextIsOnlyText) {
  const std::string evil = "<img src=x onerror=\"document.title='owned'\">&amp;\x1b[2J\u202e\xff";
  const std::string shown =
      "&lt;img src=x onerror=&quot;document.title=&#39;owned&#39;&quot;&gt;&amp;amp;"
      "\\x1B[2J\\u{202E}\\xFF";
  const auto page_with = [](const std::string& text, const std::string& message) {
    ImageRecord image = finished(1, text, 0s, 1s);
    image.status = Status::kError;
    image.image.split = text;
    image.error_message = message;
    image.attempts = 2;
    ImagePass pass({{message, 5, text}});
    for (int i = 0; i < 5; ++i) pass.add(image);
    JobReport report = report_of(pass);
    report.job = text;
    report.splits = {{text, report.counts}};
    report.workers = {{.id = WorkerId{1}, .host = text}};
    return page(report);
  };
  const std::string html =
      page_with(evil, "</pre></style><script>document.title='owned'</script>" + evil);

  EXPECT_THAT(html, HasSubstr("<title>Job " + shown));
  EXPECT_THAT(html, HasSubstr("class=\"name-of-job\">" + shown + "</h1>"));
  EXPECT_THAT(html, HasSubstr("class=\"name\">" + shown + "</th>"));
  EXPECT_THAT(html, HasSubstr("class=\"name\">" + shown + "</td>"));
  EXPECT_THAT(html, HasSubstr("class=\"path\">" + shown + "</th>"));
  EXPECT_THAT(html, HasSubstr("class=\"path\">" + shown + "</li>"));
  EXPECT_THAT(html, HasSubstr("<pre>&lt;/pre&gt;&lt;/style&gt;&lt;script&gt;document.title=&#39;"
                              "owned&#39;&lt;/script&gt;" +
                              shown + "</pre>"));
  EXPECT_EQ(elements_of(html), elements_of(page_with("tame", "broken")));
  EXPECT_EQ(fault_in_nesting(html), "");
  EXPECT_TRUE(is_valid_utf8(html));
  EXPECT_EQ(html.find('\x1b'), std::string::npos);
  EXPECT_EQ(html.find("\u202e"), std::string::npos);
}

TEST(ReportPageTest, AMessageKeepsItsLinesButNotItsControlCharacters) {
  JobReport report = finished_job();
  report.errors = {{{"first\n\tsecond\r", 1, "a"}, {"a"}}};
  EXPECT_THAT(page(report), HasSubstr("<pre>first\n\\tsecond\\x0D</pre>"));
}

TEST(ReportPageTest, WhatIsTooLongIsCutWithAMark) {
  JobReport report = finished_job();
  report.errors = {{{std::string(1499, 'm') + "é" + std::string(60'000, 'n'), 1, "a"}, {"a"}}};
  EXPECT_THAT(page(report), HasSubstr("m… [cut]</pre>")) << "never within a character";
  std::string lines;
  for (int i = 0; i < 500; ++i) lines += "line " + std::to_string(i) + '\n';
  report.errors = {{{lines, 1, "a"}, {"a"}}};
  EXPECT_THAT(page(report), HasSubstr("\nline 19… [cut]</pre>"));
  const std::string name(5000, 'x');
  report.job = name;
  report.splits = {{name, report.counts}};
  report.slowest = {finished(1, name, 0s, 1s)};
  const std::string html = page(report);
  EXPECT_THAT(html, HasSubstr("xxx…</h1>"));
  EXPECT_EQ(html.find(std::string(600, 'x')), std::string::npos);
}

TEST(ReportPageTest, AGroupWhoseImagesAreGoneKeepsItsExample) {
  JobReport report = finished_job();
  report.counts.error = 9;
  report.errors = {{{"broken", 7, "d/first.png"}, {}}};
  const std::string html = page(report);
  EXPECT_THAT(html, HasSubstr("<li class=\"path\">d/first.png</li>"));
  EXPECT_THAT(html, HasSubstr("and 6 more</li>"));
  EXPECT_THAT(html, HasSubstr("And 2 images with other messages."));
}

TEST(ReportPageTest, ManySplitsAreSummedUp) {
  JobReport report = finished_job();
  report.splits.clear();
  for (int i = 0; i < 60; ++i) {
    report.splits["split-" + std::to_string(i)] = {.completed = i == 7 ? 610 : 10};
  }
  const std::string html = page(report);
  EXPECT_THAT(html, HasSubstr("split-7</th><td class=\"number\">610</td>"));
  EXPECT_THAT(html, HasSubstr("35 smaller splits</th><td class=\"number\">350</td>"));
  EXPECT_THAT(html, HasSubstr("All</th><td class=\"number\">1,200</td>"));
}

TEST(ReportPageTest, WorkersThatHoldImagesAreAmongThoseShown) {
  JobReport report = finished_job();
  report.workers.assign(60, {.id = WorkerId{1}, .host = "node", .pid = 2, .alive = true});
  report.workers.back().processing = 77;
  report.workers.back().alive = false;
  const std::string html = page(report);
  EXPECT_THAT(html, HasSubstr("<td class=\"text\">gone</td><td class=\"number\">77</td>"));
  EXPECT_THAT(html, HasSubstr("And 10 other workers."));
}

TEST(ReportPageTest, TimesThatNoCalendarHasDoNoHarm) {
  ImagePass pass({});
  for (const TimePoint time : {TimePoint::min(), TimePoint{}, TimePoint::max()}) {
    for (int i = 0; i < 2; ++i) {
      ImageRecord image = finished(i + 1, "a.png", 0s, 0s);
      image.started_at = TimePoint::min();
      image.finished_at = time;
      pass.add(image);
    }
  }
  JobReport report = report_of(pass);
  report.created_at = TimePoint::min();
  report.taken_at = TimePoint::max();
  EXPECT_EQ(fault_in_nesting(page(report)), "");
}

TEST(ReportPageTest, AMillionImagesMakeNoLargerPage) {
  ImagePass pass({});
  for (std::int64_t i = 0; i < 1'000'000; ++i) {
    pass.add(finished(i + 1, "d/x.png", milliseconds(90 * i), milliseconds(1 + i * 7919 % 30'000)));
  }
  const std::string html = page(report_of(pass));
  EXPECT_THAT(html, HasSubstr("All 1,000,000 images are completed."));
  EXPECT_LT(html.size(), 100'000U);
}

}  // namespace
}  // namespace progress_tracker::cli

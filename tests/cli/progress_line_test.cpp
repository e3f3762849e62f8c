#include "cli/progress_line.h"

#include <gmock/gmock.h>

#include <string>

#include "cli/json_output.h"

namespace progress_tracker::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

ProgressFigures example() {
  ProgressFigures figures;
  figures.counts = {.pending = 86, .processing = 4, .completed = 108, .error = 2};
  figures.to_do = 90;
  figures.running = 4;
  figures.elapsed = Seconds(9.4);
  figures.rate = {.per_second = 12.3, .low = 12.3, .high = 12.3, .images = 110};
  return figures;
}

TEST(ProgressLineTest, PlainHasEveryField) {
  EXPECT_EQ(format_plain(example()),
            "110/200 55% 2 errors 12.3/s elapsed 0:09 eta 0:05-0:10 4 running");
}

TEST(ProgressLineTest, LeavesOutWhatIsUnknown) {
  ProgressFigures figures = example();
  figures.rate.reset();
  EXPECT_EQ(format_plain(figures), "110/200 55% 2 errors elapsed 0:09 4 running");
}

TEST(ProgressLineTest, ShowsAStallInsteadOfATime) {
  ProgressFigures figures = example();
  figures.is_stalled = true;
  EXPECT_THAT(format_plain(figures), HasSubstr("eta --"));
}

TEST(ProgressLineTest, SaysHundredPercentOnlyForAll) {
  ProgressFigures figures;
  figures.counts = {.pending = 1, .processing = 0, .completed = 99'999, .error = 0};
  EXPECT_EQ(figures.percent(), 99);
  figures.counts = {.pending = 0, .processing = 0, .completed = 99'999, .error = 1};
  EXPECT_EQ(figures.percent(), 100);
}

TEST(ProgressLineTest, BarFitsEveryWidth) {
  ProgressFigures figures = example();
  figures.counts.pending = 99'999'999;
  for (std::size_t width = 0; width <= 200; ++width) {
    std::string bar = format_bar(figures, width);
    if (bar.ends_with("…")) bar.replace(bar.size() - 3, 3, ".");
    EXPECT_LE(bar.size(), width) << bar;
  }
}

TEST(ProgressLineTest, BarKeepsThreeFieldsAtFortyColumns) {
  ProgressFigures figures = example();
  figures.counts = {
      .pending = 90'000'000, .processing = 4, .completed = 9'000'000, .error = 123'456};
  const std::string bar = format_bar(figures, 39);
  EXPECT_THAT(bar, HasSubstr("9123456/99123460 9% 123456 errors"));
  EXPECT_THAT(bar, Not(EndsWith("…")));
}

TEST(ProgressLineTest, BarShowsHowFarItIs) {
  EXPECT_EQ(format_bar(example(), 69),
            "[=====>    ] 110/200 55% 2 errors 12.3/s 0:09 eta 0:05-0:10 4 running");
  EXPECT_EQ(format_bar(example(), 54), "110/200 55% 2 errors 12.3/s 0:09 eta 0:05-0:10");
  ProgressFigures all;
  all.counts.completed = 200;
  EXPECT_EQ(format_bar(all, 49), "[==========] 200/200 100% 0 errors 0:00 0 running");
}

struct TimeLeftCase {
  TimeLeft left;
  const char* text;
};

TimeLeft between(double least, double expected, double most) {
  return {.expected = Seconds(expected), .least = Seconds(least), .most = Seconds(most)};
}

TEST(FormatTimeLeftTest, IsARangeWhileItIsUncertain) {
  for (const TimeLeftCase& c : {TimeLeftCase{between(400, 420, 499), "~7:00"},
                                {between(400, 420, 501), "6:40-8:30"},
                                {between(303, 400, 537), "5:00-9:00"},
                                {between(0, 0, 0), "~0:00"},
                                {between(0, 0.2, 0.9), "0:00-0:01"},
                                {between(2.2, 4, 6.1), "0:02-0:07"},
                                {between(3700, 9000, 12'000), "1:00:00-3:20:00"},
                                {between(90'000, 200'000, 300'001), "1d 01:00:00-3d 12:00:00"}}) {
    EXPECT_EQ(format_time_left(c.left), c.text);
  }
}

struct DurationCase {
  double seconds;
  const char* text;
};

TEST(FormatDurationTest, ReadsLikeAClock) {
  for (const DurationCase& c : {DurationCase{0, "0:00"},
                                {7.9, "0:07"},
                                {754, "12:34"},
                                {11045, "3:04:05"},
                                {183845, "2d 03:04:05"},
                                {-1, "0:00"}}) {
    EXPECT_EQ(format_duration(Seconds(c.seconds)), c.text);
  }
}

TEST(FormatRateTest, ChoosesAUnit) {
  EXPECT_EQ(format_rate(1234), "1234/s");
  EXPECT_EQ(format_rate(12.34), "12.3/s");
  EXPECT_EQ(format_rate(0.5), "30.0/min");
  EXPECT_EQ(format_rate(0.001), "3.6/h");
}

TEST(RateMeterTest, IsHiddenUntilFiveImagesOrTenSeconds) {
  RateMeter meter;
  meter.update(Seconds(2), 4);
  EXPECT_FALSE(meter.rate());
  meter.update(Seconds(2.5), 5);
  EXPECT_NEAR(meter.rate().value().per_second, 2, 0.01);

  RateMeter slow;
  slow.update(Seconds(9), 1);
  EXPECT_FALSE(slow.rate());
  slow.update(Seconds(10), 1);
  EXPECT_NEAR(slow.rate().value().per_second, 0.1, 0.01);

  RateMeter nothing;
  nothing.update(Seconds(100), 0);
  EXPECT_FALSE(nothing.rate());
}

TEST(RateMeterTest, FollowsAChangeWithinAMinuteOrTwo) {
  RateMeter meter;
  std::int64_t finished = 0;
  int tick = 0;
  for (; tick < 600; ++tick) meter.update(Seconds(tick * 0.1), finished += 10);  // 100 a second
  EXPECT_NEAR(meter.rate().value().per_second, 100, 3);
  for (; tick < 1800; ++tick) meter.update(Seconds(tick * 0.1), finished += 1);  // 10 a second
  EXPECT_NEAR(meter.rate().value().per_second, 10, 3);
}

TEST(RateMeterTest, FollowsAChangeToWorkOfWhichAMinuteHoldsOnlyAFewImages) {
  RateMeter meter;
  int second = 1;
  for (; second <= 100; ++second) meter.update(Seconds(second), 100 * second);
  for (; second <= 1000; ++second) meter.update(Seconds(second), 10'000 + (second - 100) / 10);
  EXPECT_NEAR(meter.rate().value().per_second, 0.1, 0.03);
}

TEST(RateMeterTest, ItsRangeHoldsTheRecentRateAndThatOfTheWholeRun) {
  RateMeter meter;
  int second = 1;
  for (; second <= 100; ++second) meter.update(Seconds(second), 10 * second);
  for (; second <= 200; ++second) meter.update(Seconds(second), 1000 + 20 * (second - 100));
  EXPECT_NEAR(meter.rate().value().low, 15, 0.1);
  EXPECT_NEAR(meter.rate().value().high, 20, 0.5);
  EXPECT_EQ(meter.rate().value().per_second, meter.rate().value().high);
  EXPECT_EQ(meter.rate().value().images, 3000);
}

TEST(RateMeterTest, IsSteadyForSlowWork) {
  RateMeter meter;
  for (int second = 1; second <= 3000; ++second) {
    meter.update(Seconds(second), second / 60);  // one a minute
    if (second < 600) continue;
    EXPECT_NEAR(meter.rate().value().per_second, 1.0 / 60, 0.1 / 60);
    EXPECT_FALSE(meter.is_stalled());
  }
}

TEST(RateMeterTest, NoticesAStall) {
  RateMeter meter;
  for (int second = 1; second <= 60; ++second) meter.update(Seconds(second), second);
  meter.update(Seconds(80), 60);
  EXPECT_FALSE(meter.is_stalled());
  meter.update(Seconds(100), 60);
  EXPECT_TRUE(meter.is_stalled());
  meter.update(Seconds(101), 61);
  EXPECT_FALSE(meter.is_stalled());
}

TEST(JsonOutputTest, ShowsPathsThatAreNotUtf8Twice) {
  EXPECT_EQ(error_event("a\xff.png", "bad \xfe byte"),
            R"({"event":"error","path":"a\\xFF.png","path_base64":"Yf8ucG5n","message":"bad )"
            R"(\ufffd byte"})");
  EXPECT_EQ(error_event("ä.png", "x"), R"({"event":"error","path":"\u00e4.png","message":"x"})");
}

TEST(JsonOutputTest, ProgressHasARateAndATimeLeftOnceTheyAreKnown) {
  const std::string begin =
      R"({"event":"progress","total_images":200,"pending":86,"processing":4,"completed":108,)"
      R"("error":2,"running":4,"elapsed_s":9.4)";
  ProgressFigures figures = example();
  EXPECT_EQ(progress_event(figures),
            begin + R"(,"images_per_s":12.3,"eta_s":7.317,"eta_low_s":5.763,"eta_high_s":9.819})");
  figures.is_stalled = true;  // as the bar says "eta --"
  EXPECT_EQ(progress_event(figures), begin + R"(,"images_per_s":12.3})");
  figures.rate.reset();
  figures.is_stalled = false;
  EXPECT_EQ(progress_event(figures), begin + "}");
}

TEST(JsonOutputTest, StatusHasTheFieldsThatScriptsRelyOn) {
  const StatusCounts train{.pending = 1, .processing = 2, .completed = 3, .error = 4};
  JobFigures figures{
      .job = "job \"1\"", .splits = {{"train", train}}, .total = train, .live_workers = 1};
  const std::string begin =
      R"({"schema_version":1,"job":"job \"1\"","total_images":10,"pending":1,"processing":2,)"
      R"("completed":3,"error":4,"splits":{"train":{"pending":1,"processing":2,"completed":3,)"
      R"("error":4}},"live_workers":1,)";
  EXPECT_EQ(status_document(figures),
            begin + R"("images_per_s":null,"eta_s":null,"eta_low_s":null,"eta_high_s":null})");
  figures.rate = {.per_second = 0.5, .low = 0.5, .high = 0.5, .images = 12};
  EXPECT_EQ(status_document(figures),
            begin + R"("images_per_s":0.5,"eta_s":6.0,"eta_low_s":1.016,"eta_high_s":25.14})");
  EXPECT_THAT(status_document(JobFigures()), HasSubstr(R"("splits":{})"));
}

}  // namespace
}  // namespace progress_tracker::cli

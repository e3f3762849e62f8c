#include "cli/timeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

namespace progress_tracker::cli {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using TimePoint = std::chrono::system_clock::time_point;

const TimePoint kStart{1'773'306'195'123ms};  // 2026-03-12 09:03:15.123

std::int64_t total(const Timeline& timeline) {
  std::int64_t sum = 0;
  for (const Timeline::Bar& bar : timeline.bars) sum += bar.total();
  return sum;
}

std::int64_t since_1970(TimePoint time) {
  return std::chrono::floor<milliseconds>(time).time_since_epoch().count();
}

// The bars as they are by definition, from all times.
std::vector<Timeline::Bar> bars_of(const std::vector<TimePoint>& times, const Timeline& timeline) {
  std::vector<Timeline::Bar> bars(timeline.bars.size());
  for (const TimePoint time : times) {
    const std::int64_t from_start = since_1970(time) - timeline.start.count();
    ++bars.at(static_cast<std::size_t>(from_start / timeline.width.count())).completed;
  }
  return bars;
}

TEST(TimelineTest, NothingCoveredIsNoBars) { EXPECT_TRUE(TimelineBuilder().build().bars.empty()); }

TEST(TimelineTest, ReachesFromTheFirstTimeToTheLast) {
  TimelineBuilder builder;
  builder.cover(kStart);
  builder.add_completed(kStart + 2h);
  builder.add_error(kStart + 1h);
  const Timeline timeline = builder.build();
  EXPECT_EQ(timeline.width, 2min);
  EXPECT_EQ(timeline.start.count() % timeline.width.count(), 0);
  EXPECT_LE(timeline.start.count(), since_1970(kStart));
  EXPECT_GT(timeline.start + timeline.width, milliseconds(since_1970(kStart)));
  EXPECT_GT(timeline.end(), milliseconds(since_1970(kStart + 2h)));
  EXPECT_EQ(timeline.bars.front().total(), 0) << "a start is not a finish";
  EXPECT_EQ(timeline.bars.back().completed, 1);
  EXPECT_EQ(timeline.bars[timeline.bars.size() / 2].errors, 1);
  EXPECT_EQ(total(timeline), 2);
}

TEST(TimelineTest, HasSixtyToAHundredAndTwentyRoundBarsForEveryReach) {
  for (double reach = 60; reach < 9e12; reach *= 1.07) {
    TimelineBuilder builder;
    builder.add_completed(TimePoint{});
    builder.add_completed(TimePoint(milliseconds(static_cast<std::int64_t>(reach / 1.001))));
    const Timeline timeline = builder.build();
    EXPECT_GE(timeline.bars.size(), 60U) << reach;
    EXPECT_LE(timeline.bars.size(), 120U) << reach;
    EXPECT_EQ(total(timeline), 2) << reach;
  }
}

TEST(TimelineTest, ATimeWithinAFewMillisecondsIsShownByTheMillisecond) {
  TimelineBuilder builder;
  builder.add_completed(kStart);
  EXPECT_EQ(builder.build().bars.size(), 1U);
  builder.add_completed(kStart + 6ms);
  EXPECT_EQ(builder.build().bars.size(), 7U);
  EXPECT_EQ(builder.build().width, 1ms);
}

TEST(TimelineTest, CountsEveryImageInItsBarWhateverTheOrder) {
  std::mt19937 random(5);
  for (const milliseconds reach : {milliseconds(500), milliseconds(20'000), milliseconds(40min),
                                   milliseconds(31h), milliseconds(24h * 400)}) {
    std::vector<TimePoint> times;
    for (int i = 0; i < 3000; ++i) {
      times.push_back(kStart + milliseconds(static_cast<std::int64_t>(random()) % reach.count()));
    }
    std::vector<std::vector<TimePoint>> orders{times};
    std::sort(times.begin(), times.end());
    orders.push_back(times);
    std::reverse(times.begin(), times.end());
    orders.push_back(times);
    for (const std::vector<TimePoint>& order : orders) {
      TimelineBuilder builder;
      for (const TimePoint time : order) builder.add_completed(time);
      const Timeline timeline = builder.build();
      EXPECT_EQ(timeline.bars, bars_of(times, timeline)) << reach.count();
    }
  }
}

TEST(TimelineTest, APauseOfDaysIsARowOfEmptyBars) {
  TimelineBuilder builder;
  for (int i = 0; i < 1000; ++i) builder.add_completed(kStart + i * 100ms);
  for (int i = 0; i < 1000; ++i) builder.add_error(kStart + 24h * 5 + i * 100ms);
  const Timeline timeline = builder.build();
  EXPECT_EQ(timeline.width, 2h);
  EXPECT_EQ(timeline.bars.front(), (Timeline::Bar{1000, 0}));
  EXPECT_EQ(timeline.bars.back(), (Timeline::Bar{0, 1000}));
  EXPECT_EQ(std::count(timeline.bars.begin(), timeline.bars.end(), Timeline::Bar{}),
            std::ssize(timeline.bars) - 2);
}

TEST(TimelineTest, TakesTimesThatOnlyADamagedFileHas) {
  TimelineBuilder builder;
  builder.add_completed(TimePoint::min());
  builder.add_error(TimePoint::max());
  builder.add_completed(TimePoint{} - 1ms);
  const Timeline timeline = builder.build();
  EXPECT_EQ(total(timeline), 3);
  EXPECT_EQ(timeline.bars.front().completed, 1);
  EXPECT_EQ(timeline.bars.back().errors, 1);
}

}  // namespace
}  // namespace progress_tracker::cli

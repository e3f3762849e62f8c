#include "cli/durations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace progress_tracker::cli {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

Durations of(const std::vector<milliseconds>& all) {
  Durations durations;
  for (const milliseconds duration : all) durations.add(duration);
  return durations;
}

std::int64_t total(const std::vector<Durations::Bar>& bars) {
  std::int64_t sum = 0;
  for (const Durations::Bar& bar : bars) sum += bar.count;
  return sum;
}

TEST(DurationsTest, NoneAreNoBars) {
  const Durations none;
  EXPECT_EQ(none.count(), 0);
  EXPECT_TRUE(none.bars().empty());
  EXPECT_EQ(none.quantile(0.5), 0ms);
}

TEST(DurationsTest, QuantilesOfShortTimesAreExact) {
  std::vector<milliseconds> all;
  for (int i = 1; i <= 400; ++i) all.emplace_back(i);
  const Durations durations = of(all);
  EXPECT_EQ(durations.quantile(0.5), 200ms);
  EXPECT_EQ(durations.quantile(0.9), 360ms);
  EXPECT_EQ(durations.quantile(1), 400ms);
  // One of three is not half of them.
  EXPECT_EQ(of({10ms, 20ms, 30ms}).quantile(0.5), 20ms);
}

TEST(DurationsTest, QuantilesOfLongTimesAreNear) {
  std::mt19937 random(3);
  std::lognormal_distribution<> times(9, 1.5);
  std::vector<milliseconds> all;
  for (int i = 0; i < 10'000; ++i) all.emplace_back(static_cast<std::int64_t>(times(random)));
  const Durations durations = of(all);
  std::sort(all.begin(), all.end());
  for (const double part : {0.01, 0.5, 0.9, 0.99}) {
    const auto rank = static_cast<std::size_t>(std::ceil(part * 10'000)) - 1;
    const auto exact = static_cast<double>(all[rank].count());
    EXPECT_NEAR(static_cast<double>(durations.quantile(part).count()), exact, exact * 0.0012 + 0.5);
  }
  EXPECT_EQ(durations.shortest(), all.front());
  EXPECT_EQ(durations.longest(), all.back());
}

TEST(DurationsTest, OneImageTookAllOfThem) {
  const Durations durations = of({113'813ms});
  for (const double part : {0.01, 0.5, 0.99}) EXPECT_EQ(durations.quantile(part), 113'813ms);
}

TEST(DurationsTest, TheClockMayHaveBeenSetBack) {
  const Durations durations = of({-5s, 0ms});
  EXPECT_EQ(durations.shortest(), 0ms);
  EXPECT_EQ(durations.quantile(0.9), 0ms);
  EXPECT_EQ(durations.bars().front().count, 2);
}

TEST(DurationsTest, BarsFollowEachOtherAndHoldAll) {
  for (const std::vector<milliseconds>& all :
       {std::vector<milliseconds>{1ms},
        {7ms, 8ms, 9ms},
        {300ms, 301ms, 2s, 40s},
        {0ms, 1ms, 2ms, 1h, 24h * 300},
        {1000ms, 10'000ms, 100'000ms},
        {0ms, milliseconds(std::numeric_limits<std::int64_t>::max() / 1000)}}) {
    const std::vector<Durations::Bar> bars = of(all).bars();
    EXPECT_EQ(total(bars), std::ssize(all));
    EXPECT_GE(bars.size(), 8U);
    for (std::size_t i = 0; i < bars.size(); ++i) {
      EXPECT_LT(bars[i].from_ms, bars[i].to_ms);
      if (i > 0) {
        EXPECT_DOUBLE_EQ(bars[i - 1].to_ms, bars[i].from_ms);
      }
      const auto is_within = [&](milliseconds duration) {
        const auto ms = static_cast<double>(std::max<std::int64_t>(1, duration.count()));
        return ms >= bars[i].from_ms * (1 - 1e-9) && ms < bars[i].to_ms * (1 - 1e-9);
      };
      EXPECT_EQ(bars[i].count, std::count_if(all.begin(), all.end(), is_within)) << bars[i].from_ms;
    }
  }
}

TEST(DurationsTest, NoBarIsEmptyOnlyBecauseNoMillisecondIsInIt) {
  std::vector<milliseconds> all;
  for (int i = 1; i <= 300; ++i) all.emplace_back(i);
  const std::vector<Durations::Bar> bars = of(all).bars();
  for (const Durations::Bar& bar : bars) EXPECT_GT(bar.count, 0) << bar.from_ms;
}

TEST(DurationsTest, BarsAreAsFineAsFits) {
  const auto bars_between = [](milliseconds a, milliseconds b) { return of({a, b}).bars().size(); };
  EXPECT_EQ(bars_between(100ms, 9'900ms), 40U);  // 20 to a power of ten
  EXPECT_EQ(bars_between(100ms, 990s), 40U);     // 10
  EXPECT_EQ(bars_between(100ms, 9900s), 25U);    // 5
}

}  // namespace
}  // namespace progress_tracker::cli

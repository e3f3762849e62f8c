// How many images run_job() claims at a time: a simulation, in which time is a number.
#include "claim_pace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <ostream>
#include <queue>
#include <string>
#include <vector>

namespace progress_tracker {
namespace {

using namespace std::chrono_literals;
using Duration = ClaimPace::Duration;

constexpr std::size_t kWorkers = 4;

ClaimPace pace_of(Duration image, Duration call, std::size_t workers = kWorkers) {
  ClaimPace pace(workers);
  for (int i = 0; i < 100; ++i) {
    pace.image_took(image);
    pace.call_took(call);
    pace.claiming(workers);
  }
  return pace;
}

TEST(ClaimPace, BeginsWithOneForEachWorker) {
  const ClaimPace pace(kWorkers);
  EXPECT_EQ(pace.target(kWorkers), kWorkers);
  EXPECT_FALSE(pace.runs_out_soon(0, kWorkers, kWorkers));
  EXPECT_FALSE(pace.is_too_much(1000, kWorkers, 1h));
}

TEST(ClaimPace, GrowsStepByStep) {
  ClaimPace pace(kWorkers);
  pace.image_took(1us);
  std::vector<std::size_t> targets;
  for (int i = 0; i < 6; ++i) {
    targets.push_back(pace.target(kWorkers));
    pace.claiming(kWorkers);
  }
  EXPECT_EQ(targets, (std::vector<std::size_t>{16, 64, 256, 1024, 4000, 4000}));
}

TEST(ClaimPace, FastWorkIsClaimedAheadInLargeNumbers) {
  const ClaimPace pace = pace_of(10us, 1ms);
  EXPECT_EQ(pace.target(kWorkers), 4000U);
  EXPECT_TRUE(pace.runs_out_soon(1000, 4000, kWorkers));
}

TEST(ClaimPace, SlowWorkIsClaimedOneForEachWorkerWhereTheTrackerIsFast) {
  const ClaimPace pace = pace_of(100ms, 100us);
  EXPECT_EQ(pace.target(kWorkers), kWorkers);
  EXPECT_FALSE(pace.runs_out_soon(0, kWorkers, kWorkers));
}

TEST(ClaimPace, ASlowTrackerIsAskedSoonerAndForMore) {
  const ClaimPace pace = pace_of(100ms, 50ms);
  EXPECT_GE(pace.target(kWorkers), 2 * kWorkers);
  EXPECT_TRUE(pace.runs_out_soon(1, pace.target(kWorkers), kWorkers));
}

TEST(ClaimPace, WhatWouldTakeVeryLongIsTooMuch) {
  ClaimPace pace = pace_of(10us, 100us);
  EXPECT_FALSE(pace.is_too_much(4000, kWorkers, 0s));
  EXPECT_FALSE(pace.is_too_much(4000, kWorkers, 150ms)) << "nothing stalls yet";
  EXPECT_TRUE(pace.is_too_much(4000, kWorkers, 300ms));
  EXPECT_FALSE(pace.is_too_much(kWorkers, kWorkers, 300ms)) << "one for each worker is not";

  pace.slow_down(kWorkers, 300ms);

  EXPECT_EQ(pace.target(kWorkers), kWorkers);
}

TEST(ClaimPace, NeverSitsOnMoreThanItCallsTooMuch) {
  for (const Duration image : {10us, 1'000us, 100'000us, 10'000'000us}) {
    for (const Duration call : {10us, 1'000us, 100'000us, 10'000'000us}) {
      const ClaimPace pace = pace_of(image, call);
      EXPECT_FALSE(pace.is_too_much(pace.target(kWorkers) - kWorkers, kWorkers, 0s))
          << image.count() << ' ' << call.count();
    }
  }
}

struct Load {
  std::string name;
  Duration image;
  Duration call;

  friend std::ostream& operator<<(std::ostream& out, const Load& load) { return out << load.name; }
};

// What a run is like: one keeper that claims or marks, `call` each, and workers that take `image`
// each. Returns how long it takes for `images`.
Duration simulated(const Load& load, int images) {
  ClaimPace pace(kWorkers);
  std::priority_queue<Duration, std::vector<Duration>, std::greater<>> ends;  // of images in work
  Duration now{0};
  Duration marked_at{0};
  int unclaimed = images;
  std::size_t waiting = 0;
  int finished = 0;
  bool has_outcomes = false;
  // Lets the workers go on until `until`.
  const auto work = [&](Duration until) {
    for (;;) {
      while (ends.size() < kWorkers && waiting > 0) {
        --waiting;
        ends.push(now + load.image);
      }
      if (ends.empty() || ends.top() > until) {
        break;
      }
      now = ends.top();
      ends.pop();
      ++finished;
      has_outcomes = true;
      pace.image_took(load.image);
    }
    now = std::max(now, until);
  };
  while (finished < images) {
    const std::size_t target = pace.target(kWorkers);
    const bool somebody_waits = waiting < kWorkers - ends.size();
    const std::size_t held = waiting + ends.size();
    if (unclaimed > 0 && target > held &&
        (somebody_waits || pace.runs_out_soon(waiting, target, kWorkers))) {
      pace.claiming(kWorkers);
      const auto size = std::min(static_cast<int>(target - held), unclaimed);
      work(now + load.call);
      pace.call_took(load.call);
      unclaimed -= size;
      waiting += static_cast<std::size_t>(size);
    } else if (has_outcomes && now >= marked_at + 40ms) {
      has_outcomes = false;
      work(now + load.call);
      pace.call_took(load.call);
      marked_at = now;
    } else {
      work(now + 100us);
    }
  }
  return now;
}

class ClaimPaceLoad : public testing::TestWithParam<Load> {};

// The promise: neither fast nor slow work waits on the database.
TEST_P(ClaimPaceLoad, KeepsTheWorkersBusy) {
  constexpr int kImages = 4000;
  const Duration ideal = kImages / static_cast<int>(kWorkers) * GetParam().image;
  const double share = static_cast<double>(ideal.count()) /
                       static_cast<double>(simulated(GetParam(), kImages).count());
  RecordProperty("percent", static_cast<int>(100 * share));
  EXPECT_GE(share, 0.9) << GetParam();
}

INSTANTIATE_TEST_SUITE_P(
    Loads, ClaimPaceLoad,
    testing::Values(Load{"OneMsFast", 1ms, 100us}, Load{"OneMsSlow", 1ms, 20ms},
                    Load{"FiveMsFast", 5ms, 100us}, Load{"FiveMsSlow", 5ms, 20ms},
                    Load{"FiveMsVerySlow", 5ms, 50ms}, Load{"TwentyMsFast", 20ms, 100us},
                    Load{"TwentyMsSlow", 20ms, 20ms}, Load{"TwentyMsVerySlow", 20ms, 50ms},
                    Load{"HundredMsFast", 100ms, 100us}, Load{"HundredMsSlow", 100ms, 20ms},
                    Load{"HundredMsVerySlow", 100ms, 50ms}),
    [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace progress_tracker

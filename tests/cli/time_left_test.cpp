// What the time left is worth: against runs whose end is known, because they are simulated.
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <ostream>
#include <queue>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "cli/progress_report.h"

namespace progress_tracker::cli {
namespace {

using Random = std::mt19937_64;

// How long the images of a job take, in the order in which they are worked on.
struct Work {
  const char* name;
  std::function<double(std::size_t image, Random& random)> seconds;
};

std::ostream& operator<<(std::ostream& out, const Work& work) { return out << work.name; }

double uniform(Random& random) {
  return (static_cast<double>(random() >> 11) + 0.5) / 9007199254740992.0;  // 2^53
}

// The standard library's distributions give other numbers on other systems.
double normal(Random& random) {
  const double radius = std::sqrt(-2 * std::log(uniform(random)));
  return radius * std::cos(2 * std::acos(-1.0) * uniform(random));
}

Work constant() {
  return {"constant", [](std::size_t, Random&) { return 2.0; }};
}

Work exponential() {
  return {"exponential",
          [](std::size_t, Random& random) { return -2 * std::log(uniform(random)); }};
}

Work lognormal() {
  return {"lognormal", [](std::size_t, Random& random) { return 1.2 * std::exp(normal(random)); }};
}

// Folders of 50 images, quick and slow by turns.
Work bursty() {
  return {"bursty", [](std::size_t image, Random& random) {
            return (image / 50 % 2 == 0 ? 0.5 : 5.0) * std::exp(0.3 * normal(random));
          }};
}

// When each image is finished, in order.
std::vector<double> ends_of(const Work& work, std::size_t images, std::size_t workers,
                            std::uint64_t seed) {
  Random random(seed);
  std::priority_queue<double, std::vector<double>, std::greater<>> running;
  std::vector<double> ends;
  for (std::size_t image = 0; image < images; ++image) {
    double start = 0;
    if (running.size() == workers) {
      start = running.top();
      ends.push_back(start);
      running.pop();
    }
    running.push(start + work.seconds(image, random));
  }
  for (; !running.empty(); running.pop()) ends.push_back(running.top());
  return ends;
}

struct Moment {
  std::size_t finished;
  Seconds left;  // in truth
  ProgressFigures figures;
};

// A simulated run as its report saw it, from moment to moment until so many images are finished.
// `found` images were completed before it.
std::vector<Moment> moments_of(const Work& work, std::size_t images, std::size_t workers,
                               std::uint64_t seed, std::size_t found = 0,
                               std::size_t until = SIZE_MAX, double tick = 0) {
  const std::vector<double> ends = ends_of(work, images, workers, seed);
  PausableClock::TimePoint now{std::chrono::hours(1)};
  const PausableClock clock([&] { return now; });
  std::ostringstream err;
  // Silent, so that it has no thread of its own which would look at the clock.
  ProgressReport report(err, clock, {.mode = ProgressMode::kNone, .job = "j", .columns = {}});
  const auto counts = [&](std::size_t finished) {
    const std::size_t in_work = std::min(workers, images - finished);
    return StatusCounts{.pending = static_cast<std::int64_t>(images - finished - in_work),
                        .processing = static_cast<std::int64_t>(in_work),
                        .completed = static_cast<std::int64_t>(found + finished),
                        .error = 0};
  };
  report.start(counts(0));
  for (std::size_t i = 0; i < std::min(workers, images); ++i) report.command_started();

  std::vector<Moment> moments;
  if (tick == 0) tick = std::max(0.1, ends.back() / 1000);
  std::size_t finished = 0;
  for (double time = tick; time < ends.back() && finished < until; time += tick) {
    now += std::chrono::duration_cast<PausableClock::Clock::duration>(Seconds(tick));
    for (; ends[finished] <= time; ++finished) {
      report.image_finished();
      if (images - finished <= workers) report.command_ended();  // and nothing follows it
    }
    report.update(counts(finished));
    moments.push_back({finished, Seconds(ends.back() - time), report.figures_now()});
  }
  return moments;
}

struct Size {
  std::size_t images;
  std::size_t workers;
};

constexpr Size kSizes[] = {{100, 1}, {400, 4}, {400, 16}, {3000, 1}, {3000, 16}};
constexpr std::uint64_t kSeeds = 10;

// The share of all moments with a range that holds the truth.
double share_inside(const Work& work) {
  double inside = 0;
  double all = 0;
  for (const auto& [images, workers] : kSizes) {
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      for (const Moment& moment : moments_of(work, images, workers, seed)) {
        const auto left = moment.figures.time_left();
        if (!left) continue;
        ++all;
        if (left->least <= moment.left && moment.left <= left->most) ++inside;
      }
    }
  }
  return inside / all;
}

TEST(TimeLeftTest, ItsRangeHoldsTheTruthAsOftenAsItsHeaderSays) {
  EXPECT_GE(share_inside(constant()), 0.95);
  EXPECT_GE(share_inside(exponential()), 0.7);
  EXPECT_GE(share_inside(lognormal()), 0.7);
  EXPECT_GE(share_inside(bursty()), 0.5);
}

TEST(TimeLeftTest, IsInOrderAndNeverAbsurd) {
  for (const Work& work : {constant(), exponential(), lognormal(), bursty()}) {
    for (const auto& [images, workers] : kSizes) {
      const std::vector<Moment> moments = moments_of(work, images, workers, 1);
      const Seconds whole = moments.front().left + moments.front().figures.elapsed;
      for (const Moment& moment : moments) {
        const auto left = moment.figures.time_left();
        const bool is_early = moment.finished < 5 && moment.figures.elapsed < Seconds(10);
        if (is_early || moment.finished == 0) {
          EXPECT_FALSE(left) << work;
        }
        if (!left) continue;
        EXPECT_GE(left->least, Seconds(0)) << work;
        EXPECT_LE(left->least, left->expected) << work;
        EXPECT_LE(left->expected, left->most) << work;
        EXPECT_LE(left->most, 20 * whole) << work << ' ' << images << ' ' << workers;
      }
    }
  }
}

TEST(TimeLeftTest, GetsSureOfSteadyWork) {
  const std::vector<Moment> moments = moments_of(constant(), 3000, 4, 1);
  const TimeLeft early = moments[20].figures.time_left().value();
  const TimeLeft middle = moments[500].figures.time_left().value();
  EXPECT_THAT(format_time_left(early), ::testing::HasSubstr("-"));
  EXPECT_THAT(format_time_left(middle), ::testing::StartsWith("~"));
}

TEST(TimeLeftTest, IsUnknownWhereWorkIsStalled) {
  ProgressFigures figures;
  figures.to_do = 10;
  figures.rate = {.per_second = 1, .low = 1, .high = 1, .images = 100};
  EXPECT_TRUE(figures.time_left());
  figures.is_stalled = true;
  EXPECT_FALSE(figures.time_left());
}

// How far off the time left is after 20, 50 and 100 images of the run, as a part of the truth: the
// mean of many runs.
std::vector<double> errors_of(const Work& work, std::size_t images, std::size_t workers,
                              std::size_t found) {
  constexpr std::size_t kAfter[] = {20, 50, 100};
  constexpr std::uint64_t kRuns = 30;
  std::vector<double> errors;
  for (std::uint64_t seed = 0; seed < kRuns; ++seed) {
    std::size_t next = 0;
    for (const Moment& moment : moments_of(work, images, workers, seed, found, 100, 0.1)) {
      for (; next < std::size(kAfter) && moment.finished >= kAfter[next]; ++next) {
        const auto left = moment.figures.time_left();
        errors.resize(std::size(kAfter));
        errors[next] += (left ? std::abs(left->expected / moment.left - 1) : 1) / kRuns;
      }
    }
  }
  return errors;
}

TEST(TimeLeftTest, IsAsGoodAfterAResumptionAsInARunFromTheBeginning) {
  constexpr std::size_t kAll = 20'000;
  constexpr std::size_t kLeft = kAll / 10;
  for (const Work& work : {constant(), exponential(), lognormal(), bursty()}) {
    for (const std::size_t workers : {1U, 4U, 16U}) {
      const std::vector<double> cold = errors_of(work, kAll, workers, 0);
      const std::vector<double> resumed = errors_of(work, kLeft, workers, kAll - kLeft);
      ASSERT_EQ(cold.size(), resumed.size());
      for (std::size_t i = 0; i < cold.size(); ++i) {
        // An estimate that is off by so little is good, whatever the other is.
        EXPECT_LE(resumed[i], std::max(2 * cold[i], 0.1)) << work << ", " << workers << " workers";
      }
    }
  }
}

TEST(TimeLeftTest, DoesNotDependOnWhatWasDoneBefore) {
  const std::vector<Moment> fresh = moments_of(lognormal(), 300, 4, 1);
  const std::vector<Moment> resumed = moments_of(lognormal(), 300, 4, 1, 1'000'000);
  ASSERT_EQ(fresh.size(), resumed.size());
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    const auto before = fresh[i].figures.time_left();
    const auto after = resumed[i].figures.time_left();
    ASSERT_EQ(before.has_value(), after.has_value());
    if (before) {
      EXPECT_EQ(before->expected, after->expected);
    }
  }
}

}  // namespace
}  // namespace progress_tracker::cli

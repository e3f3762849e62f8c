// A set of images kept as runs, held against a plain set.
#include "image_runs.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <set>

namespace progress_tracker {
namespace {

TEST(ImageRuns, NeighboursAreOneRun) {
  ImageRuns images;
  for (const std::int64_t id : {5, 7, 6, 4, 8}) {
    images.add(ImageId{id});
  }
  EXPECT_EQ(images.runs(), 1U);
  EXPECT_FALSE(images.contains(ImageId{3}));
  EXPECT_TRUE(images.contains(ImageId{4}));
  EXPECT_TRUE(images.contains(ImageId{8}));
  EXPECT_FALSE(images.contains(ImageId{9}));

  images.remove(ImageId{6});
  EXPECT_EQ(images.runs(), 2U);
  EXPECT_FALSE(images.contains(ImageId{6}));
}

TEST(ImageRuns, TakesTheLargestAndTheSmallestNumber) {
  constexpr ImageId kFirst{std::numeric_limits<std::int64_t>::min()};
  constexpr ImageId kLast{std::numeric_limits<std::int64_t>::max()};
  ImageRuns images;
  images.add(kLast);
  images.add(kFirst);
  EXPECT_EQ(images.runs(), 2U);
  images.add(kFirst, kLast);
  EXPECT_EQ(images.runs(), 1U);
  images.remove(kFirst);
  images.remove(kLast);
  EXPECT_FALSE(images.contains(kLast));
  EXPECT_TRUE(images.contains(ImageId{0}));
}

TEST(ImageRuns, IsASet) {
  std::mt19937 engine(1);
  const auto number = [&](int below) { return static_cast<std::int64_t>(engine() % below); };
  for (int round = 0; round < 200; ++round) {
    ImageRuns images;
    std::set<std::int64_t> expected;
    for (int step = 0; step < 60; ++step) {
      const std::int64_t first = number(50);
      const std::int64_t last = first + number(8);
      const bool adds = number(3) > 0;
      for (std::int64_t id = first; id <= last; ++id) {
        adds ? static_cast<void>(expected.insert(id)) : static_cast<void>(expected.erase(id));
      }
      adds ? images.add(ImageId{first}, ImageId{last})
           : images.remove(ImageId{first}, ImageId{last});

      std::size_t runs = 0;
      for (std::int64_t id = -1; id < 60; ++id) {
        ASSERT_EQ(images.contains(ImageId{id}), expected.contains(id)) << round << ' ' << step;
        runs += expected.contains(id) && !expected.contains(id - 1) ? 1 : 0;
      }
      ASSERT_EQ(images.runs(), runs) << round << ' ' << step;
    }
  }
}

}  // namespace
}  // namespace progress_tracker

#include "cli/every_few_images.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>
#include <vector>

namespace progress_tracker::cli {
namespace {

// How often it is done for so many images.
int done(std::optional<std::int64_t> interval, int images) {
  int count = 0;
  EveryFewImages every(interval, [&] { ++count; });
  for (int i = 0; i < images; ++i) every.count();
  return count;
}

TEST(EveryFewImagesTest, IsDoneAtEveryNthImage) {
  EXPECT_EQ(done(1, 5), 5);
  EXPECT_EQ(done(3, 2), 0);
  EXPECT_EQ(done(3, 3), 1);
  EXPECT_EQ(done(3, 11), 3);
}

TEST(EveryFewImagesTest, IsNeverDoneWithoutAnInterval) { EXPECT_EQ(done(std::nullopt, 1000), 0); }

// Else a completed image would be in error because the database was busy for a moment.
TEST(EveryFewImagesTest, AFailureIsNotTheImages) {
  int tried = 0;
  EveryFewImages every(2, [&] {
    ++tried;
    throw Error(ErrorCode::kBusy, "checkpoint: busy");
  });
  for (int i = 0; i < 6; ++i) EXPECT_NO_THROW(every.count());
  EXPECT_EQ(tried, 3);
}

TEST(EveryFewImagesTest, CountsTheImagesOfAllThreads) {
  std::atomic<int> count{0};
  EveryFewImages every(10, [&] { ++count; });
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int image = 0; image < 2500; ++image) every.count();
      });
    }
  }
  EXPECT_EQ(count, 1000);
}

}  // namespace
}  // namespace progress_tracker::cli

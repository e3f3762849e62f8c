#include "cli/every_few_images.h"

#include <gmock/gmock.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "progress_tracker/error.h"

namespace progress_tracker::cli {
namespace {

// Counts calls, and lets a test wait for them.
class Calls {
 public:
  void operator()() {
    {
      const std::scoped_lock lock(mutex_);
      ++count_;
    }
    changed_.notify_all();
  }
  // False: it never came so far.
  bool reach(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return count_ >= count; });
  }
  int count() {
    const std::scoped_lock lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

TEST(EveryFewImagesTest, IsDoneAtEveryNthImage) {
  Calls calls;
  {
    EveryFewImages every(3, [&] { calls(); });
    for (int i = 1; i <= 11; ++i) {
      every.count();
      if (i % 3 == 0) {
        EXPECT_TRUE(calls.reach(i / 3));
      }
    }
  }
  EXPECT_EQ(calls.count(), 3);
}

TEST(EveryFewImagesTest, ACallThatIsDueIsMadeAtTheEnd) {
  Calls calls;
  {
    EveryFewImages every(1, [&] { calls(); });
    every.count();
  }
  EXPECT_EQ(calls.count(), 1);
}

// A worker is not held up by the database.
TEST(EveryFewImagesTest, NobodyWaitsForASlowCall) {
  std::promise<void> go;
  Calls calls;
  {
    EveryFewImages every(2, [&, ready = go.get_future().share()] {
      ready.wait();
      calls();
    });
    for (int i = 0; i < 10; ++i) every.count();
    EXPECT_EQ(calls.count(), 0);
    go.set_value();
  }
  EXPECT_GE(calls.count(), 1);
  EXPECT_LE(calls.count(), 5);
}

TEST(EveryFewImagesTest, IsNeverDoneWithoutAnInterval) {
  Calls calls;
  {
    EveryFewImages every(std::nullopt, [&] { calls(); });
    for (int i = 0; i < 1000; ++i) every.count();
  }
  EXPECT_EQ(calls.count(), 0);
}

// Else a completed image would be in error because the database was busy for a moment.
TEST(EveryFewImagesTest, AFailureIsNotTheImages) {
  Calls calls;
  EveryFewImages every(2, [&] {
    calls();
    throw Error(ErrorCode::kBusy, "checkpoint: busy");
  });
  for (int i = 1; i <= 6; ++i) {
    EXPECT_NO_THROW(every.count());
    if (i % 2 == 0) {
      EXPECT_TRUE(calls.reach(i / 2));
    }
  }
}

TEST(EveryFewImagesTest, CountsTheImagesOfAllThreads) {
  Calls calls;
  {
    EveryFewImages every(10'000, [&] { calls(); });
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int image = 0; image < 2500; ++image) every.count();
      });
    }
  }
  EXPECT_EQ(calls.count(), 1);
}

}  // namespace
}  // namespace progress_tracker::cli

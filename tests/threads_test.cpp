// One tracker, many threads: any of them may call anything at any time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "gate.h"
#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"
#include "support.h"

namespace progress_tracker {
namespace {

using test::code_of;
using test::image_paths;
using test::TempDirectory;
using test::ThrowsError;
using testing::Contains;
using testing::ElementsAre;
using testing::Pair;

namespace fs = std::filesystem;

std::ptrdiff_t open_files() {
  return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator{});
}

// Runs `work(0)` to `work(count - 1)` at once.
void in_threads(int count, const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] { work(i); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

class ThreadsTest : public testing::Test {
 protected:
  TempDirectory directory;
  const fs::path path = directory / "jobs.db";
};

TEST_F(ThreadsTest, NoImageGoesToTwo) {
  constexpr std::size_t kImages = 8'000;
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(kImages), {});
  std::mutex mutex;
  std::multiset<ImageId> claimed;  // guarded by mutex

  in_threads(8, [&](int) {
    for (;;) {
      const auto images = tracker.claim_images(job, 37);
      if (images.empty()) {
        return;
      }
      const std::lock_guard lock(mutex);
      for (const Image& image : images) {
        claimed.insert(image.id);
      }
    }
  });

  EXPECT_EQ(claimed.size(), kImages);
  EXPECT_EQ(std::set<ImageId>(claimed.begin(), claimed.end()).size(), kImages);
}

TEST_F(ThreadsTest, CountsStayExactUnderEveryKindOfMark) {
  constexpr std::size_t kImages = 2'000;
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(kImages), {});

  in_threads(8, [&](int number) {
    for (int round = 0;; ++round) {
      const auto images = tracker.claim_images(job, 10);
      if (images.empty()) {
        return;
      }
      std::vector<Outcome> outcomes;
      for (const Image& image : images) {
        switch ((round + number) % 4) {
          case 0:
            tracker.mark_completed(image.id);
            break;
          case 1:
            tracker.mark_error(image.id, "broken");
            break;
          case 2:
            EXPECT_TRUE(tracker.complete(image));
            break;
          default:
            outcomes.push_back({.id = image.id, .attempt = image.attempt, .error = {}});
        }
      }
      EXPECT_EQ(tracker.mark_outcomes(outcomes), outcomes.size());
      tracker.checkpoint(job);
      EXPECT_EQ(tracker.get_status_counts(job)->total(), static_cast<std::int64_t>(kImages));
    }
  });

  const StatusCounts counts = tracker.get_status_counts(job).value();
  EXPECT_EQ(counts.pending + counts.processing, 0);
  EXPECT_EQ(tracker.get_images(job, Status::kCompleted, kImages).size(),
            static_cast<std::size_t>(counts.completed));
  EXPECT_EQ(tracker.get_images(job, Status::kError, kImages).size(),
            static_cast<std::size_t>(counts.error));
}

// Marks that wait for the write lock together are committed together; one that is refused is
// refused alone.
TEST_F(ThreadsTest, WhatIsCommittedTogetherFailsAlone) {
  constexpr int kThreads = 12;
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(500), {});
  const JobId done = tracker.create_job("done", image_paths(1), {});
  const ImageId completed = tracker.claim_images(done, 1).front().id;
  tracker.mark_completed(completed);
  test::Outsider outsider(path);
  for (std::int64_t round = 1; round <= 20; ++round) {
    const auto images = tracker.claim_images(job, kThreads);
    ASSERT_EQ(images.size(), static_cast<std::size_t>(kThreads));
    outsider.run("BEGIN IMMEDIATE");
    std::atomic<int> at_the_door{0};
    std::thread opener([&] {
      while (at_the_door < kThreads) {
        std::this_thread::yield();
      }
      outsider.run("COMMIT");
    });
    in_threads(kThreads, [&](int i) {
      const Image& image = images[static_cast<std::size_t>(i)];
      ++at_the_door;
      switch (i % 4) {
        case 0:
          EXPECT_TRUE(tracker.complete(image));
          break;
        case 1:
          EXPECT_TRUE(tracker.fail(image, "broken"));
          break;
        case 2: {
          const std::vector<Outcome> half_good{
              {.id = image.id, .attempt = image.attempt, .error = {}},
              {.id = ImageId{5}, .attempt = 1, .error = {}}};
          EXPECT_THAT([&] { tracker.mark_outcomes(half_good); }, ThrowsError(ErrorCode::kNotFound));
          break;
        }
        default:
          EXPECT_THAT([&] { tracker.mark_error(completed, "late"); },
                      ThrowsError(ErrorCode::kInvalidTransition));
      }
    });
    opener.join();
    const auto counts = tracker.get_status_counts(job);
    EXPECT_EQ(counts->completed, 3 * round);
    EXPECT_EQ(counts->error, 3 * round);
    EXPECT_EQ(counts->processing, 6 * round) << "of what was refused, nothing is done";
  }
  EXPECT_TRUE(examine(path).healthy());
}

TEST_F(ThreadsTest, MayMakeTheSameJobAtOnce) {
  ProgressTracker tracker(path);
  const auto paths = image_paths(5'000);
  std::mutex mutex;
  std::set<JobId> jobs;  // guarded by mutex

  in_threads(6, [&](int) {
    const JobId job = tracker.create_job("job", paths, {});
    EXPECT_EQ(tracker.get_status_counts(job)->total(), 5'000);
    const std::lock_guard lock(mutex);
    jobs.insert(job);
  });

  EXPECT_EQ(jobs.size(), 1U);
}

TEST_F(ThreadsTest, AddToOneJobAndClaimFromItAtOnce) {
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(100), {});
  std::atomic<std::int64_t> added{100};
  std::atomic<std::int64_t> done{0};

  in_threads(6, [&](int number) {
    for (int round = 0; round < 20; ++round) {
      if (number % 2 == 0) {
        added += tracker.add_images(
            job, image_paths(50, std::to_string(number) + "/" + std::to_string(round) + "/"), {});
      } else {
        for (const Image& image : tracker.claim_images(job, 20)) {
          done += tracker.complete(image) ? 1 : 0;
        }
      }
    }
  });

  const StatusCounts counts = tracker.get_status_counts(job).value();
  EXPECT_EQ(counts.total(), added);
  EXPECT_EQ(counts.completed, done);
}

// ---- Their connections -------------------------------------------------------------------------

TEST_F(ThreadsTest, AThreadThatEndsClosesItsConnection) {
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(300), {});
  const auto in_one_thread = [&] {
    std::thread([&] {
      tracker.complete(tracker.claim_images(job, 1).at(0));
      tracker.get_status_counts(job);
    }).join();
  };
  for (int i = 0; i < 5; ++i) {
    in_one_thread();  // SQLite keeps some descriptors for reuse
  }
  const auto before = open_files();

  for (int i = 0; i < 200; ++i) {
    in_one_thread();
  }

  EXPECT_LE(open_files(), before);
  EXPECT_EQ(tracker.get_status_counts(job)->completed, 205);
}

TEST_F(ThreadsTest, OpeningAndClosingLeavesNothingOpen) {
  const auto cycle = [&] {
    ProgressTracker tracker(path);
    const JobId job = tracker.create_job("job", image_paths(3), {});
    tracker.claim_images(job, 1);
    std::thread([&] { tracker.get_status_counts(job); }).join();
    tracker.reset_stuck_images(job);
  };
  cycle();
  const auto before = open_files();
  for (int i = 0; i < 200; ++i) {
    cycle();
  }
  EXPECT_EQ(open_files(), before);
}

TEST_F(ThreadsTest, CloseClosesTheConnectionsOfAllThreads) {
  const auto before = open_files();
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(3), {});
  std::barrier used(5);
  std::barrier closed(5);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      tracker.get_status_counts(job);
      used.arrive_and_wait();
      closed.arrive_and_wait();
    });
  }
  used.arrive_and_wait();
  EXPECT_GE(open_files(), before + 4);

  tracker.close();

  EXPECT_EQ(open_files(), before);
  EXPECT_FALSE(fs::exists(path.native() + "-wal")) << "the last close folds the log back";
  closed.arrive_and_wait();
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST_F(ThreadsTest, AThreadMayUseSeveralTrackersAndOutliveThem) {
  const auto before = open_files();
  std::thread([&] {
    for (int round = 0; round < 20; ++round) {
      ProgressTracker first(path);
      ProgressTracker second(directory / "other.db");
      ProgressTracker third(path);
      const JobId job = first.create_job("job", image_paths(3), {});
      second.create_job("other", image_paths(2), {});
      EXPECT_EQ(third.get_status_counts(job)->total(), 3);
      EXPECT_FALSE(second.get_job_id("job").has_value());
    }
  }).join();
  EXPECT_EQ(open_files(), before);
}

// ---- Closing -----------------------------------------------------------------------------------

TEST_F(ThreadsTest, EveryCallAfterCloseIsRefused) {
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(3), {});
  const Image image = tracker.claim_images(job, 1).at(0);
  const std::vector<ImageId> ids{image.id};
  const std::vector<Image> images{image};
  tracker.close();
  const std::vector<std::pair<std::string, std::function<void()>>> calls{
      {"create_job", [&] { tracker.create_job("job", {}, {}); }},
      {"create_job, wrong arguments", [&] { tracker.create_job("", {}, {}); }},
      {"add_images", [&] { tracker.add_images(job, {}, {}); }},
      {"chain_job", [&] { tracker.chain_job("chained", job); }},
      {"get_job_id", [&] { tracker.get_job_id("job"); }},
      {"list_jobs", [&] { tracker.list_jobs(); }},
      {"remove_job", [&] { tracker.remove_job(job); }},
      {"get_pending_images", [&] { tracker.get_pending_images(job); }},
      {"mark_processing", [&] { tracker.mark_processing({}); }},
      {"claim_images", [&] { tracker.claim_images(job, 0); }},
      {"mark_completed", [&] { tracker.mark_completed(image.id); }},
      {"mark_error", [&] { tracker.mark_error(image.id, ""); }},
      {"mark_outcomes", [&] { tracker.mark_outcomes({}); }},
      {"complete", [&] { tracker.complete(image); }},
      {"fail", [&] { tracker.fail(image, ""); }},
      {"release_images", [&] { tracker.release_images({}); }},
      {"reset_stuck_images", [&] { tracker.reset_stuck_images(job); }},
      {"reset_processing_images", [&] { tracker.reset_processing_images(job); }},
      {"reset_error_images", [&] { tracker.reset_error_images(job); }},
      {"retry_images", [&] { tracker.retry_images({}); }},
      {"checkpoint", [&] { tracker.checkpoint(job); }},
      {"get_progress", [&] { tracker.get_progress(job); }},
      {"get_status_counts", [&] { tracker.get_status_counts(job); }},
      {"get_progress_by_split", [&] { tracker.get_progress_by_split(job); }},
      {"get_image_id", [&] { tracker.get_image_id(job, "a"); }},
      {"get_image", [&] { tracker.get_image(image.id); }},
      {"get_image_split", [&] { tracker.get_image_split(image.id); }},
      {"get_images", [&] { tracker.get_images(job); }},
      {"get_error_summary", [&] { tracker.get_error_summary(job); }},
      {"list_workers", [&] { tracker.list_workers(); }},
      {"create_batch", [&] { tracker.create_batch(job, 1, -1); }},
      {"create_batch_of", [&] { tracker.create_batch_of(job, 1, {}); }},
      {"get_unbatched_images", [&] { tracker.get_unbatched_images(job); }},
      {"mark_batch_uploaded", [&] { tracker.mark_batch_uploaded(BatchId{1}); }},
      {"mark_batch_error", [&] { tracker.mark_batch_error(BatchId{1}, ""); }},
      {"get_pending_batches", [&] { tracker.get_pending_batches(job); }},
      {"get_uploaded_batches", [&] { tracker.get_uploaded_batches(job); }},
      {"get_batch_images", [&] { tracker.get_batch_images(BatchId{1}); }},
      {"sync", [&] { tracker.sync(); }},
  };
  for (const auto& [name, call] : calls) {
    EXPECT_THAT(call, ThrowsError(ErrorCode::kClosed)) << name;
    std::thread([&, &refused = call, &what = name] {
      EXPECT_THAT(refused, ThrowsError(ErrorCode::kClosed)) << what << " in a new thread";
    }).join();
  }
}

TEST_F(ThreadsTest, ClosingTwiceIsHarmless) {
  ProgressTracker tracker(path);
  tracker.create_job("job", image_paths(3), {});
  tracker.close();
  tracker.close();
  in_threads(4, [&](int) { tracker.close(); });
}

TEST_F(ThreadsTest, SeveralMayCloseAtOnce) {
  for (int round = 0; round < 20; ++round) {
    ProgressTracker tracker(path, {.mark_buffer = 4});
    const JobId job = tracker.create_job("job", image_paths(100), {});
    const auto images = tracker.claim_images(job, 1);
    tracker.mark_completed(images.at(0).id);
    in_threads(4, [&](int) { tracker.close(); });
  }
  ProgressTracker tracker(path);
  EXPECT_EQ(tracker.get_status_counts(*tracker.get_job_id("job"))->completed, 20);
}

TEST_F(ThreadsTest, CloseBesideCallsRefusesThemAndLosesNothingAcknowledged) {
  constexpr int kThreads = 6;
  for (const std::size_t mark_buffer : {0, 8}) {
    for (int round = 0; round < 10; ++round) {
      const fs::path fresh =
          directory / (std::to_string(mark_buffer) + "_" + std::to_string(round) + ".db");
      std::atomic<std::int64_t> acknowledged{0};
      std::atomic<int> refused{0};
      JobId job{};
      {
        ProgressTracker tracker(fresh, {.mark_buffer = mark_buffer});
        job = tracker.create_job("job", image_paths(20'000), {});
        std::atomic<int> working{0};
        std::thread closer([&] {
          while (acknowledged < 200) {
            std::this_thread::yield();
          }
          tracker.close();
        });
        in_threads(kThreads, [&](int number) {
          ++working;
          const std::string code = code_of([&] {
            for (;;) {
              for (const Image& image : tracker.claim_images(job, 3)) {
                if (number % 2 == 0) {
                  tracker.mark_completed(image.id);
                } else {
                  tracker.complete(image);
                }
                ++acknowledged;
              }
              tracker.get_status_counts(job);
            }
          });
          EXPECT_EQ(code, "closed");
          refused += code == "closed" ? 1 : 0;
        });
        closer.join();
      }
      EXPECT_EQ(refused, kThreads);
      EXPECT_EQ(ProgressTracker(fresh).get_status_counts(job)->completed, acknowledged);
    }
  }
}

// ---- The log's handler -------------------------------------------------------------------------

TEST_F(ThreadsTest, ALogHandlerMayUseTheTracker) {
  ProgressTracker tracker(path);
  tracker.create_job("job", image_paths(2), std::vector<std::string>{"train", "valid"});
  std::vector<std::string> seen;
  std::optional<StatusCounts> counts;
  set_log_handler([&](LogLevel, std::string_view text) {
    seen.emplace_back(text);
    if (seen.size() == 1) {
      tracker.create_job("job", image_paths(2), std::vector<std::string>{"test", "test"});
      counts = tracker.get_status_counts(JobId{1});
    }
  });

  tracker.create_job("job", image_paths(2), std::vector<std::string>{"train", "test"});

  set_log_handler({});
  EXPECT_EQ(seen.size(), 2U);
  EXPECT_EQ(counts->total(), 2);
}

TEST_F(ThreadsTest, ALogHandlerMayUseTheTrackerAtEveryTraceLine) {
  ProgressTracker tracker(path, {.mark_buffer = 2});
  const JobId job = tracker.create_job("job", image_paths(10), {});
  thread_local bool inside = false;
  std::atomic<int> lines{0};
  set_log_level(LogLevel::kDebug);
  set_log_handler([&](LogLevel, std::string_view) {
    ++lines;
    if (!inside) {
      inside = true;
      tracker.get_status_counts(job);
      tracker.checkpoint(job);
      inside = false;
    }
  });

  in_threads(2, [&](int) {
    for (const Image& image : tracker.claim_images(job, 5)) {
      tracker.mark_completed(image.id);
    }
    EXPECT_THAT([&] { tracker.mark_completed(ImageId{7}); }, ThrowsError(ErrorCode::kNotFound));
  });

  set_log_handler({});
  set_log_level(LogLevel::kWarn);
  EXPECT_GT(lines, 20);
  EXPECT_EQ(tracker.get_status_counts(job)->completed, 10);
}

// ---- The gate ----------------------------------------------------------------------------------

TEST(Gate, LetsInUntilClosedAndAgainWhenOpened) {
  Gate gate;
  EXPECT_TRUE(gate.enter());
  gate.leave();
  gate.close();
  EXPECT_TRUE(gate.is_closed());
  EXPECT_FALSE(gate.enter());
  EXPECT_FALSE(gate.enter());
  gate.open();
  EXPECT_TRUE(gate.enter());
  gate.leave();
}

TEST(Gate, WhoClosesItWaitsForThoseInside) {
  for (int round = 0; round < 100; ++round) {
    Gate gate;
    std::atomic<int> entered{0};
    std::atomic<int> done{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        ASSERT_TRUE(gate.enter());
        ++entered;
        while (!gate.is_closed()) {
          std::this_thread::yield();
        }
        EXPECT_FALSE(gate.enter()) << "others are refused meanwhile";
        for (int k = 0; k < 50; ++k) {
          std::this_thread::yield();
        }
        ++done;
        gate.leave();
      });
    }
    while (entered < 3) {
      std::this_thread::yield();
    }

    gate.close();

    EXPECT_EQ(done, 3);
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
}

}  // namespace
}  // namespace progress_tracker

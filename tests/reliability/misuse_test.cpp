// Calls that make no sense, or come from where none is expected: each has its answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <future>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "campaign.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "progress_tracker/log.h"
#include "progress_tracker/progress_tracker.h"
#include "progress_tracker/run_job.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

namespace fs = std::filesystem;
using test::code_of;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

class MisuseTest : public testing::Test {
 protected:
  processes::TemporaryDirectory directory_;
  ProgressTracker tracker_{directory_.database()};
  const JobId job_ = tracker_.create_job("job", test::image_paths(10), {});
};

// ---- Ids that there are not --------------------------------------------------------------------

const std::vector<std::int64_t>& strange_numbers() {
  static const std::vector<std::int64_t> kNumbers{
      0,
      -1,
      2,
      1'000'000,
      std::int64_t{1} << 31,
      (std::int64_t{1} << 32) - 1,
      std::int64_t{1} << 32,         // an image's, but before the first
      (std::int64_t{1} << 32) + 11,  // after the last
      (std::int64_t{2} << 32) + 1,   // of a job that there is not
      -(std::int64_t{1} << 32) + 1,
      std::int64_t{1} << 62,
      std::numeric_limits<std::int64_t>::max(),
      std::numeric_limits<std::int64_t>::max() - 1,
      std::numeric_limits<std::int64_t>::min(),
      std::numeric_limits<std::int64_t>::min() + 1,
  };
  return kNumbers;
}

TEST_F(MisuseTest, AnIdThatIsNotThereIsNotFoundByWhatWritesAndEmptyForWhatReads) {
  const auto before = tracker_.get_images(job_);
  std::int64_t tried = 0;
  std::int64_t wrong = 0;
  for (const std::int64_t number : strange_numbers()) {
    SCOPED_TRACE(number);
    const JobId job{number};
    const ImageId image{number};
    const BatchId batch{number};
    const std::vector<ImageId> images{before.front().image.id, image};
    const std::vector<Outcome> outcomes{{.id = images[0], .attempt = 0, .error = {}},
                                        {.id = image, .attempt = 0, .error = "broken"}};
    const std::vector<Image> claims{{.id = image, .path = "a", .split = "", .attempt = 1}};
    const std::vector<std::function<void()>> writing{
        [&] { tracker_.add_images(job, test::image_paths(3), {}); },
        [&] { tracker_.chain_job("chained", job); },
        [&] { tracker_.remove_job(job); },
        [&] { tracker_.claim_images(job); },
        [&] { tracker_.mark_processing(images); },
        [&] { tracker_.mark_completed(image); },
        [&] { tracker_.mark_error(image, "broken"); },
        [&] { tracker_.mark_outcomes(outcomes); },
        [&] { tracker_.release_images(claims); },
        [&] { tracker_.reset_stuck_images(job); },
        [&] { tracker_.reset_processing_images(job); },
        [&] { tracker_.reset_error_images(job); },
        [&] { tracker_.retry_images(images); },
        [&] { tracker_.checkpoint(job); },
        [&] { tracker_.create_batch(job, 1, 1); },
        [&] { tracker_.create_batch_of(job, 1, images); },
        [&] { tracker_.mark_batch_uploaded(batch); },
        [&] { tracker_.mark_batch_error(batch, "broken"); },
        [&] { run_job(tracker_, job, [](const Image&) {}); },
    };
    for (std::size_t i = 0; i < writing.size(); ++i) {
      const std::string code = code_of(writing[i]);
      EXPECT_EQ(code, "not_found") << "call " << i;
      wrong += code == "not_found" ? 0 : 1;
    }
    EXPECT_THAT(tracker_.get_pending_images(job), IsEmpty());
    EXPECT_FALSE(tracker_.get_progress(job).has_value());
    EXPECT_FALSE(tracker_.get_status_counts(job).has_value());
    EXPECT_THAT(tracker_.get_progress_by_split(job), IsEmpty());
    EXPECT_FALSE(tracker_.get_image_id(job, "images/0.png").has_value());
    EXPECT_FALSE(tracker_.get_image(image).has_value());
    EXPECT_FALSE(tracker_.get_image_split(image).has_value());
    EXPECT_THAT(tracker_.get_images(job), IsEmpty());
    EXPECT_THAT(tracker_.get_error_summary(job), IsEmpty());
    EXPECT_THAT(tracker_.get_unbatched_images(job), IsEmpty());
    EXPECT_THAT(tracker_.get_pending_batches(job), IsEmpty());
    EXPECT_THAT(tracker_.get_uploaded_batches(job), IsEmpty());
    EXPECT_THAT(tracker_.get_batch_images(batch), IsEmpty());
    tried += static_cast<std::int64_t>(writing.size()) + 13;
  }
  EXPECT_EQ(tracker_.get_images(job_), before) << "something was changed";
  EXPECT_THAT(tracker_.list_jobs(), SizeIs(1));
  report("Churn", "calls with ids that are not there", tried, wrong);
}

TEST_F(MisuseTest, PagesBeginAfterAnyId) {
  for (const std::int64_t number : strange_numbers()) {
    const auto page = tracker_.get_images(job_, {}, kAll, ImageId{number});
    const bool before_all = number <= (std::int64_t{1} << 32);
    EXPECT_THAT(page, SizeIs(before_all ? 10 : 0)) << number;
  }
}

// ---- Limits and lists --------------------------------------------------------------------------

TEST_F(MisuseTest, NoImageHasAStatusThatThereIsNot) {
  for (const int number : {4, -1, std::numeric_limits<int>::max()}) {
    EXPECT_THAT(tracker_.get_images(job_, static_cast<Status>(number)), IsEmpty()) << number;
  }
}

// Another program removed its row, and the job still counts it.
TEST_F(MisuseTest, AnImageWhoseRowIsGoneIsNotFoundAndNothingIsCounted) {
  const ImageId gone = tracker_.get_pending_images(job_).front().id;
  const ImageId there = tracker_.get_pending_images(job_).back().id;
  test::Outsider(directory_.database())
      .run("PRAGMA foreign_keys = OFF; DELETE FROM path WHERE image_id = " +
           std::to_string(static_cast<std::int64_t>(gone)) +
           "; DELETE FROM image WHERE id = " + std::to_string(static_cast<std::int64_t>(gone)));
  const StatusCounts before = tracker_.get_status_counts(job_).value();
  const std::vector<ImageId> ids{there, gone};

  EXPECT_EQ(code_of([&] { tracker_.mark_completed(gone); }), "not_found");
  EXPECT_EQ(code_of([&] { tracker_.mark_error(gone, "broken"); }), "not_found");
  EXPECT_EQ(code_of([&] { tracker_.mark_processing(ids); }), "not_found");

  EXPECT_EQ(tracker_.get_status_counts(job_), before);
  EXPECT_EQ(tracker_.get_image(there)->status, Status::kPending);
}

TEST_F(MisuseTest, ALimitOfZeroIsNothingAndAnyLargeOneIsAll) {
  EXPECT_THAT(tracker_.claim_images(job_, 0), IsEmpty());
  EXPECT_THAT(tracker_.get_pending_images(job_, 0), IsEmpty());
  EXPECT_THAT(tracker_.get_images(job_, {}, 0), IsEmpty());
  EXPECT_THAT(tracker_.get_error_summary(job_, 0), IsEmpty());
  EXPECT_THAT(tracker_.get_unbatched_images(job_, 0), IsEmpty());
  for (const std::size_t limit : {kAll, kAll - 1, kAll / 2, kAll / 2 + 1, kAll / 2 + 2}) {
    SCOPED_TRACE(limit);
    EXPECT_THAT(tracker_.get_pending_images(job_, limit), SizeIs(10));
    EXPECT_THAT(tracker_.get_images(job_, {}, limit), SizeIs(10));
    const auto claimed = tracker_.claim_images(job_, limit);
    EXPECT_THAT(claimed, SizeIs(10));
    for (const Image& image : claimed) {
      tracker_.fail(image, "broken");
    }
    EXPECT_THAT(tracker_.get_error_summary(job_, limit), SizeIs(1));
    EXPECT_EQ(tracker_.reset_error_images(job_), 10U);
  }
  for (const Image& image : tracker_.claim_images(job_, kAll)) {
    tracker_.complete(image);
  }
  EXPECT_THAT(tracker_.get_unbatched_images(job_, kAll), SizeIs(10));
}

TEST_F(MisuseTest, HugeListsWithEveryIdManyTimesCountOnce) {
  const std::size_t times = static_cast<std::size_t>(sized(10'000, 100'000));
  const auto claimed = tracker_.claim_images(job_, 10);
  std::vector<Image> all_images;
  std::vector<ImageId> all;
  std::vector<Outcome> errors;
  for (std::size_t i = 0; i < times; ++i) {
    const Image& image = claimed[i % claimed.size()];
    all_images.push_back(image);
    all.push_back(image.id);
    errors.push_back({.id = image.id, .attempt = image.attempt, .error = "broken"});
  }
  EXPECT_EQ(tracker_.release_images(all_images), 10U);
  tracker_.mark_processing(all);
  EXPECT_EQ(tracker_.get_status_counts(job_)->processing, 10);
  EXPECT_EQ(tracker_.get_image(all[0])->attempts, 2) << "an id listed twice counts once";
  EXPECT_EQ(tracker_.mark_outcomes(errors), 0U) << "of an attempt that is over";
  for (Outcome& outcome : errors) {
    outcome.attempt = 2;
  }
  EXPECT_EQ(tracker_.mark_outcomes(errors), times) << "each repetition applies";
  EXPECT_EQ(tracker_.retry_images(all), 10U);
  for (const ImageId image : all) {
    if (tracker_.get_image(image)->status == Status::kCompleted) {
      break;
    }
    tracker_.mark_completed(image);
  }
  const BatchId batch = tracker_.create_batch_of(job_, 1, all);
  EXPECT_THAT(tracker_.get_batch_images(batch), SizeIs(10));

  const std::vector<fs::path> same(times, "images/new.png");
  EXPECT_EQ(tracker_.add_images(job_, same, std::vector<std::string>(times, "train")), 1);
}

TEST_F(MisuseTest, ListsOfUnequalLengthStoreNothing) {
  const std::vector<std::size_t> lengths{1, 2, 9, 11, 100};
  for (const std::size_t length : lengths) {
    const std::vector<std::string> splits(length, "train");
    EXPECT_EQ(code_of([&] { tracker_.create_job("other", test::image_paths(10, "o"), splits); }),
              "invalid_argument");
    EXPECT_EQ(code_of([&] { tracker_.create_job("job", test::image_paths(10, "o"), splits); }),
              "invalid_argument");
    EXPECT_EQ(code_of([&] { tracker_.add_images(job_, test::image_paths(10, "o"), splits); }),
              "invalid_argument");
    EXPECT_EQ(code_of([&] { tracker_.create_job("other", {}, splits); }), "invalid_argument");
  }
  EXPECT_THAT(tracker_.list_jobs(), SizeIs(1));
  EXPECT_EQ(tracker_.get_status_counts(job_)->total(), 10);
}

// ---- Where a call comes from -------------------------------------------------------------------

// Fails instead of hanging.
void within_patience(const std::function<void()>& work) {
  auto done = std::make_shared<std::promise<void>>();
  auto future = done->get_future();
  std::thread([work, done] {
    work();
    done->set_value();
  }).detach();
  if (future.wait_for(processes::kPatience) != std::future_status::ready) {
    ADD_FAILURE() << "hangs";
    std::fflush(nullptr);
    ::_exit(1);  // what hangs uses what this test owns
  }
}

TEST_F(MisuseTest, ALogHandlerMayMakeAnyCallEvenClose) {
  within_patience([this] {
    // Every call that this thread makes writes two lines, and in each of them the handler calls.
    set_log_level(LogLevel::kDebug);
    int depth = 0;
    int lines = 0;
    bool closing = false;
    set_log_handler([&](LogLevel, std::string_view) {
      ++lines;
      if (++depth == 1) {
        try {
          tracker_.create_job("from the handler", test::image_paths(3), {});
          tracker_.list_workers();
          tracker_.sync();
          if (closing) {
            tracker_.close();
          }
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::kClosed) << error.what();
        }
      }
      --depth;
    });
    tracker_.claim_images(job_, 5);
    tracker_.checkpoint(job_);
    EXPECT_EQ(code_of([&] { tracker_.mark_completed(ImageId{7}); }), "not_found");
    closing = true;
    EXPECT_EQ(code_of([&] { tracker_.checkpoint(job_); }), "closed");
    set_log_handler({});
    set_log_level(LogLevel::kWarn);
    EXPECT_GT(lines, 20);
  });
}

TEST_F(MisuseTest, ADestructorMayMakeCallsWhileAnExceptionIsOnItsWay) {
  struct ReleasesAtItsEnd {
    ProgressTracker& tracker;
    std::vector<Image> images;
    ~ReleasesAtItsEnd() {
      EXPECT_EQ(tracker.release_images(images), images.size());
      EXPECT_EQ(code_of([&] { tracker.mark_completed(ImageId{7}); }), "not_found");
    }
  };
  const auto work = [&] {
    const ReleasesAtItsEnd held{tracker_, tracker_.claim_images(job_, 5)};
    const ProgressTracker dying(directory_.database());  // is destroyed on the way, too
    throw std::runtime_error("out of luck");
  };
  EXPECT_THROW(work(), std::runtime_error);
  EXPECT_EQ(tracker_.get_status_counts(job_)->pending, 10);
}

TEST_F(MisuseTest, ClosingTwiceAndCallingAfterwardsIsRefusedInEveryThread) {
  std::thread([&] { tracker_.close(); }).join();
  tracker_.close();
  std::thread([&] {
    tracker_.close();
    EXPECT_EQ(code_of([&] { tracker_.list_jobs(); }), "closed");
    EXPECT_EQ(code_of([&] { tracker_.remove_job(JobId{-1}); }), "closed");
    EXPECT_EQ(code_of([&] { run_job(tracker_, job_, [](const Image&) {}); }), "closed");
  }).join();
}

TEST_F(MisuseTest, TwoTrackersInOneProcessAreTwoWorkers) {
  ProgressTracker other(directory_.database());
  const auto mine = tracker_.claim_images(job_, 5);
  const auto theirs = other.claim_images(job_, kAll);
  EXPECT_THAT(theirs, SizeIs(5));
  EXPECT_EQ(other.reset_stuck_images(job_), 5U) << "its own";
  EXPECT_THAT(tracker_.list_workers(), SizeIs(2));
  other.close();
  for (const Image& image : mine) {
    EXPECT_TRUE(tracker_.complete(image)) << "the other's close took this one's lock or connection";
  }
}

}  // namespace
}  // namespace progress_tracker::reliability

// Nothing here sleeps in the hope that something has happened meanwhile: threads wait for one
// another at gates, and a gate that nobody opens fails the test.
#include "progress_tracker/run_job.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "progress_tracker/error.h"
#include "progress_tracker/log.h"
#include "progress_tracker/testing/in_memory_tracker.h"
#include "progress_tracker/testing/mock_tracker.h"

namespace {

// After so many more threads of this process, so many are refused.
std::atomic<int> threads_allowed{std::numeric_limits<int>::max()};
std::atomic<int> threads_refused{std::numeric_limits<int>::max()};

}  // namespace

// Stands before the one of the system, which it calls.
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the system's are reserved
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*start)(void*), void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto next = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  if (threads_allowed.fetch_sub(1) <= 0 && threads_refused.fetch_sub(1) > 0) {
    return EAGAIN;
  }
  return next(thread, attributes, start, argument);
}

namespace progress_tracker {
namespace {

using progress_tracker_testing::InMemoryTracker;
using progress_tracker_testing::MockTracker;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::NiceMock;
using testing::Pair;
using testing::SizeIs;
using testing::StrictMock;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Opened once by one thread, passed by others.
class Gate {
 public:
  void open() {
    const std::scoped_lock lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }

  // False: not opened in time. Long enough that a slow machine does not matter.
  bool pass(std::chrono::milliseconds at_most = 30s) {
    std::unique_lock lock(mutex_);
    return opened_.wait_for(lock, at_most, [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_{false};
};

// A Tracker that does what another one does, unless a test says otherwise by ON_CALL.
class WatchedTracker : public NiceMock<MockTracker> {
 public:
  explicit WatchedTracker(Tracker& real) : real_(real) {
    ON_CALL(*this, claim_images).WillByDefault([&real](JobId job, std::size_t limit) {
      return real.claim_images(job, limit);
    });
    ON_CALL(*this, mark_outcomes).WillByDefault([&real](std::span<const Outcome> outcomes) {
      return real.mark_outcomes(outcomes);
    });
    ON_CALL(*this, release_images).WillByDefault([&real](std::span<const Image> images) {
      return real.release_images(images);
    });
    ON_CALL(*this, checkpoint).WillByDefault([&real](JobId job) { real.checkpoint(job); });
    ON_CALL(*this, get_status_counts).WillByDefault([&real](JobId job) {
      return real.get_status_counts(job);
    });
    ON_CALL(*this, get_image).WillByDefault([&real](ImageId id) { return real.get_image(id); });
    ON_CALL(*this, list_jobs).WillByDefault([&real] { return real.list_jobs(); });
    ON_CALL(*this, list_workers).WillByDefault([&real] { return real.list_workers(); });
  }

  Tracker& real() { return real_; }

 private:
  Tracker& real_;
};

// Counts how many are inside at once.
class Occupancy {
 public:
  class Stay {
   public:
    explicit Stay(Occupancy& room) : room_(room) {
      const int now = ++room_.inside_;
      int most = room_.most_.load();
      while (now > most && !room_.most_.compare_exchange_weak(most, now)) {
      }
    }
    Stay(const Stay&) = delete;
    Stay& operator=(const Stay&) = delete;
    ~Stay() { --room_.inside_; }

   private:
    Occupancy& room_;
  };

  int now() const { return inside_; }
  int most() const { return most_; }

 private:
  std::atomic<int> inside_{0};
  std::atomic<int> most_{0};
};

class RunJobTest : public testing::Test {
 protected:
  RunJobTest() {
    set_log_handler([this](LogLevel level, std::string_view text) {
      const std::scoped_lock lock(mutex);
      log.emplace_back(level, text);
    });
  }
  ~RunJobTest() override { set_log_handler({}); }

  static std::vector<std::filesystem::path> paths(int count, const std::string& prefix = "") {
    std::vector<std::filesystem::path> result;
    for (int i = 0; i < count; ++i) {
      result.emplace_back(prefix + std::to_string(i) + ".png");
    }
    return result;
  }

  JobId make_job(int count, const std::string& name = "job") {
    return tracker.create_job(name, paths(count), {});
  }

  StatusCounts counts(JobId job) { return tracker.get_status_counts(job).value(); }

  std::vector<ImageRecord> records(JobId job, std::optional<Status> status = {}) {
    return tracker.get_images(job, status, 1'000'000);
  }

  // The Error that `call` throws.
  static Error error_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "no error";
    return {ErrorCode::kOutcomeUnknown, "no error"};
  }

  // run_job(), with what is done to an image at the end, where it is easier to read.
  static RunSummary run(Tracker& on, JobId job, const RunOptions& options,
                        const std::function<void(const Image&)>& process) {
    return run_job(on, job, process, options);
  }

  // Remembers that `process` was called, and for which path.
  void note(const Image& image) {
    const std::scoped_lock lock(mutex);
    calls.push_back(image.path.string());
  }

  std::function<void(const Image&)> noting() {
    return [this](const Image& image) { note(image); };
  }

  // Workers and calling threads use `log` and `calls` while others do.
  std::mutex mutex;
  std::vector<std::pair<LogLevel, std::string>> log;
  std::vector<std::string> calls;

  InMemoryTracker tracker;
};

// ---- The loop --------------------------------------------------------------------------------

TEST_F(RunJobTest, CompletesEveryImageOnce) {
  const JobId job = make_job(1000);

  const RunSummary summary = run_job(tracker, job, noting(), {.workers = 4});

  EXPECT_EQ(summary, (RunSummary{.completed = 1000, .errors = 0, .released = 0, .stopped = false}));
  EXPECT_EQ(counts(job), (StatusCounts{.pending = 0, .processing = 0, .completed = 1000}));
  EXPECT_THAT(calls, SizeIs(1000));
  EXPECT_THAT(std::set<std::string>(calls.begin(), calls.end()), SizeIs(1000));
  for (const ImageRecord& record : records(job)) {
    EXPECT_EQ(record.attempts, 1);
  }
}

TEST_F(RunJobTest, GivesProcessTheClaimedImage) {
  const JobId job = tracker.create_job("job", std::vector<std::filesystem::path>{"dir/\xff.png"},
                                       std::vector<std::string>{"train"});
  const ImageId id = tracker.get_image_id(job, "dir/\xff.png").value();
  std::optional<Image> seen;

  run(tracker, job, {.workers = 1}, [&](const Image& image) { seen = image; });

  EXPECT_EQ(seen, (Image{id, "dir/\xff.png", "train", 1}));
}

TEST_F(RunJobTest, AJobWithoutImagesIsDoneAtOnce) {
  const JobId job = make_job(0);
  std::vector<StatusCounts> reported;

  const RunSummary summary =
      run_job(tracker, job, noting(),
              {.on_progress = [&](const StatusCounts& now) { reported.push_back(now); }});

  EXPECT_EQ(summary, RunSummary{});
  EXPECT_THAT(reported, ElementsAre(StatusCounts{}));
}

TEST_F(RunJobTest, DefaultsWorkThroughTheJob) {
  const JobId job = make_job(10);

  EXPECT_EQ(run_job(tracker, job, noting()).completed, 10);
}

TEST_F(RunJobTest, SeveralTrackersShareTheWork) {
  const JobId job = make_job(500);
  const std::unique_ptr<InMemoryTracker> second = tracker.another();
  RunSummary by_second;
  RunSummary by_first;
  {
    const std::jthread thread([&] { by_second = run_job(*second, job, noting(), {.workers = 2}); });
    by_first = run_job(tracker, job, noting(), {.workers = 2});
  }
  EXPECT_EQ(by_first.completed + by_second.completed, 500);
  EXPECT_EQ(counts(job).completed, 500);
  EXPECT_THAT(calls, SizeIs(500));
  EXPECT_THAT(std::set<std::string>(calls.begin(), calls.end()), SizeIs(500));
}

TEST_F(RunJobTest, GoesOnWithWhatIsLeft) {
  const JobId job = make_job(10);
  run_job(tracker, job, noting(), {.workers = 2, .limit = 4});

  const RunSummary summary = run_job(tracker, job, noting(), {.workers = 2});

  EXPECT_EQ(summary.completed, 6);
  EXPECT_THAT(std::set<std::string>(calls.begin(), calls.end()), SizeIs(10));
  EXPECT_THAT(calls, SizeIs(10));
}

TEST_F(RunJobTest, TakesOverWhatDeadWorkersHeld) {
  const JobId job = make_job(5);
  const std::unique_ptr<InMemoryTracker> dead = tracker.another();
  dead->claim_images(job, 3);
  dead->reopen();

  const RunSummary summary = run_job(tracker, job, noting(), {.workers = 2});

  EXPECT_EQ(summary.completed, 5);
  EXPECT_EQ(counts(job).completed, 5);
}

TEST_F(RunJobTest, WorksOnWhatIsAddedMeanwhile) {
  const JobId job = make_job(1);

  const RunSummary summary = run(tracker, job, {}, [&](const Image& image) {
    if (image.path == "0.png") {
      tracker.add_images(job, paths(3, "more-"), {});
    }
  });

  EXPECT_EQ(summary.completed, 4);
}

// ---- Threads ---------------------------------------------------------------------------------

class RunJobWorkersTest : public RunJobTest, public testing::WithParamInterface<std::size_t> {};

TEST_P(RunJobWorkersTest, CallsProcessOnThatManyThreadsOfItsOwn) {
  const auto workers = static_cast<int>(
      GetParam() == 0 ? std::max(1U, std::thread::hardware_concurrency()) : GetParam());
  const JobId job = make_job(workers * 10);
  Occupancy room;
  Gate all_inside;

  run(tracker, job, {.workers = GetParam()}, [&](const Image&) {
    const Occupancy::Stay stay(room);
    {
      const std::scoped_lock lock(mutex);
      calls.emplace_back();
    }
    if (room.now() == workers) {
      all_inside.open();
    }
    EXPECT_TRUE(all_inside.pass()) << "fewer threads than workers";
  });

  EXPECT_EQ(room.most(), workers);
}

INSTANTIATE_TEST_SUITE_P(Workers, RunJobWorkersTest, testing::Values(0, 1, 2, 7));

TEST_F(RunJobTest, CallsProcessOnOtherThreadsThanTheCallingOne) {
  const JobId job = make_job(3);

  run(tracker, job, {.workers = 1}, [caller = std::this_thread::get_id()](const Image&) {
    EXPECT_NE(std::this_thread::get_id(), caller);
  });
}

TEST_F(RunJobTest, NoWorkerSitsOnImagesWhileAnotherIsIdle) {
  const JobId job = make_job(100);
  std::atomic<int> others = 0;
  Gate others_are_done;

  run(tracker, job, {.workers = 2, .claim_size = 100}, [&](const Image& image) {
    if (image.path == "0.png") {
      EXPECT_TRUE(others_are_done.pass());
    } else if (++others == 99) {
      others_are_done.open();
    }
  });

  EXPECT_EQ(counts(job).completed, 100);
}

class RunJobThreadsTest : public RunJobTest {
 protected:
  ~RunJobThreadsTest() override {
    threads_allowed = std::numeric_limits<int>::max();
    threads_refused = std::numeric_limits<int>::max();
  }
};

TEST_F(RunJobThreadsTest, FewerThreadsThanAskedForDoTheWork) {
  const JobId job = make_job(20);
  Occupancy room;
  threads_allowed = 3;  // one of them claims and marks

  const RunSummary summary =
      run(tracker, job, {.workers = 8}, [&](const Image&) { const Occupancy::Stay stay(room); });

  EXPECT_EQ(summary.completed, 20);
  EXPECT_LE(room.most(), 2);
  EXPECT_THAT(log, ElementsAre(Pair(LogLevel::kWarn, HasSubstr("2 of 8 threads"))));
}

TEST_F(RunJobThreadsTest, NoThreadAtAllIsAnError) {
  const JobId job = make_job(5);

  // 1: the one that claims and marks, but no worker.
  for (const int allowed : {0, 1}) {
    threads_allowed = allowed;
    const Error error = error_of([&] { run_job(tracker, job, noting(), {.workers = 3}); });
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_THAT(error.what(), HasSubstr("run_job: cannot start a thread"));
  }
  EXPECT_EQ(counts(job), StatusCounts{.pending = 5});
  EXPECT_THAT(calls, IsEmpty());
}

// ---- Arguments -------------------------------------------------------------------------------

struct BadOption {
  std::string name;
  RunOptions options;
};

class RunJobArgumentTest : public RunJobTest, public testing::WithParamInterface<BadOption> {};

TEST_P(RunJobArgumentTest, IsRefusedBeforeAnythingIsDone) {
  StrictMock<MockTracker> untouched;

  const Error error = error_of([&] { run_job(untouched, JobId{1}, noting(), GetParam().options); });

  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("run_job: " + GetParam().name));
}

INSTANTIATE_TEST_SUITE_P(
    Options, RunJobArgumentTest,
    testing::Values(BadOption{"tries", {.tries = 0}}, BadOption{"tries", {.tries = -1}},
                    BadOption{"retry_delay", {.retry_delay = -1ms}},
                    BadOption{"limit", {.limit = -1}}, BadOption{"max_errors", {.max_errors = -1}},
                    BadOption{"checkpoint_interval", {.checkpoint_interval = -1ms}}));

TEST_F(RunJobTest, AnEmptyProcessIsRefused) {
  StrictMock<MockTracker> untouched;

  const Error error = error_of([&] { run_job(untouched, JobId{1}, {}); });

  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
}

TEST_F(RunJobTest, AnUnknownJobIsNotFound) {
  for (const RunOptions& options :
       {RunOptions{}, RunOptions{.limit = 1}, RunOptions{.wait_for_others = true}}) {
    const Error error = error_of([&] { run_job(tracker, JobId{77}, noting(), options); });
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
  EXPECT_TRUE(log.empty()) << "the exception says it all";
}

TEST_F(RunJobTest, AnUnknownJobIsNotFoundEvenIfThereIsNothingToDo) {
  std::stop_source source;
  source.request_stop();

  const Error error =
      error_of([&] { run_job(tracker, JobId{77}, noting(), {.stop = source.get_token()}); });

  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
}

TEST_F(RunJobTest, AClosedTrackerIsClosed) {
  const JobId job = make_job(1);
  tracker.close();

  const Error error = error_of([&] { run_job(tracker, job, noting()); });

  EXPECT_EQ(error.code(), ErrorCode::kClosed);
}

TEST_F(RunJobTest, ExtremeOptionsAreAccepted) {
  const JobId job = make_job(3);

  const RunSummary summary = run_job(tracker, job, noting(),
                                     {.workers = 2,
                                      .claim_size = std::numeric_limits<std::size_t>::max(),
                                      .tries = std::numeric_limits<int>::max(),
                                      .retry_delay = std::chrono::milliseconds::max(),
                                      .limit = std::numeric_limits<std::int64_t>::max(),
                                      .max_errors = std::numeric_limits<std::int64_t>::max(),
                                      .checkpoint_interval = std::chrono::milliseconds::max()});

  EXPECT_EQ(summary.completed, 3);
}

// ---- Errors of images ------------------------------------------------------------------------

class MessageFreeException : public std::exception {
 public:
  const char* what() const noexcept override { return nullptr; }
};

TEST_F(RunJobTest, AnExceptionIsTheImagesError) {
  const JobId job = make_job(6);

  const RunSummary summary = run(tracker, job, {.workers = 2}, [](const Image& image) {
    if (image.path == "0.png") throw std::runtime_error("truncated file");
    if (image.path == "1.png") throw 42;
    if (image.path == "2.png") throw std::runtime_error("");
    if (image.path == "3.png") throw MessageFreeException();
    if (image.path == "4.png") throw std::runtime_error(std::string(200'000, 'x'));
  });

  EXPECT_EQ(summary, (RunSummary{.completed = 1, .errors = 5, .released = 0, .stopped = false}));
  std::map<std::string, std::string> messages;
  for (const ImageRecord& record : records(job, Status::kError)) {
    messages[record.image.path.string()] = record.error_message;
    EXPECT_EQ(record.attempts, 1);
  }
  ASSERT_THAT(messages, SizeIs(5));
  EXPECT_EQ(messages["0.png"], "truncated file");
  EXPECT_EQ(messages["1.png"], "unknown exception");
  EXPECT_EQ(messages["2.png"], "");
  EXPECT_EQ(messages["3.png"], "");
  EXPECT_THAT(messages["4.png"].size(), Le(65'536U));
}

TEST_F(RunJobTest, TriesAreMadeUnderOneClaim) {
  const JobId job = make_job(2);

  const RunSummary summary = run(tracker, job, {.workers = 1, .tries = 3}, [&](const Image& image) {
    note(image);
    const auto nth = std::count(calls.begin(), calls.end(), image.path.string());
    if (image.path == "0.png") throw std::runtime_error("try " + std::to_string(nth));
    if (nth < 3) throw std::runtime_error("not yet");
  });

  EXPECT_EQ(summary, (RunSummary{.completed = 1, .errors = 1, .released = 0, .stopped = false}));
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "0.png"), 3);
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "1.png"), 3);
  EXPECT_EQ(records(job)[0].error_message, "try 3");
  EXPECT_EQ(records(job)[0].attempts, 1);
  EXPECT_EQ(records(job)[1].attempts, 1);
}

TEST_F(RunJobTest, ThePauseBetweenTriesDoubles) {
  const JobId job = make_job(1);
  std::vector<Clock::time_point> times;

  run(tracker, job, {.workers = 1, .tries = 4, .retry_delay = 10ms}, [&](const Image&) {
    times.push_back(Clock::now());
    throw std::runtime_error("x");
  });

  ASSERT_THAT(times, SizeIs(4));
  EXPECT_GE(times[1] - times[0], 10ms);
  EXPECT_GE(times[2] - times[1], 20ms);
  EXPECT_GE(times[3] - times[2], 40ms);
}

// ---- Stop ------------------------------------------------------------------------------------

TEST_F(RunJobTest, AStopBeforeTheStartStartsNothing) {
  const JobId job = make_job(3);
  std::stop_source source;
  source.request_stop();
  std::vector<StatusCounts> reported;

  const RunSummary summary =
      run_job(tracker, job, noting(),
              {.stop = source.get_token(),
               .on_progress = [&](const StatusCounts& now) { reported.push_back(now); }});

  EXPECT_EQ(summary, (RunSummary{.completed = 0, .errors = 0, .released = 0, .stopped = true}));
  EXPECT_THAT(calls, IsEmpty());
  EXPECT_EQ(counts(job).pending, 3);
  EXPECT_THAT(reported, ElementsAre(StatusCounts{.pending = 3}));
}

TEST_F(RunJobTest, AStopFinishesWhatIsInWorkAndReleasesTheRest) {
  const JobId job = make_job(20);
  std::stop_source source;
  Occupancy room;
  Gate both_inside;

  const RunSummary summary =
      run(tracker, job, {.workers = 2, .claim_size = 10, .stop = source.get_token()},
          [&](const Image&) {
            const Occupancy::Stay stay(room);
            if (room.now() == 2) {
              source.request_stop();
              both_inside.open();
            }
            EXPECT_TRUE(both_inside.pass());
          });

  EXPECT_EQ(summary, (RunSummary{.completed = 2, .errors = 0, .released = 8, .stopped = true}));
  EXPECT_EQ(counts(job), (StatusCounts{.pending = 18, .processing = 0, .completed = 2}));
  for (const ImageRecord& record : records(job)) {
    EXPECT_EQ(record.deaths, 0);
  }
  EXPECT_EQ(tracker.get_progress(job)->processed_count, 2) << "the last checkpoint";
}

TEST_F(RunJobTest, AStopReleasesAtOnceEvenIfTheImageInWorkTakesLong) {
  const JobId job = make_job(5);
  WatchedTracker watched(tracker);
  Gate released;
  ON_CALL(watched, release_images).WillByDefault([&](std::span<const Image> images) {
    const std::size_t result = tracker.release_images(images);
    released.open();
    return result;
  });
  std::stop_source source;

  const RunSummary summary = run(
      watched, job, {.workers = 1, .claim_size = 5, .stop = source.get_token()}, [&](const Image&) {
        source.request_stop();
        EXPECT_TRUE(released.pass()) << "the others wait for this image";
      });

  EXPECT_EQ(summary, (RunSummary{.completed = 1, .errors = 0, .released = 4, .stopped = true}));
}

TEST_F(RunJobTest, AnExceptionAfterAStopReleasesTheImage) {
  const JobId job = make_job(1);
  std::stop_source source;

  const RunSummary summary = run(tracker, job, {.stop = source.get_token()}, [&](const Image&) {
    source.request_stop();
    throw std::runtime_error("interrupted");
  });

  EXPECT_EQ(summary, (RunSummary{.completed = 0, .errors = 0, .released = 1, .stopped = true}));
  EXPECT_EQ(counts(job), StatusCounts{.pending = 1});
}

TEST_F(RunJobTest, AStopEndsThePauseBetweenTries) {
  const JobId job = make_job(1);
  std::stop_source source;
  Gate failed_once;
  const std::jthread stopper([&] {
    EXPECT_TRUE(failed_once.pass());
    source.request_stop();
  });

  const RunSummary summary =
      run(tracker, job, {.tries = 2, .retry_delay = 24h, .stop = source.get_token()},
          [&](const Image& image) {
            note(image);
            failed_once.open();
            throw std::runtime_error("x");
          });

  EXPECT_EQ(summary, (RunSummary{.completed = 0, .errors = 0, .released = 1, .stopped = true}));
  EXPECT_EQ(counts(job), StatusCounts{.pending = 1});
  EXPECT_THAT(calls, SizeIs(1));
}

TEST_F(RunJobTest, AStopWithNothingLeftIsNotStopped) {
  const JobId job = make_job(3);
  std::stop_source source;

  const RunSummary summary =
      run(tracker, job, {.workers = 1, .stop = source.get_token()}, [&](const Image& image) {
        if (image.path == "2.png") {
          source.request_stop();
        }
      });

  EXPECT_EQ(summary, (RunSummary{.completed = 3, .errors = 0, .released = 0, .stopped = false}));
}

TEST_F(RunJobTest, AStopMayComeFromOnProgress) {
  const JobId job = make_job(2);
  std::stop_source source;
  Gate started;
  Gate stopped;
  const RunOptions options{.workers = 1,
                           .checkpoint_interval = 1ms,
                           .stop = source.get_token(),
                           .on_progress = [&](const StatusCounts&) {
                             EXPECT_TRUE(started.pass());
                             source.request_stop();
                             stopped.open();
                           }};

  const RunSummary summary = run(tracker, job, options, [&](const Image&) {
    started.open();
    EXPECT_TRUE(stopped.pass());
  });

  EXPECT_EQ(summary.completed, 1);
  EXPECT_TRUE(summary.stopped);
}

// ---- limit -----------------------------------------------------------------------------------

TEST_F(RunJobTest, WorksOnAtMostSoManyImages) {
  const JobId job = make_job(10);

  const RunSummary summary =
      run_job(tracker, job, noting(), {.workers = 4, .claim_size = 100, .limit = 5});

  EXPECT_EQ(summary, (RunSummary{.completed = 5, .errors = 0, .released = 0, .stopped = true}));
  EXPECT_THAT(calls, SizeIs(5));
  for (const ImageRecord& record : records(job, Status::kPending)) {
    EXPECT_EQ(record.attempts, 0) << "claimed for nothing";
  }
}

TEST_F(RunJobTest, TheLimitHoldsForClaimsOfOurSizeToo) {
  const JobId job = make_job(3000);

  const RunSummary summary = run_job(tracker, job, noting(), {.workers = 2, .limit = 2500});

  EXPECT_EQ(summary, (RunSummary{.completed = 2500, .errors = 0, .released = 0, .stopped = true}));
  EXPECT_THAT(calls, SizeIs(2500));
}

TEST_F(RunJobTest, ALimitThatLeavesNothingIsNotStopped) {
  const JobId job = make_job(5);

  EXPECT_EQ(run_job(tracker, job, noting(), {.limit = 5}),
            (RunSummary{.completed = 5, .errors = 0, .released = 0, .stopped = false}));
  EXPECT_EQ(run_job(tracker, job, noting(), {.limit = 5}), RunSummary{});
}

TEST_F(RunJobTest, TheLimitCountsImagesNotTries) {
  const JobId job = make_job(3);

  const RunSummary summary = run(tracker, job, {.workers = 1, .tries = 5, .limit = 2},
                                 [](const Image&) { throw std::runtime_error("x"); });

  EXPECT_EQ(summary, (RunSummary{.completed = 0, .errors = 2, .released = 0, .stopped = true}));
}

TEST_F(RunJobTest, WhatALiveWorkerHoldsIsNotWorkLeft) {
  const JobId job = make_job(3);
  const std::unique_ptr<InMemoryTracker> other = tracker.another();
  other->claim_images(job, 1);

  EXPECT_TRUE(run_job(tracker, job, noting(), {.limit = 1}).stopped);
  EXPECT_FALSE(run_job(tracker, job, noting(), {.limit = 1}).stopped);
}

TEST_F(RunJobTest, WhatADeadWorkerHoldsIsWorkLeft) {
  const JobId job = make_job(2);
  const std::unique_ptr<InMemoryTracker> other = tracker.another();
  other->claim_images(job, 1);
  other->reopen();

  EXPECT_TRUE(run_job(tracker, job, noting(), {.limit = 1}).stopped);
  EXPECT_EQ(counts(job), (StatusCounts{.pending = 0, .processing = 1, .completed = 1}));
}

// ---- max_errors ------------------------------------------------------------------------------

TEST_F(RunJobTest, StopsOnceSoManyImagesFailed) {
  const JobId job = make_job(10);
  tracker.mark_error(tracker.get_image_id(job, "9.png").value(), "of an earlier run");

  const RunSummary summary =
      run(tracker, job, {.workers = 1, .claim_size = 6, .max_errors = 3}, [](const Image& image) {
        if (image.path != "1.png") {
          throw std::runtime_error("x");
        }
      });

  EXPECT_EQ(summary, (RunSummary{.completed = 1, .errors = 3, .released = 2, .stopped = true}));
  EXPECT_EQ(counts(job), (StatusCounts{.pending = 5, .processing = 0, .completed = 1, .error = 4}));
}

TEST_F(RunJobTest, TheLastAllowedErrorWithNothingLeftIsNotStopped) {
  const JobId job = make_job(2);

  const RunSummary summary = run(tracker, job, {.workers = 1, .max_errors = 2},
                                 [](const Image&) { throw std::runtime_error("x"); });

  EXPECT_EQ(summary, (RunSummary{.completed = 0, .errors = 2, .released = 0, .stopped = false}));
}

// The image 0.png throws after 1.png has ended the run by the one error allowed.
class RunJobMaxErrorsTest : public RunJobTest {
 protected:
  RunSummary run_with(int tries) {
    const RunOptions options{.workers = 2, .tries = tries, .retry_delay = 1ms, .max_errors = 1};
    return run(tracker, job, options, [this](const Image& image) {
      note(image);
      while (image.path == "0.png" && counts(job).error == 0) {
        std::this_thread::yield();
      }
      throw std::runtime_error("x");
    });
  }

  const JobId job = make_job(3);
};

TEST_F(RunJobMaxErrorsTest, AnImageInWorkThatFailsAfterwardsIsAnErrorToo) {
  EXPECT_EQ(run_with(1), (RunSummary{.completed = 0, .errors = 2, .released = 0, .stopped = true}));
  EXPECT_EQ(counts(job).pending, 1);
}

TEST_F(RunJobMaxErrorsTest, NoImageIsTriedAgainAfterwards) {
  EXPECT_EQ(run_with(2), (RunSummary{.completed = 0, .errors = 1, .released = 1, .stopped = true}));
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "0.png"), 1);
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "1.png"), 2);
}

// ---- The size of claims ----------------------------------------------------------------------

class RunJobClaimTest : public RunJobTest {
 protected:
  RunJobClaimTest() : watched(tracker) {
    ON_CALL(watched, claim_images).WillByDefault([this](JobId job, std::size_t limit) {
      {
        const std::scoped_lock lock(mutex);
        limits.push_back(limit);
      }
      return tracker.claim_images(job, limit);
    });
  }

  WatchedTracker watched;
  std::vector<std::size_t> limits;
};

TEST_F(RunJobClaimTest, TheCallersSizeIsUsed) {
  const JobId job = make_job(50);

  run_job(watched, job, noting(), {.workers = 2, .claim_size = 7});

  EXPECT_THAT(limits, Each(7U));
  EXPECT_EQ(counts(job).completed, 50);
}

TEST_F(RunJobClaimTest, SlowWorkClaimsOneForEachWorker) {
  const JobId job = make_job(8);
  std::atomic<std::int64_t> most_held = 0;

  run(watched, job, {.workers = 2}, [&](const Image&) {
    std::this_thread::sleep_for(80ms);  // this is the work
    most_held = std::max<std::int64_t>(most_held, counts(job).processing - 2);
  });

  EXPECT_THAT(limits, Each(Le(2U)));
  EXPECT_LE(most_held, 4) << "finished and not marked ones included";
}

TEST_F(RunJobClaimTest, FastWorkClaimsManyAtATime) {
  const JobId job = make_job(20'000);

  run(watched, job, {.workers = 2}, [](const Image&) {});

  EXPECT_LT(limits.size(), 1000U);
  EXPECT_GT(*std::max_element(limits.begin(), limits.end()), 100U);
  EXPECT_THAT(limits, Each(Le(4000U)));
  EXPECT_EQ(counts(job).completed, 20'000);
}

TEST_F(RunJobClaimTest, GivesBackWhatItClaimedTooMuchWhenWorkBecomesSlow) {
  const JobId job = make_job(20'000);
  Gate given_back;
  Gate never;
  std::atomic<int> releases = 0;
  ON_CALL(watched, release_images).WillByDefault([&](std::span<const Image> images) {
    const std::size_t released = tracker.release_images(images);
    ++releases;
    given_back.open();
    return released;
  });
  std::atomic<int> started = 0;

  const RunSummary summary = run(watched, job, {.workers = 2}, [&](const Image&) {
    const int nth = ++started;
    if (nth == 10'000 || nth == 10'001) {
      EXPECT_TRUE(given_back.pass());
      never.pass(250ms);  // time to claim and give back the same images over and over
      EXPECT_LE(releases, 2);
    }
  });

  EXPECT_EQ(summary,
            (RunSummary{.completed = 20'000, .errors = 0, .released = 0, .stopped = false}))
      << "what was given back was claimed again";
  EXPECT_EQ(started, 20'000);
}

// What was given back early and done by others leaves a run that is stopped later nothing to do.
TEST_F(RunJobClaimTest, WhatOthersDidOfWhatWasGivenBackIsNotWorkLeft) {
  const JobId job = make_job(20'000);
  const std::unique_ptr<InMemoryTracker> other = tracker.another();
  std::stop_source source;
  Gate given_back;
  std::atomic<int> ours = 20'000;
  std::atomic<int> started = 0;
  ON_CALL(watched, release_images).WillByDefault([&](std::span<const Image> images) {
    const std::size_t released = tracker.release_images(images);
    for (const Image& image : other->claim_images(job, 20'000)) {
      other->complete(image);
      --ours;
    }
    given_back.open();
    return released;
  });

  const RunSummary summary =
      run(watched, job, {.workers = 2, .stop = source.get_token()}, [&](const Image&) {
        const int nth = ++started;
        if (nth == 10'000 || nth == 10'001) {
          EXPECT_TRUE(given_back.pass());
        } else if (nth == ours) {
          while (counts(job).processing > 1) {  // until all others are marked
            std::this_thread::yield();
          }
          source.request_stop();
        }
      });

  EXPECT_TRUE(source.stop_requested());
  EXPECT_FALSE(summary.stopped);
  EXPECT_GT(summary.released, 0);
  EXPECT_EQ(counts(job).completed, 20'000);
}

// ---- Outcomes --------------------------------------------------------------------------------

TEST_F(RunJobTest, AnOutcomeIsMarkedWhileTheSameWorkerIsInALongImage) {
  const JobId job = make_job(10);
  WatchedTracker watched(tracker);
  std::vector<std::pair<ImageId, Clock::time_point>> marked;
  std::condition_variable marked_more;
  ON_CALL(watched, mark_outcomes).WillByDefault([&](std::span<const Outcome> outcomes) {
    const std::size_t applied = tracker.mark_outcomes(outcomes);
    const std::scoped_lock lock(mutex);
    for (const Outcome& outcome : outcomes) {
      marked.emplace_back(outcome.id, Clock::now());
    }
    marked_more.notify_all();
    return applied;
  });
  std::vector<Clock::duration> held;
  std::optional<Clock::time_point> returned;

  // Each image waits until the one before it is marked.
  run(watched, job, {.workers = 1, .claim_size = 10}, [&](const Image&) {
    if (returned) {
      std::unique_lock lock(mutex);
      const std::size_t before = held.size();
      if (!marked_more.wait_for(lock, 30s, [&] { return marked.size() > before; })) {
        ADD_FAILURE() << "held back as long as the worker is busy";
        return;
      }
      held.push_back(marked.back().second - *returned);
    }
    returned = Clock::now();
  });

  // A machine that is busy with other things may be late, but not each time.
  ASSERT_THAT(held, SizeIs(9));
  EXPECT_LE(*std::min_element(held.begin(), held.end()), 100ms);
}

TEST_F(RunJobTest, CountsOnlyOutcomesThatApplied) {
  const JobId job = make_job(6);
  const std::unique_ptr<InMemoryTracker> other = tracker.another();

  const RunSummary summary =
      run(tracker, job, {.workers = 1, .claim_size = 6}, [&](const Image& image) {
        if (image.path == "0.png") {
          other->mark_completed(image.id);
          throw std::runtime_error("an error for a completed image is skipped");
        }
        if (image.path == "1.png") {
          other->mark_completed(image.id);  // completing it again counts as applied
        }
        if (image.path == "2.png" && image.attempt == 1) {
          tracker.release_images(std::vector{image});  // stale now; will be worked on again
        }
        if (image.path == "3.png") throw std::runtime_error("x");
      });

  EXPECT_EQ(summary, (RunSummary{.completed = 4, .errors = 1, .released = 0, .stopped = false}));
  EXPECT_EQ(counts(job), (StatusCounts{.pending = 0, .processing = 0, .completed = 5, .error = 1}));
}

TEST_F(RunJobTest, CountsOnlyReleasesThatApplied) {
  const JobId job = make_job(6);
  const std::unique_ptr<InMemoryTracker> other = tracker.another();
  std::stop_source source;
  const auto claimed_too = [&] { return records(job, Status::kProcessing); };

  const RunSummary summary =
      run(tracker, job, {.workers = 1, .claim_size = 6, .stop = source.get_token()},
          [&](const Image& image) {
            // One of those that the run would give back.
            const auto held = claimed_too();
            ASSERT_THAT(held, SizeIs(6));
            ASSERT_EQ(held.front().image.id, image.id);
            other->mark_completed(held.back().image.id);
            source.request_stop();
          });

  EXPECT_EQ(summary, (RunSummary{.completed = 1, .errors = 0, .released = 4, .stopped = true}));
  EXPECT_EQ(counts(job), (StatusCounts{.pending = 4, .completed = 2}));
}

TEST_F(RunJobTest, OutcomesAreFenced) {
  const JobId job = make_job(1);
  WatchedTracker watched(tracker);
  std::vector<Outcome> seen;
  ON_CALL(watched, mark_outcomes).WillByDefault([&](std::span<const Outcome> outcomes) {
    seen.insert(seen.end(), outcomes.begin(), outcomes.end());
    return tracker.mark_outcomes(outcomes);
  });
  tracker.release_images(tracker.claim_images(job));

  run_job(watched, job, noting());

  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_EQ(seen[0].attempt, 2);
}

// ---- Images with a death ---------------------------------------------------------------------

TEST_F(RunJobTest, AnImageWithADeathIsWorkedOnWhileNothingElseIs) {
  const JobId job = make_job(2);
  const std::unique_ptr<InMemoryTracker> dead = tracker.another();
  dead->claim_images(job, 2);
  dead->reopen();
  tracker.add_images(job, paths(4, "healthy-"), {});
  Occupancy room;
  Gate deadly_started;
  std::atomic<int> deadly = 0;

  run(tracker, job, {.workers = 3, .claim_size = 4}, [&](const Image& image) {
    const Occupancy::Stay stay(room);
    if (tracker.get_image(image.id)->deaths == 0) {
      if (image.path == "healthy-3.png") {
        EXPECT_FALSE(deadly_started.pass(150ms)) << "beside an image in work";
      }
      return;
    }
    ++deadly;
    deadly_started.open();
    EXPECT_EQ(room.now(), 1);
    EXPECT_EQ(counts(job).processing, 1) << "the others are finished, but not marked";
    EXPECT_EQ(counts(job).completed, 3 + deadly);
  });

  EXPECT_EQ(deadly, 2);
  EXPECT_EQ(counts(job).completed, 6);
}

TEST_F(RunJobTest, NothingJoinsAnImageWithADeath) {
  const JobId job = make_job(1);
  const std::unique_ptr<InMemoryTracker> dead = tracker.another();
  dead->claim_images(job, 1);
  dead->reopen();
  Gate healthy_started;

  run(tracker, job, {.workers = 2}, [&](const Image& image) {
    if (image.path == "healthy-0.png") {
      healthy_started.open();
      return;
    }
    tracker.add_images(job, paths(1, "healthy-"), {});
    EXPECT_FALSE(healthy_started.pass(300ms)) << "longer than it takes to look for work again";
  });

  EXPECT_EQ(counts(job).completed, 2);
}

TEST_F(RunJobTest, AnImageWithADeathWaitsForEveryMark) {
  const JobId job = make_job(1);
  const std::unique_ptr<InMemoryTracker> dead = tracker.another();
  dead->claim_images(job, 1);
  dead->reopen();
  tracker.add_images(job, paths(2, "healthy-"), {});
  WatchedTracker watched(tracker);
  Gate marking;
  Gate never;
  ON_CALL(watched, mark_outcomes).WillByDefault([&](std::span<const Outcome> outcomes) {
    marking.open();
    never.pass(30ms);  // time for the other image to finish
    return tracker.mark_outcomes(outcomes);
  });

  run(watched, job, {.workers = 3}, [&](const Image& image) {
    if (image.path == "healthy-1.png") {
      EXPECT_TRUE(marking.pass());
    }
    if (image.path == "0.png") {
      EXPECT_EQ(counts(job), (StatusCounts{.pending = 0, .processing = 1, .completed = 2}));
    }
  });

  EXPECT_EQ(counts(job).completed, 3);
}

TEST_F(RunJobTest, AStopReleasesAnImageThatWaitsToBeAlone) {
  const JobId job = make_job(1);
  const std::unique_ptr<InMemoryTracker> dead = tracker.another();
  dead->claim_images(job, 1);
  dead->reopen();
  tracker.add_images(job, paths(1, "healthy-"), {});
  WatchedTracker watched(tracker);
  Gate asked_for_deaths;
  ON_CALL(watched, get_image).WillByDefault([&](ImageId id) {
    const std::optional<ImageRecord> record = tracker.get_image(id);
    if (record->deaths > 0) {
      asked_for_deaths.open();
    }
    return record;
  });
  std::stop_source source;

  const RunSummary summary =
      run(watched, job, {.workers = 2, .stop = source.get_token()}, [&](const Image& image) {
        note(image);
        EXPECT_TRUE(asked_for_deaths.pass());
        source.request_stop();
      });

  EXPECT_EQ(summary, (RunSummary{.completed = 1, .errors = 0, .released = 1, .stopped = true}));
  EXPECT_THAT(calls, ElementsAre("healthy-0.png"));
  EXPECT_EQ(counts(job), (StatusCounts{.pending = 1, .processing = 0, .completed = 1}));
}

// ---- Others ----------------------------------------------------------------------------------

TEST_F(RunJobTest, DoesNotWaitForOtherLiveWorkers) {
  const JobId job = make_job(3);
  const std::unique_ptr<InMemoryTracker> other = tracker.another();
  other->claim_images(job, 1);

  const RunSummary summary = run_job(tracker, job, noting());

  EXPECT_EQ(summary, (RunSummary{.completed = 2, .errors = 0, .released = 0, .stopped = false}));
  EXPECT_EQ(counts(job).processing, 1);
}

TEST_F(RunJobTest, DoesNotWaitForWhatThisTrackerHoldsOutsideTheRun) {
  const JobId job = make_job(3);
  tracker.claim_images(job, 1);

  const RunSummary summary = run_job(tracker, job, noting(), {.wait_for_others = true});

  EXPECT_EQ(summary, (RunSummary{.completed = 2, .errors = 0, .released = 0, .stopped = false}));
  EXPECT_EQ(counts(job).processing, 1);
}

TEST_F(RunJobTest, AnIdleWorkerTakesWhatOthersGiveBack) {
  const JobId job = make_job(2);
  const std::unique_ptr<InMemoryTracker> other = tracker.another();
  const std::vector<Image> held = other->claim_images(job, 1);
  Gate second_done;

  run(tracker, job, {.workers = 2}, [&](const Image& image) {
    if (image.id == held[0].id) {
      second_done.open();
      return;
    }
    other->release_images(held);
    EXPECT_TRUE(second_done.pass()) << "it waits for this image";
  });

  EXPECT_EQ(counts(job).completed, 2);
}

TEST_F(RunJobTest, WaitsForOthersLookingEvery200Milliseconds) {
  const JobId job = make_job(2);
  const std::unique_ptr<InMemoryTracker> other = tracker.another();
  const std::vector<Image> held = other->claim_images(job, 1);
  WatchedTracker watched(tracker);
  std::vector<Clock::time_point> looks;
  ON_CALL(watched, list_jobs).WillByDefault([&] {
    looks.push_back(Clock::now());
    if (looks.size() == 3) {
      other->release_images(held);
    }
    return tracker.list_jobs();
  });

  const RunSummary summary = run_job(watched, job, noting(), {.wait_for_others = true});

  EXPECT_EQ(summary, (RunSummary{.completed = 2, .errors = 0, .released = 0, .stopped = false}));
  ASSERT_GE(looks.size(), 3U);
  EXPECT_GE(looks[1] - looks[0], 200ms);
  EXPECT_GE(looks[2] - looks[1], 200ms);
}

TEST_F(RunJobTest, TakesOverFromAnotherThatDiesWhileItWaits) {
  const JobId job = make_job(1);
  const std::unique_ptr<InMemoryTracker> other = tracker.another();
  other->claim_images(job, 1);
  WatchedTracker watched(tracker);
  ON_CALL(watched, list_jobs).WillByDefault([&] {
    other->reopen();
    return tracker.list_jobs();
  });

  EXPECT_EQ(run_job(watched, job, noting(), {.wait_for_others = true}).completed, 1);
}

TEST_F(RunJobTest, WaitsForUpstreamJobsAtAnyDistance) {
  const JobId first = make_job(1, "first");
  const JobId second = tracker.chain_job("second", first);
  const JobId third = tracker.chain_job("third", second);
  WatchedTracker watched(tracker);
  int looks = 0;
  ON_CALL(watched, list_jobs).WillByDefault([&] {
    const std::vector<Job> seen = tracker.list_jobs();
    ++looks;
    if (looks == 2) {
      tracker.complete(tracker.claim_images(first).at(0));
    } else if (looks == 3) {
      // Between the look at the upstream and the one at the job itself.
      tracker.complete(tracker.claim_images(second).at(0));
      return tracker.list_jobs();
    }
    return seen;
  });

  const RunSummary summary = run_job(watched, third, noting(), {.wait_for_others = true});

  EXPECT_EQ(summary, (RunSummary{.completed = 1, .errors = 0, .released = 0, .stopped = false}));
  EXPECT_GE(looks, 3);
}

TEST_F(RunJobTest, DoesNotWaitForUpstreamJobsUnlessAsked) {
  const JobId first = make_job(1, "first");
  const JobId second = tracker.chain_job("second", first);

  EXPECT_EQ(run_job(tracker, second, noting()), RunSummary{});
}

TEST_F(RunJobTest, DoesNotWaitForErrorsUpstream) {
  const JobId first = make_job(1, "first");
  const JobId second = tracker.chain_job("second", first);
  tracker.mark_error(tracker.get_image_id(first, "0.png").value(), "x");

  EXPECT_EQ(run_job(tracker, second, noting(), {.wait_for_others = true}), RunSummary{});
}

TEST_F(RunJobTest, AStopEndsTheWaitForOthers) {
  const JobId first = make_job(1, "first");
  const JobId second = tracker.chain_job("second", first);
  WatchedTracker watched(tracker);
  std::stop_source source;
  int looks = 0;
  ON_CALL(watched, list_jobs).WillByDefault([&] {
    if (++looks == 2) {
      source.request_stop();
    }
    return tracker.list_jobs();
  });

  const RunSummary summary =
      run_job(watched, second, noting(), {.wait_for_others = true, .stop = source.get_token()});

  EXPECT_EQ(summary, (RunSummary{.completed = 0, .errors = 0, .released = 0, .stopped = true}));
}

TEST_F(RunJobTest, StagesOfAPipelineRunSideBySide) {
  const JobId first = make_job(200, "first");
  const JobId second = tracker.chain_job("second", first);
  const std::unique_ptr<InMemoryTracker> other = tracker.another();
  RunSummary downstream;
  {
    const std::jthread thread([&] {
      downstream = run_job(*other, second, noting(), {.workers = 2, .wait_for_others = true});
    });
    run_job(tracker, first, noting(), {.workers = 2});
  }
  EXPECT_EQ(downstream.completed, 200);
}

// ---- Progress --------------------------------------------------------------------------------

TEST_F(RunJobTest, ChecksPointsAndReportsOnTheCallingThread) {
  const JobId job = make_job(3);
  WatchedTracker watched(tracker);
  std::vector<std::string> order;
  ON_CALL(watched, checkpoint).WillByDefault([&](JobId id) {
    order.emplace_back("checkpoint");
    tracker.checkpoint(id);
  });
  Gate reported_often;
  StatusCounts last;

  run(watched, job,
      {.workers = 2,
       .checkpoint_interval = 1ms,
       .on_progress =
           [&, caller = std::this_thread::get_id()](const StatusCounts& now) {
             EXPECT_EQ(std::this_thread::get_id(), caller);
             order.emplace_back("report");
             last = now;
             if (order.size() == 6) {
               EXPECT_EQ(now.completed, 0);
               reported_often.open();
             }
           }},
      [&](const Image&) { EXPECT_TRUE(reported_often.pass()); });

  ASSERT_GE(order.size(), 8U);
  for (std::size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(order[i], i % 2 == 0 ? "checkpoint" : "report");
  }
  EXPECT_EQ(last, (StatusCounts{.pending = 0, .processing = 0, .completed = 3}));
  EXPECT_EQ(tracker.get_progress(job)->processed_count, 3);
}

TEST_F(RunJobTest, ChecksPointsWithoutOnProgress) {
  const JobId job = make_job(1);
  WatchedTracker watched(tracker);
  Gate checkpointed;
  ON_CALL(watched, checkpoint).WillByDefault([&](JobId id) {
    tracker.checkpoint(id);
    checkpointed.open();
  });

  run(watched, job, {.checkpoint_interval = 0ms},
      [&](const Image&) { EXPECT_TRUE(checkpointed.pass()); });

  EXPECT_EQ(tracker.get_progress(job)->processed_count, 1);
}

TEST_F(RunJobTest, ALongIntervalLeavesOneReportAtTheEnd) {
  const JobId job = make_job(100);
  int reports = 0;

  run_job(tracker, job, noting(),
          {.checkpoint_interval = 24h, .on_progress = [&](const StatusCounts&) { ++reports; }});

  EXPECT_EQ(reports, 1);
}

TEST_F(RunJobTest, ASlowOnProgressHoldsUpNothing) {
  const JobId job = make_job(50);
  WatchedTracker watched(tracker);
  Gate in_report;
  Gate all_marked;
  ON_CALL(watched, mark_outcomes).WillByDefault([&](std::span<const Outcome> outcomes) {
    const std::size_t applied = tracker.mark_outcomes(outcomes);
    if (counts(job).completed == 50) {
      all_marked.open();
    }
    return applied;
  });

  run(watched, job,
      {.workers = 2,
       .checkpoint_interval = 1ms,
       .on_progress =
           [&](const StatusCounts&) {
             in_report.open();
             EXPECT_TRUE(all_marked.pass()) << "nothing is claimed or marked meanwhile";
           }},
      [&](const Image&) { EXPECT_TRUE(in_report.pass()); });
}

// ---- Failures of the tracker -----------------------------------------------------------------

// Fails one function of a tracker from its n-th call on, so many times.
class FailingTracker : public WatchedTracker {
 public:
  static constexpr int kAlways = std::numeric_limits<int>::max();

  FailingTracker(Tracker& real, const std::string& function, int nth, int times = 1)
      : WatchedTracker(real), nth_(nth), times_(times) {
    const auto fails = [this] {
      const int call = ++calls_;
      if (call >= nth_ && call - nth_ < times_) {
        ++failed_;
        throw Error(ErrorCode::kFull, "disk full");
      }
    };
    if (function == "claim_images") {
      ON_CALL(*this, claim_images).WillByDefault([=, &real](JobId job, std::size_t limit) {
        fails();
        return real.claim_images(job, limit);
      });
    } else if (function == "mark_outcomes") {
      ON_CALL(*this, mark_outcomes).WillByDefault([=, &real](std::span<const Outcome> outcomes) {
        fails();
        return real.mark_outcomes(outcomes);
      });
    } else if (function == "release_images") {
      ON_CALL(*this, release_images).WillByDefault([=, &real](std::span<const Image> images) {
        fails();
        return real.release_images(images);
      });
    } else if (function == "checkpoint") {
      ON_CALL(*this, checkpoint).WillByDefault([=, &real](JobId job) {
        fails();
        real.checkpoint(job);
      });
    } else if (function == "get_status_counts") {
      ON_CALL(*this, get_status_counts).WillByDefault([=, &real](JobId job) {
        fails();
        return real.get_status_counts(job);
      });
    } else if (function == "get_image") {
      ON_CALL(*this, get_image).WillByDefault([=, &real](ImageId id) {
        fails();
        return real.get_image(id);
      });
    } else if (function == "list_jobs") {
      ON_CALL(*this, list_jobs).WillByDefault([=, &real] {
        fails();
        return real.list_jobs();
      });
    } else {
      throw std::invalid_argument(function);
    }
  }

  int failed() const { return failed_; }

 private:
  const int nth_;
  const int times_;
  std::atomic<int> calls_{0};
  std::atomic<int> failed_{0};
};

struct FailureCase {
  std::string function;
  int nth;
};

class RunJobFailureTest : public RunJobTest, public testing::WithParamInterface<FailureCase> {};

TEST_P(RunJobFailureTest, EndsTheRunAndLeavesNothingHeld) {
  const JobId job = make_job(100);
  FailingTracker failing(tracker, GetParam().function, GetParam().nth);
  std::stop_source source;
  std::atomic<int> finished = 0;

  const Error error = error_of([&] {
    // Claims of one image, so that get_image is called; a stop, so that release_images is.
    run(failing, job,
        {.workers = 2,
         .claim_size = GetParam().function == "release_images" ? 100U : 1U,
         .wait_for_others = true,
         .checkpoint_interval = 1ms,
         .stop = GetParam().function == "release_images" ? source.get_token() : std::stop_token(),
         .on_progress = [](const StatusCounts&) {}},
        [&](const Image&) {
          if (++finished == 50) {
            source.request_stop();
          }
        });
  });

  EXPECT_EQ(error.code(), ErrorCode::kFull);

  EXPECT_EQ(failing.failed(), 1);
  EXPECT_EQ(counts(job).processing, 0);
  EXPECT_EQ(counts(job).completed, finished) << "what is finished is marked";
}

INSTANTIATE_TEST_SUITE_P(
    Functions, RunJobFailureTest,
    testing::Values(FailureCase{"claim_images", 1}, FailureCase{"claim_images", 3},
                    FailureCase{"mark_outcomes", 1}, FailureCase{"release_images", 1},
                    FailureCase{"checkpoint", 1}, FailureCase{"get_status_counts", 1},
                    FailureCase{"get_image", 1}, FailureCase{"get_image", 5},
                    FailureCase{"list_jobs", 1}),
    [](const auto& test) { return test.param.function + "_" + std::to_string(test.param.nth); });

TEST_F(RunJobTest, ImagesInWorkDuringAFailureAreFinishedAndMarked) {
  const JobId job = make_job(30);
  FailingTracker failing(tracker, "claim_images", 2);
  Gate failed;

  const Error error = error_of([&] {
    run(failing, job, {.workers = 3, .claim_size = 3}, [&](const Image& image) {
      if (image.path == "0.png") {
        while (failing.failed() == 0) {
          std::this_thread::yield();
        }
        failed.open();
      } else if (image.path == "1.png") {
        EXPECT_TRUE(failed.pass());
        throw std::runtime_error("an error found during the failure");
      }
    });
  });

  EXPECT_EQ(error.code(), ErrorCode::kFull);

  EXPECT_EQ(counts(job),
            (StatusCounts{.pending = 27, .processing = 0, .completed = 2, .error = 1}));
}

TEST_F(RunJobTest, WhatIsNotStartedWhenMarkingFailsIsReleased) {
  const JobId job = make_job(20);
  FailingTracker failing(tracker, "mark_outcomes", 1, FailingTracker::kAlways);
  Gate failed;

  const Error error = error_of([&] {
    run(failing, job, {.workers = 1, .claim_size = 20}, [&](const Image& image) {
      if (image.path == "1.png") {
        while (failing.failed() == 0) {
          std::this_thread::yield();
        }
      }
    });
  });

  EXPECT_EQ(error.code(), ErrorCode::kFull);

  EXPECT_GE(failing.failed(), 2) << "tried once more at the end";
  const StatusCounts now = counts(job);
  EXPECT_GE(now.processing, 2) << "finished images that could not be marked stay held";
  EXPECT_EQ(now.pending + now.processing, 20);
  EXPECT_THAT(log, Contains(Pair(LogLevel::kError, HasSubstr("could not be marked"))));
}

TEST_F(RunJobTest, TheFirstErrorIsTheOneRethrown) {
  const JobId job = make_job(5);
  WatchedTracker watched(tracker);
  ON_CALL(watched, mark_outcomes).WillByDefault([](std::span<const Outcome>) -> std::size_t {
    throw Error(ErrorCode::kFull, "first");
  });
  ON_CALL(watched, release_images).WillByDefault([](std::span<const Image>) -> std::size_t {
    throw Error(ErrorCode::kIo, "second");
  });
  ON_CALL(watched, checkpoint).WillByDefault([](JobId) { throw 3; });

  const Error error = error_of([&] {
    run_job(watched, job, noting(), {.workers = 1, .claim_size = 5, .checkpoint_interval = 24h});
  });

  EXPECT_STREQ(error.what(), "first");
}

TEST_F(RunJobTest, AnExceptionOfOnProgressIsKeptBeforeALaterError) {
  const JobId job = make_job(5);
  WatchedTracker watched(tracker);
  Gate release_failed;
  ON_CALL(watched, release_images).WillByDefault([&](std::span<const Image>) -> std::size_t {
    release_failed.open();
    throw Error(ErrorCode::kIo, "second");
  });
  Gate started;
  const RunOptions options{.workers = 1,
                           .claim_size = 5,
                           .checkpoint_interval = 1ms,
                           .on_progress = [&](const StatusCounts&) {
                             EXPECT_TRUE(started.pass());
                             throw Error(ErrorCode::kBusy, "first");
                           }};

  const Error error = error_of([&] {
    run(watched, job, options, [&](const Image&) {
      started.open();
      EXPECT_TRUE(release_failed.pass());
    });
  });

  EXPECT_STREQ(error.what(), "first");
}

TEST_F(RunJobTest, AnExceptionOfAnotherTypeIsRethrownAsItIs) {
  const JobId job = make_job(5);
  WatchedTracker watched(tracker);
  ON_CALL(watched, claim_images).WillByDefault([](JobId, std::size_t) -> std::vector<Image> {
    throw std::bad_alloc();
  });

  EXPECT_THROW(run_job(watched, job, noting()), std::bad_alloc);
}

TEST_F(RunJobTest, AnExceptionOfOnProgressEndsTheRun) {
  const JobId job = make_job(20);
  Gate thrown;

  EXPECT_THROW(run(tracker, job,
                   {.workers = 2,
                    .claim_size = 10,
                    .checkpoint_interval = 1ms,
                    .on_progress =
                        [&](const StatusCounts& now) {
                          if (now.processing > 0) {
                            thrown.open();
                            throw std::out_of_range("from on_progress");
                          }
                        }},
                   [&](const Image& image) {
                     note(image);
                     EXPECT_TRUE(thrown.pass());
                   }),
               std::out_of_range);

  EXPECT_EQ(counts(job).processing, 0);
  EXPECT_EQ(counts(job).completed, static_cast<std::int64_t>(calls.size()));
}

TEST_F(RunJobTest, AnExceptionOfTheLastOnProgressIsThrownToo) {
  const JobId job = make_job(1);

  EXPECT_THROW(
      run_job(tracker, job, noting(),
              {.checkpoint_interval = 24h, .on_progress = [](const StatusCounts&) { throw 1; }}),
      int);
  EXPECT_EQ(counts(job).completed, 1);
}

}  // namespace
}  // namespace progress_tracker

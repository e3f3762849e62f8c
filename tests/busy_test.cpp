// How long a transaction waits for others, how it waits, and what is tried again.
#include "sqlite/busy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "progress_tracker/progress_tracker.h"
#include "sqlite/connection.h"
#include "sqlite/transaction.h"
#include "support.h"
#include "testing_hooks.h"
#include "writer_queue.h"

namespace progress_tracker {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using test::FakeClock;
using test::image_paths;
using test::Outsider;
using test::TempDirectory;
using test::ThrowsError;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;

// ---- WaitBudget --------------------------------------------------------------------------------

TEST(WaitBudget, SleepsAndCountsIt) {
  FakeClock clock;
  sqlite::WaitBudget budget(clock, 100ms);

  EXPECT_TRUE(budget.sleep(30ms));

  EXPECT_EQ(budget.left(), 70ms);
  EXPECT_EQ(clock.total_slept(), 30ms);
}

TEST(WaitBudget, SleepsNoLongerThanIsLeft) {
  FakeClock clock;
  sqlite::WaitBudget budget(clock, 100ms);

  EXPECT_TRUE(budget.sleep(1h));
  EXPECT_TRUE(budget.exhausted());
  EXPECT_FALSE(budget.sleep(1ns));

  EXPECT_EQ(clock.total_slept(), 100ms);
}

TEST(WaitBudget, OfNothingIsExhaustedAtOnce) {
  FakeClock clock;
  sqlite::WaitBudget budget(clock, 0ms);

  EXPECT_TRUE(budget.exhausted());
  EXPECT_FALSE(budget.sleep(1ms));

  EXPECT_THAT(clock.sleeps(), IsEmpty());
}

TEST(WaitBudget, CountsWaitingAndNotWork) {
  FakeClock clock;
  sqlite::WaitBudget budget(clock, 100ms);
  clock.advance(1h);
  EXPECT_EQ(budget.left(), 100ms);
}

TEST(WaitBudget, CountsHowLongASleepTookAndNotHowLongItWasToTake) {
  class SlowClock final : public FakeClock {
   public:
    void sleep_for(nanoseconds duration) override { FakeClock::sleep_for(3 * duration); }
  };
  SlowClock clock;
  sqlite::WaitBudget budget(clock, 100ms);
  EXPECT_TRUE(budget.sleep(30ms));
  EXPECT_EQ(budget.left(), 10ms);
}

TEST(WaitBudget, CountsWhatWasWaitedElsewhere) {
  FakeClock clock;
  sqlite::WaitBudget budget(clock, 100ms);
  budget.spend(150ms);
  EXPECT_TRUE(budget.exhausted());
}

// ---- The pauses --------------------------------------------------------------------------------

struct PauseCase {
  int first;
  int last;
  nanoseconds low;
  nanoseconds high;
};

class BusyPause : public testing::TestWithParam<PauseCase> {};

TEST_P(BusyPause, IsShortAndJittered) {
  for (int tries = GetParam().first; tries <= GetParam().last; ++tries) {
    std::set<nanoseconds> seen;
    for (int i = 0; i < 200; ++i) {
      seen.insert(sqlite::busy_pause(tries));
    }
    EXPECT_GE(*seen.begin(), GetParam().low) << tries;
    EXPECT_LE(*seen.rbegin(), GetParam().high) << tries;
    EXPECT_GT(seen.size(), 10U) << tries << ": those who wait would come back together";
  }
}

INSTANTIATE_TEST_SUITE_P(Steps, BusyPause,
                         testing::Values(PauseCase{0, 4, 30us, 70us},
                                         PauseCase{5, 19, 100us, 300us},
                                         PauseCase{20, 30, 300us, 1ms},
                                         PauseCase{1'000'000, 1'000'001, 300us, 1ms}));

TEST(BusyPause, IsNotTheSameInEveryThread) {
  const auto pauses = [] {
    std::vector<nanoseconds> all(20);
    std::generate(all.begin(), all.end(), [] { return sqlite::busy_pause(100); });
    return all;
  };
  std::vector<nanoseconds> elsewhere;
  std::thread([&] { elsewhere = pauses(); }).join();
  EXPECT_NE(pauses(), elsewhere);
}

// ---- What is run again -------------------------------------------------------------------------

class RetryTest : public testing::Test {
 protected:
  // Fails `failures` times with `code`, then succeeds.
  void retry(int code, int failures, const Options& options = {}) {
    sqlite::WaitBudget budget(clock, options.busy_timeout);
    sqlite::retry("claim_images", "jobs.db", options, budget, [&] {
      if (attempts++ < failures) {
        throw sqlite::Failure(code, "injected");
      }
    });
  }

  FakeClock clock;
  int attempts{0};
};

constexpr int kForEver = std::numeric_limits<int>::max();

class RunAgain : public RetryTest, public testing::WithParamInterface<int> {};

TEST_P(RunAgain, AfterADelayThatDoublesAndThenStays) {
  retry(GetParam(), 8);

  EXPECT_EQ(attempts, 9);
  EXPECT_THAT(clock.sleeps(), ElementsAre(500ms, 1s, 2s, 4s, 8s, 16s, 16s, 16s));
}

TEST_P(RunAgain, UntilBusyTimeoutIsUsedUp) {
  EXPECT_THAT([&] { retry(GetParam(), kForEver, {.busy_timeout = 10s}); },
              ThrowsError(ErrorCode::kBusy));

  EXPECT_THAT(clock.sleeps(), ElementsAre(500ms, 1s, 2s, 4s, 2500ms));
  EXPECT_EQ(clock.total_slept(), 10s);
  EXPECT_EQ(attempts, 6) << "the last try is after the last wait";
}

TEST_P(RunAgain, NotWithoutTimeToWait) {
  EXPECT_THAT([&] { retry(GetParam(), kForEver, {.busy_timeout = 0ms}); },
              ThrowsError(ErrorCode::kBusy));
  EXPECT_EQ(attempts, 1);
  EXPECT_THAT(clock.sleeps(), IsEmpty());
}

TEST_P(RunAgain, TheErrorNamesOperationFileCauseAndWait) {
  const auto error = test::error_of([&] { retry(GetParam(), kForEver, {.busy_timeout = 10s}); });
  ASSERT_TRUE(error.has_value());
  EXPECT_THAT(error->what(), AllOf(HasSubstr("claim_images"), HasSubstr("jobs.db"),
                                   HasSubstr("injected"), HasSubstr("10000 ms")));
  EXPECT_EQ(error->sqlite_code(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Codes, RunAgain,
                         testing::Values(SQLITE_BUSY_SNAPSHOT, SQLITE_BUSY_RECOVERY,
                                         SQLITE_PROTOCOL));

TEST_F(RetryTest, TheDelayStaysAtOnceWithoutDoublings) {
  retry(SQLITE_PROTOCOL, 3, {.max_retries = 0, .retry_delay = 7ms});
  EXPECT_THAT(clock.sleeps(), ElementsAre(7ms, 7ms, 7ms));
}

TEST_F(RetryTest, ManyDoublingsDoNotOverflow) {
  const Options options{.busy_timeout = 24h, .max_retries = kForEver, .retry_delay = 1ms};
  EXPECT_THAT([&] { retry(SQLITE_PROTOCOL, 1'000, options); }, ThrowsError(ErrorCode::kBusy));
  EXPECT_THAT(clock.sleeps(), Each(Ge(0ns)));
  EXPECT_EQ(clock.total_slept(), 24h);
}

TEST_F(RetryTest, ANullDelayEndsToo) {
  // Without a pause nothing would ever use up the time to wait.
  const Options options{.busy_timeout = 10ms, .retry_delay = 0ms};
  EXPECT_THAT([&] { retry(SQLITE_PROTOCOL, 1'000'000, options); }, ThrowsError(ErrorCode::kBusy));
}

struct CodeCase {
  int sqlite_code;
  ErrorCode code;
  friend std::ostream& operator<<(std::ostream& out, const CodeCase& each) {
    return out << sqlite3_errstr(each.sqlite_code) << ' ' << each.sqlite_code;
  }
};

class RunOnce : public RetryTest, public testing::WithParamInterface<CodeCase> {};

TEST_P(RunOnce, AndReportedAsWhatItIs) {
  const auto error = test::error_of([&] { retry(GetParam().sqlite_code, kForEver); });

  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(to_string(error->code()), to_string(GetParam().code));
  EXPECT_EQ(error->sqlite_code(), GetParam().sqlite_code);
  EXPECT_EQ(attempts, 1);
  EXPECT_THAT(clock.sleeps(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Codes, RunOnce,
    testing::Values(
        CodeCase{SQLITE_BUSY, ErrorCode::kBusy}, CodeCase{SQLITE_BUSY_TIMEOUT, ErrorCode::kBusy},
        CodeCase{SQLITE_LOCKED, ErrorCode::kBusy}, CodeCase{SQLITE_READONLY, ErrorCode::kReadOnly},
        CodeCase{SQLITE_READONLY_DBMOVED, ErrorCode::kDatabaseMoved},
        CodeCase{SQLITE_FULL, ErrorCode::kFull}, CodeCase{SQLITE_IOERR_SHMSIZE, ErrorCode::kFull},
        CodeCase{SQLITE_IOERR_READ, ErrorCode::kIo}, CodeCase{SQLITE_CANTOPEN, ErrorCode::kIo},
        CodeCase{SQLITE_PERM, ErrorCode::kIo}, CodeCase{SQLITE_AUTH, ErrorCode::kIo},
        CodeCase{SQLITE_CORRUPT, ErrorCode::kCorrupt},
        CodeCase{SQLITE_CORRUPT_INDEX, ErrorCode::kCorrupt},
        CodeCase{SQLITE_CONSTRAINT_CHECK, ErrorCode::kCorrupt},
        CodeCase{SQLITE_ERROR, ErrorCode::kCorrupt}, CodeCase{SQLITE_NOTADB, ErrorCode::kCorrupt}));

TEST_F(RetryTest, WhatIsNotSQLitesGoesThroughAtOnce) {
  sqlite::WaitBudget budget(clock, 10s);
  const auto throwing = [&](const auto& error) {
    return [&] {
      sqlite::retry("claim_images", "jobs.db", {}, budget, [&] {
        ++attempts;
        throw error;
      });
    };
  };
  EXPECT_THROW(throwing(std::bad_alloc())(), std::bad_alloc);
  EXPECT_THROW(throwing(std::logic_error("x"))(), std::logic_error);
  EXPECT_THAT(throwing(Error(ErrorCode::kNotFound, "x")), ThrowsError(ErrorCode::kNotFound));
  EXPECT_EQ(attempts, 3);
}

// ---- The writers' queue ------------------------------------------------------------------------

TEST(WriterQueue, LetsOneInAtATime) {
  WriterQueue queue;
  FakeClock clock;
  sqlite::WaitBudget budget(clock, 0ms);
  const WriterQueue::Place first(queue, budget);
  ASSERT_TRUE(first.held());

  EXPECT_FALSE(WriterQueue::Place(queue, budget).held()) << "no time to wait";
}

TEST(WriterQueue, IsFreeAgainAfterwards) {
  WriterQueue queue;
  FakeClock clock;
  sqlite::WaitBudget budget(clock, 0ms);
  { const WriterQueue::Place first(queue, budget); }
  EXPECT_TRUE(WriterQueue::Place(queue, budget).held());
}

TEST(WriterQueue, WhoGivesUpIsNotWaitedFor) {
  WriterQueue queue;
  FakeClock clock;
  {
    sqlite::WaitBudget none(clock, 0ms);
    const WriterQueue::Place holder(queue, none);
    std::thread([&] {
      sqlite::WaitBudget little(clock, 1ms);
      EXPECT_FALSE(WriterQueue::Place(queue, little).held());
      EXPECT_TRUE(little.exhausted());
    }).join();
  }
  sqlite::WaitBudget none(clock, 0ms);
  EXPECT_TRUE(WriterQueue::Place(queue, none).held());
}

TEST(WriterQueue, AVeryLongTimeToWaitDoesNotOverflow) {
  WriterQueue queue;
  FakeClock clock;
  sqlite::WaitBudget none(clock, 0ms);
  auto holder = std::make_optional<WriterQueue::Place>(queue, none);
  std::atomic<bool> asks{false};
  std::thread waiter([&] {
    sqlite::WaitBudget ages(clock, nanoseconds::max());
    asks = true;
    const WriterQueue::Place place(queue, ages);
    EXPECT_TRUE(place.held());
  });
  while (!asks) {
    std::this_thread::yield();
  }
  holder.reset();
  waiter.join();
}

// Visitors that share are taken by the holder of the place, in their order, as far as one that does
// not.
TEST(WriterQueue, TheHolderDoesTheWorkOfThoseWhoShare) {
  using Visitor = WriterQueue::Visitor;
  WriterQueue queue;
  sqlite::WaitBudget budget(Clock::system(), 1min);
  auto holder = std::make_optional<WriterQueue::Place>(queue, budget);
  std::vector<std::thread> threads;
  std::vector<Visitor*> taken;
  std::atomic<int> returned{0};
  const auto take_one = [&] {
    threads.emplace_back([&] {
      sqlite::WaitBudget its_budget(Clock::system(), 1min);
      Visitor visitor(its_budget, true);
      EXPECT_EQ(queue.enter(visitor), WriterQueue::Entry::kDone);
      ++returned;
    });
    Visitor* next = nullptr;
    while ((next = queue.take_next()) == nullptr) {
      std::this_thread::yield();
    }
    taken.push_back(next);
  };
  for (int i = 0; i < 3; ++i) {
    take_one();
  }
  EXPECT_EQ(returned, 0) << "before their work was reported";

  std::atomic<bool> has_place{false};
  std::thread exclusive([&] {
    sqlite::WaitBudget its_budget(Clock::system(), 1min);
    const WriterQueue::Place place(queue, its_budget);
    has_place = place.held();
  });
  EXPECT_FALSE(has_place);
  queue.done(taken);
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(returned, 3);
  EXPECT_EQ(queue.take_next(), nullptr) << "who does not share is not taken";
  holder.reset();
  exclusive.join();
  EXPECT_TRUE(has_place);
}

TEST(WriterQueue, WhoSharesAndFindsNobodyHasThePlace) {
  WriterQueue queue;
  FakeClock clock;
  sqlite::WaitBudget none(clock, 0ms);
  WriterQueue::Visitor first(none, true);
  ASSERT_EQ(queue.enter(first), WriterQueue::Entry::kPlace);
  WriterQueue::Visitor second(none, true);
  EXPECT_EQ(queue.enter(second), WriterQueue::Entry::kNone) << "no time to wait";
  queue.leave();
  EXPECT_EQ(queue.enter(second), WriterQueue::Entry::kPlace);
}

TEST(WriterQueue, KeepsTheOrderAndExcludes) {
  // Each thread takes the place again and again. First come, first served: between two turns of
  // one, nobody who waits has two.
  constexpr int kThreads = 4;
  constexpr int kTurns = 2'000;
  WriterQueue queue;
  std::atomic<int> inside{0};
  std::atomic<int> together{0};
  std::vector<int> order;  // guarded by the queue
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int turn = 0; turn < kTurns; ++turn) {
        sqlite::WaitBudget budget(Clock::system(), 1min);
        const WriterQueue::Place place(queue, budget);
        ASSERT_TRUE(place.held());
        together += inside.fetch_add(1) == 0 ? 0 : 1;
        order.push_back(i);
        inside.fetch_sub(1);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(together, 0);
  EXPECT_EQ(order.size(), static_cast<std::size_t>(kThreads * kTurns));
}

TEST(WriterQueue, ServesThoseWhoWaitInTheOrderInWhichTheyCame) {
  constexpr int kThreads = 5;
  WriterQueue queue;
  FakeClock clock;
  sqlite::WaitBudget none(clock, 0ms);
  auto holder = std::make_optional<WriterQueue::Place>(queue, none);
  std::mutex mutex;
  std::vector<int> served;  // guarded by mutex
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    std::atomic<pid_t> id{0};
    threads.emplace_back([&, i] {
      id = ::gettid();
      sqlite::WaitBudget budget(Clock::system(), 1min);
      const WriterQueue::Place place(queue, budget);
      const std::lock_guard lock(mutex);
      served.push_back(i);
    });
    // Asleep: so it has taken its number.
    for (char state = 'R'; state != 'S';) {
      std::this_thread::yield();
      if (id != 0) {
        const std::string stat =
            test::contents_of("/proc/self/task/" + std::to_string(id) + "/stat");
        state = stat.at(stat.rfind(')') + 2);
      }
    }
  }
  holder.reset();
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_THAT(served, ElementsAre(0, 1, 2, 3, 4));
}

// ---- A tracker beside another writer -----------------------------------------------------------

class BusyTest : public testing::Test {
 protected:
  BusyTest() {
    ProgressTracker maker(path);
    job = maker.create_job("job", image_paths(10), {});
    held = maker.claim_images(job, 2);
    maker.close();
    blocker.emplace(path);
    blocker->run("BEGIN IMMEDIATE");
  }

  std::unique_ptr<ProgressTracker> open(std::chrono::milliseconds busy_timeout) {
    return internal::open_with_clock(path, {.busy_timeout = busy_timeout}, clock);
  }

  struct WritingCall {
    std::string name;
    std::function<void(ProgressTracker&)> run;
  };

  std::vector<WritingCall> writing_calls() {
    const std::vector<ImageId> ids{held.at(0).id};
    return {
        {"create_job", [](auto& t) { t.create_job("new", image_paths(3), {}); }},
        {"create_job, long", [](auto& t) { t.create_job("new", image_paths(3'000), {}); }},
        {"add_images", [this](auto& t) { t.add_images(job, image_paths(3, "new"), {}); }},
        {"chain_job", [this](auto& t) { t.chain_job("chained", job); }},
        {"remove_job", [this](auto& t) { t.remove_job(job); }},
        {"mark_processing", [this](auto& t) { t.mark_processing(std::vector{held.at(0).id}); }},
        {"claim_images", [this](auto& t) { t.claim_images(job, 1); }},
        {"mark_completed", [this](auto& t) { t.mark_completed(held.at(0).id); }},
        {"mark_error", [this](auto& t) { t.mark_error(held.at(0).id, "x"); }},
        {"complete", [this](auto& t) { t.complete(held.at(0)); }},
        {"release_images", [this](auto& t) { t.release_images(held); }},
        {"reset_stuck_images", [this](auto& t) { t.reset_stuck_images(job); }},
        {"reset_error_images", [this](auto& t) { t.reset_error_images(job); }},
        {"retry_images", [this](auto& t) { t.retry_images(std::vector{held.at(0).id}); }},
        {"checkpoint", [this](auto& t) { t.checkpoint(job); }},
        {"create_batch", [this](auto& t) { t.create_batch(job, 1, 1); }},
    };
  }

  TempDirectory directory;
  const std::filesystem::path path = directory / "jobs.db";
  JobId job{};
  std::vector<Image> held;
  FakeClock clock;
  std::optional<Outsider> blocker;
};

TEST_F(BusyTest, EveryWritingCallGivesUpAtOnceWithoutTimeToWait) {
  const auto tracker = open(0ms);
  for (const WritingCall& call : writing_calls()) {
    EXPECT_THAT([&] { call.run(*tracker); }, ThrowsError(ErrorCode::kBusy)) << call.name;
  }
  EXPECT_THAT(clock.sleeps(), IsEmpty());
}

TEST_F(BusyTest, EveryWritingCallWaitsAsLongAsItMayAndNotLonger) {
  const auto tracker = open(50ms);
  for (const WritingCall& call : writing_calls()) {
    const nanoseconds before = clock.total_slept();
    EXPECT_THAT([&] { call.run(*tracker); }, ThrowsError(ErrorCode::kBusy)) << call.name;
    EXPECT_EQ(clock.total_slept() - before, 50ms) << call.name;
  }
  EXPECT_THAT(clock.sleeps(), Each(Le(1ms)));
}

TEST_F(BusyTest, NothingWasDone) {
  const auto tracker = open(5ms);
  for (const WritingCall& call : writing_calls()) {
    EXPECT_THAT([&] { call.run(*tracker); }, ThrowsError(ErrorCode::kBusy)) << call.name;
  }
  blocker->run("ROLLBACK");
  EXPECT_EQ(tracker->get_status_counts(job), (StatusCounts{.pending = 8, .processing = 2}));
  EXPECT_EQ(tracker->list_jobs().size(), 1U);
}

TEST_F(BusyTest, ReadingWaitsForNobody) {
  const auto tracker = open(0ms);
  EXPECT_EQ(tracker->get_status_counts(job), (StatusCounts{.pending = 8, .processing = 2}));
  EXPECT_EQ(tracker->get_images(job).size(), 10U);
  EXPECT_EQ(tracker->list_workers().size(), 1U);
  EXPECT_THAT(clock.sleeps(), IsEmpty());
}

TEST_F(BusyTest, TheErrorNamesOperationFileCauseAndWait) {
  const auto tracker = open(50ms);
  const auto error = test::error_of([&] { tracker->checkpoint(job); });
  ASSERT_TRUE(error.has_value());
  EXPECT_THAT(error->what(), AllOf(HasSubstr("checkpoint"), HasSubstr(path.native()),
                                   HasSubstr("locked"), HasSubstr("50 ms")));
  EXPECT_EQ(error->sqlite_code() & 0xff, SQLITE_BUSY);
}

TEST_F(BusyTest, WorksAgainOnceTheOtherIsDone) {
  const auto tracker = open(0ms);
  EXPECT_THAT([&] { tracker->checkpoint(job); }, ThrowsError(ErrorCode::kBusy));
  blocker->run("COMMIT");
  for (const WritingCall& call : writing_calls()) {
    if (call.name != "remove_job" && call.name != "create_job, long") {
      try {
        call.run(*tracker);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kInvalidTransition) << call.name << ": " << error.what();
      }
    }
  }
}

TEST_F(BusyTest, GoesOnAsSoonAsTheOtherIsDone) {
  class ReleasingClock final : public FakeClock {
   public:
    explicit ReleasingClock(std::function<void()> release) : release_(std::move(release)) {}
    void sleep_for(nanoseconds duration) override {
      FakeClock::sleep_for(duration);
      if (sleeps().size() == 3) {
        release_();
      }
    }

   private:
    std::function<void()> release_;
  };
  ReleasingClock releasing([&] { blocker->run("COMMIT"); });
  const auto tracker = internal::open_with_clock(path, {}, releasing);

  tracker->checkpoint(job);

  EXPECT_EQ(releasing.sleeps().size(), 3U);
}

TEST_F(BusyTest, ACloseThatCannotSayFarewellLeavesTheTrackerOpen) {
  blocker->run("COMMIT");
  const auto tracker = open(0ms);
  tracker->claim_images(job, 1);
  blocker->run("BEGIN IMMEDIATE");

  EXPECT_THAT([&] { tracker->close(); }, ThrowsError(ErrorCode::kBusy));

  blocker->run("COMMIT");
  EXPECT_EQ(tracker->get_status_counts(job)->processing, 3);
  tracker->close();
  EXPECT_THAT([&] { tracker->checkpoint(job); }, ThrowsError(ErrorCode::kClosed));
}

TEST_F(BusyTest, AWorkerThatHoldsNothingIsClosedWithoutWaiting) {
  blocker->run("COMMIT");
  const auto tracker = open(50ms);
  tracker->mark_completed(tracker->claim_images(job, 1).at(0).id);
  blocker->run("BEGIN IMMEDIATE");

  tracker->close();

  EXPECT_EQ(clock.total_slept(), 0ms);
}

TEST_F(BusyTest, TheDestructorSaysWhatANamedCloseWouldHaveThrown) {
  blocker->run("COMMIT");
  auto tracker = open(0ms);
  tracker->claim_images(job, 1);
  blocker->run("BEGIN IMMEDIATE");
  const test::LogCapture log;

  tracker.reset();

  EXPECT_THAT(log.lines(),
              ElementsAre(testing::Pair(
                  LogLevel::kError, AllOf(HasSubstr("will count a death"), HasSubstr("locked")))));
}

TEST_F(BusyTest, OpeningWaitsForAnExclusiveLockAndNotLonger) {
  blocker->run("COMMIT; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");

  EXPECT_THAT([&] { open(50ms); }, ThrowsError(ErrorCode::kBusy));

  EXPECT_LE(clock.total_slept(), 50ms);
  EXPECT_GT(clock.total_slept(), 0ms);
}

TEST_F(BusyTest, SwitchingToTheLogWaitsForReadersAndNotLonger) {
  blocker->run("COMMIT; PRAGMA journal_mode = DELETE; BEGIN; SELECT * FROM job");

  EXPECT_THAT([&] { open(50ms); }, ThrowsError(ErrorCode::kBusy));

  EXPECT_LE(clock.total_slept(), 50ms);
}

TEST_F(BusyTest, AThreadThatWaitsForAnotherOfItsTrackerGivesUpInTime) {
  // The first waits for the outsider under a clock that never moves by itself; the second for the
  // first.
  class StandingClock final : public FakeClock {
   public:
    void sleep_for(nanoseconds duration) override {
      FakeClock::sleep_for(duration);
      waiting = true;
      while (!finish) {
        std::this_thread::yield();
      }
    }
    std::atomic<bool> waiting{false};
    std::atomic<bool> finish{false};
  };
  StandingClock standing;
  const auto tracker = internal::open_with_clock(path, {.busy_timeout = 20ms}, standing);
  std::thread first(
      [&] { EXPECT_THAT([&] { tracker->checkpoint(job); }, ThrowsError(ErrorCode::kBusy)); });
  while (!standing.waiting) {
    std::this_thread::yield();
  }

  const auto error = test::error_of([&] { tracker->checkpoint(job); });

  standing.finish = true;
  first.join();
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kBusy);
}

}  // namespace
}  // namespace progress_tracker

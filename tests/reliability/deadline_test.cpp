// G14: calls beside a writer that was stopped in the middle of its transaction wait as long as
// busy_timeout says, and no longer. Their waiting is counted by a clock of the test's own, which
// goes only while they sleep.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "audit.h"
#include "campaign.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "progress_tracker/progress_tracker.h"
#include "public_calls.h"
#include "record.h"
#include "support.h"
#include "testing_hooks.h"

namespace progress_tracker::reliability {
namespace {

using namespace std::chrono_literals;
using processes::Arguments;
using processes::Audit;
using processes::hear;
using processes::Process;
using processes::say;
using processes::TemporaryDirectory;
using processes::text;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using test::FakeClock;

// Arguments: database, SQL. Has the transaction that the SQL begins open until it is told to go on.
int hold(const Arguments& arguments) {
  test::Outsider outsider(arguments.at(0));
  outsider.run(arguments.at(1));
  say("holds");
  hear();
  outsider.run("COMMIT");
  say("committed");
  hear();
  return 0;
}

const processes::RegisterActor kHolder{"holder", hold};

// A program that has begun such a transaction and was stopped.
class StoppedWriter {
 public:
  explicit StoppedWriter(const std::filesystem::path& database,
                         const std::string& sql = "BEGIN IMMEDIATE; PRAGMA user_version")
      : process_("holder", {database.string(), sql}) {
    EXPECT_EQ(process_.receive(), "holds");
    process_.stop();
  }
  void go_on() {
    process_.go_on();
    process_.send("commit");
    EXPECT_EQ(process_.receive(), "committed");
  }

 private:
  Process process_;
};

// Throws kBusy, and slept for busy_timeout exactly.
std::string refused_in_time(FakeClock& clock, milliseconds busy_timeout,
                            const std::function<void()>& call) {
  const nanoseconds before = clock.total_slept();
  const std::string code = test::code_of(call);
  const nanoseconds waited = clock.total_slept() - before;
  if (code == to_string(ErrorCode::kBusy) && waited == busy_timeout) {
    return "";
  }
  return code + " after waiting " + std::to_string(waited.count()) + " ns of " +
         std::to_string(busy_timeout.count()) + " ms";
}

TEST(Deadline, OfEveryWritingCallBesideAStoppedWriterIsKept) {
  const auto wanted = sized(100, 10'000);
  constexpr auto kTimeouts = std::to_array<milliseconds>({0ms, 20ms, 1ms, 7s});
  Row row("G14", "writing calls beside a stopped writer");
  row.remark = "waited as told, exactly";
  for (std::size_t cycle = 0; row.count < wanted; ++cycle) {
    const milliseconds busy_timeout = kTimeouts[cycle % kTimeouts.size()];
    SCOPED_TRACE("busy_timeout " + std::to_string(busy_timeout.count()) + " ms");
    const TemporaryDirectory directory;
    const Stage stage(directory.database());
    FakeClock clock;
    const auto open = [&] {
      return internal::open_with_clock(directory.database(), {.busy_timeout = busy_timeout}, clock);
    };
    const auto tracker = open();
    ASSERT_EQ(tracker->claim_images(stage.job(), 1).size(), 1U);  // for close() to say farewell to
    Audit audit(directory.database());
    const auto before = processes::picture_of(audit);
    StoppedWriter writer(directory.database());

    const auto expect_refused = [&](const std::string& name, const std::function<void()>& call) {
      const std::string fault = refused_in_time(clock, busy_timeout, call);
      row.wrong += fault.empty() ? 0 : 1;
      EXPECT_EQ(fault, "") << name;
      ++row.count;
    };
    for (const PublicCall& call : stage.calls()) {
      if (call.kind == PublicCall::Kind::kWrites) {
        expect_refused(call.name, [&] { call.run(*tracker); });
      } else {
        const nanoseconds slept = clock.total_slept();
        EXPECT_EQ(test::code_of([&] { call.run(*tracker); }), "no error") << call.name;
        EXPECT_EQ(clock.total_slept(), slept) << call.name;
      }
    }
    expect_refused("close", [&] { tracker->close(); });
    const nanoseconds slept = clock.total_slept();
    EXPECT_EQ(test::code_of([&] { open()->list_jobs(); }), "no error") << "opening";
    EXPECT_EQ(clock.total_slept(), slept) << "opening writes nothing";
    const auto after = processes::picture_of(audit);
    EXPECT_EQ(after, before) << processes::difference(before, after);

    writer.go_on();
    for (const PublicCall& call : stage.calls()) {
      EXPECT_EQ(test::code_of([&] { call.run(*tracker); }), "no error") << call.name;
    }
    EXPECT_EQ(test::code_of([&] { tracker->close(); }), "no error");
    audit.expect_sound();
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

// With marks held back every call would have to commit them first; sync() too.
TEST(Deadline, OfCallsThatHaveToCommitBufferedMarksIsKept) {
  Row row("G14", "calls with buffered marks beside a stopped writer");
  const TemporaryDirectory directory;
  const Stage stage(directory.database());
  FakeClock clock;
  const auto tracker = internal::open_with_clock(directory.database(),
                                                 {.busy_timeout = 20ms, .mark_buffer = 2}, clock);
  const auto images = tracker->claim_images(stage.job(), 4);
  ASSERT_EQ(images.size(), 4U);
  tracker->mark_completed(images[0].id);
  StoppedWriter writer(directory.database());
  const auto expect_refused = [&](const std::string& name, const std::function<void()>& call) {
    const std::string fault = refused_in_time(clock, 20ms, call);
    row.wrong += fault.empty() ? 0 : 1;
    EXPECT_EQ(fault, "") << name;
    ++row.count;
  };
  for (const PublicCall& call : stage.calls()) {
    if (call.name != "mark_completed" && call.name != "mark_error") {
      expect_refused(call.name, [&] { call.run(*tracker); });
    }
  }
  expect_refused("the mark that fills the buffer", [&] { tracker->mark_completed(images[1].id); });
  expect_refused("one more", [&] { tracker->mark_error(images[2].id, "bad"); });
  expect_refused("close", [&] { tracker->close(); });

  writer.go_on();
  tracker->close();
  EXPECT_GT(row.count, 10);
  ProgressTracker heir(directory.database());
  EXPECT_EQ(heir.get_image(images[0].id)->status, Status::kCompleted);
  EXPECT_EQ(heir.get_image(images[1].id)->status, Status::kCompleted);
  EXPECT_EQ(heir.get_image(images[2].id)->status, Status::kProcessing) << "a mark that was refused";
}

// ---- Opening -----------------------------------------------------------------------------------

struct InTheWay {
  const char* name;
  const char* setup;  // of a sound database; nullptr: there is none yet
  const char* sql;
};

TEST(DeadlineOfOpening, IsKeptWhateverStandsInTheWay) {
  constexpr auto kCases = std::to_array<InTheWay>({
      {"a creator", nullptr, "BEGIN EXCLUSIVE"},
      {"a creator that reads", nullptr, "BEGIN; CREATE TABLE t (x)"},
      {"one that has it alone", "PRAGMA journal_mode = DELETE", "BEGIN EXCLUSIVE"},
      {"a reader that keeps the log away", "PRAGMA journal_mode = DELETE",
       "BEGIN; SELECT * FROM job"},
  });
  const auto rounds = sized(2, 50);
  Row row("G14", "openings beside a stopped program");
  for (int round = 0; round < rounds; ++round) {
    for (const InTheWay& each : kCases) {
      for (const milliseconds busy_timeout : {0ms, 20ms}) {
        SCOPED_TRACE(each.name);
        const TemporaryDirectory directory;
        if (each.setup != nullptr) {
          const Stage stage(directory.database());
          test::Outsider(directory.database()).run(each.setup);
        }
        FakeClock clock;
        StoppedWriter writer(directory.database(), each.sql);
        const std::string fault = refused_in_time(clock, busy_timeout, [&] {
          internal::open_with_clock(directory.database(), {.busy_timeout = busy_timeout}, clock);
        });
        ++row.count;
        row.wrong += fault.empty() ? 0 : 1;
        EXPECT_EQ(fault, "");
      }
    }
  }
}

// Two obstacles, the second of which stands when the first is gone: a reader that keeps the
// database from being switched to its log, then somebody who recovers the log.
TEST(DeadlineOfOpening, CountsAllWaitingTogether) {
  class LettingGoClock final : public FakeClock {
   public:
    explicit LettingGoClock(std::optional<test::Outsider>& reader) : reader_(reader) {}
    void sleep_for(nanoseconds duration) override {
      FakeClock::sleep_for(duration);
      if (total_slept() >= 15ms) {
        reader_.reset();
      }
    }

   private:
    std::optional<test::Outsider>& reader_;
  };
  Row row("G14", "openings that waited for two obstacles");
  const TemporaryDirectory directory;
  const Stage stage(directory.database());
  test::Outsider(directory.database()).run("PRAGMA journal_mode = DELETE");
  std::optional<test::Outsider> reader(directory.database());
  reader->run("BEGIN; SELECT * FROM job");
  // The log's index as somebody leaves it who is about to recover it: empty, with the locks of a
  // writer who does so. (Their places are in sqlite.org/walformat.html.)
  const std::string index_file = directory.database().string() + "-shm";
  test::write_file(index_file, std::string(32'768, '\0'));
  const int index = ::open(index_file.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(index, 0);
  const auto lock = [&](short type, off_t place) {
    struct flock its {};
    its.l_type = type;
    its.l_whence = SEEK_SET;
    its.l_start = place;
    its.l_len = 1;
    return ::fcntl(index, F_OFD_SETLK, &its);
  };
  ASSERT_EQ(lock(F_WRLCK, 120), 0);  // the write lock
  ASSERT_EQ(lock(F_WRLCK, 122), 0);  // that of recovery
  ASSERT_EQ(lock(F_RDLCK, 128), 0);  // that of everybody who has the index open
  LettingGoClock clock(reader);

  ++row.count;
  EXPECT_EQ(
      refused_in_time(
          clock, 20ms,
          [&] { internal::open_with_clock(directory.database(), {.busy_timeout = 20ms}, clock); }),
      "");

  EXPECT_FALSE(reader.has_value()) << "the first obstacle was not waited for";
  ::close(index);
  EXPECT_EQ(test::code_of([&] { ProgressTracker{directory.database()}; }), "no error");
}

// ---- Beside other threads ----------------------------------------------------------------------

// Stands, for the one who sleeps first, until it is told to finish.
class StandingClock final : public FakeClock {
 public:
  void sleep_for(nanoseconds duration) override {
    FakeClock::sleep_for(duration);
    if (!standing.exchange(true)) {
      while (!finish) {
        std::this_thread::yield();
      }
    }
  }
  std::atomic<bool> standing{false};
  std::atomic<bool> finish{false};
};

bool is_asleep(pid_t thread) {
  const std::string stat = test::contents_of("/proc/self/task/" + std::to_string(thread) + "/stat");
  return stat.at(stat.rfind(')') + 2) == 'S';
}

// In the queue of a tracker's threads it is the machine's time that passes, and then, for the lock,
// that of the tracker's clock: both together are as long as was told.
TEST(Deadline, CountsWhatAThreadWaitsForAnotherOfItsTracker) {
  using Time = std::chrono::steady_clock;
  constexpr milliseconds kTimeout = 5s;
  const auto rounds = sized(10, 500);
  const TemporaryDirectory directory;
  const Stage stage(directory.database());
  Row row("G14", "calls that waited for another thread first");
  row.remark = "as told in all";
  for (int round = 0; round < rounds; ++round) {
    for (const PublicCall& call : stage.calls()) {
      if (call.name != "checkpoint" && call.name != "mark_outcomes") {
        continue;  // by the one who has the place for itself, and by one who may share it
      }
      SCOPED_TRACE(call.name);
      StandingClock clock;
      const auto tracker =
          internal::open_with_clock(directory.database(), {.busy_timeout = kTimeout}, clock);
      test::Outsider outsider(directory.database());
      outsider.run("BEGIN IMMEDIATE");
      std::string first_code;
      std::thread first(
          [&] { first_code = test::code_of([&] { tracker->checkpoint(stage.job()); }); });
      while (!clock.standing) {
        std::this_thread::yield();
      }
      std::atomic<pid_t> id{0};
      std::string code;
      std::thread second([&] {
        tracker->list_jobs();  // opens this thread's connection
        id = ::gettid();
        code = test::code_of([&] { call.run(*tracker); });
      });
      const auto before = Time::now();
      while (id == 0 || !is_asleep(id)) {
        std::this_thread::yield();
      }
      clock.finish = true;
      first.join();
      second.join();
      // The first one slept for all of its time, and the second one for what was left of its own.
      const nanoseconds at_most = Time::now() - before;
      const nanoseconds slept = clock.total_slept() - kTimeout;
      const bool fits = first_code == to_string(ErrorCode::kBusy) && code == first_code &&
                        slept < kTimeout && slept >= kTimeout - at_most;
      EXPECT_TRUE(fits) << first_code << " and " << code << ", the second slept for "
                        << slept.count() << " ns after waiting in the queue for at most "
                        << at_most.count() << " ns";
      row.wrong += fits ? 0 : 1;
      ++row.count;
    }
  }
  EXPECT_EQ(row.count, 2 * rounds);
}

// ---- By the machine's clock --------------------------------------------------------------------

// The machine's, and counts what the thread that asks for it has told it to sleep.
class CountingClock final : public Clock {
 public:
  std::int64_t wall_ms() override { return system().wall_ms(); }
  std::chrono::steady_clock::time_point now() override { return system().now(); }
  void sleep_for(nanoseconds duration) override {
    slept_ += duration;
    system().sleep_for(duration);
  }
  static nanoseconds slept_by_this_thread() { return slept_; }

 private:
  static inline thread_local nanoseconds slept_{0};
};

// Arguments: database, job. Marks without end.
int mark_for_ever(const Arguments& arguments) {
  ProgressTracker tracker(arguments.at(0));
  const JobId job{std::stoll(arguments.at(1))};
  say("ready");
  for (;;) {
    const auto images = tracker.claim_images(job, 50);
    tracker.release_images(images);
  }
}

const processes::RegisterActor kEndless{"endless", mark_for_ever};

// A worker of ours that is stopped at random moments, until it is one at which it has the lock.
// What a thread waits for the other threads of its tracker counts too. It never asks to sleep for
// longer than it was told; when it is woken is the machine's business, within reason.
TEST(Deadline, OfThreadsBesideAStoppedWorkerIsKept) {
  constexpr int kThreads = 4;
  constexpr milliseconds kTimeout = 20ms;
  constexpr milliseconds kMost = kTimeout + 10s;
  const auto cycles = sized(8, 250);
  Row row("G14", "calls of " + std::to_string(kThreads) + " threads beside a stopped worker");
  const TemporaryDirectory directory;
  ProgressTracker patient(directory.database());
  const JobId job = patient.create_job("job", test::image_paths(200), {});
  CountingClock clock;
  const auto tracker =
      internal::open_with_clock(directory.database(), {.busy_timeout = kTimeout}, clock);
  Process worker("endless", {directory.database().string(), text(job)});
  ASSERT_EQ(worker.receive(), "ready");
  Audit audit(directory.database());
  std::int64_t late = 0;
  nanoseconds longest{0};
  for (int cycle = 0; cycle < cycles; ++cycle) {
    const auto patience = std::chrono::steady_clock::now() + processes::kPatience;
    for (worker.stop(); audit.nobody_writes(); worker.stop()) {
      ASSERT_LT(std::chrono::steady_clock::now(), patience) << "the worker never writes";
      worker.go_on();
      std::this_thread::yield();
    }
    std::array<nanoseconds, kThreads> took{};
    std::array<nanoseconds, kThreads> slept{};
    std::array<std::string, kThreads> codes;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        tracker->list_jobs();  // opens this thread's connection
        const auto begin = std::chrono::steady_clock::now();
        codes[i] = test::code_of([&] {
          if (i % 2 == 0) {
            tracker->checkpoint(job);
          } else {
            tracker->reset_error_images(job);
          }
        });
        took[i] = std::chrono::steady_clock::now() - begin;
        slept[i] = CountingClock::slept_by_this_thread();
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    for (std::size_t i = 0; i < kThreads; ++i) {
      ++row.count;
      const bool fits = codes[i] == to_string(ErrorCode::kBusy) && took[i] >= kTimeout &&
                        took[i] <= kMost && slept[i] <= kTimeout;
      row.wrong += fits ? 0 : 1;
      EXPECT_TRUE(fits) << codes[i] << " after " << took[i].count() << " ns, of which it slept "
                        << slept[i].count();
      late += took[i] > kTimeout + 100ms ? 1 : 0;
      longest = std::max(longest, took[i]);
    }
    worker.go_on();
    patient.checkpoint(job);
  }
  worker.kill();
  audit.expect_sound();
  // Not a fault: a machine that does something else may wake a thread at any time.
  row.remark = std::to_string(late) + " of them later than 100 ms, the longest took " +
               std::to_string(std::chrono::duration_cast<milliseconds>(longest).count()) + " of " +
               std::to_string(kTimeout.count()) + " ms";
}

}  // namespace
}  // namespace progress_tracker::reliability

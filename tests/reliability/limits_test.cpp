// A process that may not have more: files no larger, descriptors, memory or threads no more than so
// and so many. An error that says so, or std::bad_alloc, and no harm to the file.
#include <gtest/gtest.h>
#include <malloc.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "audit.h"
#include "campaign.h"
#include "faulted_scenario.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "progress_tracker/log.h"
#include "progress_tracker/progress_tracker.h"
#include "progress_tracker/run_job.h"
#include "remote_tracker.h"

namespace progress_tracker::reliability {
namespace {

namespace fs = std::filesystem;
using processes::Arguments;

void limit(__rlimit_resource resource, rlim_t value) {
  rlimit both{};
  ::getrlimit(resource, &both);
  both.rlim_cur = std::min(value, both.rlim_max);
  if (::setrlimit(resource, &both) != 0) {
    throw std::runtime_error("setrlimit");
  }
}

rlim_t usual(__rlimit_resource resource) {
  rlimit both{};
  ::getrlimit(resource, &both);
  return both.rlim_cur;
}

rlim_t address_space_in_use() {
  rlim_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

// ---- Actors: one life under one limit ----------------------------------------------------------

int work_under(const Arguments& arguments, const Shortage& shortage) {
  FaultedScenario scenario(arguments.at(0), shortage,
                           static_cast<unsigned>(std::stoul(arguments.at(1))));
  scenario.begin();
  scenario.work();
  scenario.end();
  return scenario.say_tally();
}

// Or of what our own code asks the system for, and of an earlier commit, which have no code.
bool is_of_sqlite(const Error& error, int primary) {
  return error.sqlite_code() == 0 || (error.sqlite_code() & 0xff) == primary;
}

// The signal would end the process, and is not the library's to change.
int small_files(const Arguments& arguments) {
  std::signal(SIGXFSZ, SIG_IGN);
  const rlim_t before = usual(RLIMIT_FSIZE);
  const auto bytes = static_cast<rlim_t>(std::stoull(arguments.at(2)));
  Shortage shortage;
  shortage.begin = [=] { limit(RLIMIT_FSIZE, bytes); };
  shortage.end = [=] { limit(RLIMIT_FSIZE, before); };
  // The disk has room: to SQLite it is an I/O error like others, but for the log's shared index.
  shortage.fits = [](const Error& error) {
    return ((error.code() == ErrorCode::kIo || error.code() == ErrorCode::kOutcomeUnknown) &&
            is_of_sqlite(error, SQLITE_IOERR)) ||
           (error.code() == ErrorCode::kFull && error.sqlite_code() == SQLITE_IOERR_SHMSIZE);
  };
  return work_under(arguments, shortage);
}

int few_descriptors(const Arguments& arguments) {
  const rlim_t before = usual(RLIMIT_NOFILE);
  const auto count = static_cast<rlim_t>(std::stoull(arguments.at(2)));
  Shortage shortage;
  shortage.begin = [=] { limit(RLIMIT_NOFILE, count); };
  shortage.end = [=] { limit(RLIMIT_NOFILE, before); };
  shortage.fits = [](const Error& error) {
    return error.code() == ErrorCode::kIo && is_of_sqlite(error, SQLITE_CANTOPEN);
  };
  shortage.allows_reading = false;  // who reads the workers' locks opens their file
  shortage.only_inside_calls = true;
  return work_under(arguments, shortage);
}

int little_memory(const Arguments& arguments) {
  const rlim_t before = usual(RLIMIT_AS);
  const auto more = static_cast<rlim_t>(std::stoull(arguments.at(2)));
  Shortage shortage;
  shortage.begin = [=] {
    ::malloc_trim(0);  // what an earlier call needed is not there for the next one
    limit(RLIMIT_AS, address_space_in_use() + more);
  };
  shortage.end = [=] { limit(RLIMIT_AS, before); };
  shortage.fits = [](const Error& error) { return error.code() == ErrorCode::kOutcomeUnknown; };
  shortage.may_be_bad_alloc = true;
  shortage.allows_reading = false;
  shortage.only_inside_calls = true;
  return work_under(arguments, shortage);
}

// A thread's stack takes address space, so this many of them can be started and no more.
int few_threads(const Arguments& arguments) {
  set_log_level(LogLevel::kOff);
  const fs::path database = arguments.at(0);
  const auto threads = static_cast<rlim_t>(std::stoull(arguments.at(2)));
  constexpr int kImages = 200;
  Tally tally;
  ProgressTracker tracker(database);
  const JobId job = tracker.create_job("job", processes::some_paths("i", 0, kImages), {});
  std::vector<std::atomic<int>> worked(kImages + 1);
  const auto process = [&](const Image& image) {
    ++worked.at(static_cast<std::size_t>(static_cast<std::int64_t>(image.id) & 0xffffffff));
  };
  RunOptions options;
  options.workers = 6;
  const rlim_t before = usual(RLIMIT_AS);
  const rlim_t stack = usual(RLIMIT_STACK) == RLIM_INFINITY ? 8U << 20U : usual(RLIMIT_STACK);
  limit(RLIMIT_AS, address_space_in_use() + threads * (stack + (64U << 10U)) + (1U << 20U));
  std::string outcome;
  ++tally.calls;
  try {
    run_job(tracker, job, process, options);
  } catch (const Error& error) {
    ++tally.refused;
    if (error.code() != ErrorCode::kIo) {
      outcome = error.what();
    }
  } catch (const std::bad_alloc&) {
    ++tally.refused;
  }
  limit(RLIMIT_AS, before);
  // Whatever it managed to do: afterwards nothing is lost, and nothing was worked on twice.
  tracker.reset_stuck_images(job);
  ++tally.calls;
  run_job(tracker, job, process, options);
  if (tracker.get_status_counts(job)->completed != kImages) {
    outcome += " not all of it completed";
  }
  for (std::size_t i = 1; i < worked.size(); ++i) {
    if (worked[i] != 1) {
      outcome += " image " + std::to_string(i) + " worked " + std::to_string(worked[i]) + " times";
    }
  }
  if (!outcome.empty()) {
    processes::say("wrong with " + std::to_string(threads) + " threads: " + outcome);
  }
  processes::say("tally " + std::to_string(tally.calls) + " " + std::to_string(tally.refused) +
                 " 0");
  return 0;
}

const processes::RegisterActor kSmallFiles{"small_files", small_files};
const processes::RegisterActor kFewDescriptors{"few_descriptors", few_descriptors};
const processes::RegisterActor kLittleMemory{"little_memory", little_memory};
const processes::RegisterActor kFewThreads{"few_threads", few_threads};

// ---- The tests ---------------------------------------------------------------------------------

class LimitsTest : public testing::Test {
 protected:
  // The actor once for each of the limits, each time with a database of its own.
  Tally at_each(const std::string& actor, std::int64_t first, std::int64_t last,
                std::int64_t step) const {
    Tally tally;
    for (std::int64_t value = first; value <= last; value += step) {
      const fs::path directory = directory_.path() / std::to_string(value);
      fs::create_directory(directory);
      Tally one = tally_of(
          actor, {directory / "jobs.db", std::to_string(seed_ + value), std::to_string(value)});
      for (std::string& line : one.wrong) {
        line.insert(0, "limit " + std::to_string(value) + ": ");
      }
      tally += one;
      fs::remove_all(directory);
    }
    return tally;
  }

  static void judge(const Tally& tally, const std::string& tried) {
    expect_nothing_wrong(tally);
    EXPECT_GT(tally.refused, 0) << "never met the limit";
    report("G13", tried, tally.calls, static_cast<std::int64_t>(tally.wrong.size()),
           std::to_string(tally.refused) + " refused, " + std::to_string(tally.unknown) +
               " of unknown outcome");
  }

  const unsigned seed_ = processes::test_seed() % 1'000'000'000U;
  processes::TemporaryDirectory directory_;
  const testing::ScopedTrace trace_{__FILE__, __LINE__,
                                    "PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_)};
};

TEST_F(LimitsTest, NoFileMayGrowBeyondALimit) {
  constexpr std::int64_t kPage = 4'096;
  const std::int64_t stride = sized(23, 1);
  judge(at_each("small_files", 0, 1'200 * kPage / 2, stride * kPage),
        "calls with files limited in steps of " + std::to_string(4 * stride) + " KiB");
}

TEST_F(LimitsTest, NoMoreDescriptorsThanSoMany) {
  // Three are there before; a tracker needs some ten.
  judge(at_each("few_descriptors", 3, 24, 1), "calls at each limit of 3 to 24 descriptors");
}

TEST_F(LimitsTest, NoMoreMemoryThanSoMuch) {
  if (kSanitized) {
    GTEST_SKIP() << "a sanitizer's own memory cannot be limited";
  }
  constexpr std::int64_t kMost = 1 << 20;
  judge(at_each("little_memory", 0, kMost, sized(64, 4) << 10),
        "calls with little address space left");
}

// To undo a transaction takes no memory: else it would stay open, with the write lock that
// everybody waits for, and every later call of the thread would fail.
TEST_F(LimitsTest, ATransactionThatRanOutOfMemoryIsOver) {
  constexpr std::int64_t kRoom = 128 << 10;
  const std::int64_t step = sized(512, 64);
  Options options;
  options.busy_timeout = std::chrono::milliseconds(0);  // there is nobody to wait for
  ProgressTracker tracker(directory_.database(), options);
  const JobId job = tracker.create_job("job", processes::some_paths("i", 0, 4), {});
  ProgressTracker other(directory_.database(), options);
  std::int64_t tried = 0;
  std::int64_t refused = 0;
  std::int64_t wrong = 0;
  for (std::int64_t room = 0; room < kRoom; room += step) {
    // With a connection of its own, which has all of its statements still to prepare.
    std::thread([&] {
      tracker.get_status_counts(job);
      ++tried;
      ::sqlite3_hard_heap_limit64(::sqlite3_memory_used() + room);
      try {
        tracker.release_images(tracker.claim_images(job, 2));
      } catch (const std::bad_alloc&) {
        ++refused;
      }
      ::sqlite3_hard_heap_limit64(0);
      try {
        other.checkpoint(job);
        tracker.reset_stuck_images(job);
      } catch (const Error& error) {
        ++wrong;
        ADD_FAILURE() << "with " << room << " bytes more: " << error.what();
      }
    }).join();
  }
  EXPECT_GT(refused, 10);
  EXPECT_EQ(tracker.get_status_counts(job)->pending, 4);
  report("G13", "amounts of memory for SQLite", tried, wrong,
         std::to_string(refused) + " calls refused");
}

TEST_F(LimitsTest, NoMoreThreadsThanSoMany) {
  if (kSanitized) {
    GTEST_SKIP() << "a sanitizer's own memory cannot be limited";
  }
  judge(at_each("few_threads", 0, 10, 1), "runs of run_job() with 0 to 10 threads to be had");
}

}  // namespace
}  // namespace progress_tracker::reliability

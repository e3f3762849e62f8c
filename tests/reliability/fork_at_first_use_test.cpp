// Children forked off before the library is used for the first time, and while another thread does
// so: what that thread was about to make, they make for themselves, and wait for nobody who is not
// there.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "armed.h"
#include "campaign.h"
#include "failing_memory.h"
#include "fork_generation.h"
#include "log_internal.h"
#include "process.h"
#include "progress_tracker/log.h"
#include "progress_tracker/progress_tracker.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

using processes::Arguments;
using processes::Process;
using processes::say;
using processes::text;

// ---- In a process of its own -------------------------------------------------------------------

void first_message(const std::string& /*database*/) {
  internal::log(LogLevel::kError, "the first message");
}

// A new database, with a job in it.
void first_tracker(const std::string& database) {
  ProgressTracker tracker(database);
  const JobId job = tracker.create_job("job", test::image_paths(100), {});
  tracker.complete(tracker.claim_images(job, 1).at(0));
}

// Which of the two is tried.
auto use_of(const std::string& name) { return name == "message" ? first_message : first_tracker; }

constinit std::atomic<bool> is_parked{false};
constinit std::atomic<bool> has_forked{false};
constinit std::atomic<bool> has_ended{false};

// Of the process: whether its first thread waits for something.
bool forker_waits() {
  std::ifstream stat("/proc/self/stat");
  std::string fields;
  std::getline(stat, fields);
  return fields.substr(fields.rfind(')') + 2, 1) == "S";
}

// Until the other thread has forked, or waits for what this one holds.
void park() {
  is_parked = true;
  while (!has_forked && !forker_waits()) {
    std::this_thread::yield();
  }
}

// Arguments: "message" or "tracker", a directory, and the number of the allocation in which the
// first use is when the program forks. Says whether there is one of that number.
int fork_at_first_use(const Arguments& arguments) {
  install_failing_memory();
  const auto use = use_of(arguments.at(0));
  const std::string directory = arguments.at(1);
  // Not to be joined: in a child that ends, ThreadSanitizer would miss that.
  std::thread([&] {
    {
      const Armed armed;
      at_allocation(Memory::kBoth, std::stoll(arguments.at(2)), park);
      use(directory + "/parent.db");
      memory_is_back();
    }
    has_ended = true;
  }).detach();
  // Never asleep before it forks: see forker_waits().
  while (!is_parked && !has_ended) {
    std::this_thread::yield();
  }
  const bool was_parked = is_parked;
  const pid_t child = ::fork();
  if (child == 0) {
    use(directory + "/child.db");
    ::_exit(0);
  }
  has_forked = true;
  say(was_parked ? "parked" : "at its end");
  while (!has_ended) {
    std::this_thread::yield();
  }
  say(text(processes::end_of(child)));
  return 0;
}

const processes::RegisterActor kForkAtFirstUse{"fork_at_first_use", fork_at_first_use};

// Says in what generation a child is that was forked off before the first use.
int fork_before_first_use(const Arguments& /*arguments*/) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(static_cast<int>(fork_generation()));
  }
  say(text(processes::end_of(child)));
  return 0;
}

const processes::RegisterActor kForkBeforeFirstUse{"fork_before_first_use", fork_before_first_use};

// ---- The test ----------------------------------------------------------------------------------

// Every allocation, or every so many-th.
void fork_at_allocations(const std::string& use, std::int64_t step) {
  Row row("Ends", "children of a fork during another thread's first " + use);
  for (std::int64_t n = 1;; n += step) {
    const processes::TemporaryDirectory directory;
    Process program("fork_at_first_use", {use, directory.path().string(), text(n)});
    const auto found = program.receive();
    const auto end = program.receive();
    if (end != "0") {
      ++row.wrong;
      ADD_FAILURE() << "allocation " << n << ", the child's end (-1: it hung): "
                    << end.value_or("none: the program ended");
      break;
    }
    if (found != "parked") {
      break;
    }
    ++row.count;
  }
  EXPECT_GT(row.count, 5);
}

// As a daemon does: nothing in such a child is the parent's, and SQLite is left as it is for it.
TEST(ForkBeforeFirstUse, IsNoneForTheLibrary) {
  Process program("fork_before_first_use", {});
  EXPECT_EQ(program.receive(), "0");
}

TEST(ForkAtFirstUse, OfTheLogLetsTheChildLog) { fork_at_allocations("message", 1); }

TEST(ForkAtFirstUse, OfATrackerLetsTheChildOpenItsOwn) {
  fork_at_allocations("tracker", sized(131, 1));
}

}  // namespace
}  // namespace progress_tracker::reliability

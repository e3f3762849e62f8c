// How a program can end while its tracker is at work: whatever the way and the moment, it ends, no
// call of its is half done, and the next one goes on at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "audit.h"
#include "campaign.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "progress_tracker/progress_tracker.h"
#include "remote_tracker.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

using processes::Arguments;
using processes::Audit;
using processes::draw;
using processes::hear;
using processes::number_of;
using processes::Process;
using processes::Random;
using processes::say;
using processes::some_paths;
using processes::TemporaryDirectory;
using processes::text;

constexpr int kImages = 8'000;
constexpr std::size_t kTogether = 10;  // claimed and marked by one call
constexpr int kLoaded = 20'000;
constexpr int kThreads = 3;

// ---- The program that ends ---------------------------------------------------------------------

// Destroyed at exit, later than whatever the library made when it was first used.
std::unique_ptr<ProgressTracker> static_tracker;

// Never destroyed: its threads still use it while the program exits.
ProgressTracker* lasting_tracker = nullptr;

[[noreturn]] void stay() {
  for (;;) {
    ::pause();
  }
}

// Claims and marks some images at a time, until the tracker is closed.
void mark_without_end(ProgressTracker& tracker, JobId job, std::atomic<int>& working) {
  bool first = true;
  try {
    for (;;) {
      const auto images = tracker.claim_images(job, kTogether);
      tracker.mark_outcomes(test::completions_of(images));
      if (!images.empty()) {
        say("completed " + text(number_of(images.front().path)));
      }
      working += std::exchange(first, false) ? 1 : 0;
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kClosed) {
      say(error.what());
    }
  }
  stay();
}

[[noreturn]] void end(const std::string& how) {
  if (how == "abort") {
    std::abort();
  }
  if (how == "exception") {
    std::thread([] { throw std::runtime_error("nobody catches this"); }).join();
  }
  if (how == "_exit") {
    ::_exit(0);
  }
  std::exit(0);
}

// Arguments: database, job, state, how it will end.
int come_to_an_end(const Arguments& arguments) {
  const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGHUP}) {
    std::signal(signal, SIG_DFL);  // whoever started the test may have had it ignored
  }
  const JobId job{std::stoll(arguments.at(1))};
  const std::string& state = arguments.at(2);
  const std::string& how = arguments.at(3);
  Options options;
  options.mark_buffer = state == "buffered" ? 100 : 0;
  auto opened = std::make_unique<ProgressTracker>(arguments.at(0), options);
  ProgressTracker& tracker = *opened;
  if (how == "exit, static tracker") {
    static_tracker = std::move(opened);
  } else {
    lasting_tracker = opened.release();
  }
  if (how == "exit, close in a handler") {
    std::atexit([] { lasting_tracker->close(); });
  }

  const auto images = tracker.claim_images(job, kTogether);
  std::vector<std::thread> threads;
  std::atomic<int> working{0};
  if (state == "marking") {
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] { mark_without_end(tracker, job, working); });
    }
  } else if (state == "waiting") {
    say("claimed");
    hear();  // the test has the write lock
    threads.emplace_back([&] {
      working = 1;
      tracker.checkpoint(job);
      stay();
    });
  } else if (state == "loading") {
    threads.emplace_back([&] {
      try {
        const auto paths = some_paths("loaded", 0, kLoaded);
        working = 1;
        tracker.create_job("loaded", paths, {});
        say("loaded");
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kClosed) {
          say(error.what());
        }
      }
      stay();
    });
  } else if (state == "buffered") {
    for (const Image& image : images) {
      tracker.mark_completed(image.id);
    }
  }
  while (working < static_cast<int>(threads.size())) {
    std::this_thread::yield();
  }
  say("ready");
  hear();
  end(how);
}

const processes::RegisterActor kEnding{"ending", come_to_an_end};

// ---- The test ----------------------------------------------------------------------------------

struct Way {
  const char* name;
  int signal;    // that ends it; 0: none
  bool sent;     // by the test
  bool orderly;  // the tracker is closed

  friend std::ostream& operator<<(std::ostream& out, const Way& way) { return out << way.name; }
};

constexpr auto kWays = std::to_array<Way>({
    {"SIGTERM", SIGTERM, true, false},
    {"SIGINT", SIGINT, true, false},
    {"SIGQUIT", SIGQUIT, true, false},
    {"SIGHUP", SIGHUP, true, false},
    {"abort", SIGABRT, false, false},
    {"exception", SIGABRT, false, false},
    {"_exit", 0, false, false},
    {"exit", 0, false, false},
    {"exit, close in a handler", 0, false, true},
    {"exit, static tracker", 0, false, true},
});
constexpr auto kStates =
    std::to_array<const char*>({"idle", "marking", "waiting", "loading", "buffered"});

class Ending {
 public:
  Ending(const Way& way, std::string state, unsigned seed)
      : way_(way), state_(std::move(state)), random_(seed) {
    ProgressTracker maker(directory_.database());
    job_ = maker.create_job("job", some_paths("images", 0, kImages), {});
  }

  void run() {
    Process program("ending", {directory_.database().string(), text(job_), state_, way_.name});
    std::optional<test::Outsider> blocker;
    if (state_ == "waiting") {
      ASSERT_EQ(program.receive(), "claimed");
      blocker.emplace(directory_.database());
      blocker->run("BEGIN IMMEDIATE");
      program.send("wait for me");
    }
    for (auto line = program.receive(); line != "ready"; line = program.receive()) {
      ASSERT_TRUE(line.has_value()) << "it ended too early";
      note(*line);
    }
    pass_some_time();
    if (way_.sent) {
      ASSERT_EQ(::kill(program.pid(), way_.signal), 0);
    } else {
      program.send("end");
    }
    if (way_.orderly) {
      blocker.reset();  // an orderly end waits for the calls inside
    }
    for (const std::string& line : program.receive_rest()) {  // a hang would be known here
      note(line);
    }
    siginfo_t info{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(program.pid()), &info, WEXITED | WNOWAIT), 0);
    EXPECT_EQ(info.si_code, way_.signal == 0 ? CLD_EXITED : CLD_KILLED);
    EXPECT_EQ(info.si_status, way_.signal);
    program.wait();
    blocker.reset();
    look_at_what_is_left();
  }

 private:
  // The moment of the end is drawn.
  void pass_some_time() {
    Audit audit(directory_.database());
    for (int looks = draw(random_, 0, 60); looks > 0; --looks) {
      audit.rows("SELECT * FROM progress");
    }
  }

  void note(const std::string& line) {
    if (line.starts_with("completed ")) {
      acknowledged_.insert(std::stoul(line.substr(10)) / kTogether);
    } else {
      EXPECT_TRUE(line == "loaded" && state_ == "loading") << line;
      loaded_ = true;
    }
  }

  void look_at_what_is_left() {
    Audit audit(directory_.database());
    audit.expect_sound();
    // What one call claimed or marked is in one state.
    std::map<std::size_t, std::string> groups;
    for (const processes::Row& row :
         audit.rows("SELECT path, status, attempts FROM images WHERE job_id = " + text(job_) +
                    " AND attempts > 0")) {
      const auto [group, is_new] = groups.emplace(number_of(row[0]) / kTogether, row[1]);
      EXPECT_EQ(group->second, row[1]) << "a call is half done: " << row[0];
      EXPECT_EQ(row[2], "1") << row[0];
    }
    for (const std::size_t group : acknowledged_) {
      EXPECT_EQ(groups[group], "completed") << "lost: " << group * kTogether;
    }
    if (state_ == "buffered") {
      EXPECT_EQ(groups.at(0), way_.orderly ? "completed" : "processing");
    }
    if (state_ == "marking") {
      EXPECT_GE(acknowledged_.size(), std::size_t{kThreads}) << "not every thread was at work";
    }
    const auto processing = audit.number("SELECT sum(processing) FROM progress");
    EXPECT_GE(processing,
              state_ == "buffered" && way_.orderly ? 0 : static_cast<std::int64_t>(kTogether))
        << "what was claimed first is lost";

    ProgressTracker heir(directory_.database(), {.busy_timeout = std::chrono::milliseconds{0}});
    EXPECT_EQ(heir.reset_stuck_images(job_), processing);
    EXPECT_EQ(heir.get_status_counts(job_)->processing, 0);
    EXPECT_EQ(audit.number("SELECT sum(deaths) FROM images"), way_.orderly ? 0 : processing);

    if (state_ == "loading") {
      EXPECT_TRUE(heir.get_job_id("loaded").has_value() || !loaded_) << "lost: the job";
      const JobId job = heir.create_job("loaded", some_paths("loaded", 0, kLoaded), {});
      EXPECT_EQ(heir.get_status_counts(job),
                (StatusCounts{.pending = kLoaded, .processing = 0, .completed = 0, .error = 0}));
    }
    audit.expect_sound();
  }

  const Way& way_;
  const std::string state_;
  Random random_;
  const TemporaryDirectory directory_;
  JobId job_{};
  std::set<std::size_t> acknowledged_;  // groups
  bool loaded_{false};
};

class Endings : public testing::TestWithParam<Way> {};

TEST_P(Endings, InEveryStateLeaveNothingHalfDone) {
  const auto rounds = sized(1, 25);
  Row row("Ends", std::string("programs ended by ") + GetParam().name);
  unsigned seed = processes::test_seed();
  for (std::int64_t round = 0; round < rounds; ++round, ++seed) {
    SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed));
    Random random(seed);
    for (const std::string state : kStates) {
      // A thread that goes on calling must not meet a tracker that is destroyed: no library helps.
      if (state == "marking" && std::string_view(GetParam().name) == "exit, static tracker") {
        continue;
      }
      SCOPED_TRACE(state);
      Ending(GetParam(), state, static_cast<unsigned>(random())).run();
      ++row.count;
      ASSERT_FALSE(HasFailure());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, Endings, testing::ValuesIn(kWays), [](const auto& each_way) {
  std::string name;
  for (const char each : std::string_view(each_way.param.name)) {
    name += std::isalnum(static_cast<unsigned char>(each)) != 0 ? std::string(1, each) : "_";
  }
  return name;
});

}  // namespace
}  // namespace progress_tracker::reliability

// Many processes open a database that does not exist, at the same moment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "audit.h"
#include "process.h"
#include "progress_tracker/progress_tracker.h"
#include "remote_tracker.h"

namespace progress_tracker::processes {
namespace {

// Arguments: database. Opens at a sign; says the id of a job that all of them make.
int open_at_once(const Arguments& arguments) {
  say("ready");
  hear();
  {
    ProgressTracker tracker(arguments.at(0));
    const JobId job = tracker.create_job("job", some_paths("images", 0, 20), {});
    say(text(job));
  }
  say("closed");
  return 0;
}

const RegisterActor kOpener{"opener", open_at_once};

TEST(FirstOpen, ByManyProcessesAtOnceMakesOneDatabase) {
  constexpr int kProcesses = 32;
  for (int round = 0; round < scaled(10); ++round) {
    SCOPED_TRACE(round);
    const TemporaryDirectory directory;
    // Its directory is missing too.
    const auto database = directory.path() / "new" / "deep" / "jobs.db";
    std::vector<Process> openers;
    for (int i = 0; i < kProcesses; ++i) {
      openers.emplace_back("opener", Arguments{database.string()});
    }
    for (Process& opener : openers) {
      ASSERT_EQ(opener.receive(), "ready");
    }
    for (Process& opener : openers) {
      opener.send("go");
    }
    for (Process& opener : openers) {
      EXPECT_EQ(opener.receive(), "1");
      EXPECT_EQ(opener.receive(), "closed");
      EXPECT_EQ(opener.wait(), 0);
    }
    Audit audit(database);
    audit.expect_sound();
    EXPECT_EQ(audit.number("SELECT count(*) FROM images"), 20);
    EXPECT_EQ(audit.number("SELECT count(*) FROM jobs"), 1);
    EXPECT_EQ(audit.rows("PRAGMA journal_mode").at(0).at(0), "wal");
  }
}

// The creators are killed at each step of the creation that shows beside the file, and some moments
// later; the next one goes on from whatever is there.
TEST(FirstOpen, AfterItsCreatorsWereKilledSucceedsByItself) {
  for (const std::string step : {"", "-journal", "-wal", "-shm", "-workers"}) {
    for (int moments = 0; moments < 8 * scaled(1); ++moments) {
      SCOPED_TRACE("jobs.db" + step + ", " + std::to_string(moments));
      const TemporaryDirectory directory;
      std::vector<Process> openers;
      for (int i = 0; i < 3; ++i) {
        openers.emplace_back("opener", Arguments{directory.database().string()});
      }
      for (Process& opener : openers) {
        ASSERT_EQ(opener.receive(), "ready");
      }
      openers[0].send("go");
      openers[1].send("go");
      const std::string file = directory.database().string() + step;
      std::optional<std::string> done;
      while (!std::filesystem::exists(file) && !done.has_value() && !openers[0].has_ended()) {
        done = openers[0].receive_if_there();
      }
      for (int looks = 0; looks < moments * 100; ++looks) {
        static_cast<void>(std::filesystem::exists(file));
      }
      openers[0].kill();
      openers[1].kill();
      openers[2].send("go");
      EXPECT_EQ(openers[2].receive(), "1");
      EXPECT_EQ(openers[2].wait(), 0);
      Audit audit(directory.database());
      audit.expect_sound();
      EXPECT_EQ(audit.number("SELECT count(*) FROM images"), 20);
    }
  }
}

}  // namespace
}  // namespace progress_tracker::processes

// G10: many processes open a database that does not exist at the same moment. The same processes
// take part in every round, each round with a new database.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit.h"
#include "campaign.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "progress_tracker/progress_tracker.h"
#include "remote_tracker.h"

namespace progress_tracker::reliability {
namespace {

using processes::Arguments;
using processes::Audit;
using processes::hear;
using processes::Process;
using processes::say;
using processes::some_paths;
using processes::TemporaryDirectory;

// Whoever has it closed keeps all others waiting, and lets all of them go on with one call.
class Barrier {
 public:
  explicit Barrier(const std::filesystem::path& file)
      : fd_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {}
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;
  ~Barrier() { ::close(fd_); }

  void close() const { ::flock(fd_, LOCK_EX); }
  void open() const { ::flock(fd_, LOCK_UN); }
  void pass() const {
    ::flock(fd_, LOCK_SH);
    ::flock(fd_, LOCK_UN);
  }

 private:
  int fd_;
};

// Arguments: barrier, its own number. In each round it hears the database, opens it when the
// barrier opens, makes a job that all make and one of its own; says how many jobs it sees once it
// is told that all have done so.
int take_part(const Arguments& arguments) {
  const Barrier barrier(arguments.at(0));
  const std::string& name = arguments.at(1);
  while (const auto database = hear()) {
    say("ready");
    barrier.pass();
    try {
      ProgressTracker tracker(*database);
      const JobId all = tracker.create_job("all", some_paths("images", 0, 20), {});
      const JobId own = tracker.create_job("of " + name, some_paths(name, 0, 1), {});
      say(tracker.get_job_id("all") == all && tracker.get_job_id("of " + name) == own ? "made"
                                                                                      : "lost");
      hear();
      say(std::to_string(tracker.list_jobs().size()));
    } catch (const Error& error) {
      say(error.what());
    }
    say("closed");
  }
  return 0;
}

const processes::RegisterActor kParticipant{"participant", take_part};

std::vector<processes::Row> schema_of(Audit& audit) {
  return audit.rows("SELECT type, name, sql FROM sqlite_schema ORDER BY name");
}

TEST(FirstOpenByManyProcesses, SucceedsForAllOfThemInEveryRound) {
  constexpr int kProcesses = 64;
  const auto rounds = sized(5, 1'000);
  const TemporaryDirectory directory;
  const Barrier barrier(directory.path() / "barrier");
  std::vector<Process> participants;
  for (int i = 0; i < kProcesses; ++i) {
    participants.emplace_back(
        "participant", Arguments{(directory.path() / "barrier").string(), "p" + std::to_string(i)});
  }
  { ProgressTracker alone(directory.database()); }
  Audit model(directory.database());
  const auto schema = schema_of(model);

  Row row("G10", "first opens by " + std::to_string(kProcesses) + " processes at once");
  for (std::int64_t round = 0; round < rounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const TemporaryDirectory place;
    // Its directory is missing too in every other round.
    const auto database = round % 2 == 0 ? place.database() : place.path() / "new" / "jobs.db";
    barrier.close();
    for (Process& each : participants) {
      each.send(database.string());
    }
    for (Process& each : participants) {
      ASSERT_EQ(each.receive(), "ready");
    }
    barrier.open();
    const auto expect_all = [&](const std::string& answer) {
      for (Process& each : participants) {
        const auto line = each.receive();
        row.wrong += line == answer ? 0 : 1;
        ASSERT_EQ(line, answer);
      }
    };
    ASSERT_NO_FATAL_FAILURE(expect_all("made"));
    for (Process& each : participants) {
      each.send("look");
    }
    ASSERT_NO_FATAL_FAILURE(expect_all(std::to_string(kProcesses + 1)));
    ASSERT_NO_FATAL_FAILURE(expect_all("closed"));

    Audit audit(database);
    audit.expect_sound();
    EXPECT_EQ(schema_of(audit), schema);
    EXPECT_EQ(audit.rows("PRAGMA journal_mode").at(0).at(0), "wal");
    EXPECT_EQ(audit.number("SELECT count(*) FROM images"), 20 + kProcesses);
    row.count += kProcesses;
    row.remark = std::to_string(round + 1) + " rounds";
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  for (Process& each : participants) {
    EXPECT_EQ(each.wait(), 0);
  }
}

}  // namespace
}  // namespace progress_tracker::reliability

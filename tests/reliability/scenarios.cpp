// What a pipeline does with its database, one thing a scenario.
#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "armed.h"
#include "fault_vfs.h"
#include "progress_tracker/maintenance.h"
#include "remote_tracker.h"
#include "script.h"
#include "support.h"
#include "testing_hooks.h"

namespace progress_tracker::reliability {
namespace {

namespace fs = std::filesystem;
using Script = std::vector<Operation>;

// "a/0000007.png", as some_paths() names them.
std::string image(const std::string& job, int number) {
  const std::string digits = std::to_string(number);
  return job + "/" + std::string(7 - digits.size(), '0') + digits + ".png";
}

enum class End { kLeft, kDied };

// Done by a process of its own, which then leaves in order or dies.
Record made_by(const fs::path& database, const Script& script, End end) {
  const int status = test::in_child([&] {
    Player player(database, {});
    for (const Operation& operation : script) {
      player.carry_out(operation);
    }
    if (end == End::kDied) {
      ::kill(::getpid(), SIGKILL);
    }
    player.drop();
  });
  if (status != (end == End::kDied ? -SIGKILL : 0)) {
    throw std::runtime_error("the preparation ended with " + std::to_string(status));
  }
  Record record;
  for (const Operation& operation : script) {
    record.carry_out(operation);
  }
  end == End::kDied ? record.worker_died() : record.worker_left();
  return record;
}

auto prepared(Script script, End end = End::kLeft) {
  return [script = std::move(script), end](const fs::path& database) {
    return made_by(database, script, end);
  };
}

// Each look at it is 10 ms later: a load is cut into many pieces.
class HastyClock : public test::FakeClock {
 public:
  std::chrono::steady_clock::time_point now() override {
    advance(std::chrono::milliseconds(10));
    return FakeClock::now();
  }
};

// A worker that died while it loaded a list, when some pieces of it were committed.
Record cut_off_load(const fs::path& database) {
  Record record = made_by(database, {{"create", "a", "0", "6"}}, End::kLeft);
  const int status = test::in_child([&] {
    constexpr int kCommits = 4;
    HastyClock clock;
    const auto tracker = internal::open_with_clock(database, {}, clock);
    install_fault_vfs();
    const Armed armed;
    set_vfs_hook([wrote = false, commits = 0](const VfsEvent& event) mutable {
      // A commit is done when the lock is given back.
      if (event.call == VfsCall::kShmLock && std::exchange(wrote, false) && ++commits == kCommits) {
        ::kill(::getpid(), SIGKILL);
      }
      wrote = wrote || event.call == VfsCall::kWrite;
      return 0;
    });
    tracker->create_job("big", processes::some_paths("big", 0, 4'000), {});
  });
  const auto leftovers = examine(database).leftovers;
  if (status != -SIGKILL || leftovers.size() != 1 || leftovers[0].images == 0) {
    throw std::runtime_error("the load was not cut off half-way: " + std::to_string(status) + ", " +
                             std::to_string(leftovers.size()) + " leftovers");
  }
  return record;
}

Record version_1(const fs::path& database) {
  Record record = made_by(
      database,
      {{"create", "a", "0", "12"}, {"claim", "a", "5"}, {"complete", "a", image("a", 0), "1"}},
      End::kLeft);
  test::make_version_1_of(database);
  return record;
}

std::string long_message() { return std::string(60'000, 'm'); }

// A write-ahead log a few pages short of where it is checkpointed, left by a worker that died.
Record almost_full_log(const fs::path& database) {
  constexpr int kImages = 64;
  constexpr int kFailed = 46;
  Script script{{"create", "a", "0", std::to_string(kImages)},
                {"claim", "a", std::to_string(kImages)}};
  for (int i = 0; i < kFailed; ++i) {
    script.push_back({"fail", "a", image("a", i), "1", long_message()});
  }
  Record record = made_by(database, script, End::kDied);
  const auto pages = fs::file_size(database.native() + "-wal") / 4'120;
  if (pages < 950 || pages >= 1'000) {
    throw std::runtime_error("the log has " + std::to_string(pages) + " pages");
  }
  return record;
}

Options buffered() {
  Options options;
  options.mark_buffer = 3;
  return options;
}

Options full() {
  Options options;
  options.synchronous = Options::Synchronous::kFull;
  return options;
}

std::vector<Scenario> all() {
  const Script working{
      {"claim", "a", "4"},
      {"complete", "a", image("a", 0), "1"},
      {"fail", "a", image("a", 1), "1", "no such file"},
      {"checkpoint", "a"},
      {"claim", "a", "3"},
      {"outcomes", "a", image("a", 2), "1", "", image("a", 3), "1", "broken", image("a", 4), "1",
       "", image("a", 9), "1", ""},
      {"counts", "a"},
      {"sync"},
      {"checkpoint", "a"},
  };
  const Script twelve{{"create", "a", "0", "12"}};
  return {
      {"first_open",
       {},
       {{"create", "a", "0", "12"}, {"counts", "a"}, {"claim", "a", "2"}},
       {},
       Extent::kBasic},
      {"working", prepared(twelve), working, {}, Extent::kBasic},
      {"after_a_death",
       prepared(
           {{"create", "a", "0", "12"}, {"claim", "a", "5"}, {"complete", "a", image("a", 0), "1"}},
           End::kDied),
       {{"counts", "a"},
        {"reset", "a"},
        {"claim", "a", "4"},
        {"complete", "a", image("a", 5), "1"},
        {"checkpoint", "a"}},
       {},
       Extent::kBasic},
      {"more_images",
       prepared({{"create", "a", "0", "12"},
                 {"claim", "a", "3"},
                 {"complete", "a", image("a", 0), "1"}}),
       {{"create", "a", "4", "16"}, {"add", "a", "20", "9"}, {"counts", "a"}},
       {}},
      {"list_in_pieces",
       prepared(twelve),
       {{"create", "big", "0", "2100"}, {"counts", "big"}, {"claim", "big", "3"}},
       {},
       Extent::kLengthy},
      {"by_id",
       prepared(twelve),
       {{"mark_processing", "a", image("a", 0), image("a", 3), image("a", 4)},
        {"mark_completed", "a", image("a", 0)},
        {"mark_error", "a", image("a", 3), "broken"},
        {"mark_error", "a", image("a", 7), "broken"},
        {"mark_error", "a", image("a", 0), "refused"},
        {"retry", "a", image("a", 3)},
        {"reset_errors", "a"},
        {"counts", "a"}},
       {}},
      {"given_back",
       prepared(twelve),
       {{"claim", "a", "6"},
        {"release", "a", image("a", 1), "1", image("a", 2), "1"},
        {"release", "a", image("a", 2), "1"},
        {"reset", "a"},
        {"claim", "a", "2"},
        {"counts", "a"}},
       {}},
      {"chain",
       prepared({{"create", "a", "0", "12"},
                 {"claim", "a", "5"},
                 {"complete", "a", image("a", 0), "1"},
                 {"complete", "a", image("a", 2), "1"}}),
       {{"chain", "c", "a"},
        {"mark_completed", "a", image("a", 1)},
        {"chain", "cc", "c"},
        {"claim", "c", "2"},
        {"outcomes", "c", image("a", 0), "1", "", image("a", 2), "1", ""},
        {"remove", "a"},
        {"remove", "cc"},
        {"counts", "c"}},
       {}},
      {"batches",
       prepared({{"create", "a", "0", "12"},
                 {"mark_completed", "a", image("a", 0)},
                 {"mark_completed", "a", image("a", 1)},
                 {"mark_completed", "a", image("a", 2)}}),
       {{"batch", "a", "1", image("a", 0), image("a", 2)},
        {"batch", "a", "2", image("a", 1)},
        {"upload_failed", "a", "1", "no network"},
        {"uploaded", "a", "1"},
        {"upload_failed", "a", "1", "too late"}},
       {}},
      {"remove_a_job",
       prepared({{"create", "a", "0", "12"},
                 {"create", "b", "0", "40"},
                 {"claim", "b", "5"},
                 {"fail", "b", image("b", 0), "1", "broken"},
                 {"mark_completed", "b", image("b", 2)},
                 {"batch", "b", "1", image("b", 2)}}),
       {{"remove", "b"}, {"counts", "a"}, {"create", "b", "5", "3"}, {"claim", "b", "1"}},
       {},
       Extent::kLengthy},
      {"claimed_from_the_dead",
       prepared({{"create", "a", "0", "5"}, {"claim", "a", "5"}}, End::kDied),
       {{"claim", "a", "3"}, {"claim", "a", "3"}, {"complete", "a", image("a", 0), "2"}},
       {}},
      {"cut_off_load",
       cut_off_load,
       {{"create", "b", "0", "4"}, {"claim", "a", "2"}, {"create", "big", "0", "30"}},
       {}},
      {"migration",
       version_1,
       {{"counts", "a"}, {"add", "a", "12", "3"}, {"claim", "a", "3"}, {"checkpoint", "a"}},
       {}},
      {"full_log",
       almost_full_log,
       {{"reset", "a"},
        {"mark_error", "a", image("a", 58), long_message()},
        {"mark_error", "a", image("a", 59), long_message()},
        {"mark_error", "a", image("a", 60), long_message()},
        {"counts", "a"}},
       {},
       Extent::kLengthy},
      {"every_commit_synced", prepared(twelve), working, full()},
      {"buffered_marks",
       prepared(twelve),
       {{"claim", "a", "6"},
        {"mark_completed", "a", image("a", 0)},
        {"mark_error", "a", image("a", 1), "broken"},
        {"mark_completed", "a", image("a", 2)},
        {"mark_error", "a", image("a", 3), "broken"},
        {"checkpoint", "a"},
        {"mark_completed", "a", image("a", 4)},
        {"mark_completed", "a", image("a", 8)},
        {"counts", "a"}},
       buffered()},
      {"closed_and_opened",
       prepared(twelve),
       {{"claim", "a", "4"},
        {"complete", "a", image("a", 0), "1"},
        {"reopen"},
        {"reset", "a"},
        {"claim", "a", "1"},
        {"complete", "a", image("a", 4), "1"},
        {"reopen"},
        {"counts", "a"}},
       {},
       Extent::kLengthy},
  };
}

}  // namespace

std::vector<Scenario> scenarios_that_commit() {
  std::vector<Scenario> chosen = scenarios();
  std::erase_if(chosen, [](const Scenario& each) { return each.options.mark_buffer > 0; });
  return chosen;
}

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> kAll = all();
  return kAll;
}

}  // namespace progress_tracker::reliability

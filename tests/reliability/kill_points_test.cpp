// Workers killed at every call that SQLite makes to the operating system: what was acknowledged is
// there, what was not is there or not, and the next one goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include "campaign.h"
#include "fault_vfs.h"
#include "process.h"
#include "script.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

// What a child said before it ended: the answer to each operation that it acknowledged.
struct Story {
  std::vector<std::string> answers;
  bool was_killed{false};
};

// Ends the process before it makes its n-th call.
VfsHook die_at(int n) {
  return [n, calls = 0](const VfsEvent&) mutable {
    if (++calls == n) {
      ::kill(::getpid(), SIGKILL);
    }
    return 0;
  };
}

// Plays the scenario in a child that dies before its n-th call.
Story play_in_child(const Scenario& scenario, const std::filesystem::path& database, int n) {
  // Unlike a pipe it takes all that is said, and nobody has to read meanwhile.
  const int answers = ::memfd_create("answers", MFD_CLOEXEC);
  if (answers < 0) {
    throw std::system_error(errno, std::generic_category(), "memfd_create");
  }
  const int status = test::in_child([&] {
    set_vfs_hook(die_at(n));
    Player player(database, scenario.options);
    for (const Operation& operation : scenario.script) {
      const std::string line = player.carry_out(operation) + "\n";
      test::require(::write(answers, line.data(), line.size()) == static_cast<ssize_t>(line.size()),
                    "the answer is written");
    }
    player.drop();
  });
  std::string said(static_cast<std::size_t>(::lseek(answers, 0, SEEK_END)), '\0');
  EXPECT_EQ(::pread(answers, said.data(), said.size(), 0), static_cast<ssize_t>(said.size()));
  ::close(answers);
  Story story{.answers = {}, .was_killed = status == -SIGKILL};
  EXPECT_TRUE(story.was_killed || status == 0) << "ended with " << status;
  for (std::size_t begin = 0, end = 0; (end = said.find('\n', begin)) != std::string::npos;
       begin = end + 1) {
    story.answers.push_back(said.substr(begin, end - begin));
  }
  return story;
}

class KillPointsTest : public testing::TestWithParam<Scenario> {
 protected:
  KillPointsTest() { install_fault_vfs(); }

  struct Deaths {
    bool first{false};
    bool second{false};
  };

  // Plays until the n-th call, lets somebody open who dies before the given call of his, unless it
  // is 0, and looks at what is there. Says who did die, and did not end before.
  Deaths try_point(int n, int second_death) {
    SCOPED_TRACE(GetParam().name + ", killed before call " + std::to_string(n) +
                 (second_death > 0
                      ? ", and who came next before its call " + std::to_string(second_death)
                      : ""));
    prepared_.copy_to(directory_);
    const Story story = play_in_child(GetParam(), directory_.database(), n);
    Deaths deaths{.first = story.was_killed, .second = false};
    const auto& script = GetParam().script;
    Worlds worlds(prepared_.record());
    for (std::size_t i = 0; i < story.answers.size(); ++i) {
      EXPECT_EQ(worlds.done(script.at(i), story.answers[i]), "");
    }
    if (story.answers.size() < script.size()) {
      EXPECT_TRUE(story.was_killed);
      worlds.perhaps_done(script.at(story.answers.size()));
      worlds.worker_died();
    } else {
      worlds.worker_ended();  // or was killed while it took its leave
    }
    if (second_death > 0) {
      const int status = test::in_child([&] {
        set_vfs_hook(die_at(second_death));
        Player(directory_.database(), GetParam().options).open();
      });
      EXPECT_TRUE(status == 0 || status == -SIGKILL) << status;
      deaths.second = status == -SIGKILL;
    }
    // By whoever looks first...
    EXPECT_EQ(worlds.compare(picture_of_file(directory_.database())), "");
    // ... and by the next worker, which opens and works on.
    expect_usable(worlds);
    return deaths;
  }

  // What the dead held can be had again, and all else goes on.
  void expect_usable(Worlds& worlds) const {
    Player next(directory_.database(), {});
    next.open();
    const auto carry_out = [&](const Operation& operation) {
      const std::string answer = next.carry_out(operation);
      EXPECT_EQ(worlds.done(operation, answer), "");
      return answer;
    };
    const Picture found = picture_of_file(directory_.database());
    if (const std::string difference = worlds.settle(found); !difference.empty()) {
      ADD_FAILURE() << difference;
      return;  // no record could follow
    }
    for (const auto& [row, value] : found) {
      if (!row.starts_with("job ")) {
        continue;
      }
      const std::string job = row.substr(4);
      carry_out({"reset", job});
      // The last ones are handed out one by one.
      for (int claims = 0; claims < 20 && !carry_out({"claim", job, "100"}).empty(); ++claims) {
      }
    }
    carry_out({"create", "later", "0", "3"});
    EXPECT_EQ(worlds.compare(picture_of_file(directory_.database())), "");
  }

  const Prepared prepared_{GetParam()};
  const ScratchDirectory directory_;
  const unsigned seed_ = processes::test_seed();
  std::mt19937 random_{seed_};
};

TEST_P(KillPointsTest, NothingAcknowledgedIsLost) {
  SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_));
  const bool is_lengthy = GetParam().extent == Extent::kLengthy;
  const int step =
      GetParam().extent == Extent::kBasic ? 1 : static_cast<int>(sized(is_lengthy ? 51 : 17, 1));
  int points = 0;
  int n = 1 + static_cast<int>(random_() % static_cast<unsigned>(step));
  for (; try_point(n, 0).first; n += step) {
    ++points;
    if (HasFailure()) {
      break;
    }
  }
  EXPECT_GT(points, 0);
  report("G2", "kill -9 before a call of SQLite, " + GetParam().name, points, HasFailure() ? 1 : 0,
         std::to_string(n - 1) + " calls");
}

TEST_P(KillPointsTest, NorByASecondDeathDuringRecovery) {
  SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_));
  const auto pairs = static_cast<int>(sized(GetParam().extent == Extent::kBasic ? 20 : 3, 300));
  // As many calls as there are, once a play has ended before its death.
  int first_calls = 400;
  int second_calls = 60;
  int both_died = 0;
  int tries = 0;
  for (; both_died < pairs && tries < 10 * pairs && !HasFailure(); ++tries) {
    const int first = processes::draw(random_, 1, first_calls);
    const int second = processes::draw(random_, 1, second_calls);
    const Deaths deaths = try_point(first, second);
    first_calls = deaths.first ? first_calls : std::max(first - 1, 20);
    second_calls = deaths.second ? second_calls : std::max(second - 1, 10);
    both_died += deaths.first && deaths.second ? 1 : 0;
  }
  EXPECT_EQ(both_died, pairs) << "pairs of deaths in " << tries << " tries";
  report("G2", "two kills, the second during recovery, " + GetParam().name, both_died,
         HasFailure() ? 1 : 0, "of " + std::to_string(tries) + " tries");
}

INSTANTIATE_TEST_SUITE_P(Scenarios, KillPointsTest, testing::ValuesIn(scenarios_that_commit()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace progress_tracker::reliability

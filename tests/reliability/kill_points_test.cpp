// Workers killed at every call that SQLite makes to the operating system: what was acknowledged is
// there, what was not is there or not, and the next one goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <functional>
#include <iostream>
#include <random>
#include <string>

#include "campaign.h"
#include "fault_vfs.h"
#include "process.h"
#include "script.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

// What a child said before it ended: how many operations it began and how many it acknowledged,
// and the answer to each of those.
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
  int ends[2];
  if (::pipe(ends) != 0) {
    throw std::runtime_error("pipe");
  }
  const int status = test::in_child([&] {
    set_vfs_hook(die_at(n));
    Player player(database, scenario.options);
    for (const Operation& operation : scenario.script) {
      const std::string line = player.carry_out(operation) + "\n";
      test::require(::write(ends[1], line.data(), line.size()) == static_cast<ssize_t>(line.size()),
                    "the answer is written");
    }
    player.drop();
  });
  ::close(ends[1]);
  std::string said;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    said.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
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

  // Plays until the n-th call and looks at what is there. False: it ended before.
  bool try_point(int n, int second_death) {
    SCOPED_TRACE(GetParam().name + ", killed before call " + std::to_string(n) +
                 (second_death > 0
                      ? ", and who came next before its call " + std::to_string(second_death)
                      : ""));
    prepared_.copy_to(directory_);
    const Story story = play_in_child(GetParam(), directory_.database(), n);
    const auto& script = GetParam().script;
    Worlds worlds(prepared_.record());
    for (std::size_t i = 0; i < story.answers.size(); ++i) {
      EXPECT_EQ(worlds.done(script.at(i), story.answers[i]), "");
    }
    if (story.answers.size() < script.size()) {
      worlds.perhaps_done(script.at(story.answers.size()));
    }
    if (second_death > 0) {
      const int status = test::in_child([&] {
        set_vfs_hook(die_at(second_death));
        Player(directory_.database(), GetParam().options).open();
      });
      EXPECT_TRUE(status == 0 || status == -SIGKILL) << status;
    }
    // By whoever looks first...
    EXPECT_EQ(worlds.compare(picture_of_file(directory_.database())), "");
    // ... and by the next worker, which opens and works on.
    Player next(directory_.database(), {});
    next.open();
    EXPECT_EQ(worlds.compare(picture_of_file(directory_.database())), "");
    const Operation more{"create", "later", "0", "3"};
    EXPECT_EQ(worlds.done(more, next.carry_out(more)), "");
    EXPECT_EQ(worlds.compare(picture_of_file(directory_.database())), "");
    return story.was_killed;
  }

  const Prepared prepared_{GetParam()};
  const ScratchDirectory directory_;
  const unsigned seed_ = processes::test_seed();
  std::mt19937 random_{seed_};
};

TEST_P(KillPointsTest, NothingAcknowledgedIsLost) {
  SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_));
  const int step = GetParam().extent == Extent::kBasic ? 1 : static_cast<int>(sized(17, 1));
  int points = 0;
  int n = 1 + static_cast<int>(random_() % static_cast<unsigned>(step));
  for (; try_point(n, 0); n += step) {
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
  int longest = 400;
  for (int i = 0; i < pairs && !HasFailure(); ++i) {
    const int n = processes::draw(random_, 1, longest);
    if (!try_point(n, processes::draw(random_, 1, 60))) {
      longest = std::max(n, 20);
    }
  }
  report("G2", "two kills, the second during recovery, " + GetParam().name, pairs,
         HasFailure() ? 1 : 0);
}

INSTANTIATE_TEST_SUITE_P(Scenarios, KillPointsTest, testing::ValuesIn(scenarios_that_commit()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace progress_tracker::reliability

// The power goes at any moment: what comes back is intact, has no holes, and holds what was
// promised: with kNormal what was committed before the latest sync(), with kFull all that was
// acknowledged.
#include "power_loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "armed.h"
#include "audit.h"
#include "campaign.h"
#include "fault_vfs.h"
#include "process.h"
#include "progress_tracker/log.h"
#include "remote_tracker.h"
#include "script.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

using Kind = DiskEvent::Kind;

class PowerLossTest : public testing::Test {
 protected:
  PowerLossTest() {
    install_fault_vfs();
    set_log_level(LogLevel::kOff);
  }
  ~PowerLossTest() override { set_log_level(LogLevel::kWarn); }

  // Lets the power go after every event, or after drawn ones if there would be too many images, and
  // has each image looked at: that without anything uncertain, that with all of it, and others.
  // `disk`: as it was before the recording.
  using Look = std::function<void(const ScratchDirectory& image, std::size_t acknowledged)>;
  void lose_power(const Recording& recording, Disk disk, const Look& look, Row& row) {
    const auto& events = recording.events();
    const std::size_t moments = events.size() + 1;
    const auto most = static_cast<std::size_t>(sized(320, 8'000));
    const std::size_t images = std::max<std::size_t>(3, most / moments);
    std::size_t left = std::min(moments, most / images);  // moments to be tried
    std::size_t acknowledged = 0;
    for (std::size_t moment = 0; moment < moments; ++moment) {
      const bool chosen = random_() % (moments - moment) < left;
      left -= chosen ? 1 : 0;
      for (std::size_t i = 0; chosen && i < images && !HasFailure(); ++i) {
        const ScratchDirectory image;
        const std::size_t number = i < 2 || images > 4 ? i : 2 + random_() % 38;
        const std::string description = disk.write_image(image.path(), number, random_);
        SCOPED_TRACE("power lost after event " + std::to_string(moment) + " of " +
                     std::to_string(events.size()) + "; " + description);
        look(image, acknowledged);
        ++row.count;
      }
      if (moment < events.size()) {
        disk.carry_out(events[moment]);
        acknowledged += events[moment].kind == Kind::kAcknowledged ? 1 : 0;
      }
    }
  }

  // Opened by the next worker, and looked at.
  static Picture recover(const ScratchDirectory& image) {
    try {
      Player next(image.database(), {});
      next.open();
    } catch (const std::exception& error) {
      ADD_FAILURE() << "cannot be opened: " << error.what();
      return {};
    }
    return picture_of_file(image.database());
  }

  const unsigned seed_ = processes::test_seed();
  std::mt19937 random_{seed_};
};

class PowerLossInScenario : public PowerLossTest, public testing::WithParamInterface<Scenario> {};

TEST_P(PowerLossInScenario, LeavesABeginningOfWhatWasDone) {
  SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_));
  const Scenario& scenario = GetParam();
  Row row("G3", "power lost, " + scenario.name);
  const Prepared prepared(scenario);
  const ScratchDirectory directory;
  prepared.copy_to(directory);
  const Disk disk(directory.path());
  std::vector<Picture> pictures{prepared.record().picture()};
  std::vector<std::size_t> certain{0};  // how many operations were done for certain, by how many
                                        // were acknowledged
  Recording recording(directory.path());
  {
    Record record = prepared.record();
    Player player(directory.database(), scenario.options);
    for (const Operation& operation : scenario.script) {
      player.carry_out(operation);
      recording.acknowledge();
      record.carry_out(operation);
      pictures.push_back(record.picture());
      const bool synced =
          operation[0] == "sync" || scenario.options.synchronous == Options::Synchronous::kFull;
      certain.push_back(synced ? certain.size() : certain.back());
    }
    player.drop();
  }
  recording.stop();
  row.remark = std::to_string(recording.events().size()) + " moments";
  lose_power(
      recording, disk,
      [&](const ScratchDirectory& image, std::size_t acknowledged) {
        const Picture found = recover(image);
        const auto begin = pictures.begin() + static_cast<std::ptrdiff_t>(certain[acknowledged]);
        const auto end = pictures.begin() +
                         static_cast<std::ptrdiff_t>(std::min(acknowledged + 2, pictures.size()));
        EXPECT_TRUE(std::find(begin, end, found) != end)
            << acknowledged << " operations acknowledged, " << certain[acknowledged]
            << " for certain\n"
            << processes::difference(*begin, found);
      },
      row);
}

INSTANTIATE_TEST_SUITE_P(Scenarios, PowerLossInScenario, testing::ValuesIn(scenarios_that_commit()),
                         [](const auto& each) { return each.param.name; });

// Threads whose commits share syncs: each was told when its own was on the disk. A sync lasts until
// everybody whose commit is on the disk has committed again, so that it is certain that commits
// come into syncs, which do not cover them, and that several wait for the next one.
TEST_F(PowerLossTest, LosesNothingThatAThreadWasToldIsOnTheDisk) {
  SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_));
  Row row("G3", "power lost, four threads that share syncs");
  constexpr int kThreads = 4;
  constexpr int kImages = 12;  // a thread
  const ScratchDirectory directory;
  const auto paths = processes::some_paths("a", 0, kThreads * kImages);
  std::vector<ImageId> ids;
  {
    ProgressTracker maker(directory.database());
    const auto job = maker.create_job("a", paths, {});
    ids = test::ids_of(maker.get_pending_images(job, 1'000));
  }
  const Disk disk(directory.path());

  std::mutex mutex;
  std::optional<processes::Audit> audit;  // not before the log is made, which is to be recorded
  const auto completed = [&](const std::string& which) {
    const std::lock_guard lock(mutex);
    if (!audit) {
      audit.emplace(directory.database());
    }
    return audit->number("SELECT count(*) FROM images WHERE status = 'completed'" + which);
  };
  thread_local std::string_view own;  // the path of what the thread marks
  std::atomic<int> working{kThreads};
  std::int64_t latest = 0;   // how many commits there were when the latest sync ended,
  std::int64_t certain = 0;  // and the one before: all these the latest covered
  std::atomic<bool> stuck{false};
  const auto let_others_commit = [&](const std::string& file) {
    // A sync by somebody who has not yet committed is one that the write lock is held for.
    if (!file.ends_with("-wal") || own.empty() ||
        completed(" AND path = '" + std::string(own) + "'") == 0) {
      return;
    }
    const auto end = std::chrono::steady_clock::now() + processes::kPatience;
    // A few looks at least, in which somebody who is told too early goes on.
    for (int looks = 0; !stuck && (looks < 50 || completed("") < certain + working); ++looks) {
      stuck = std::chrono::steady_clock::now() > end;
      std::this_thread::yield();
    }
    certain = std::exchange(latest, completed(""));
  };

  Recording recording(directory.path(), let_others_commit);
  {
    Options options;
    options.synchronous = Options::Synchronous::kFull;
    const auto tracker = [&] {
      const Armed armed;
      return std::make_unique<ProgressTracker>(directory.database(), options);
    }();
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < kImages; ++i) {
          const Armed armed;
          const auto number = static_cast<std::size_t>(thread * kImages + i);
          own = paths[number].native();
          tracker->mark_completed(ids[number]);
          recording.acknowledge(paths[number]);
        }
        --working;
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    audit.reset();
    const Armed armed;
    tracker->close();
  }
  recording.stop();
  EXPECT_FALSE(stuck) << "nobody else could commit while one synced";

  std::vector<std::string> told;
  std::size_t syncs = 0;
  std::size_t met = 0;  // of them, by what somebody else wrote
  const auto& events = recording.events();
  for (auto event = events.begin(); event != events.end() && told.size() < ids.size(); ++event) {
    if (event->kind == Kind::kAcknowledged) {
      told.push_back(event->name);
    } else if (event->kind == Kind::kSync && event->name.ends_with("-wal")) {
      ++syncs;
      met += std::any_of(events.begin() + static_cast<std::ptrdiff_t>(event->began), event,
                         [](const DiskEvent& each) { return each.kind == Kind::kWrite; })
                 ? 1
                 : 0;
    }
  }
  ASSERT_EQ(told.size(), ids.size());
  EXPECT_LT(syncs, ids.size()) << "no two commits shared a sync";
  EXPECT_GT(met, 0U) << "no commit came into a sync";
  row.remark = std::to_string(ids.size()) + " commits, " + std::to_string(syncs) + " syncs, " +
               std::to_string(met) + " met by other commits";
  lose_power(
      recording, disk,
      [&](const ScratchDirectory& image, std::size_t how_many) {
        const Picture found = recover(image);
        for (std::size_t i = 0; i < how_many; ++i) {
          const auto its = found.find("image a " + told[i]);
          EXPECT_TRUE(its != found.end() && its->second.find("completed") != std::string::npos)
              << told[i] << " was acknowledged";
        }
      },
      row);
}

}  // namespace
}  // namespace progress_tracker::reliability

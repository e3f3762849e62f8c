// The power goes at any moment: what comes back is intact, has no holes, and holds what was
// promised: with kNormal what was committed before the latest sync(), with kFull all that was
// acknowledged.
#include "power_loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "armed.h"
#include "campaign.h"
#include "disk_sync.h"
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
  // has each image looked at. `disk`: as it was before the recording.
  using Look = std::function<void(const ScratchDirectory& image, std::size_t acknowledged)>;
  std::int64_t lose_power(const Recording& recording, Disk disk, const Look& look) {
    const auto& events = recording.events();
    const auto moments = static_cast<std::int64_t>(events.size());
    const std::int64_t a_moment = sized(4, 40);
    const std::int64_t most = sized(320, 8'000);
    const bool all = moments * a_moment <= most;
    std::int64_t recoveries = 0;
    std::size_t acknowledged = 0;
    for (std::int64_t moment = 0; moment <= moments; ++moment) {
      const std::int64_t images =
          all ? std::max(a_moment, most / (moments + 1))
              : static_cast<std::int64_t>((moment + 1) * most / (moments + 1) -
                                          moment * most / (moments + 1));
      for (std::int64_t i = 0; i < images && !HasFailure(); ++i) {
        const ScratchDirectory image;
        const std::size_t number = all ? static_cast<std::size_t>(i) : random_() % 40;
        const std::string description = disk.write_image(image.path(), number, random_);
        SCOPED_TRACE("power lost after event " + std::to_string(moment) + " of " +
                     std::to_string(moments) + "; " + description);
        look(image, acknowledged);
        ++recoveries;
      }
      if (moment < moments) {
        const DiskEvent& event = events[static_cast<std::size_t>(moment)];
        disk.carry_out(event);
        acknowledged += event.kind == Kind::kAcknowledged ? 1 : 0;
      }
    }
    return recoveries;
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
  const std::int64_t recoveries =
      lose_power(recording, disk, [&](const ScratchDirectory& image, std::size_t acknowledged) {
        const Picture found = recover(image);
        const auto begin = pictures.begin() + static_cast<std::ptrdiff_t>(certain[acknowledged]);
        const auto end = pictures.begin() +
                         static_cast<std::ptrdiff_t>(std::min(acknowledged + 2, pictures.size()));
        EXPECT_TRUE(std::find(begin, end, found) != end)
            << acknowledged << " operations acknowledged, " << certain[acknowledged]
            << " for certain\n"
            << processes::difference(*begin, found);
      });
  report("G3", "power lost, " + scenario.name, recoveries, HasFailure() ? 1 : 0,
         std::to_string(recording.events().size()) + " moments");
}

INSTANTIATE_TEST_SUITE_P(Scenarios, PowerLossInScenario, testing::ValuesIn(scenarios_that_commit()),
                         [](const auto& each) { return each.param.name; });

// Threads whose commits share syncs: each was told when its own was on the disk.
TEST_F(PowerLossTest, LosesNothingThatAThreadWasToldIsOnTheDisk) {
  SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_));
  constexpr int kThreads = 4;
  constexpr int kImages = 12;  // a thread
  const ScratchDirectory directory;
  std::vector<ImageId> ids;
  {
    ProgressTracker maker(directory.database());
    const auto job = maker.create_job("a", processes::some_paths("a", 0, kThreads * kImages), {});
    ids = test::ids_of(maker.get_pending_images(job, 1'000));
  }
  const Disk disk(directory.path());
  Recording recording(directory.path());
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
          tracker->mark_completed(ids[number]);
          recording.acknowledge(std::to_string(number));
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    const Armed armed;
    tracker->close();
  }
  recording.stop();
  std::vector<std::string> told;
  for (const DiskEvent& event : recording.events()) {
    if (event.kind == Kind::kAcknowledged) {
      told.push_back(processes::some_paths("a", std::stoi(event.name), 1).front());
    }
  }
  ASSERT_EQ(told.size(), ids.size());
  const std::int64_t recoveries =
      lose_power(recording, disk, [&](const ScratchDirectory& image, std::size_t acknowledged) {
        const Picture found = recover(image);
        for (std::size_t i = 0; i < acknowledged; ++i) {
          const auto row = found.find("image a " + told[i]);
          EXPECT_TRUE(row != found.end() && row->second.find("completed") != std::string::npos)
              << told[i] << " was acknowledged";
        }
      });
  report("G3", "power lost, four threads that share syncs", recoveries, HasFailure() ? 1 : 0);
}

}  // namespace
}  // namespace progress_tracker::reliability

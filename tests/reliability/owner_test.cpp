// G16: who holds an image. Workers are killed while others claim, reset and come back with marks of
// attempts that are over, each with a clock on its wall that jumps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "audit.h"
#include "campaign.h"
#include "jumping_clock.h"
#include "ledger.h"
#include "process.h"
#include "progress_tracker/progress_tracker.h"
#include "remote_tracker.h"
#include "support.h"
#include "testing_hooks.h"

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
using processes::TemporaryDirectory;
using processes::text;

// ---- The worker --------------------------------------------------------------------------------

// Claims some hundred images at a time and does all that can be done with them, for as long as it
// lives or until all is over.
class OwningWorker {
 public:
  OwningWorker(ProgressTracker& tracker, JobId job, Ledger& ledger, int owner, unsigned seed)
      : tracker_(tracker), job_(job), ledger_(ledger), owner_(owner), random_(seed) {}

  void step() {
    claim();
    if (held_.size() > 900 || draw(random_, 0, 9) == 0) {
      return reset();
    }
    switch (draw(random_, 0, 3)) {
      case 0:
        return mark();
      case 1:
        return try_stale_marks();
      default:
        return release();
    }
  }

 private:
  void claim() {
    const auto images =
        tracker_.claim_images(job_, static_cast<std::size_t>(draw(random_, 1, 500)));
    for (const Image& image : images) {
      complain(ledger_.claimed(number_of(image.path), image.attempt, owner_));
    }
    held_.insert(held_.end(), images.begin(), images.end());
  }

  // The last some of what it holds, let go in the ledger. Some are remembered as over.
  std::vector<Image> take_some() {
    const auto count = static_cast<std::size_t>(draw(random_, 0, static_cast<int>(held_.size())));
    std::vector<Image> some(held_.end() - static_cast<std::ptrdiff_t>(count), held_.end());
    held_.resize(held_.size() - count);
    for (const Image& image : some) {
      ledger_.lets_go(number_of(image.path));
    }
    return some;
  }
  void remember_as_over(const std::vector<Image>& images) {
    for (std::size_t i = 0; i < images.size(); i += 16) {
      over_.push_back(images[i]);
    }
  }

  void release() {
    const auto some = take_some();
    if (tracker_.release_images(some) != some.size()) {
      complain("could not give back what it held");
    }
    remember_as_over(some);
  }

  // Few are completed, so that there is enough to claim to the end.
  void mark() {
    const auto some = take_some();
    std::vector<Outcome> outcomes;
    for (const Image& image : some) {
      const bool good = number_of(image.path) % 16 == 0;
      outcomes.push_back({.id = image.id,
                          .attempt = image.attempt,
                          .error = good ? std::nullopt : std::optional<std::string>("odd")});
    }
    if (tracker_.mark_outcomes(outcomes) != some.size()) {
      complain("a mark of what it held was refused");
    }
    for (const Image& image : some) {
      if (number_of(image.path) % 16 == 0) {
        ledger_.completed(number_of(image.path));
      } else {
        ledger_.failed(number_of(image.path), image.attempt);
      }
    }
    tracker_.reset_error_images(job_);
    ledger_.count_call();
  }

  // Takes back what dead ones held, and all that it holds itself.
  void reset() {
    const std::vector<Image> mine = std::exchange(held_, {});
    for (const Image& image : mine) {
      ledger_.lets_go(number_of(image.path));
    }
    if (tracker_.reset_stuck_images(job_) < mine.size()) {
      complain("its own images were not all put back");
    }
    ledger_.count_call();
    remember_as_over(mine);
  }

  void try_stale_marks() {
    const std::vector<Image> over = std::exchange(over_, {});
    for (const Image& image : over) {
      const bool taken =
          draw(random_, 0, 1) == 0 ? tracker_.complete(image) : tracker_.fail(image, "stale");
      if (taken) {
        complain("a mark of an attempt that is over was taken: image " +
                 std::to_string(number_of(image.path)));
      }
      ledger_.count_refusal();
    }
    if (tracker_.release_images(over) != 0) {
      complain("what was given back was given back again");
    }
  }

  ProgressTracker& tracker_;
  const JobId job_;
  Ledger& ledger_;
  const int owner_;
  Random random_;
  std::vector<Image> held_;
  std::vector<Image> over_;
};

// Arguments: database, job, ledger, owner, seed.
int own(const Arguments& arguments) {
  const auto seed = static_cast<unsigned>(std::stoul(arguments.at(4)));
  const int owner = std::stoi(arguments.at(3));
  JumpingClock clock(static_cast<JumpingClock::Manner>(owner % JumpingClock::kManners), seed);
  const auto tracker = internal::open_with_clock(arguments.at(0), {}, clock);
  Ledger ledger(arguments.at(2));
  OwningWorker worker(*tracker, JobId{std::stoll(arguments.at(1))}, ledger, owner, seed);
  say("ready");
  while (!ledger.is_over()) {
    worker.step();
  }
  say("finished");
  hear();  // so that what it holds stays a living one's
  return 0;
}

const processes::RegisterActor kOwner{"owner", own};

// ---- The test ----------------------------------------------------------------------------------

TEST(TheLedger, TellsOfAnImageThatALivingOneHoldsAtTheEndToo) {
  const TemporaryDirectory directory;
  Ledger ledger(directory.path() / "ledger", 1);
  EXPECT_EQ(ledger.claimed(0, 1, 1), "");
  ledger.will_die(1);
  EXPECT_EQ(ledger.claimed(0, 2, 2), "");
  ledger.end();
  EXPECT_NE(ledger.claimed(0, 3, 3), "");
}

struct Sum {
  std::int64_t claims{0};
  std::int64_t refusals{0};
  std::int64_t kills{0};
  std::int64_t recovered{0};
  std::int64_t recovered_at_the_end{0};
  std::int64_t wrong{0};
  std::chrono::milliseconds longest_reset{0};
};

// One database and its workers, until so many claims were made.
class Epoch {
 public:
  Epoch(std::int64_t claims, unsigned seed, Sum& sum)
      : target_(claims), seed_(seed), random_(seed), sum_(sum) {
    job_ = tracker_.create_job("job", processes::some_paths("images", 0, kImages), {});
  }

  void run() {
    for (int i = 0; i < kWorkers; ++i) {
      workers_.push_back(start());
    }
    for (int kills = 1; ledger_.claims() < target_ && !testing::Test::HasFailure(); ++kills) {
      // Spread over the epoch.
      while (ledger_.claims() < std::min(target_, target_ * kills / (kKills + 1)) &&
             !testing::Test::HasFailure()) {
        ASSERT_NO_FATAL_FAILURE(listen());
      }
      if (kills <= kKills) {
        kill_one();
      }
    }
    ledger_.end();
    for (Worker& each : workers_) {
      for (auto line = each.process.receive(); line != "finished"; line = each.process.receive()) {
        ASSERT_TRUE(line.has_value()) << "a worker died by itself";
        note(*line);
      }
    }
    compare();
    kill_all();
    sum_.claims += ledger_.claims();
    sum_.refusals += ledger_.refusals();
  }

 private:
  static constexpr int kImages = 20'000;
  static constexpr int kWorkers = 8;
  static constexpr int kKills = 6;
  // The goal is 2 s; a machine that has much else to do is given more.
  static constexpr std::chrono::seconds kLongestReset{30};

  struct Worker {
    Process process;
    int owner;
  };

  Worker start() {
    const int owner = ++last_owner_;
    return {Process("owner", {directory_.database().string(), text(job_), ledger_file_.string(),
                              text(owner), text(seed_ + static_cast<unsigned>(owner))}),
            owner};
  }

  void note(const std::string& line) {
    if (!line.empty() && line != "ready") {
      ++sum_.wrong;
      ADD_FAILURE() << line;
    }
  }

  void listen() {
    for (Worker& each : workers_) {
      while (const auto line = each.process.receive_if_there()) {
        note(*line);
      }
      ASSERT_FALSE(each.process.has_ended()) << "a worker died by itself";
    }
    std::this_thread::yield();
  }

  void kill(std::list<Worker>::iterator dying) {
    ledger_.will_die(dying->owner);
    dying->process.kill();
    for (const std::string& line : dying->process.receive_rest()) {
      note(line);
    }
    workers_.erase(dying);
    ++sum_.kills;
  }

  // Deaths are seen by locks, which the kernel drops before it says that a process is gone: so the
  // first reset after it gets all of the dead ones' images back, and nobody has to wait.
  std::size_t reset() {
    const auto begin = std::chrono::steady_clock::now();
    const std::size_t recovered = tracker_.reset_stuck_images(job_);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - begin);
    sum_.recovered += static_cast<std::int64_t>(recovered);
    sum_.longest_reset = std::max(sum_.longest_reset, took);
    expect(took < kLongestReset, "a reset took " + std::to_string(took.count()) + " ms");
    for (const auto& worker : tracker_.list_workers()) {
      expect(worker.alive,
             "after a reset a dead worker still holds " + std::to_string(worker.processing));
    }
    return recovered;
  }

  void kill_one() {
    kill(std::next(workers_.begin(), draw(random_, 0, kWorkers - 1)));
    reset();
    workers_.push_back(start());
  }

  // All is over: nobody works, and nobody but the dead can hold anything.
  void kill_all() {
    const std::int64_t held = tracker_.get_status_counts(job_)->processing;
    while (!workers_.empty()) {
      kill(workers_.begin());
    }
    const auto recovered = static_cast<std::int64_t>(reset());
    expect(recovered == held, "of " + std::to_string(held) + " images that dead workers held " +
                                  std::to_string(recovered) + " came back");
    const std::int64_t left = tracker_.get_status_counts(job_)->processing;
    expect(left == 0, "all workers are dead, and " + std::to_string(left) + " images processing");
    sum_.recovered_at_the_end += recovered;
    Audit(directory_.database()).expect_sound();
  }

  void expect(bool condition, const std::string& otherwise) { note(condition ? "" : otherwise); }

  void compare() {
    Audit audit(directory_.database());
    audit.expect_sound();
    for (const processes::Row& row : audit.rows("SELECT path, status, attempts FROM images")) {
      note(ledger_.compare(number_of(row[0]), row[1], std::stoi(row[2]), /*all_told=*/false));
    }
  }

  const std::int64_t target_;
  const unsigned seed_;
  Random random_;
  Sum& sum_;
  const TemporaryDirectory directory_;
  const std::filesystem::path ledger_file_ = directory_.path() / "ledger";
  Ledger ledger_{ledger_file_, kImages};
  ProgressTracker tracker_{directory_.database()};
  JobId job_{};
  std::list<Worker> workers_;
  int last_owner_{0};
};

TEST(Owners, HoldWhatIsTheirsUntilTheyDieAndNotLonger) {
  constexpr std::int64_t kClaimsOfAnEpoch = 100'000;
  const auto claims = sized(100'000, 10'000'000);
  unsigned seed = processes::test_seed();
  Sum sum;
  while (sum.claims < claims && !testing::Test::HasFailure()) {
    SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed));
    Epoch(kClaimsOfAnEpoch, seed, sum).run();
    ++seed;
  }
  EXPECT_GT(sum.kills, 0);
  EXPECT_GT(sum.recovered, sum.recovered_at_the_end) << "none of those killed at work held any";
  EXPECT_GT(sum.recovered_at_the_end, 0) << "nobody held anything at the end";
  EXPECT_GT(sum.refusals, 0);
  report("G16", "claims by workers that are killed, with clocks that jump", sum.claims, sum.wrong,
         std::to_string(sum.kills) + " kills, " + std::to_string(sum.recovered) +
             " images recovered, longest reset " + std::to_string(sum.longest_reset.count()) +
             " ms, " + std::to_string(sum.refusals) + " stale marks tried");
}

// ---- The same calls under another clock --------------------------------------------------------

// What three workers do, one of whom dies, drawn from the seed; says what each call returned.
std::vector<std::string> story(const std::filesystem::path& database, Clock& clock, unsigned seed) {
  constexpr int kSteps = 60;
  Random random(seed);
  std::vector<std::string> told;
  std::vector<std::unique_ptr<ProgressTracker>> workers;
  std::vector<std::vector<Image>> held(3);
  const auto open = [&] { return internal::open_with_clock(database, {.max_deaths = 3}, clock); };
  for (int i = 0; i < 3; ++i) {
    workers.push_back(open());
  }
  const JobId job = workers[0]->create_job("job", test::image_paths(200), {});
  for (int step = 0; step < kSteps; ++step) {
    const auto which = static_cast<std::size_t>(draw(random, 0, 2));
    ProgressTracker& tracker = *workers[which];
    std::vector<Image>& its = held[which];
    std::string& line = told.emplace_back();
    switch (draw(random, 0, 7)) {
      case 0:
        line = "reset " + std::to_string(tracker.reset_stuck_images(job));
        break;
      case 1:
        internal::simulate_death(tracker);
        workers[which] = open();
        line = "died";
        break;
      case 2:
        line = "released " + std::to_string(tracker.release_images(its));
        break;
      case 3:
        tracker.checkpoint(job);
        line = "retried " + std::to_string(tracker.reset_error_images(job));
        break;
      case 4:
      case 5:
        for (const Image& image : its) {
          const bool good = draw(random, 0, 1) == 0;
          line += (good ? tracker.complete(image) : tracker.fail(image, "odd")) ? "y" : "n";
        }
        break;
      default:
        its = tracker.claim_images(job, static_cast<std::size_t>(draw(random, 1, 40)));
        for (const Image& image : its) {
          line += image.path.string() + ":" + std::to_string(image.attempt) + " ";
        }
        break;
    }
  }
  for (const auto& tracker : workers) {
    tracker->close();
  }
  for (const processes::Row& row :
       Audit(database).rows("SELECT path, status, attempts, deaths, error_message, "
                            "started_at IS NULL, processed_at IS NULL FROM images")) {
    std::string& line = told.emplace_back();
    for (const std::string& value : row) {
      line += value + " ";
    }
  }
  return told;
}

TEST(AClockOnTheWallThatJumps, ChangesNothingButTimes) {
  const auto stories = sized(40, 4'000);
  const unsigned seed = processes::test_seed();
  Row row("G16", "stories told twice, under a good clock and one that jumps");
  std::int64_t deaths = 0;
  std::int64_t stale = 0;
  for (int i = 0; i < stories; ++i) {
    const unsigned its = seed + static_cast<unsigned>(i);
    SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(its));
    const TemporaryDirectory directory;
    const auto expected = story(directory.path() / "good.db", Clock::system(), its);
    JumpingClock clock(static_cast<JumpingClock::Manner>(its % JumpingClock::kManners), its);
    const auto found = story(directory.path() / "jumping.db", clock, its);
    ++row.count;
    row.wrong += found == expected ? 0 : 1;
    ASSERT_EQ(found, expected);
    deaths += std::count(expected.begin(), expected.end(), "died");
    stale += std::count_if(expected.begin(), expected.end(), [](const std::string& line) {
      return line.find_first_not_of("yn") == std::string::npos &&
             line.find('n') != std::string::npos;
    });
  }
  EXPECT_GT(deaths, 0);
  EXPECT_GT(stale, 0) << "no mark of a story came too late";
}

}  // namespace
}  // namespace progress_tracker::reliability

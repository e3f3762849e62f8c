// Loading jobs: all or nothing, whatever happens half-way, and nothing seen before the end.
#include "store/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"
#include "sqlite/connection.h"
#include "store/list_load.h"
#include "store/schema.h"
#include "support.h"
#include "testing_hooks.h"

namespace progress_tracker {
namespace {

using namespace std::chrono_literals;
using test::image_paths;
using test::in_child;
using test::LogCapture;
using test::Outsider;
using test::TempDirectory;
using test::ThrowsError;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

namespace fs = std::filesystem;

// A clock by which every piece of a load is over at the first look; does something at the look
// number `at`.
class InterruptingClock final : public test::FakeClock {
 public:
  InterruptingClock(int at, std::function<void()> interrupt)
      : at_(at), interrupt_(std::move(interrupt)) {}
  std::chrono::steady_clock::time_point now() override {
    advance(100ms);
    if (++looks_ == at_) {
      interrupt_();
    }
    return FakeClock::now();
  }
  int looks() const { return looks_; }

 private:
  const int at_;
  const std::function<void()> interrupt_;
  int looks_{0};
};

// A clock that goes on by `step` at each look, so that a long list is loaded in pieces; does
// something at the sleep number `at`. A loader sleeps between two pieces, and holds no lock then.
class BetweenPieces final : public test::FakeClock {
 public:
  BetweenPieces(std::size_t at, std::chrono::milliseconds step, std::function<void()> interrupt)
      : at_(at), step_(step), interrupt_(std::move(interrupt)) {}
  BetweenPieces(std::size_t at, std::function<void()> interrupt)
      : BetweenPieces(at, 10ms, std::move(interrupt)) {}
  std::chrono::steady_clock::time_point now() override {
    advance(step_);
    return FakeClock::now();
  }
  void sleep_for(std::chrono::nanoseconds duration) override {
    FakeClock::sleep_for(duration);
    if (sleeps().size() == at_) {
      interrupt_();
    }
  }

 private:
  const std::size_t at_;
  const std::chrono::milliseconds step_;
  const std::function<void()> interrupt_;
};

class LoadTest : public testing::Test {
 protected:
  static constexpr std::size_t kLong = 20'000;

  // Everything that the file holds, without times.
  std::vector<Outsider::Row> everything() const {
    Outsider outsider(path);
    auto rows = outsider.run("SELECT id, job_id, path, split, status, attempts FROM images");
    for (const char* sql : {"SELECT id, name, total_images FROM jobs", "SELECT * FROM progress",
                            "SELECT id, name, published, started, ready, loader FROM job",
                            "SELECT count(*) FROM image", "SELECT count(*) FROM state"}) {
      const auto more = outsider.run(sql);
      rows.insert(rows.end(), more.begin(), more.end());
    }
    return rows;
  }

  std::int64_t count(const std::string& sql) const { return Outsider(path).number(sql); }

  // Rows of a load that never came to its end.
  void expect_no_leftovers() const {
    EXPECT_EQ(count("SELECT count(*) FROM job WHERE name IS NULL OR loader IS NOT NULL OR "
                    "ready = 0"),
              0);
    EXPECT_EQ(count("SELECT count(*) FROM image"), count("SELECT count(*) FROM images"));
    EXPECT_EQ(count("SELECT count(*) FROM image"), count("SELECT sum(published) FROM job"));
    EXPECT_EQ(Outsider(path).value("PRAGMA integrity_check"), "ok");
    EXPECT_THAT(Outsider(path).run("PRAGMA foreign_key_check"), IsEmpty());
  }

  TempDirectory directory;
  const fs::path path = directory / "jobs.db";
};

// ---- What is loaded ----------------------------------------------------------------------------

TEST_F(LoadTest, AHundredThousandImagesArriveInOrder) {
  constexpr std::size_t kImages = 100'000;
  std::vector<fs::path> paths;
  std::vector<std::string> splits;
  for (std::size_t i = 0; i < kImages; ++i) {
    paths.emplace_back("d" + std::to_string(i % 97) + "/" + std::to_string(i) + ".png");
    splits.emplace_back(i % 3 == 0 ? "train" : i % 3 == 1 ? "valid" : "");
  }
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", paths, splits);

  EXPECT_EQ(tracker.get_progress(job)->total_images, static_cast<std::int64_t>(kImages));
  EXPECT_EQ(tracker.get_progress_by_split(job).at("train").pending, 33'334);
  std::size_t seen = 0;
  std::optional<ImageId> after;
  for (;;) {
    const auto page = tracker.get_images(job, {}, 9'999, after);
    if (page.empty()) {
      break;
    }
    for (const ImageRecord& record : page) {
      ASSERT_EQ(record.image.path, paths[seen]);
      ASSERT_EQ(record.image.split, splits[seen]);
      ++seen;
    }
    after = page.back().image.id;
  }
  EXPECT_EQ(seen, kImages);
  expect_no_leftovers();
}

TEST_F(LoadTest, IsCutIntoPieces) {
  InterruptingClock clock(-1, [] {});
  const auto tracker = internal::open_with_clock(path, {}, clock);
  std::vector<std::int64_t> sizes;
  Outsider outsider(path);
  // Half-way through the walk that inserts the images.
  InterruptingClock watching(
      200, [&] { sizes.push_back(outsider.number("SELECT count(*) FROM image")); });
  const auto loader = internal::open_with_clock(path, {}, watching);

  loader->create_job("job", image_paths(kLong), {});

  ASSERT_EQ(sizes.size(), 1U);
  EXPECT_GT(sizes[0], 0) << "earlier pieces are committed";
  EXPECT_LT(sizes[0], static_cast<std::int64_t>(kLong));
}

TEST_F(LoadTest, OthersWorkBetweenThePieces) {
  ProgressTracker other(path, {.busy_timeout = 0ms});
  const JobId job = other.create_job("other", image_paths(100), {});
  int marked = 0;
  int refused = 0;
  std::function<void()> work = [&] {
    // Inside a piece the lock is held; between two it is not.
    try {
      for (const Image& image : other.claim_images(job, 1)) {
        marked += other.complete(image) ? 1 : 0;
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBusy);
      ++refused;
    }
  };
  class WorkingClock final : public test::FakeClock {
   public:
    explicit WorkingClock(std::function<void()> each) : each_(std::move(each)) {}
    std::chrono::steady_clock::time_point now() override {
      advance(100ms);
      each_();
      return FakeClock::now();
    }

   private:
    std::function<void()> each_;
  };
  WorkingClock clock(work);
  const auto loader = internal::open_with_clock(path, {}, clock);

  const JobId loaded = loader->create_job("job", image_paths(kLong), {});

  // The clock is looked at within the pieces only, so all of these were refused; none did harm.
  EXPECT_GT(marked + refused, 0);
  EXPECT_EQ(other.get_status_counts(loaded)->total(), static_cast<std::int64_t>(kLong));
}

TEST_F(LoadTest, TheSameAgainChangesNothing) {
  for (const std::size_t size : {std::size_t{100}, kLong}) {
    const std::string name = "job" + std::to_string(size);
    const auto paths = image_paths(size, name + "/");
    ProgressTracker tracker(path);
    const JobId job = tracker.create_job(name, paths, {});
    const auto images = tracker.claim_images(job, 3);
    tracker.complete(images[0]);
    tracker.fail(images[1], "broken");
    const auto before = everything();
    const LogCapture log;

    EXPECT_EQ(tracker.create_job(name, paths, {}), job);
    EXPECT_EQ(tracker.add_images(job, paths, {}), 0);

    EXPECT_EQ(everything(), before);
    EXPECT_THAT(log.lines(), IsEmpty());
  }
}

TEST_F(LoadTest, AddsWhatIsNewAndRemovesNothing) {
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(10), {});
  tracker.complete(tracker.claim_images(job, 1).at(0));

  EXPECT_EQ(tracker.create_job("job", image_paths(3, "more/"), {}), job);
  EXPECT_EQ(tracker.add_images(job, image_paths(kLong), {}), static_cast<std::int64_t>(kLong) - 10);

  EXPECT_EQ(tracker.get_status_counts(job),
            (StatusCounts{.pending = static_cast<std::int64_t>(kLong) + 2, .completed = 1}));
  expect_no_leftovers();
}

TEST_F(LoadTest, DuplicatesCountOnceWithTheFirstOnesSplit) {
  for (const std::size_t filler : {std::size_t{0}, kLong}) {
    auto paths = image_paths(filler, "filler/");
    std::vector<std::string> splits(filler, "train");
    for (const char* split : {"first", "second", "first"}) {
      paths.emplace_back("twice.png");
      splits.emplace_back(split);
    }
    ProgressTracker tracker(path);
    const LogCapture log;
    const JobId job = tracker.create_job("job" + std::to_string(filler), paths, splits);

    EXPECT_EQ(tracker.get_progress(job)->total_images, static_cast<std::int64_t>(filler) + 1);
    EXPECT_EQ(tracker.get_image_split(*tracker.get_image_id(job, "twice.png")), "first");
    EXPECT_FALSE(tracker.get_progress_by_split(job).contains("second"));
    EXPECT_THAT(log.lines(), IsEmpty()) << "the job had it before with no other split";
  }
}

TEST_F(LoadTest, ADuplicateFarFromItsFirstCountsOnceToo) {
  auto paths = image_paths(kLong);
  const auto again = image_paths(kLong);
  paths.insert(paths.end(), again.begin(), again.end());
  InterruptingClock clock(-1, [] {});
  const auto tracker = internal::open_with_clock(path, {}, clock);
  const JobId job = tracker->create_job("job", paths, {});
  EXPECT_EQ(tracker->get_progress(job)->total_images, static_cast<std::int64_t>(kLong));
  EXPECT_EQ(tracker->get_images(job, {}, 2 * kLong).size(), kLong);
  expect_no_leftovers();
}

// Of several chunks, in an order that is not that of the paths.
TEST_F(LoadTest, AListOfManyChunksArrivesInOrderAndItsDuplicatesOnce) {
  constexpr std::size_t kImages = store::ListLoad::kChunk + 1'000;
  std::vector<fs::path> paths;
  std::vector<std::string> splits;
  for (std::size_t i = 0; i < kImages; ++i) {
    const std::size_t shuffled = i * 7'919 % kImages;
    paths.emplace_back("d" + std::to_string(shuffled % 31) + "/" + std::to_string(shuffled));
    splits.emplace_back(i % 2 == 0 ? "even" : "odd");
  }
  for (const std::size_t repeated : {std::size_t{3}, kImages - 3}) {
    paths.push_back(paths[repeated]);
    splits.emplace_back("other");
  }
  ProgressTracker tracker(path);
  const LogCapture log;

  const JobId job = tracker.create_job("job", paths, splits);

  ASSERT_EQ(tracker.get_progress(job)->total_images, static_cast<std::int64_t>(kImages));
  EXPECT_THAT(log.lines(), IsEmpty()) << "the job had none of them before";
  expect_no_leftovers();
  for (const std::size_t at : {std::size_t{0}, store::ListLoad::kChunk, kImages - 1}) {
    const auto sequence = static_cast<std::int64_t>(at) + 1;
    const auto record = tracker.get_image(ImageId{store::image_id(job, sequence)});
    ASSERT_TRUE(record.has_value());
    EXPECT_EQ(record->image.path, paths[at]);
    EXPECT_EQ(record->image.split, splits[at]);
    EXPECT_EQ(tracker.get_image_id(job, paths[at]), record->image.id);
  }
  EXPECT_EQ(tracker.add_images(job, paths, splits), 0);
}

// The loader lives, but the file of its lock was lost, and somebody began to clear its load away.
TEST_F(LoadTest, ALoadThatSomebodyBeganToClearEndsAndIsClearedWhole) {
  const auto paths = image_paths(3 * kLong);
  BetweenPieces clock(15, 1ms, [&] {  // while it inserts the entries by path
    fs::remove(path.native() + "-workers");
    sqlite::Connection connection(path, sqlite::OpenMode::kReadWrite);
    connection.execute("BEGIN IMMEDIATE");
    const auto nobody = [](WorkerId, JobId) { return false; };
    EXPECT_TRUE(store::clear_leftovers_piece(connection, nobody));
    connection.execute("COMMIT");
  });
  const auto loader = internal::open_with_clock(path, {}, clock);
  const JobId job = loader->create_job("job", image_paths(1, "first/"), {});

  EXPECT_THAT([&] { loader->add_images(job, paths, {}); }, ThrowsError(ErrorCode::kBusy));

  EXPECT_EQ(loader->add_images(job, paths, {}), static_cast<std::int64_t>(paths.size()));
  EXPECT_EQ(loader->add_images(job, paths, {}), 0);
  expect_no_leftovers();
  EXPECT_TRUE(examine(path).healthy());
}

TEST_F(LoadTest, AJobWhoseRowsSomebodyElseRemovedCanBeRemoved) {
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(10), {});
  Outsider(path).run("DELETE FROM image");

  tracker.remove_job(job);

  EXPECT_EQ(count("SELECT count(*) FROM path"), 0);
  tracker.create_job("job", image_paths(10), {});
  expect_no_leftovers();
}

TEST_F(LoadTest, DifferingSplitsAreKeptWithOneWarningThatGivesTheirNumber) {
  for (const std::size_t size : {std::size_t{100}, kLong}) {
    const std::string name = "job" + std::to_string(size);
    const auto paths = image_paths(size, name + "/");
    std::vector<std::string> splits(size, "train");
    ProgressTracker tracker(path);
    const JobId job = tracker.create_job(name, paths, splits);
    for (std::size_t i = 0; i < 7; ++i) {
      splits[i * 10] = "valid";
    }
    {
      const LogCapture log;
      tracker.create_job(name, paths, splits);
      EXPECT_THAT(log.lines(),
                  ElementsAre(Pair(LogLevel::kWarn, AllOf(HasSubstr("7"), HasSubstr("split")))));
    }
    {
      const LogCapture log;
      EXPECT_EQ(tracker.add_images(job, paths, splits), 0);
      EXPECT_THAT(log.lines(), ElementsAre(Pair(LogLevel::kWarn, HasSubstr("7"))));
    }
    EXPECT_EQ(tracker.get_progress_by_split(job).size(), 1U);
  }
}

TEST_F(LoadTest, AnEmptyListMakesTheJob) {
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", {}, {});
  EXPECT_EQ(tracker.get_status_counts(job), StatusCounts{});
  EXPECT_EQ(tracker.add_images(job, {}, {}), 0);
}

TEST_F(LoadTest, AWrongPathAnywhereStoresNothing) {
  ProgressTracker tracker(path);
  auto paths = image_paths(kLong);
  paths.back() = fs::path(std::string("nul\0.png", 8));
  EXPECT_THAT([&] { tracker.create_job("job", paths, {}); },
              ThrowsError(ErrorCode::kInvalidArgument));
  paths.back() = "";
  EXPECT_THAT([&] { tracker.create_job("job", paths, {}); },
              ThrowsError(ErrorCode::kInvalidArgument));
  EXPECT_THAT(
      [&] { tracker.create_job("job", image_paths(kLong), std::vector<std::string>(kLong - 1)); },
      ThrowsError(ErrorCode::kInvalidArgument));
  EXPECT_FALSE(tracker.get_job_id("job").has_value());
  EXPECT_EQ(count("SELECT count(*) FROM job"), 0);
}

// ---- A load that ends half-way -----------------------------------------------------------------

// Each ends a load of kLong images at the look number `at` at the clock.
struct Ending {
  std::string name;
  std::function<void(const fs::path& path, int at, const std::function<void(ProgressTracker&)>&)>
      end;
  friend std::ostream& operator<<(std::ostream& out, const Ending& each) {
    return out << each.name;
  }
};

const std::vector<Ending> kEndings{
    {"Killed",
     [](const fs::path& path, int at, const std::function<void(ProgressTracker&)>& load) {
       EXPECT_EQ(in_child([&] {
                   InterruptingClock clock(at, [] { ::kill(::getpid(), SIGKILL); });
                   load(*internal::open_with_clock(path, {}, clock));
                 }),
                 -SIGKILL);
     }},
    {"Thrown",
     [](const fs::path& path, int at, const std::function<void(ProgressTracker&)>& load) {
       InterruptingClock clock(at, [] { throw std::runtime_error("out of something"); });
       const auto tracker = internal::open_with_clock(path, {}, clock);
       EXPECT_THROW(load(*tracker), std::runtime_error);
     }},
    {"ThrownAndThenDied",
     [](const fs::path& path, int at, const std::function<void(ProgressTracker&)>& load) {
       InterruptingClock clock(at, [] { throw std::runtime_error("out of something"); });
       const auto tracker = internal::open_with_clock(path, {}, clock);
       EXPECT_THROW(load(*tracker), std::runtime_error);
       internal::simulate_death(*tracker);
     }},
};

class BrokenLoad : public LoadTest, public testing::WithParamInterface<std::tuple<Ending, int>> {
 protected:
  void break_off(const std::function<void(ProgressTracker&)>& load) {
    const auto& [ending, at] = GetParam();
    ending.end(path, at, load);
  }
};

TEST_P(BrokenLoad, OfANewJobLeavesNothingToSee) {
  JobId other{};
  {
    ProgressTracker before(path);
    other = before.create_job("other", image_paths(5), {});
  }
  break_off([](ProgressTracker& loader) { loader.create_job("job", image_paths(kLong), {}); });

  ProgressTracker tracker(path);
  EXPECT_FALSE(tracker.get_job_id("job").has_value());
  EXPECT_EQ(tracker.list_jobs().size(), 1U);
  EXPECT_FALSE(tracker.get_status_counts(JobId{2}).has_value());
  EXPECT_THAT(tracker.get_images(JobId{2}), IsEmpty());
  EXPECT_THAT([&] { tracker.claim_images(JobId{2}); }, ThrowsError(ErrorCode::kNotFound));
  EXPECT_EQ(count("SELECT count(*) FROM images"), 5);
  EXPECT_EQ(tracker.get_status_counts(other)->total(), 5);
}

TEST_P(BrokenLoad, OfANewJobIsClearedByTheSameAgain) {
  break_off([](ProgressTracker& loader) { loader.create_job("job", image_paths(kLong), {}); });

  ProgressTracker tracker(path);
  // Another list: nothing of the first may be left.
  const JobId job = tracker.create_job("job", image_paths(10, "other/"), {});

  EXPECT_EQ(tracker.get_status_counts(job)->total(), 10);
  EXPECT_EQ(count("SELECT count(*) FROM job"), 1);
  expect_no_leftovers();
}

TEST_P(BrokenLoad, OfANewJobIsClearedByAnyOtherLoadOrRemoval) {
  JobId other{};
  {
    ProgressTracker before(path);
    other = before.create_job("other", image_paths(5), {});
    before.create_job("third", image_paths(5), {});
  }
  const auto broken = [](ProgressTracker& loader) {
    loader.create_job("job", image_paths(kLong), {});
  };
  break_off(broken);
  {
    ProgressTracker tracker(path);
    tracker.add_images(other, image_paths(3, "new"), {});
    expect_no_leftovers();
  }
  break_off(broken);
  {
    ProgressTracker tracker(path);
    tracker.create_job("fourth", {}, {});
    expect_no_leftovers();
  }
  break_off(broken);
  {
    ProgressTracker tracker(path);
    tracker.remove_job(other);
    expect_no_leftovers();
    EXPECT_EQ(tracker.list_jobs().size(), 2U);
  }
}

TEST_P(BrokenLoad, IntoAJobLeavesItAsItWas) {
  JobId job{};
  {
    ProgressTracker before(path);
    job = before.create_job("job", image_paths(10, "old/"), {});
    before.complete(before.claim_images(job, 1).at(0));
  }
  break_off([&](ProgressTracker& loader) { loader.add_images(job, image_paths(kLong), {}); });

  ProgressTracker tracker(path);
  EXPECT_EQ(tracker.get_status_counts(job), (StatusCounts{.pending = 9, .completed = 1}));
  EXPECT_EQ(tracker.get_images(job, {}, 100).size(), 10U);
  EXPECT_FALSE(tracker.get_image_id(job, "images/0.png").has_value());
  EXPECT_FALSE(tracker.get_image(ImageId{(std::int64_t{1} << 32) + 11}).has_value());
  EXPECT_EQ(tracker.claim_images(job, 100).size(), 9U);
  EXPECT_EQ(count("SELECT count(*) FROM images"), 10);

  EXPECT_EQ(tracker.add_images(job, image_paths(20), {}), 20);
  EXPECT_EQ(tracker.get_status_counts(job)->total(), 30);
  EXPECT_EQ(tracker.get_image(*tracker.get_image_id(job, "images/0.png"))->image.id,
            ImageId{(std::int64_t{1} << 32) + 11});
  expect_no_leftovers();
}

TEST_P(BrokenLoad, DoesNotKeepOthersWaiting) {
  break_off([](ProgressTracker& loader) { loader.create_job("job", image_paths(kLong), {}); });
  ProgressTracker tracker(path, {.busy_timeout = 0ms});

  tracker.create_job("job", image_paths(kLong), {});

  expect_no_leftovers();
}

INSTANTIATE_TEST_SUITE_P(At, BrokenLoad,
                         testing::Combine(testing::ValuesIn(kEndings), testing::Values(3, 30)),
                         [](const auto& each) {
                           return std::get<0>(each.param).name + "AtLook" +
                                  std::to_string(std::get<1>(each.param));
                         });

TEST_F(LoadTest, ARemovalThatEndsHalfWayIsNeverSeenAndIsFinishedByTheNext) {
  {
    ProgressTracker before(path);
    before.create_job("job", image_paths(kLong), {});
  }
  // What a removal does first, and then a kill.
  Outsider(path).run("UPDATE job SET name = NULL, upstream = NULL, loader = NULL");
  ProgressTracker tracker(path);
  EXPECT_FALSE(tracker.get_job_id("job").has_value());
  EXPECT_EQ(count("SELECT count(*) FROM images"), 0);

  const JobId job = tracker.create_job("job", image_paths(5), {});

  EXPECT_NE(job, JobId{1});
  EXPECT_EQ(count("SELECT count(*) FROM job"), 1);
  expect_no_leftovers();
}

// ---- Two loaders of one job --------------------------------------------------------------------

TEST_F(LoadTest, ASecondLoaderWaitsForALivingOneAndNotLongerThanItMay) {
  test::FakeClock waiting;
  const auto second = internal::open_with_clock(path, {.busy_timeout = 30ms}, waiting);
  std::vector<std::string> said;
  BetweenPieces clock(2, [&] {
    std::thread([&] {
      for (const std::size_t size : {kLong, std::size_t{3}}) {
        const auto error =
            test::error_of([&] { second->create_job("job", image_paths(size), {}); });
        ASSERT_TRUE(error.has_value());
        EXPECT_EQ(error->code(), ErrorCode::kBusy);
        said.emplace_back(error->what());
      }
    }).join();
  });
  const auto first = internal::open_with_clock(path, {}, clock);

  first->create_job("job", image_paths(kLong), {});

  const std::string busy = "create_job: somebody else is loading this job (waited 30 ms)";
  EXPECT_THAT(said, ElementsAre(busy, busy));
  EXPECT_EQ(waiting.total_slept(), 60ms);
  EXPECT_EQ(second->get_status_counts(JobId{1})->total(), static_cast<std::int64_t>(kLong));
}

// The one that is waited for ends without an end of its load.
TEST_F(LoadTest, ASecondLoaderClearsAwayWhatItWaitedForInVain) {
  std::promise<void> is_loading;
  std::promise<void> is_met;
  BetweenPieces breaking_off(2, [&] {
    is_loading.set_value();
    is_met.get_future().wait();
    throw std::runtime_error("out of something");
  });
  const auto first = internal::open_with_clock(path, {}, breaking_off);
  std::thread loading(
      [&] { EXPECT_THROW(first->create_job("job", image_paths(kLong), {}), std::runtime_error); });
  is_loading.get_future().wait();
  // It sleeps for the first time because the job is being loaded.
  BetweenPieces waiting(1, [&] {
    is_met.set_value();
    loading.join();
  });
  const auto second = internal::open_with_clock(path, {}, waiting);

  const JobId job = second->create_job("job", image_paths(5, "other/"), {});

  EXPECT_EQ(second->get_status_counts(job)->total(), 5);
  EXPECT_EQ(count("SELECT count(*) FROM job"), 1);
  expect_no_leftovers();
}

TEST_F(LoadTest, ALoadThatCannotBeGivenUpSaysSoAndLooksGivenUpOnceItsTrackerIsClosed) {
  Outsider writer(path);
  BetweenPieces clock(2, [&] { writer.run("BEGIN IMMEDIATE"); });
  const auto first = internal::open_with_clock(path, {.busy_timeout = 0ms}, clock);
  const LogCapture log;

  EXPECT_THAT([&] { first->create_job("job", image_paths(kLong), {}); },
              ThrowsError(ErrorCode::kBusy));

  EXPECT_THAT(log.lines(),
              ElementsAre(Pair(LogLevel::kWarn,
                               AllOf(HasSubstr("create_job: cannot give up the load of job 1: "),
                                     HasSubstr(path.native())))));
  writer.run("COMMIT");
  EXPECT_FALSE(first->get_job_id("job").has_value());
  test::FakeClock waiting;
  const auto second = internal::open_with_clock(path, {.busy_timeout = 30ms}, waiting);
  EXPECT_THAT([&] { second->create_job("job", image_paths(3), {}); }, ThrowsError(ErrorCode::kBusy))
      << "to others it is being loaded";
  first->close();
  EXPECT_EQ(second->get_status_counts(second->create_job("job", image_paths(3), {}))->total(), 3);
  EXPECT_EQ(count("SELECT count(*) FROM job"), 1);
  expect_no_leftovers();
}

// What the tracker itself began and could not give up, it need not wait for.
TEST_F(LoadTest, ALoadThatCouldNotBeGivenUpIsClearedByTheSameTracker) {
  Outsider writer(path);
  BetweenPieces clock(2, [&] { writer.run("BEGIN IMMEDIATE"); });
  const auto tracker = internal::open_with_clock(path, {.busy_timeout = 0ms}, clock);
  {
    const LogCapture log;
    EXPECT_THAT([&] { tracker->create_job("job", image_paths(kLong), {}); },
                ThrowsError(ErrorCode::kBusy));
  }
  writer.run("COMMIT");

  EXPECT_EQ(tracker->get_status_counts(tracker->create_job("job", image_paths(3), {}))->total(), 3);

  EXPECT_EQ(count("SELECT count(*) FROM job"), 1);
  expect_no_leftovers();
}

TEST_F(LoadTest, TwoLoadersAddEveryImageOnce) {
  ProgressTracker first(path);
  ProgressTracker second(path);
  const auto paths = image_paths(kLong);
  const auto more = image_paths(2 * kLong);
  std::thread other([&] { second.create_job("job", more, {}); });
  first.create_job("job", paths, {});
  other.join();

  const JobId job = first.get_job_id("job").value();
  EXPECT_EQ(first.get_status_counts(job)->total(), static_cast<std::int64_t>(2 * kLong));
  EXPECT_EQ(first.get_images(job, {}, 3 * kLong).size(), 2 * kLong);
  expect_no_leftovers();
}

// A load begins while the one before it in the same tracker has committed, and not yet returned.
TEST_F(LoadTest, ThreadsOfOneTrackerLoadOneJobInTurn) {
  class PiecesAreShort final : public test::FakeClock {
    std::chrono::steady_clock::time_point now() override {
      advance(100ms);
      return FakeClock::now();
    }
  };
  constexpr std::size_t kImages = 2'600;
  PiecesAreShort clock;
  const auto tracker = internal::open_with_clock(path, {.busy_timeout = 100'000h}, clock);
  const JobId job = tracker->create_job("job", {}, {});
  const auto paths = image_paths(kImages);
  std::atomic<int> broken{0};

  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 30; ++round) {
        broken += test::error_of([&] { tracker->add_images(job, paths, {}); }) ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }

  EXPECT_EQ(broken, 0);
  EXPECT_EQ(tracker->get_status_counts(job)->total(), static_cast<std::int64_t>(kImages));
  expect_no_leftovers();
}

TEST_F(LoadTest, AJobThatALiveWorkerLoadsCannotBeRemoved) {
  ProgressTracker other(path, {.busy_timeout = 0ms});
  const JobId job = other.create_job("job", image_paths(3), {});
  std::optional<Error> error;
  BetweenPieces clock(2, [&] { error = test::error_of([&] { other.remove_job(job); }); });
  const auto loader = internal::open_with_clock(path, {}, clock);

  loader->add_images(job, image_paths(kLong), {});

  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kInvalidTransition);
  EXPECT_STREQ(error->what(), "remove_job: job 1: images are being loaded into it");
  EXPECT_EQ(other.get_status_counts(job)->total(), static_cast<std::int64_t>(kLong));
  expect_no_leftovers();
}

// ---- A job that is fed by another, loaded in pieces ---------------------------------------------

class ChainLoadTest : public LoadTest {
 protected:
  // The first ones are held, then come more completed ones than a piece of the load takes over, and
  // at the end some that nobody has begun.
  static constexpr std::size_t kHeld = 7;
  static constexpr std::size_t kCompleted = 12'000;
  static constexpr std::size_t kLater = 30;

  ChainLoadTest() {
    upstream = other.create_job("upstream", image_paths(kHeld + kCompleted + kLater), {});
    first = other.claim_images(upstream, kHeld);
    other.mark_outcomes(test::completions_of(other.claim_images(upstream, kCompleted)));
  }

  void complete_later_ones(std::size_t number) {
    EXPECT_EQ(other.mark_outcomes(test::completions_of(other.claim_images(upstream, number))),
              number);
  }

  ProgressTracker other{path, {.busy_timeout = 0ms}};
  JobId upstream{};
  std::vector<Image> first;
};

TEST_F(ChainLoadTest, TakesWhatCompletesMeanwhileExactlyOnce) {
  // Behind what is loaded by then, and before the end.
  BetweenPieces clock(1, [&] { complete_later_ones(kLater - 10); });
  const auto loader = internal::open_with_clock(path, {}, clock);

  const JobId job = loader->chain_job("chained", upstream);

  EXPECT_GT(clock.sleeps().size(), 1U) << "loaded in one piece";
  EXPECT_EQ(loader->get_status_counts(job)->total(),
            static_cast<std::int64_t>(kCompleted + kLater - 10));
  complete_later_ones(10);
  EXPECT_EQ(loader->get_status_counts(job)->total(),
            static_cast<std::int64_t>(kCompleted + kLater));
  EXPECT_EQ(count("SELECT count(*) FROM chain_backlog"), 0);
  EXPECT_EQ(count("SELECT count(DISTINCT path) FROM images WHERE job_id = 2"),
            static_cast<std::int64_t>(kCompleted + kLater));
  EXPECT_TRUE(examine(path).healthy());
  expect_no_leftovers();
}

// The walk over the completed images has already passed those that complete now.
TEST_F(ChainLoadTest, TakesTheBacklogOfWhatItHasGoneBy) {
  std::int64_t backlog = 0;
  BetweenPieces clock(1, [&] {
    EXPECT_EQ(other.mark_outcomes(test::completions_of(first)), first.size());
    backlog = count("SELECT count(*) FROM chain_backlog");
  });
  const auto loader = internal::open_with_clock(path, {}, clock);

  const JobId job = loader->chain_job("chained", upstream);

  EXPECT_EQ(backlog, static_cast<std::int64_t>(kHeld));
  EXPECT_EQ(count("SELECT count(*) FROM chain_backlog"), 0);
  EXPECT_EQ(loader->get_status_counts(job)->total(), static_cast<std::int64_t>(kHeld + kCompleted));
  for (const Image& image : first) {
    EXPECT_TRUE(loader->get_image_id(job, image.path).has_value());
  }
  EXPECT_EQ(count("SELECT count(DISTINCT path) FROM images WHERE job_id = 2"),
            static_cast<std::int64_t>(kHeld + kCompleted));
  EXPECT_TRUE(examine(path).healthy());
  expect_no_leftovers();
}

TEST_F(ChainLoadTest, IsNotSeenBeforeItsEndAndWaitedForByOthersOfItsName) {
  test::FakeClock waiting;
  const auto second = internal::open_with_clock(path, {.busy_timeout = 30ms}, waiting);
  std::optional<Error> error;
  bool seen = true;
  BetweenPieces clock(1, [&] {
    seen = other.get_job_id("chained").has_value();
    error = test::error_of([&] { second->chain_job("chained", upstream); });
  });
  const auto loader = internal::open_with_clock(path, {}, clock);

  const JobId job = loader->chain_job("chained", upstream);

  EXPECT_FALSE(seen);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kBusy);
  EXPECT_STREQ(error->what(), "chain_job: somebody else is loading this job (waited 30 ms)");
  EXPECT_EQ(second->chain_job("chained", upstream), job) << "now that it is there";
}

TEST_F(ChainLoadTest, ThatEndsHalfWayLeavesNothingAndIsClearedByTheSameAgain) {
  BetweenPieces clock(1, [] { throw std::runtime_error("out of something"); });
  const auto loader = internal::open_with_clock(path, {}, clock);

  EXPECT_THROW(loader->chain_job("chained", upstream), std::runtime_error);

  EXPECT_FALSE(other.get_job_id("chained").has_value());
  const JobId job = other.chain_job("chained", upstream);
  EXPECT_EQ(other.get_status_counts(job)->total(), static_cast<std::int64_t>(kCompleted));
  EXPECT_EQ(count("SELECT count(*) FROM job"), 2);
  expect_no_leftovers();
}

// ---- A full job --------------------------------------------------------------------------------

TEST_F(LoadTest, AJobWithoutANumberLeftTakesNoMoreAndStaysAsItWas) {
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", image_paths(3), {});
  // As if all others had been removed from outside.
  Outsider(path).run("UPDATE job SET published = 4294967294");
  EXPECT_EQ(tracker.add_images(job, image_paths(1, "last/"), {}), 1);
  const auto before = everything();

  const auto error = test::error_of([&] { tracker.add_images(job, image_paths(1, "new/"), {}); });

  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kFull);
  EXPECT_THAT(error->what(), HasSubstr("job 1: a job holds at most 4294967295 images"));
  EXPECT_EQ(everything(), before);
}

}  // namespace
}  // namespace progress_tracker

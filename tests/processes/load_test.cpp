// Loaders that are killed half-way, and loaders that meet.
//
// The tests look at base tables for one thing only: to know that a load is under way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "audit.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "progress_tracker/progress_tracker.h"
#include "remote_tracker.h"

namespace progress_tracker::processes {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr int kMany = 200'000;

// More rows than anybody may see.
constexpr const char* kLoadUnderWay =
    "SELECT (SELECT count(*) FROM (SELECT 1 FROM job WHERE loader IS NOT NULL)) > 0 AND "
    "(SELECT max(id) & 0xffffffff FROM image WHERE id >> 32 = "
    "  (SELECT id FROM job WHERE loader IS NOT NULL)) > "
    "(SELECT published FROM job WHERE loader IS NOT NULL) + 20000";
constexpr const char* kChainUnderWay =
    "SELECT count(*) FROM job WHERE upstream IS NOT NULL AND ready = 0 AND published > 10000";
constexpr const char* kRemovalUnderWay =
    "SELECT count(*) FROM job WHERE name IS NULL AND "
    "(SELECT count(*) FROM image WHERE id > job.id << 32) BETWEEN 1 AND 180000";

class LoadTest : public testing::Test {
 protected:
  RemoteTracker start(const Options& options = {}) {
    return RemoteTracker(directory_.database(), options);
  }

  // Kills the loader while it is at work.
  void kill_when(const char* under_way, RemoteTracker& loader) {
    Audit audit(directory_.database());
    ASSERT_TRUE(wait_until(audit, under_way, [&] { return loader.has_ended(); }))
        << "the load was over before it could be interrupted";
    loader.kill();
    ASSERT_GT(audit.number(under_way), 0) << "the load was over before it could be interrupted";
  }

  // Stops the loader where it holds no lock of the database.
  void stop_when(const char* under_way, RemoteTracker& loader) {
    Audit audit(directory_.database());
    ASSERT_TRUE(wait_until(audit, under_way, [&] { return loader.has_ended(); }))
        << "the load was over before it could be stopped";
    stop_between_transactions(loader.process(), audit);
    ASSERT_GT(audit.number(under_way), 0) << "the load was over before it could be stopped";
  }

  // Nothing of the job is seen by any call or view.
  void expect_unseen(const std::string& name) {
    {
      ProgressTracker tracker(directory_.database());
      EXPECT_FALSE(tracker.get_job_id(name).has_value());
      for (const Job& job : tracker.list_jobs()) {
        EXPECT_NE(job.name, name);
      }
    }
    Audit audit(directory_.database());
    EXPECT_THAT(audit.rows("SELECT * FROM jobs WHERE name = '" + name + "'"), IsEmpty());
    EXPECT_THAT(audit.rows("SELECT * FROM progress WHERE name = '" + name + "'"), IsEmpty());
    EXPECT_EQ(audit.number("SELECT count(*) FROM images WHERE job_id NOT IN "
                           "(SELECT id FROM jobs)"),
              0);
    audit.expect_sound();
  }

  // Exactly this list, in this order.
  void expect_images(JobId job, const std::vector<std::filesystem::path>& paths) {
    Audit audit(directory_.database());
    const auto rows =
        audit.rows("SELECT path FROM images WHERE job_id = " + text(job) + " ORDER BY id");
    ASSERT_EQ(rows.size(), paths.size());
    EXPECT_TRUE(std::equal(rows.begin(), rows.end(), paths.begin(),
                           [](const Row& row, const auto& path) { return row[0] == path; }));
  }

  // Nothing of dead loaders and removed jobs is left in the file.
  void expect_no_leftovers() {
    Audit audit(directory_.database());
    EXPECT_EQ(audit.number("SELECT count(*) FROM image"),
              audit.number("SELECT count(*) FROM images"));
    EXPECT_EQ(audit.number("SELECT count(*) FROM job"), audit.number("SELECT count(*) FROM jobs"));
    EXPECT_EQ(audit.number("SELECT count(*) FROM job WHERE loader IS NOT NULL"), 0);
    EXPECT_EQ(audit.number("SELECT count(*) FROM chain_backlog"), 0);
    audit.expect_sound();
  }

  TemporaryDirectory directory_;
};

TEST_F(LoadTest, NothingIsSeenOfACreationThatWasKilled) {
  RemoteTracker loader = start();
  loader.begin_create_job("job", "killed", 0, kMany);
  kill_when(kLoadUnderWay, loader);
  expect_unseen("job");

  RemoteTracker next = start();
  const JobId job = next.create_job("job", "other", 0, 30'000);
  expect_images(job, some_paths("other", 0, 30'000));
  EXPECT_EQ(next.get_status_counts(job).total(), 30'000);
  expect_no_leftovers();
}

TEST_F(LoadTest, ShortListAfterACreationThatWasKilledIsExactToo) {
  RemoteTracker loader = start();
  loader.begin_create_job("job", "killed", 0, kMany);
  kill_when(kLoadUnderWay, loader);

  RemoteTracker next = start();
  const JobId job = next.create_job("job", "killed", 5, 3);
  expect_images(job, some_paths("killed", 5, 3));
  EXPECT_THAT(next.claim_images(job, 100), SizeIs(3));
  expect_no_leftovers();
}

TEST_F(LoadTest, AnotherJobsLoadClearsWhatADeadLoaderLeft) {
  RemoteTracker loader = start();
  loader.begin_create_job("job", "killed", 0, kMany);
  kill_when(kLoadUnderWay, loader);

  RemoteTracker next = start();
  next.create_job("another", "images", 0, 1);
  expect_unseen("job");
  expect_no_leftovers();
}

TEST_F(LoadTest, NothingIsSeenOfAnAdditionThatWasKilled) {
  RemoteTracker loader = start();
  const JobId job = loader.create_job("job", "old", 0, 5'000);
  loader.begin_add_images(job, "killed", 0, kMany);
  kill_when(kLoadUnderWay, loader);

  expect_images(job, some_paths("old", 0, 5'000));
  {
    ProgressTracker tracker(directory_.database());
    EXPECT_EQ(tracker.get_status_counts(job)->total(), 5'000);
    EXPECT_EQ(tracker.get_progress(job)->total_images, 5'000);
    EXPECT_FALSE(tracker.get_image_id(job, some_paths("killed", 0, 1)[0]).has_value());
    EXPECT_THAT(tracker.get_images(job, {}, 1'000'000), SizeIs(5'000));
    const auto unpublished = Audit(directory_.database()).number("SELECT max(id) FROM image");
    EXPECT_FALSE(tracker.get_image(ImageId{unpublished}).has_value());
    EXPECT_THROW(tracker.mark_completed(ImageId{unpublished}), Error);
    EXPECT_THAT(tracker.claim_images(job, 1'000'000), SizeIs(5'000)) << "work goes on meanwhile";
  }

  RemoteTracker next = start();
  EXPECT_EQ(next.add_images(job, "killed", 10, 20), 20);
  auto expected = some_paths("old", 0, 5'000);
  const auto added = some_paths("killed", 10, 20);
  expected.insert(expected.end(), added.begin(), added.end());
  expect_images(job, expected);
  expect_no_leftovers();
}

TEST_F(LoadTest, NothingIsSeenOfAChainThatWasKilled) {
  RemoteTracker worker = start();
  const JobId upstream = worker.create_job("upstream", "images", 0, 60'000);
  for (int done = 0; done < 50'000; done += 10'000) {
    ASSERT_EQ(worker.complete_all(worker.claim_images(upstream, 10'000)), 10'000);
  }
  RemoteTracker loader = start();
  loader.begin_chain_job("chained", upstream);
  kill_when(kChainUnderWay, loader);
  expect_unseen("chained");

  // What completes now has to be there in the end as well, whoever makes the chain.
  ASSERT_EQ(worker.complete_all(worker.claim_images(upstream, 1'000)), 1'000);
  RemoteTracker next = start();
  const JobId chained = next.chain_job("chained", upstream);
  ASSERT_EQ(worker.complete_all(worker.claim_images(upstream, 1'000)), 1'000);
  expect_images(chained, some_paths("images", 0, 52'000));
  EXPECT_EQ(next.get_status_counts(chained).pending, 52'000);
  expect_no_leftovers();
}

TEST_F(LoadTest, RemovalThatWasKilledIsDone) {
  RemoteTracker loader = start();
  const JobId job = loader.create_job("job", "removed", 0, kMany);
  const JobId kept = loader.create_job("kept", "kept", 0, 100);
  loader.begin_remove_job(job);
  kill_when(kRemovalUnderWay, loader);
  expect_unseen("job");
  {
    ProgressTracker tracker(directory_.database());
    EXPECT_FALSE(tracker.get_status_counts(job).has_value());
    EXPECT_THROW(tracker.claim_images(job, 1), Error);
  }

  RemoteTracker next = start();
  const JobId again = next.create_job("job", "other", 0, 10);
  EXPECT_NE(again, job) << "an id is never given out twice";
  expect_images(again, some_paths("other", 0, 10));
  expect_images(kept, some_paths("kept", 0, 100));
  expect_no_leftovers();
}

TEST_F(LoadTest, SecondLoaderWaitsForALivingFirstAndAddsWhatIsNew) {
  RemoteTracker worker = start();
  const JobId other = worker.create_job("other", "other", 0, 2'000);
  RemoteTracker first = start();
  RemoteTracker second = start();
  first.begin_create_job("job", "images", 0, kMany);
  stop_when(kLoadUnderWay, first);

  second.begin_create_job("job", "images", kMany - 100, 600);
  // Other jobs go on: work, loads and removals.
  for (int i = 0; i < 200; ++i) {
    const auto images = worker.claim_images(other, 1);
    ASSERT_THAT(images, SizeIs(1));
    ASSERT_TRUE(worker.complete(images[0]));
  }
  const JobId third = worker.create_job("third", "third", 0, 5'000);
  EXPECT_EQ(worker.add_images(other, "more", 0, 5'000), 5'000);
  worker.remove_job(third);
  EXPECT_FALSE(second.has_ended()) << "the first loader lives: its load is not to be touched";
  expect_unseen("job");

  first.process().go_on();
  const std::int64_t made = first.end();
  EXPECT_EQ(second.end(), made);
  expect_images(JobId{made}, some_paths("images", 0, kMany + 500));
  expect_no_leftovers();
}

TEST_F(LoadTest, SecondLoaderTakesOverAtOnceWhenTheFirstDies) {
  RemoteTracker first = start();
  RemoteTracker second = start();
  first.begin_create_job("job", "killed", 0, kMany);
  stop_when(kLoadUnderWay, first);
  second.begin_create_job("job", "images", 0, 3'000);
  first.kill();
  expect_images(JobId{second.end()}, some_paths("images", 0, 3'000));
  expect_no_leftovers();
}

TEST_F(LoadTest, SecondLoaderGivesUpAfterItsBusyTimeout) {
  RemoteTracker first = start();
  Options impatient;
  impatient.busy_timeout = std::chrono::milliseconds{150};
  RemoteTracker second = start(impatient);
  const JobId old = first.create_job("job", "old", 0, 10);
  first.begin_add_images(old, "images", 0, kMany);
  stop_when(kLoadUnderWay, first);

  const auto expect_code = [&](ErrorCode code, const std::function<void()>& call) {
    try {
      call();
      ADD_FAILURE() << "not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
    }
  };
  expect_code(ErrorCode::kBusy, [&] { second.create_job("job", "images", 0, 3); });
  expect_code(ErrorCode::kBusy, [&] { second.add_images(old, "images", 0, 3'000); });
  expect_code(ErrorCode::kInvalidTransition, [&] { second.remove_job(old); });
  EXPECT_THAT(second.claim_images(old, 100), SizeIs(10)) << "what it has can be worked on";

  first.process().go_on();
  EXPECT_EQ(first.end(), kMany);
  EXPECT_EQ(second.add_images(old, "images", kMany - 5, 10), 5);
  expect_no_leftovers();
}

TEST_F(LoadTest, LoadersOfTheSameJobAtOnceMakeTheUnion) {
  std::vector<RemoteTracker> loaders;
  for (int i = 0; i < 4; ++i) {
    loaders.push_back(start());
  }
  for (int i = 0; i < 4; ++i) {
    loaders[static_cast<std::size_t>(i)].begin_create_job("job", "images", i * 10'000, 20'000);
  }
  std::vector<std::int64_t> ids;
  for (RemoteTracker& loader : loaders) {
    ids.push_back(loader.end());
  }
  EXPECT_THAT(ids, testing::Each(ids[0]));
  Audit audit(directory_.database());
  EXPECT_EQ(audit.number("SELECT count(DISTINCT path) FROM images"), 50'000);
  expect_no_leftovers();
}

TEST_F(LoadTest, OtherJobsGoOnDuringALongLoad) {
  RemoteTracker worker = start();
  const JobId other = worker.create_job("other", "other", 0, 10'000);
  const auto images = worker.claim_images(other, 10'000);
  RemoteTracker loader = start();
  loader.begin_create_job("job", "images", 0, 2 * kMany);
  {
    Audit audit(directory_.database());
    ASSERT_TRUE(wait_until(audit, kLoadUnderWay, [&] { return loader.has_ended(); }));
  }
  std::size_t marked = 0;
  for (; marked < images.size() && !loader.has_ended(); ++marked) {
    ASSERT_TRUE(worker.complete(images[marked]));
  }
  RecordProperty("marks", static_cast<int>(marked));
  // Where a mark gets its turn only once the load is through, there is one.
  EXPECT_GE(marked, 20U);
  loader.end();
}

}  // namespace
}  // namespace progress_tracker::processes

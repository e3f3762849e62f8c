// What becomes of the images that a worker held: when it is killed, when it closes in order, and
// when it only looks dead.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "audit.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "remote_tracker.h"

namespace progress_tracker::processes {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class DeathTest : public testing::Test {
 protected:
  RemoteTracker start(const Options& options = {}) {
    return RemoteTracker(directory_.database(), options);
  }

  // A finished loader that is gone, so that it is no worker any more.
  JobId make_job(int images) {
    RemoteTracker loader = start();
    const JobId job = loader.create_job("job", "images", 0, images);
    loader.close();
    return job;
  }

  std::int64_t count(const std::string& condition) {
    return Audit(directory_.database()).number("SELECT count(*) FROM images WHERE " + condition);
  }

  void TearDown() override { Audit(directory_.database()).expect_sound(); }

  TemporaryDirectory directory_;
};

std::optional<Worker> with_pid(const std::vector<Worker>& workers, pid_t pid) {
  for (const Worker& worker : workers) {
    if (worker.pid == pid) {
      return worker;
    }
  }
  return std::nullopt;
}

TEST_F(DeathTest, ResetGivesBackExactlyWhatTheDeadWorkerHeld) {
  const JobId job = make_job(2'000);
  RemoteTracker dying = start();
  RemoteTracker living = start();
  const auto lost = dying.claim_images(job, 250);
  const auto kept = living.claim_images(job, 300);
  const auto lost_too = dying.claim_images(job, 250);
  ASSERT_THAT(lost, SizeIs(250));
  ASSERT_THAT(kept, SizeIs(300));
  const pid_t dead_pid = dying.pid();
  dying.kill();

  RemoteTracker third = start();
  const auto before = third.list_workers();
  ASSERT_THAT(before, SizeIs(2)) << "the third has done nothing yet that a worker does";
  EXPECT_FALSE(with_pid(before, dead_pid)->alive);
  EXPECT_EQ(with_pid(before, dead_pid)->processing, 500);
  EXPECT_TRUE(with_pid(before, living.pid())->alive);
  EXPECT_EQ(with_pid(before, living.pid())->processing, 300);

  EXPECT_EQ(third.reset_stuck_images(job), 500);

  EXPECT_EQ(third.get_status_counts(job),
            (StatusCounts{.pending = 1'700, .processing = 300, .completed = 0, .error = 0}));
  EXPECT_EQ(count("status = 'pending' AND deaths = 1 AND attempts = 1"), 500);
  EXPECT_EQ(count("status = 'pending' AND deaths = 0 AND attempts = 0"), 1'200);
  EXPECT_EQ(count("status = 'processing' AND deaths = 0 AND attempts = 1"), 300);
  for (const auto* images : {&lost, &lost_too}) {
    for (const Image& image : *images) {
      EXPECT_EQ(third.get_image(image.id).status, Status::kPending);
    }
  }
  const auto after = third.list_workers();
  EXPECT_THAT(after, SizeIs(1));
  EXPECT_TRUE(with_pid(after, living.pid())->alive);

  EXPECT_EQ(third.reset_stuck_images(job), 0);
  EXPECT_EQ(living.complete_all(kept), 300) << "the living worker's claims are as good as ever";
}

TEST_F(DeathTest, ResetGivesBackMoreThanOnePiece) {
  const JobId job = make_job(12'500);
  RemoteTracker dying = start();
  ASSERT_THAT(dying.claim_images(job, 12'000), SizeIs(12'000));
  dying.kill();
  RemoteTracker heir = start();
  EXPECT_EQ(heir.reset_stuck_images(job), 12'000);
  EXPECT_EQ(count("status = 'pending' AND deaths = 1"), 12'000);
  EXPECT_EQ(count("status = 'pending' AND deaths = 0"), 500);
}

TEST_F(DeathTest, ResetOfOneJobLeavesTheOthers) {
  RemoteTracker dying = start();
  const JobId one = dying.create_job("one", "a", 0, 10);
  const JobId other = dying.create_job("other", "b", 0, 10);
  dying.claim_images(one, 4);
  dying.claim_images(other, 5);
  dying.kill();
  RemoteTracker heir = start();
  EXPECT_EQ(heir.reset_stuck_images(one), 4);
  EXPECT_EQ(heir.get_status_counts(other).processing, 5);
  EXPECT_EQ(heir.reset_stuck_images(other), 5);
}

TEST_F(DeathTest, ClaimTakesBackByItselfOnceNothingElseIsPending) {
  const JobId job = make_job(30);
  RemoteTracker dying = start();
  RemoteTracker heir = start();
  const auto lost = dying.claim_images(job, 10);
  const auto released = heir.claim_images(job, 5);
  dying.kill();
  ASSERT_EQ(heir.release_images(released), 5);

  // What has no death comes first, all of it, in its order; the dead worker's stay where they are.
  const auto first = heir.claim_images(job, 15);
  ASSERT_THAT(first, SizeIs(15));
  EXPECT_EQ(first.front().id, released.front().id);
  EXPECT_EQ(heir.get_status_counts(job).processing, 25);
  EXPECT_THAT(heir.claim_images(job, 100), SizeIs(5));
  EXPECT_EQ(count("deaths > 0"), 0);

  // Then those with a death, one a call, whatever the limit.
  for (const Image& image : lost) {
    const auto again = heir.claim_images(job, 100);
    ASSERT_THAT(again, SizeIs(1));
    EXPECT_EQ(again[0].id, image.id);
    EXPECT_EQ(again[0].path, image.path);
    EXPECT_EQ(again[0].attempt, 2);
    EXPECT_EQ(heir.get_image(image.id).deaths, 1);
  }
  EXPECT_THAT(heir.claim_images(job, 100), IsEmpty()) << "its own are never taken back by a claim";
}

TEST_F(DeathTest, ImagesGivenBackWithoutADeathGoBeforeThoseWithOne) {
  const JobId job = make_job(6);
  RemoteTracker dying = start();
  RemoteTracker other = start();
  dying.claim_images(job, 3);
  dying.kill();
  const auto held = other.claim_images(job, 3);
  ASSERT_THAT(held, SizeIs(3));
  ASSERT_EQ(other.reset_stuck_images(job), 6) << "its own and the dead one's";
  EXPECT_EQ(count("deaths = 1"), 3);
  EXPECT_EQ(count("deaths = 0"), 3) << "for its own nobody died";

  const auto first = other.claim_images(job, 100);
  ASSERT_THAT(first, SizeIs(3));
  EXPECT_EQ(first[0].id, held[0].id);
  EXPECT_EQ(first[0].attempt, 2);
  EXPECT_THAT(other.claim_images(job, 100), SizeIs(1));
}

TEST_F(DeathTest, OrderlyEndCountsNoDeath) {
  const JobId job = make_job(40);
  RemoteTracker closing = start();
  RemoteTracker destroyed = start();
  RemoteTracker leaving = start();  // its process returns from main()
  closing.claim_images(job, 10);
  destroyed.claim_images(job, 10);
  leaving.claim_images(job, 10);
  closing.close();
  destroyed.destroy();
  EXPECT_EQ(leaving.process().wait(), 0);

  RemoteTracker heir = start();
  for (const Worker& worker : heir.list_workers()) {
    EXPECT_FALSE(worker.alive) << worker.pid;
    EXPECT_EQ(worker.processing, 10);
  }
  EXPECT_EQ(heir.get_status_counts(job).processing, 30) << "still held, as after a crash";
  ASSERT_THAT(heir.claim_images(job, 100), SizeIs(10));
  EXPECT_THAT(heir.claim_images(job, 100), SizeIs(30)) << "no death, so not one by one";
  EXPECT_EQ(count("deaths > 0"), 0);
  EXPECT_EQ(count("attempts = 2"), 30);
}

TEST_F(DeathTest, OrderlyEndCountsNoDeathForAResetEither) {
  const JobId job = make_job(10);
  RemoteTracker closing = start();
  closing.claim_images(job, 10);
  closing.close();
  RemoteTracker heir = start();
  EXPECT_EQ(heir.reset_stuck_images(job), 10);
  EXPECT_EQ(count("deaths > 0"), 0);
  EXPECT_THAT(heir.list_workers(), IsEmpty());
}

TEST_F(DeathTest, ImageThatKillsThreeWorkersGoesToError) {
  const JobId job = make_job(2);
  Options options;
  options.max_deaths = 3;
  ImageId poisonous{};
  for (int death = 1; death <= 3; ++death) {
    RemoteTracker worker = start(options);
    const auto images = worker.claim_images(job, 1);
    ASSERT_THAT(images, SizeIs(1)) << death;
    if (death == 1) {
      poisonous = images[0].id;
      // So that the other one is not there to be preferred.
      const auto harmless = worker.claim_images(job, 1);
      ASSERT_EQ(harmless.size(), 1U);
      ASSERT_TRUE(worker.complete(harmless[0]));
    }
    ASSERT_EQ(images[0].id, poisonous);
    ASSERT_EQ(images[0].attempt, death);
    worker.kill();
  }
  RemoteTracker last = start(options);
  EXPECT_THAT(last.claim_images(job, 1), IsEmpty());
  const ImageRecord record = last.get_image(poisonous);
  EXPECT_EQ(record.status, Status::kError);
  EXPECT_EQ(record.error_message, "worker died 3 times while processing");
  EXPECT_EQ(record.deaths, 3);
  EXPECT_EQ(record.attempts, 3);
}

TEST_F(DeathTest, ResetSendsWhatDiedTooOftenToErrorAndCountsItNot) {
  const JobId job = make_job(10);
  Options options;
  options.max_deaths = 1;
  RemoteTracker dying = start();
  dying.claim_images(job, 4);
  dying.kill();
  RemoteTracker closing = start();
  closing.claim_images(job, 3);
  closing.close();
  RemoteTracker heir = start(options);
  EXPECT_EQ(heir.reset_stuck_images(job), 3) << "how many went back to pending";
  EXPECT_EQ(heir.get_status_counts(job),
            (StatusCounts{.pending = 6, .processing = 0, .completed = 0, .error = 4}));
  EXPECT_EQ(Audit(directory_.database()).number("SELECT error_count FROM jobs"), 4)
      << "a reset that changes it writes it";
}

// A dead worker leaves more than one transaction takes back, all of it to go to error, and beside
// it something that can be worked on.
TEST_F(DeathTest, ClaimFindsWhatIsLeftBehindManyImagesThatDiedTooOften) {
  const JobId job = make_job(6'010);
  Options options;
  options.max_deaths = 1;
  RemoteTracker dying = start();
  ASSERT_THAT(dying.claim_images(job, 6'000), SizeIs(6'000));
  RemoteTracker closing = start();
  ASSERT_THAT(closing.claim_images(job, 10), SizeIs(10));
  dying.kill();
  closing.close();
  RemoteTracker heir = start(options);
  EXPECT_THAT(heir.claim_images(job, 100), SizeIs(10));
}

TEST_F(DeathTest, StoppedWorkerIsNotDead) {
  const JobId job = make_job(10);
  RemoteTracker paused = start();
  const auto held = paused.claim_images(job, 10);
  paused.process().stop();

  RemoteTracker other = start();
  EXPECT_EQ(other.reset_stuck_images(job), 0);
  EXPECT_THAT(other.claim_images(job, 10), IsEmpty());
  const auto workers = other.list_workers();
  EXPECT_TRUE(with_pid(workers, paused.pid())->alive);
  EXPECT_EQ(with_pid(workers, paused.pid())->processing, 10);

  paused.process().go_on();
  EXPECT_EQ(paused.complete_all(held), 10);
}

TEST_F(DeathTest, StaleAttemptIsRefused) {
  const JobId job = make_job(3);
  RemoteTracker slow = start();
  RemoteTracker quick = start();
  const auto first = slow.claim_images(job, 3);
  ASSERT_EQ(slow.release_images(first), 3);
  EXPECT_FALSE(slow.complete(first[0])) << "given back and not started again";
  const auto second = quick.claim_images(job, 3);
  ASSERT_THAT(second, SizeIs(3));

  EXPECT_FALSE(slow.complete(first[0]));
  EXPECT_FALSE(slow.fail(first[1], "stale"));
  EXPECT_EQ(slow.complete_all(first), 0);
  EXPECT_EQ(slow.release_images(first), 0);
  EXPECT_EQ(quick.get_status_counts(job).processing, 3);

  EXPECT_TRUE(quick.complete(second[0]));
  EXPECT_FALSE(slow.complete(first[0])) << "completed, but not under that attempt";
  EXPECT_TRUE(quick.complete(second[0])) << "the same again does no harm";
}

TEST_F(DeathTest, AttemptOfADeadWorkerIsStaleOnceTakenBack) {
  const JobId job = make_job(1);
  RemoteTracker dying = start();
  const auto lost = dying.claim_images(job, 1);
  dying.kill();
  RemoteTracker heir = start();
  ASSERT_EQ(heir.reset_stuck_images(job), 1);
  EXPECT_FALSE(heir.complete(lost.at(0)));
  const auto again = heir.claim_images(job, 1);
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_FALSE(heir.complete(lost.at(0)));
  EXPECT_TRUE(heir.complete(again[0]));
}

TEST_F(DeathTest, ForkedChildDoesNotKeepItsDeadParentAlive) {
  const JobId job = make_job(10);
  RemoteTracker parent = start();
  parent.claim_images(job, 10);
  const pid_t child = parent.fork_child();
  parent.kill();
  ASSERT_EQ(::kill(child, 0), 0) << "the child should have outlived its parent";

  RemoteTracker heir = start();
  EXPECT_EQ(heir.reset_stuck_images(job), 10);
}

TEST_F(DeathTest, ForkedChildThatEndsTakesNothingFromItsParent) {
  const JobId job = make_job(10);
  RemoteTracker parent = start();
  const auto held = parent.claim_images(job, 10);
  const pid_t child = parent.fork_child();
  ASSERT_EQ(::kill(child, SIGKILL), 0);

  RemoteTracker other = start();
  EXPECT_EQ(other.reset_stuck_images(job), 0);
}

TEST_F(DeathTest, ExecutedChildDoesNotInheritTheLock) {
  const JobId job = make_job(10);
  RemoteTracker parent = start();
  parent.claim_images(job, 10);
  const pid_t child = parent.spawn_child();
  parent.kill();
  ASSERT_EQ(::kill(child, 0), 0) << "the child should have outlived its parent";

  RemoteTracker heir = start();
  EXPECT_EQ(heir.reset_stuck_images(job), 10);
}

TEST_F(DeathTest, RemoveJobRefusesWhileALiveWorkerHoldsItsImages) {
  const JobId job = make_job(10);
  RemoteTracker worker = start();
  worker.claim_images(job, 1);
  RemoteTracker other = start();
  try {
    other.remove_job(job);
    ADD_FAILURE() << "removed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidTransition) << error.what();
  }
  worker.kill();
  other.remove_job(job);
  EXPECT_FALSE(other.has_job("job"));
  EXPECT_THAT(other.list_workers(), IsEmpty());
}

}  // namespace
}  // namespace progress_tracker::processes

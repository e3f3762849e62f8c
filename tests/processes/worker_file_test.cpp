// The side file that holds the workers' locks: deleted, replaced, locked by strangers.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "audit.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "remote_tracker.h"

namespace progress_tracker::processes {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class WorkerFileTest : public testing::Test {
 protected:
  RemoteTracker start(const Options& options = {}) {
    return RemoteTracker(directory_.database(), options);
  }

  std::filesystem::path worker_file() const { return directory_.database().string() + "-workers"; }

  std::int64_t count(const std::string& condition) {
    return Audit(directory_.database()).number("SELECT count(*) FROM images WHERE " + condition);
  }

  void TearDown() override { Audit(directory_.database()).expect_sound(); }

  TemporaryDirectory directory_;
};

// A read lock on every byte, as anybody can take who may read the file.
class ReadLock {
 public:
  explicit ReadLock(const std::filesystem::path& file)
      : fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct flock all {};
    all.l_type = F_RDLCK;
    all.l_whence = SEEK_SET;
    // Around the locks that workers hold: a read lock cannot lie over them.
    for (off_t byte = 0; byte < 1'000; ++byte) {
      all.l_start = byte;
      all.l_len = byte == 999 ? 0 : 1;
      if (::fcntl(fd_, F_OFD_SETLK, &all) == 0) {
        ++held_;
      }
    }
  }
  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;
  ~ReadLock() { ::close(fd_); }

  int held() const { return held_; }

 private:
  int fd_;
  int held_{0};
};

TEST_F(WorkerFileTest, LiesBesideTheDatabaseAndStays) {
  RemoteTracker worker = start();
  const JobId job = worker.create_job("job", "images", 0, 10);
  worker.claim_images(job, 1);
  EXPECT_TRUE(std::filesystem::exists(worker_file()));
  worker.close();
  EXPECT_TRUE(std::filesystem::exists(worker_file()));
}

TEST_F(WorkerFileTest, WorkerRegistersAgainAfterItsDeletion) {
  RemoteTracker worker = start();
  RemoteTracker other = start();
  const JobId job = worker.create_job("job", "images", 0, 100);
  const auto first = worker.claim_images(job, 20);
  const auto before = worker.list_workers();
  ASSERT_THAT(before, SizeIs(1));
  ASSERT_TRUE(std::filesystem::remove(worker_file()));

  const auto second = worker.claim_images(job, 5);
  ASSERT_THAT(second, SizeIs(5));
  const auto after = worker.list_workers();
  ASSERT_THAT(after, SizeIs(1));
  EXPECT_NE(after[0].id, before[0].id);
  EXPECT_EQ(after[0].processing, 25) << "it takes what it held along";

  EXPECT_EQ(other.reset_stuck_images(job), 0);
  EXPECT_EQ(count("status = 'processing' AND deaths = 0 AND attempts = 1"), 25);
  EXPECT_EQ(worker.complete_all(first), 20);
  EXPECT_EQ(worker.complete_all(second), 5);
}

TEST_F(WorkerFileTest, WorkerRegistersAgainAfterItsReplacement) {
  RemoteTracker worker = start();
  const JobId job = worker.create_job("job", "images", 0, 100);
  const auto first = worker.claim_images(job, 20);
  // A copy: the same content, and not the same file.
  const auto copy = directory_.path() / "copy";
  std::filesystem::copy_file(worker_file(), copy);
  std::filesystem::rename(copy, worker_file());

  ASSERT_THAT(worker.claim_images(job, 5), SizeIs(5));
  RemoteTracker other = start();
  EXPECT_EQ(other.reset_stuck_images(job), 0);
  const auto workers = other.list_workers();
  ASSERT_THAT(workers, SizeIs(1));
  EXPECT_TRUE(workers[0].alive);
  EXPECT_EQ(workers[0].processing, 25);
  EXPECT_EQ(worker.complete_all(first), 20);
}

// The one that looks has its own lock still in the old file.
TEST_F(WorkerFileTest, ResetLooksInTheFileThatIsThereNow) {
  RemoteTracker worker = start();
  RemoteTracker other = start();
  const JobId job = worker.create_job("job", "images", 0, 100);
  ASSERT_THAT(other.claim_images(job, 10), SizeIs(10));
  ASSERT_THAT(worker.claim_images(job, 10), SizeIs(10));
  ASSERT_TRUE(std::filesystem::remove(worker_file()));
  ASSERT_THAT(worker.claim_images(job, 10), SizeIs(10));  // registers again

  for (const Worker& each : other.list_workers()) {
    EXPECT_TRUE(each.alive) << each.pid;
  }
  EXPECT_EQ(other.reset_stuck_images(job), 10) << "its own, and none of the living worker's";
  EXPECT_EQ(count("status = 'processing' AND deaths = 0"), 20);
}

TEST_F(WorkerFileTest, ClaimLooksInTheFileThatIsThereNow) {
  RemoteTracker worker = start();
  RemoteTracker other = start();
  const JobId job = worker.create_job("job", "images", 0, 20);
  ASSERT_THAT(other.claim_images(job, 5), SizeIs(5));
  ASSERT_THAT(worker.claim_images(job, 5), SizeIs(5));
  ASSERT_TRUE(std::filesystem::remove(worker_file()));
  ASSERT_THAT(worker.claim_images(job, 5), SizeIs(5));
  ASSERT_THAT(other.claim_images(job, 5), SizeIs(5));

  EXPECT_THAT(other.claim_images(job, 5), IsEmpty());
  EXPECT_THAT(worker.claim_images(job, 5), IsEmpty());
  EXPECT_EQ(count("status = 'processing' AND deaths = 0 AND attempts = 1"), 20);
  EXPECT_THAT(other.list_workers(), SizeIs(2));
}

TEST_F(WorkerFileTest, DeathAfterItsDeletionIsSeen) {
  RemoteTracker worker = start();
  RemoteTracker other = start();
  const JobId job = worker.create_job("job", "images", 0, 20);
  other.claim_images(job, 5);
  worker.claim_images(job, 5);
  ASSERT_TRUE(std::filesystem::remove(worker_file()));
  worker.claim_images(job, 5);
  other.claim_images(job, 5);
  worker.kill();
  EXPECT_EQ(other.reset_stuck_images(job), 20);
  EXPECT_EQ(count("deaths = 1"), 10);
}

// The loader, which is kept from noticing, looks dead to those who come after, and they clear away
// what it has loaded so far.
// Whatever becomes of the load then, it is said truly, and nothing of it is half there.
TEST_F(WorkerFileTest, DeletionDuringALoadLeavesNothingHalfDone) {
  RemoteTracker loader = start();
  const JobId job = loader.create_job("job", "images", 0, 10);
  loader.begin_add_images(job, "more", 0, 100'000);
  {
    Audit audit(directory_.database());
    ASSERT_TRUE(wait_until(audit, "SELECT count(*) FROM job WHERE loader > 0",
                           [&] { return loader.has_ended(); }));
    stop_between_transactions(loader.process(), audit);
  }
  ASSERT_TRUE(std::filesystem::remove(worker_file()));
  RemoteTracker other = start();
  EXPECT_THAT(other.claim_images(job, 5), SizeIs(5));
  other.create_job("another", "another", 0, 1);
  loader.process().go_on();
  std::int64_t added = 0;
  try {
    added = loader.end();
    EXPECT_EQ(added, 100'000);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBusy) << error.what();
  }
  EXPECT_EQ(other.get_status_counts(job).total(), 10 + added);
  // And it can be repeated.
  EXPECT_EQ(loader.add_images(job, "more", 0, 100'000), 100'000 - added);
  EXPECT_EQ(other.get_status_counts(job).total(), 100'010);
}

TEST_F(WorkerFileTest, ReadLocksOnAllOfItDoNotMakeTheDeadLookAlive) {
  RemoteTracker dying = start();
  RemoteTracker living = start();
  const JobId job = dying.create_job("job", "images", 0, 100);
  dying.claim_images(job, 10);
  const auto kept = living.claim_images(job, 10);
  const pid_t dead = dying.pid();
  dying.kill();
  const ReadLock stranger(worker_file());
  ASSERT_GT(stranger.held(), 990);

  RemoteTracker third = start();
  for (const Worker& worker : third.list_workers()) {
    EXPECT_EQ(worker.alive, worker.pid != dead);
  }
  EXPECT_EQ(third.reset_stuck_images(job), 10);
  EXPECT_EQ(third.get_status_counts(job).processing, 10);

  // Who is registered works on as if nothing were.
  EXPECT_THAT(living.claim_images(job, 5), SizeIs(5));
  EXPECT_EQ(living.complete_all(kept), 10);
}

// No new worker can take its lock meanwhile. It may wait or be refused, but keeps nobody else from
// working, and is not kept waiting beyond its busy_timeout.
TEST_F(WorkerFileTest, ReadLocksOnAllOfItDoNotBlockTheDatabase) {
  RemoteTracker living = start();
  const JobId job = living.create_job("job", "images", 0, 100);
  living.claim_images(job, 1);
  Options options;
  options.busy_timeout = std::chrono::milliseconds{300};
  RemoteTracker newcomer = start(options);
  {
    const ReadLock stranger(worker_file());
    try {
      newcomer.claim_images(job, 1);
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::kBusy || error.code() == ErrorCode::kIo)
          << error.what();
    }
    EXPECT_THAT(living.claim_images(job, 5), SizeIs(5));
  }
  EXPECT_THAT(newcomer.claim_images(job, 5), SizeIs(5)) << "once the stranger has gone";
}

}  // namespace
}  // namespace progress_tracker::processes

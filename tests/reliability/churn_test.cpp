// Threads that come and go, trackers that are opened and closed, thousands of times: nothing piles
// up.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "campaign.h"
#include "process.h"
#include "progress_tracker/progress_tracker.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

namespace fs = std::filesystem;

std::int64_t open_files() {
  return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator{});
}

std::int64_t resident_bytes() {
  std::int64_t size = 0;
  std::int64_t resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

// Bytes that the program has asked for and not given back.
std::int64_t allocated_bytes() {
  const auto info = ::mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
}

// Locks that the kernel holds on a file, whoever has them: the lines of /proc/locks that name it.
int kernel_locks(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return 0;
  }
  std::ifstream locks("/proc/locks");
  int count = 0;
  std::array<char, 64> file{};  // by its device and its inode, as the kernel writes them
  std::snprintf(file.data(), file.size(), " %02x:%02x:%ju ", major(info.st_dev), minor(info.st_dev),
                std::uintmax_t{info.st_ino});
  for (std::string line; std::getline(locks, line);) {
    count += line.find(file.data()) != std::string::npos ? 1 : 0;
  }
  return count;
}

// Whether a lock like those of the library's workers is shown there, as it is not in every
// container.
bool locks_are_shown(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_len = 1;
  const bool shown = ::fcntl(fd, F_OFD_SETLK, &lock) == 0 && kernel_locks(file) == 1;
  ::close(fd);
  return shown && kernel_locks(file) == 0;
}

class ChurnTest : public testing::Test {
 protected:
  // Each thread makes calls of every kind, and thus opens a connection.
  void run_threads(ProgressTracker& tracker, JobId job, int count) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) {
      threads.emplace_back([&] {
        const auto claimed = tracker.claim_images(job, 1);
        if (!claimed.empty()) {
          tracker.complete(claimed.front());
        }
        tracker.get_status_counts(job);
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }

  processes::TemporaryDirectory directory_;
};

TEST_F(ChurnTest, ThreadsLeaveNoDescriptorsBehind) {
  constexpr int kAtOnce = 4;
  const std::int64_t count = sized(500, 10'000);
  ProgressTracker tracker(directory_.database());
  const JobId job =
      tracker.create_job("job", test::image_paths(static_cast<std::size_t>(count)), {});
  run_threads(tracker, job, kAtOnce);
  run_threads(tracker, job, kAtOnce);
  const std::int64_t before = open_files();
  std::int64_t most = 0;
  for (std::int64_t i = 0; i < count; i += kAtOnce) {
    run_threads(tracker, job, kAtOnce);
    most = std::max(most, open_files());
  }
  // SQLite keeps a descriptor that it may not close yet for its next connection to the file.
  EXPECT_LE(most, before + kAtOnce);
  EXPECT_GE(tracker.get_status_counts(job)->completed, count);
  report("Churn", "threads that came and went", count, most > before + kAtOnce ? 1 : 0,
         std::to_string(before) + " descriptors at first, at most " + std::to_string(most));
}

TEST_F(ChurnTest, OpeningAndClosingLeavesNothingBehind) {
  const fs::path path = directory_.database();
  const auto cycle = [&] {
    ProgressTracker tracker(path);
    const JobId job = tracker.create_job("job", test::image_paths(200), {});
    for (const Image& image : tracker.claim_images(job, 20)) {
      EXPECT_TRUE(tracker.fail(image, "broken"));
    }
    run_threads(tracker, job, 2);
    tracker.checkpoint(job);
    tracker.sync();
    tracker.get_images(job);
    tracker.remove_job(job);
  };
  const std::int64_t count = sized(50, 1'000);
  for (int i = 0; i < 20; ++i) {
    cycle();
  }
  ::malloc_trim(0);
  const std::int64_t files = open_files();
  const std::int64_t resident = resident_bytes();
  const std::int64_t allocated = allocated_bytes();
  for (std::int64_t i = 0; i < count; ++i) {
    cycle();
  }
  ::malloc_trim(0);
  EXPECT_EQ(open_files(), files);
  const std::int64_t grown = std::max(resident_bytes() - resident, allocated_bytes() - allocated);
  // A sanitizer keeps what was freed.
  constexpr std::int64_t kMiB = 1 << 20;
  if (!kSanitized) {
    EXPECT_LT(grown, kMiB);
  }
  report("Churn", "open and close cycles", count,
         (open_files() != files ? 1 : 0) + (!kSanitized && grown >= kMiB ? 1 : 0),
         std::to_string(grown / 1'024) + " KiB more memory");
}

TEST_F(ChurnTest, ClosingLeavesNoLockInTheKernel) {
  const fs::path path = directory_.database();
  ProgressTracker tracker(path);
  const JobId job = tracker.create_job("job", test::image_paths(200), {});
  tracker.claim_images(job, 5);
  if (!locks_are_shown(directory_.path() / "another file")) {
    GTEST_SKIP() << "this system does not show locks in /proc/locks";
  }
  EXPECT_EQ(kernel_locks(path.native() + "-workers"), 1);
  EXPECT_GT(kernel_locks(path), 0);
  EXPECT_GT(kernel_locks(path.native() + "-shm"), 0);
  run_threads(tracker, job, 4);

  tracker.close();

  for (const char* side : {"", "-wal", "-shm", "-workers"}) {
    EXPECT_EQ(kernel_locks(path.native() + side), 0) << side;
  }
}

TEST_F(ChurnTest, TwoTrackersOnOneFileDoNotTakeEachOthersLocks) {
  const fs::path path = directory_.database();
  ProgressTracker staying(path);
  const JobId job = staying.create_job("job", test::image_paths(400), {});
  const auto held = staying.claim_images(job, 10);
  const std::int64_t count = sized(50, 1'000);
  std::int64_t wrong = 0;
  ProgressTracker watching(path);
  for (std::int64_t i = 0; i < count; ++i) {
    {
      ProgressTracker passing(path);
      EXPECT_EQ(passing.release_images(passing.claim_images(job, 1)), 1U);
    }
    // The one that left closed its descriptors of the same files in the same process.
    const std::size_t taken = watching.reset_stuck_images(job);
    EXPECT_EQ(taken, 0U) << "the one that stays was taken for dead";
    wrong += static_cast<std::int64_t>(taken);
  }
  EXPECT_EQ(staying.get_status_counts(job)->processing, 10);
  for (const Image& image : held) {
    EXPECT_TRUE(staying.complete(image));
  }
  report("Churn", "trackers that passed beside one that stays", count, wrong);
}

}  // namespace
}  // namespace progress_tracker::reliability

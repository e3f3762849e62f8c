// A disk that fills up at any moment, and has space again: nothing acknowledged is missing, and the
// same tracker works on.
//
// On a small tmpfs of the actor's own, in a mount namespace that nobody else sees. Where the system
// does not allow one, and beside it in any case, on a VFS that counts bytes and says SQLITE_FULL.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "campaign.h"
#include "faulted_scenario.h"
#include "process.h"
#include "progress_tracker/error.h"

namespace progress_tracker::reliability {
namespace {

namespace fs = std::filesystem;
using processes::Arguments;

constexpr std::int64_t kStep = 4'096;
constexpr std::int64_t kEnough = 12 * 1'024 * 1'024;

// ---- Disks that can be filled ------------------------------------------------------------------

class Disk {
 public:
  virtual ~Disk() = default;
  virtual fs::path root() const = 0;
  virtual void leave(std::int64_t bytes) = 0;  // so much and no more is free
};

void write_line(const char* path, const std::string& text) { std::ofstream(path) << text; }

// Becomes a process with a mount namespace of its own; as root within it where it is not root.
bool leave_mount_namespace() {
  if (::unshare(CLONE_NEWNS) != 0) {
    const std::string user = "0 " + std::to_string(::geteuid()) + " 1";
    const std::string group = "0 " + std::to_string(::getegid()) + " 1";
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
      return false;
    }
    write_line("/proc/self/setgroups", "deny");
    write_line("/proc/self/uid_map", user);
    write_line("/proc/self/gid_map", group);
  }
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

bool mount_small_disk(const fs::path& at) {
  const std::string size = "size=" + std::to_string(kEnough);
  return leave_mount_namespace() &&
         ::mount("tmpfs", at.c_str(), "tmpfs", MS_NOSUID, size.c_str()) == 0;
}

class SmallDisk : public Disk {
 public:
  explicit SmallDisk(fs::path root) : root_(std::move(root)) {
    filler_ = ::open((root_ / "filler").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (filler_ < 0) {
      throw std::system_error(errno, std::generic_category(), "the filler");
    }
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() override { ::close(filler_); }

  fs::path root() const override { return root_; }
  void leave(std::int64_t bytes) override {
    struct statvfs info {};
    ::statvfs(root_.c_str(), &info);
    const auto free = static_cast<std::int64_t>(info.f_bavail * info.f_bsize);
    const std::int64_t size = std::max<std::int64_t>(0, filled_ + free - bytes);
    // Unlike ftruncate() alone it takes the space.
    if (size < filled_ ? ::ftruncate(filler_, size) != 0
                       : size > 0 && ::posix_fallocate(filler_, 0, size) != 0) {
      throw std::system_error(errno, std::generic_category(), "filling");
    }
    filled_ = size;
  }

 private:
  fs::path root_;
  int filler_{-1};
  std::int64_t filled_{0};
};

// SQLite's own VFS, whose files grow by no more than what is left. Its files stay SQLite's: only
// two entries of their table of methods are other ones.
class ByteBudget : public Disk {
 public:
  explicit ByteBudget(fs::path root) : root_(std::move(root)) {
    sqlite3_vfs* const usual = sqlite3_vfs_find(nullptr);
    vfs_ = *usual;
    vfs_.zName = "byte-budget";
    vfs_.xOpen = open;
    vfs_.xDelete = remove;
    vfs_.pAppData = usual->pAppData;
    usual_ = usual;
    sqlite3_vfs_register(&vfs_, 1);
  }

  fs::path root() const override { return root_; }
  void leave(std::int64_t bytes) override { left_ = bytes; }

 private:
  struct Methods {
    sqlite3_io_methods methods;  // first, so that a file's table leads to the whole
    const sqlite3_io_methods* usual;
  };

  static const sqlite3_io_methods* usual_of(sqlite3_file* file) {
    return reinterpret_cast<const Methods*>(file->pMethods)->usual;
  }
  static bool take(std::int64_t bytes) {
    if (bytes > 0 && left_.fetch_sub(bytes) < bytes) {
      left_ += bytes;
      return false;
    }
    return true;
  }
  static std::int64_t size_of(sqlite3_file* file) {
    sqlite3_int64 size = 0;
    file->pMethods->xFileSize(file, &size);
    return size;
  }

  static int open(sqlite3_vfs* /*vfs*/, sqlite3_filename name, sqlite3_file* file, int flags,
                  int* out_flags) {
    const int code = usual_->xOpen(usual_, name, file, flags, out_flags);
    if (code != SQLITE_OK || file->pMethods == nullptr) {
      return code;
    }
    const std::lock_guard lock(mutex_);
    auto& made = made_[file->pMethods];
    if (made == nullptr) {
      made = std::make_unique<Methods>(Methods{*file->pMethods, file->pMethods});
      made->methods.xWrite = write;
      made->methods.xTruncate = truncate;
      made->methods.xShmMap = map_index;
    }
    file->pMethods = &made->methods;
    return SQLITE_OK;
  }
  static int remove(sqlite3_vfs* /*vfs*/, const char* name, int sync) {
    std::error_code error;
    const auto size = fs::file_size(name, error);
    if (!error) {
      left_ += static_cast<std::int64_t>(size);
    }
    return usual_->xDelete(usual_, name, sync);
  }
  static int write(sqlite3_file* file, const void* data, int count, sqlite3_int64 at) {
    return take(at + count - size_of(file)) ? usual_of(file)->xWrite(file, data, count, at)
                                            : SQLITE_FULL;
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    left_ += std::max<std::int64_t>(0, size_of(file) - size);
    return usual_of(file)->xTruncate(file, size);
  }
  // As SQLite does where it cannot lengthen the -shm file.
  static int map_index(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
    const int code = usual_of(file)->xShmMap(file, region, size, 0, out);
    if (code != SQLITE_OK || *out != nullptr || extend == 0) {
      return code;
    }
    return take(size) ? usual_of(file)->xShmMap(file, region, size, extend, out)
                      : SQLITE_IOERR_SHMSIZE;
  }

  static inline std::atomic<std::int64_t> left_{kEnough};
  static inline sqlite3_vfs* usual_{nullptr};
  static inline std::mutex mutex_;
  static inline std::map<const sqlite3_io_methods*, std::unique_ptr<Methods>> made_;

  fs::path root_;
  sqlite3_vfs vfs_{};
};

std::unique_ptr<Disk> make_disk(const std::string& kind, const fs::path& directory) {
  if (kind == "budget") {
    return std::make_unique<ByteBudget>(directory);
  }
  if (!mount_small_disk(directory)) {
    throw std::runtime_error("no tmpfs of one's own");
  }
  return std::make_unique<SmallDisk>(directory);
}

// ---- The actors --------------------------------------------------------------------------------

// What a call may throw because of it.
bool fits(const Error& error) { return error.code() == ErrorCode::kFull; }

// Whether a tmpfs can be had: the exit status.
int probe(const Arguments& arguments) { return mount_small_disk(arguments.at(0)) ? 0 : 1; }

// A new database for each fill level, from nothing to more than enough.
int sweep(const Arguments& arguments) {
  const auto disk = make_disk(arguments.at(0), arguments.at(1));
  const auto seed = static_cast<unsigned>(std::stoul(arguments.at(2)));
  const std::int64_t most = std::stoll(arguments.at(3));
  const std::int64_t stride = std::stoll(arguments.at(4));
  processes::Random random(seed);
  for (std::int64_t level = kStep * (seed % stride); level <= most; level += kStep * stride) {
    const fs::path directory = disk->root() / std::to_string(level);
    disk->leave(kEnough);
    fs::create_directory(directory);
    bool first = true;
    Shortage full;
    full.fits = fits;
    full.begin = [&] {
      // After the first failure nearly nothing is left, or the rest would not be tried.
      disk->leave(std::exchange(first, false) ? level : kStep * processes::draw(random, 0, 12));
    };
    full.end = [&] { disk->leave(kEnough); };
    FaultedScenario scenario(directory / "jobs.db", full, seed + static_cast<unsigned>(level));
    scenario.begin();
    scenario.work();
    scenario.end();
    fs::remove_all(directory);
    scenario.say_tally();
  }
  return 0;
}

// The disk fills and empties under one tracker, again and again.
int cycles(const Arguments& arguments) {
  const auto disk = make_disk(arguments.at(0), arguments.at(1));
  const auto seed = static_cast<unsigned>(std::stoul(arguments.at(2)));
  processes::Random random(seed);
  Shortage full;
  full.fits = fits;
  full.begin = [&] { disk->leave(kStep * processes::draw(random, 0, 12)); };
  full.end = [&] { disk->leave(kEnough); };
  FaultedScenario scenario(disk->root() / "jobs.db", full, seed);
  scenario.begin();
  for (int i = 0; i < std::stoi(arguments.at(3)); ++i) {
    if (i % 3 == 0) {
      scenario.reopen();  // with a new log, as one that is long enough needs no more space
    } else {
      full.begin();
    }
    scenario.work();
    if (i % 10 == 0) {
      processes::say("tally 0 0 0");  // it does not hang
    }
  }
  scenario.end();
  return scenario.say_tally();
}

const processes::RegisterActor kProbe{"full_disk_probe", probe};
const processes::RegisterActor kSweep{"full_disk_sweep", sweep};
const processes::RegisterActor kCycles{"full_disk_cycles", cycles};

// ---- The tests ---------------------------------------------------------------------------------

class FullDiskTest : public testing::TestWithParam<std::string> {
 protected:
  FullDiskTest() {
    if (GetParam() == "tmpfs") {
      processes::Process process("full_disk_probe", {directory_.path()});
      process.receive_rest();
      allowed_ = process.wait() == 0;
    }
  }

  // Without a tmpfs the same is tried on the byte budget, by the test's other instance.
  bool allowed() const {
    if (!allowed_) {
      std::cout << "no mount namespace for this user here: only the byte budget is tried\n";
    }
    return allowed_;
  }

  std::string where() const { return GetParam() == "tmpfs" ? "a tmpfs" : "a byte budget"; }

  const unsigned seed_ = processes::test_seed();
  processes::TemporaryDirectory directory_;
  bool allowed_{true};
};

TEST_P(FullDiskTest, AtEveryFillLevelNothingAcknowledgedIsMissing) {
  if (!allowed()) {
    GTEST_SKIP() << "the system does not let this user mount: the byte budget stands in";
  }
  SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_));
  constexpr std::int64_t kMoreThanEnough = 3'000'000;
  const std::int64_t stride = sized(37, 1);
  const Tally tally =
      tally_of("full_disk_sweep", {GetParam(), directory_.path(), std::to_string(seed_),
                                   std::to_string(kMoreThanEnough), std::to_string(stride)});
  expect_nothing_wrong(tally);
  EXPECT_GT(tally.refused, 15) << "the disk was never full";
  report("G13",
         "calls at fill levels in steps of " + std::to_string(stride * kStep / 1'024) + " KiB of " +
             where(),
         tally.calls, static_cast<std::int64_t>(tally.wrong.size()),
         std::to_string(tally.refused) + " refused, " + std::to_string(tally.unknown) +
             " of unknown outcome");
}

TEST_P(FullDiskTest, TheSameTrackerWorksOnWhenSpaceReturns) {
  if (!allowed()) {
    GTEST_SKIP() << "the system does not let this user mount: the byte budget stands in";
  }
  SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_));
  const std::int64_t count = sized(25, 1'000);
  const Tally tally = tally_of("full_disk_cycles", {GetParam(), directory_.path(),
                                                    std::to_string(seed_), std::to_string(count)});
  expect_nothing_wrong(tally);
  EXPECT_GT(tally.refused, count / 4) << "the disk was hardly ever full";
  report("G13", "fill/free cycles of " + where(), count,
         static_cast<std::int64_t>(tally.wrong.size()),
         std::to_string(tally.calls) + " calls, " + std::to_string(tally.refused) + " refused, " +
             std::to_string(tally.unknown) + " of unknown outcome");
}

INSTANTIATE_TEST_SUITE_P(Kinds, FullDiskTest, testing::Values("tmpfs", "budget"),
                         [](const auto& each) { return each.param; });

}  // namespace
}  // namespace progress_tracker::reliability

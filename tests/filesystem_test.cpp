// What the operating system may answer: kinds of file systems that no test machine has, and
// refusals that seldom come. Its functions are called through those of this program, which give a
// test's answer in their place.
#include <dlfcn.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "filesystem_name.h"
#include "liveness.h"
#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"
#include "support.h"
#include "testing_hooks.h"

namespace progress_tracker {
namespace {

// In front of the operating system; the calls of one thread.
struct System {
  // What statfs() says of every place.
  std::optional<std::uint32_t> kind;
  // What is read in place of /proc/self/mountinfo.
  std::optional<std::string> mounts;
  // Attributes that statx() adds for this path.
  std::string attributed;
  std::uint64_t attributes{0};
  // What a call fails with, 0: nothing. Told the call's name and the file's.
  std::function<int(std::string_view call, std::string_view path)> error;
};

System& answers() {
  static System& the_system = *new System;  // asked until the very end of the process
  return the_system;
}

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

// Whether the call fails; errno is set then.
bool fails(std::string_view call, std::string_view path) {
  const auto& error = answers().error;
  const int code = error ? error(call, path) : 0;
  if (code != 0) {
    errno = code;
  }
  return code != 0;
}

bool fails(std::string_view call, int fd) {
  if (!answers().error) {
    return false;
  }
  std::string path(4096, '\0');
  const ssize_t length =
      ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path.data(), path.size());
  path.resize(static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  return fails(call, path);
}

}  // namespace
}  // namespace progress_tracker

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the system's are reserved
extern "C" {

int statfs(const char* path, struct statfs* info) noexcept {
  using namespace progress_tracker;
  if (fails("statfs", path)) {
    return -1;
  }
  const int result = next<int(const char*, struct statfs*)>("statfs")(path, info);
  if (result == 0 && answers().kind.has_value()) {
    info->f_type = *answers().kind;
  }
  return result;
}

int statx(int at, const char* path, int flags, unsigned mask, struct statx* info) noexcept {
  using namespace progress_tracker;
  if (fails("statx", path)) {
    return -1;
  }
  const int result = next<int(int, const char*, int, unsigned, struct statx*)>("statx")(
      at, path, flags, mask, info);
  if (result == 0 && answers().attributed == path) {
    info->stx_attributes |= answers().attributes;
    info->stx_attributes_mask |= answers().attributes;
  }
  return result;
}

int stat(const char* path, struct stat* info) noexcept {
  using namespace progress_tracker;
  return fails("stat", path) ? -1 : next<int(const char*, struct stat*)>("stat")(path, info);
}

int fstat(int fd, struct stat* info) noexcept {
  using namespace progress_tracker;
  return fails("fstat", fd) ? -1 : next<int(int, struct stat*)>("fstat")(fd, info);
}

ssize_t pread(int fd, void* to, std::size_t size, off_t at) {
  using namespace progress_tracker;
  return fails("pread", fd)
             ? -1
             : next<ssize_t(int, void*, std::size_t, off_t)>("pread")(fd, to, size, at);
}

ssize_t pwrite(int fd, const void* from, std::size_t size, off_t at) {
  using namespace progress_tracker;
  return fails("pwrite", fd)
             ? -1
             : next<ssize_t(int, const void*, std::size_t, off_t)>("pwrite")(fd, from, size, at);
}

// By which SQLite writes.
ssize_t pwrite64(int fd, const void* from, std::size_t size, off64_t at) {
  using namespace progress_tracker;
  return fails("pwrite64", fd) ? -1
                               : next<ssize_t(int, const void*, std::size_t, off64_t)>("pwrite64")(
                                     fd, from, size, at);
}

int fcntl(int fd, int command, ...) {
  using namespace progress_tracker;
  va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  if ((command == F_OFD_SETLK && fails("lock", fd)) ||
      (command == F_OFD_GETLK && fails("test of a lock", fd))) {
    return -1;
  }
  return next<int(int, int, ...)>("fcntl")(fd, command, argument);
}

int truncate(const char* path, off_t size) noexcept {
  using namespace progress_tracker;
  return fails("truncate", path) ? -1 : next<int(const char*, off_t)>("truncate")(path, size);
}

int mkdir(const char* path, mode_t mode) noexcept {
  using namespace progress_tracker;
  return fails("mkdir", path) ? -1 : next<int(const char*, mode_t)>("mkdir")(path, mode);
}

int renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags) noexcept {
  using namespace progress_tracker;
  return fails("renameat2", to) ? -1
                                : next<int(int, const char*, int, const char*, unsigned)>(
                                      "renameat2")(from_at, from, to_at, to, flags);
}

ssize_t getrandom(void* to, std::size_t size, unsigned flags) {
  using namespace progress_tracker;
  return fails("getrandom", "")
             ? -1
             : next<ssize_t(void*, std::size_t, unsigned)>("getrandom")(to, size, flags);
}

int gethostname(char* to, std::size_t size) noexcept {
  using namespace progress_tracker;
  return fails("gethostname", "") ? -1 : next<int(char*, std::size_t)>("gethostname")(to, size);
}

// By which the standard library opens its streams.
FILE* fopen64(const char* path, const char* mode) {
  using namespace progress_tracker;
  const bool mounts =
      answers().mounts.has_value() && std::strcmp(path, "/proc/self/mountinfo") == 0;
  return next<FILE*(const char*, const char*)>("fopen64")(mounts ? answers().mounts->c_str() : path,
                                                          mode);
}

}  // extern "C"
// NOLINTEND(readability-inconsistent-declaration-parameter-name)

namespace progress_tracker {
namespace {

namespace fs = std::filesystem;
using test::contents_of;
using test::image_paths;
using test::LogCapture;
using test::snapshot_of;
using test::TempDirectory;
using test::ThrowsError;
using test::write_file;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

constexpr std::uint32_t kFuse = 0x65735546;

class FilesystemTest : public testing::Test {
 protected:
  FilesystemTest() {
    ProgressTracker tracker(database);
    job = tracker.create_job("job", image_paths(3), {});
  }
  ~FilesystemTest() override { answers() = {}; }

  static std::function<void()> opening(const fs::path& path, const Options& options = {}) {
    return [=] { const ProgressTracker tracker(path, options); };
  }

  // The place is FUSE, and mountinfo says this of it; std::nullopt: nothing.
  void mount_fuse(const std::optional<std::string>& type) {
    struct stat info {};
    ASSERT_EQ(::stat(directory.path().c_str(), &info), 0);
    const std::string device =
        std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev));
    // As proc(5) has it: with optional fields before the dash, or none.
    std::string lines = "21 1 0:999 / /elsewhere rw shared:1 master:2 - ext4 /dev/sda1 rw\n";
    if (type.has_value()) {
      lines += "22 1 " + device + " / /here rw,relatime - " + *type + " source rw\n";
    }
    set_mounts(lines);
    answers().kind = kFuse;
  }

  void set_mounts(const std::string& lines) {
    write_file(elsewhere / "mounts", lines);
    answers().mounts = elsewhere / "mounts";
  }

  // From the first question about the kind of the file system on, `call` fails for `path`: the
  // questions before it have been answered.
  static void refuse_after_statfs(std::string_view call, const std::string& path, int error) {
    answers().error = [=, asked = false](std::string_view each, std::string_view of) mutable {
      asked = asked || each == "statfs";
      return asked && each == call && of == path ? error : 0;
    };
  }
  static void refuse(std::string_view call, const std::string& path, int error) {
    answers().error = [=](std::string_view each, std::string_view of) {
      return each == call && of == path ? error : 0;
    };
  }
  static void refuse_nothing() { answers().error = {}; }

  const TempDirectory directory;
  const TempDirectory elsewhere;
  const fs::path database = directory.database();
  const std::string workers = database.native() + "-workers";
  JobId job{};
};

// ---- Kinds of file systems ---------------------------------------------------------------------

struct Network {
  std::uint32_t kind;
  std::string name;
  friend std::ostream& operator<<(std::ostream& out, const Network& each) {
    return out << each.name;
  }
};

class NetworkTest : public FilesystemTest, public testing::WithParamInterface<Network> {};

TEST_P(NetworkTest, IsRefusedByItsNameAndNothingIsMade) {
  const auto before = snapshot_of(directory.path());
  answers().kind = GetParam().kind;

  for (const fs::path& path :
       {database, directory / "new.db", directory / "new" / "deeper" / "new.db"}) {
    const auto error = test::error_of(opening(path));
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code(), ErrorCode::kUnsupportedFilesystem);
    EXPECT_EQ(error->what(), "open: " + path.native() + ": " + GetParam().name +
                                 " does not share locks: use a local disk");
  }
  EXPECT_THAT(opening(database, {.read_only = true}),
              ThrowsError(ErrorCode::kUnsupportedFilesystem));
  EXPECT_THAT([&] { examine(database); }, ThrowsError(ErrorCode::kUnsupportedFilesystem));

  EXPECT_EQ(snapshot_of(directory.path()), before);
}

INSTANTIATE_TEST_SUITE_P(Each, NetworkTest,
                         testing::Values(Network{0x6969, "NFS"}, Network{0x517B, "SMB"},
                                         Network{0xFF534D42, "CIFS"}, Network{0xFE534D42, "SMB2"},
                                         Network{0x01021997, "9p"}, Network{0x5346414F, "AFS"},
                                         Network{0x00C36400, "Ceph"}, Network{0x0BD00BD0, "Lustre"},
                                         Network{0x786F4256, "vboxsf"}),
                         [](const auto& each) { return each.param.name; });

TEST_F(FilesystemTest, FuseOverANetworkIsRefusedByItsName) {
  const auto before = snapshot_of(directory.path());
  for (const std::string type : {"fuse.sshfs", "virtiofs", "fuse.gcsfuse"}) {
    mount_fuse(type);
    const auto error = test::error_of(opening(database));
    ASSERT_TRUE(error.has_value()) << type;
    EXPECT_EQ(error->code(), ErrorCode::kUnsupportedFilesystem);
    EXPECT_EQ(error->what(), "open: " + database.native() + ": " + type +
                                 " does not share locks: use a local disk");
  }
  EXPECT_EQ(snapshot_of(directory.path()), before);
}

TEST_F(FilesystemTest, FuseOfALocalDiskIsAsGoodAsAnother) {
  const LogCapture log;
  for (const std::string type : {"fuseblk", "fuse.fuse-overlayfs", "fuse.gocryptfs"}) {
    mount_fuse(type);
    EXPECT_EQ(ProgressTracker(database).get_status_counts(job)->total(), 3) << type;
    EXPECT_THAT(examine(database).notes, Not(Contains(HasSubstr("FUSE")))) << type;
  }
  EXPECT_THAT(log.lines(), IsEmpty());
}

TEST_F(FilesystemTest, FuseOfUnknownKindIsUsedWithAWarningThatNamesIt) {
  struct Case {
    std::optional<std::string> type;
    std::string said;
  };
  for (const Case& each : {Case{"fuse.homemade", "fuse.homemade"}, Case{std::nullopt, "unnamed"}}) {
    const std::string warning = "open: " + database.native() +
                                ": on a FUSE file system of unknown kind (" + each.said +
                                "): if its locks are not shared, data will be lost";
    mount_fuse(each.type);
    const LogCapture log;

    EXPECT_EQ(ProgressTracker(database).get_status_counts(job)->total(), 3);

    EXPECT_THAT(log.lines(), ElementsAre(Pair(LogLevel::kWarn, warning)));
    EXPECT_THAT(examine(database).notes, Contains(warning));
  }
}

TEST_F(FilesystemTest, AFileThatIsAMountPointIsRefused) {
  answers().attributed = database;
  answers().attributes = STATX_ATTR_MOUNT_ROOT;
  const auto before = snapshot_of(directory.path());

  const auto error = test::error_of(opening(database));

  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kUnsupportedFilesystem);
  EXPECT_EQ(error->what(), "open: " + database.native() +
                               ": is a mount point by itself, so its side files would not be "
                               "shared: mount its directory");
  EXPECT_EQ(snapshot_of(directory.path()), before);
}

TEST_F(FilesystemTest, ItsNameIsWhatTheTableOfMountsSays) {
  struct statx info {};
  ASSERT_EQ(::statx(AT_FDCWD, database.c_str(), 0, STATX_MNT_ID, &info), 0);
  if ((info.stx_mask & STATX_MNT_ID) == 0) {
    GTEST_SKIP() << "this system does not number its mounts";
  }
  const std::string id = std::to_string(info.stx_mnt_id);
  const std::string other = std::to_string(info.stx_mnt_id + 1);

  set_mounts(other + " 1 0:1 / / rw - ext4 a rw\n" + id + " 1 0:2 / /x rw shared:1 - xfs b rw\n");
  EXPECT_EQ(filesystem_name(database), "xfs");
  EXPECT_EQ(examine(database).filesystem, "xfs");
  set_mounts(id + " 1 0:2 / /x rw - tmpfs tmpfs rw\n");
  EXPECT_THAT(examine(database).notes, Contains(HasSubstr("is in memory (tmpfs)")));

  // "" where the system does not tell.
  set_mounts(other + " 1 0:1 / / rw - ext4 a rw\n");
  EXPECT_EQ(filesystem_name(database), "");
  EXPECT_EQ(examine(database).filesystem, "");
  set_mounts(id + " 1 0:2 / /x rw of another shape\n");
  EXPECT_EQ(filesystem_name(database), "");
  EXPECT_EQ(filesystem_name(directory / "missing"), "");
}

// ---- Refusals while opening --------------------------------------------------------------------

TEST_F(FilesystemTest, APlaceThatCannotBeExaminedIsAnIoErrorThatNamesTheFile) {
  mount_fuse("fuse.homemade");
  struct Case {
    std::string call;
    fs::path path;
    std::string cause;
  };
  const auto before = snapshot_of(directory.path());
  for (const Case& each : {Case{"statx", database, ""},
                           Case{"statfs", directory.path(), "cannot examine its file system: "},
                           Case{"stat", directory.path(), ""}, Case{"stat", database, ""}}) {
    SCOPED_TRACE(each.call + " of " + each.path.native());
    if (each.call == "stat") {
      refuse_after_statfs(each.call, each.path, EIO);
    } else {
      refuse(each.call, each.path, EIO);
    }
    const auto error = test::error_of(opening(database));
    refuse_nothing();
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code(), ErrorCode::kIo);
    EXPECT_EQ(error->what(), "open: " + database.native() + ": " + each.cause + std::strerror(EIO));
    EXPECT_EQ(snapshot_of(directory.path()), before);
  }
}

// Where the system does not tell a circle from a link that leads to nothing.
TEST_F(FilesystemTest, LinksAreNotFollowedForEver) {
  fs::create_symlink(directory / "b", directory / "a");
  fs::create_symlink(directory / "a", directory / "b");
  const auto before = snapshot_of(directory.path());
  answers().error = [&](std::string_view call, std::string_view path) {
    const bool is_link = path == (directory / "a").native() || path == (directory / "b").native();
    return call == "stat" && is_link ? ENOENT : 0;
  };

  const auto error = test::error_of(opening(directory / "a"));

  refuse_nothing();
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kIo);
  EXPECT_EQ(error->what(), "open: " + (directory / "a").native() + ": " + std::strerror(ELOOP));
  EXPECT_EQ(snapshot_of(directory.path()), before);
}

TEST_F(FilesystemTest, ADirectoryThatCannotBeMadeIsNamedByItsCause) {
  const fs::path path = directory / "a/b/jobs.db";
  struct Case {
    int error;
    ErrorCode code;
  };
  for (const Case& each : {Case{EIO, ErrorCode::kIo}, Case{ENOSPC, ErrorCode::kFull},
                           Case{EDQUOT, ErrorCode::kFull}, Case{EROFS, ErrorCode::kReadOnly}}) {
    refuse("mkdir", directory / "a/b", each.error);
    const auto error = test::error_of(opening(path));
    refuse_nothing();
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code(), each.code);
    EXPECT_EQ(error->what(), "open: " + path.native() +
                                 ": cannot make its directory: " + std::strerror(each.error));
  }
  EXPECT_EQ(ProgressTracker(path).list_jobs().size(), 0U) << "once it can be";
}

// ---- The workers' locks ------------------------------------------------------------------------

struct Refusal {
  std::string call;
  std::string what;
  int error{EIO};
  ErrorCode code{ErrorCode::kIo};
};

TEST_F(FilesystemTest, AWorkerThatCannotHaveItsLockIsNotRegisteredAndDoesNothing) {
  for (const Refusal& each :
       {Refusal{"fstat", "examine"}, Refusal{"pread", "read"},
        Refusal{"getrandom", "make an id for"}, Refusal{"pwrite", "write"},
        Refusal{"pwrite", "write", ENOSPC, ErrorCode::kFull}, Refusal{"lock", "lock", ENOLCK}}) {
    SCOPED_TRACE(each.call);
    fs::remove(workers);
    test::Outsider outsider(database);
    const auto before = outsider.run("SELECT id, pid FROM worker");
    ProgressTracker tracker(database);
    refuse(each.call, each.call == "getrandom" ? "" : workers, each.error);

    const auto error = test::error_of([&] { tracker.claim_images(job, 1); });

    refuse_nothing();
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code(), each.code);
    EXPECT_EQ(error->what(),
              "workers: " + workers + ": cannot " + each.what + ": " + std::strerror(each.error));
    EXPECT_EQ(tracker.get_status_counts(job), StatusCounts{.pending = 3});
    EXPECT_EQ(outsider.run("SELECT id, pid FROM worker"), before);
    // What was refused once is asked for anew.
    const auto images = tracker.claim_images(job, 1);
    ASSERT_EQ(images.size(), 1U);
    EXPECT_EQ(tracker.release_images(images), 1U);
  }
}

TEST_F(FilesystemTest, ALockThatCannotBeTestedIsAnErrorAndNotADeath) {
  ProgressTracker holder(database);
  ProgressTracker tracker(database);
  const auto held = holder.claim_images(job, 1);
  refuse("test of a lock", workers, ENOLCK);

  const auto error = test::error_of([&] { tracker.reset_stuck_images(job); });

  refuse_nothing();
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kIo);
  EXPECT_EQ(error->what(),
            "workers: " + workers + ": cannot test a lock of: " + std::strerror(ENOLCK));
  EXPECT_TRUE(holder.complete(held.at(0))) << "it was not taken away";
}

// The database is gone, so there is no owner and no mode to give to the file.
TEST_F(FilesystemTest, LocksOfADatabaseThatIsGoneAreNotMade) {
  const std::string gone = directory / "gone.db";
  WorkerLocks locks(gone);

  const auto error = test::error_of([&] { locks.begin(); });

  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kIo);
  EXPECT_EQ(error->what(), "workers: " + gone + ": cannot examine: " + std::strerror(ENOENT));
  EXPECT_FALSE(fs::exists(gone + "-workers"));
}

TEST_F(FilesystemTest, AQuotaThatIsUsedUpIsAFullDisk) {
  ProgressTracker tracker(database);
  tracker.claim_images(job, 1);
  refuse("pwrite64", database.native() + "-wal", EDQUOT);
  const auto error = test::error_of([&] { tracker.claim_images(job, 1); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kFull);
  EXPECT_EQ(error->sqlite_code(), SQLITE_FULL);
  EXPECT_THAT(error->what(), HasSubstr(std::strerror(EDQUOT)));
  refuse_nothing();
  EXPECT_EQ(tracker.get_status_counts(job), (StatusCounts{2, 1, 0, 0}));
  EXPECT_EQ(tracker.claim_images(job, 1).size(), 1U);
  refuse("pwrite64", database.native() + "-wal", EIO);
  EXPECT_THAT([&] { tracker.claim_images(job, 1); }, ThrowsError(ErrorCode::kOutcomeUnknown));
  refuse_nothing();
}

TEST_F(FilesystemTest, AnIndexOfTheLogThatCannotGrowIsAFullDisk) {
  refuse("pwrite64", database.native() + "-shm", ENOSPC);
  const auto error = test::error_of([&] { ProgressTracker tracker(database); });
  refuse_nothing();
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::kFull);
  EXPECT_EQ(error->sqlite_code(), SQLITE_IOERR_SHMSIZE);
  EXPECT_THAT(error->what(), HasSubstr("the shared index of the log cannot grow"));
  EXPECT_EQ(ProgressTracker(database).claim_images(job, 1).size(), 1U);
}

TEST_F(FilesystemTest, ARefusedWorkersFileLeavesNoDescriptorOpen) {
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator{});
  };
  WorkerLocks locks(database);
  refuse("fstat", workers, EIO);
  const auto before = open_files();
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT([&] { locks.begin(); }, ThrowsError(ErrorCode::kIo));
  }
  EXPECT_EQ(open_files(), before);
}

// As anybody can take who may read the file.
class ReadLock {
 public:
  ReadLock(const std::string& file, off_t first, off_t count)
      : fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct flock some {};
    some.l_type = F_RDLCK;
    some.l_whence = SEEK_SET;
    some.l_start = first;
    some.l_len = count;
    EXPECT_EQ(::fcntl(fd_, F_OFD_SETLK, &some), 0);
  }
  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;
  ~ReadLock() { ::close(fd_); }

 private:
  int fd_;
};

TEST_F(FilesystemTest, AWorkerWaitsForALockNoLongerThanItMay) {
  test::FakeClock clock;
  const auto tracker =
      internal::open_with_clock(database, {.busy_timeout = std::chrono::milliseconds(30)}, clock);
  test::Outsider outsider(database);
  const auto before = outsider.run("SELECT id, pid FROM worker");
  {
    const ReadLock stranger(workers, 0, 0);
    const auto error = test::error_of([&] { tracker->claim_images(job, 1); });
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code(), ErrorCode::kBusy);
    EXPECT_EQ(error->what(), "register worker: " + workers +
                                 ": somebody holds locks on all of it (waited up to 30 ms)");
    EXPECT_EQ(clock.total_slept(), std::chrono::milliseconds(30));
    EXPECT_EQ(outsider.run("SELECT id, pid FROM worker"), before);
    EXPECT_EQ(tracker->get_status_counts(job), StatusCounts{.pending = 3});
  }
  EXPECT_EQ(tracker->claim_images(job, 1).size(), 1U) << "once the stranger has gone";
}

// As where the database was restored from a backup while its workers went on.
TEST_F(FilesystemTest, AWorkerTakesTheNextNumberWhoseLockNobodyHas) {
  test::Outsider outsider(database);
  const std::int64_t last = outsider.number("SELECT max(id) FROM worker");
  const ReadLock others(workers, last + 1, 5);
  ProgressTracker tracker(database);

  EXPECT_EQ(tracker.claim_images(job, 1).size(), 1U);

  EXPECT_THAT(tracker.list_workers(),
              ElementsAre(AllOf(testing::Field(&Worker::id, WorkerId{last + 6}),
                                testing::Field(&Worker::processing, 1))));
  EXPECT_EQ(outsider.number("SELECT count(*) FROM worker"), 1) << "the others are not recorded";
}

TEST_F(FilesystemTest, AHostWithoutANameIsCalledUnknown) {
  ProgressTracker tracker(database);
  refuse("gethostname", "", EFAULT);

  tracker.claim_images(job, 1);

  EXPECT_THAT(tracker.list_workers(), ElementsAre(testing::Field(&Worker::host, "unknown")));
}

// ---- snapshot() --------------------------------------------------------------------------------

TEST_F(FilesystemTest, ACopyThatCannotBeMadeIsNamedByItsCauseAndLeavesNothing) {
  const fs::path copy = elsewhere / "copy.db";
  const std::string before = contents_of(database);
  struct Case {
    std::string call;
    int error;
    ErrorCode code;
    std::string what;
  };
  for (const Case& each :
       {Case{"getrandom", ENOSYS, ErrorCode::kIo, "cannot find a name for it"},
        Case{"truncate", EIO, ErrorCode::kIo, "cannot empty it"},
        Case{"renameat2", EIO, ErrorCode::kIo, "cannot give it its name"},
        Case{"renameat2", ENOSPC, ErrorCode::kFull, "cannot give it its name"},
        Case{"renameat2", EDQUOT, ErrorCode::kFull, "cannot give it its name"},
        Case{"renameat2", EROFS, ErrorCode::kReadOnly, "cannot give it its name"}}) {
    SCOPED_TRACE(each.call + ": " + std::strerror(each.error));
    answers().error = [&](std::string_view call, std::string_view path) {
      return call == each.call && (call == "getrandom" || path.starts_with(copy.native()))
                 ? each.error
                 : 0;
    };
    const auto error = test::error_of([&] { snapshot(database, copy); });
    refuse_nothing();
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code(), each.code);
    EXPECT_THAT(error->what(), testing::StartsWith("snapshot: " + copy.native()));
    EXPECT_THAT(error->what(), HasSubstr(": " + each.what + ": " + std::strerror(each.error)));
    EXPECT_THAT(snapshot_of(elsewhere.path()), IsEmpty());
    EXPECT_TRUE(contents_of(database) == before);
  }
}

// Not every file system knows how to rename without replacing.
TEST_F(FilesystemTest, ACopyHasItsNameWhereRenamingHasNoFlags) {
  for (const int error : {EINVAL, ENOSYS}) {
    const fs::path copy = directory / (std::to_string(error) + ".db");
    refuse("renameat2", copy, error);

    snapshot(database, copy);

    EXPECT_EQ(ProgressTracker(copy, {.read_only = true}).get_status_counts(job)->total(), 3);
  }
}

TEST_F(FilesystemTest, WhatTookTheNameMeanwhileStaysWhereRenamingHasNoFlags) {
  const fs::path copy = directory / "copy.db";
  answers().error = [&](std::string_view call, std::string_view path) {
    if (call != "renameat2" || path != copy.native()) {
      return 0;
    }
    write_file(copy, "somebody else's");
    return EINVAL;
  };

  EXPECT_THAT([&] { snapshot(database, copy); }, testing::Throws<Error>());

  EXPECT_EQ(contents_of(copy), "somebody else's");
}

}  // namespace
}  // namespace progress_tracker

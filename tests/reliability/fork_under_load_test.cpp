// Forks while threads of the parent, and another process, write: the child is refused by the
// parent's tracker and may open its own; the parent is unharmed; no program inherits a descriptor.
#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "audit.h"
#include "campaign.h"
#include "log_internal.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "progress_tracker/log.h"
#include "progress_tracker/progress_tracker.h"
#include "public_calls.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

using processes::Arguments;
using processes::Audit;
using processes::end_of;
using processes::hear;
using processes::Process;
using processes::say;
using processes::TemporaryDirectory;
using processes::text;
using testing::IsEmpty;

// Arguments: database, job. Claims, completes and gives back until it hears that it is over.
int write_beside(const Arguments& arguments) {
  ProgressTracker tracker(arguments.at(0));
  const JobId job{std::stoll(arguments.at(1))};
  std::atomic<bool> over{false};
  std::thread listener([&] {
    hear();
    over = true;
  });
  say("ready");
  while (!over) {
    tracker.release_images(tracker.claim_images(job, 5));
  }
  listener.join();
  return 0;
}

// Argument: a directory. Says which files in it this program has open.
int list_descriptors(const Arguments& arguments) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink(entry.path(), error).string();
    if (target.starts_with(arguments.at(0))) {
      say(target);
    }
  }
  return 0;
}

const processes::RegisterActor kBeside{"writer_beside", write_beside};
const processes::RegisterActor kDescriptors{"descriptors", list_descriptors};

// Threads that do what is given to them again and again.
class Load {
 public:
  Load(int threads, std::function<void()> work) : work_(std::move(work)) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this] {
        while (!over_) {
          work_();
        }
      });
    }
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() {
    over_ = true;
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }

 private:
  std::function<void()> work_;
  std::atomic<bool> over_{false};
  std::vector<std::thread> threads_;
};

constexpr int kOpenedItsOwn = 100;

// A thread may be inside AddressSanitizer's allocator at the fork, and GCC 12's holds its locks
// then for ever in the child: seen, where glibc's allocator never hangs.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kMayAllocateInChild = false;
#else
constexpr bool kMayAllocateInChild = true;
#endif

// In the child of a program with threads. Which call was not refused, by its number from 1.
int try_everything(ProgressTracker& parents, const std::vector<PublicCall>& calls) {
  int number = 1;
  for (const PublicCall& call : calls) {
    try {
      call.run(parents);
      return number;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kForked) {
        return number;
      }
    }
    ++number;
  }
  try {
    parents.close();
    return number;
  } catch (const Error& error) {
    return error.code() == ErrorCode::kForked ? 0 : number;
  }
}

TEST(ForkUnderLoad, RefusesTheChildEveryCallAndHarmsNobody) {
  if (!kMayAllocateInChild) {
    GTEST_SKIP() << "the sanitizer's allocator does not survive a fork beside other threads";
  }
  const auto forks = sized(30, 1'000);
  Row row("Ends", "forks under load, every call tried in the child");
  const TemporaryDirectory directory;
  const Stage stage(directory.database());
  const auto calls = stage.calls();
  ProgressTracker tracker(directory.database());
  const JobId job = tracker.create_job("load", test::image_paths(500), {});
  Process beside("writer_beside", {directory.database().string(), text(job)});
  ASSERT_EQ(beside.receive(), "ready");
  std::atomic<std::int64_t> forked{0};
  std::atomic<std::int64_t> wrong{0};
  {
    const Load load(2, [&] {
      const auto images = tracker.claim_images(job, 5);
      for (const Image& image : images) {
        tracker.get_image(image.id);
      }
      EXPECT_EQ(tracker.release_images(images), images.size());
    });
    std::vector<std::thread> forkers;
    for (int i = 0; i < 2; ++i) {
      forkers.emplace_back([&] {
        while (forked.fetch_add(1) < forks) {
          const pid_t child = ::fork();
          if (child == 0) {
            ::_exit(try_everything(tracker, calls));
          }
          const int end = end_of(child);
          wrong += end == 0 ? 0 : 1;
          EXPECT_EQ(end, 0) << "the call of that number was not refused, or the child hung (-1)";
        }
      });
    }
    for (std::thread& forker : forkers) {
      forker.join();
    }
  }
  EXPECT_EQ(beside.wait(), 0);
  EXPECT_EQ(tracker.get_status_counts(job)->pending, 500);
  Audit(directory.database()).expect_sound();
  row.count = forks;
  row.wrong = wrong;
}

TEST(ForkUnderLoad, LetsTheChildOpenItsOwn) {
  if (!kMayAllocateInChild) {
    GTEST_SKIP() << "the sanitizer's allocator does not survive a fork beside other threads";
  }
  const auto forks = sized(60, 1'000);
  Row row("Ends", "children of a fork under load that opened their own");
  const TemporaryDirectory directory;
  ProgressTracker tracker(directory.database());
  const JobId job = tracker.create_job("load", test::image_paths(500), {});
  const JobId childrens =
      tracker.create_job("children's", test::image_paths(static_cast<std::size_t>(forks)), {});
  {
    const Load load(1, [&] {
      const auto images = tracker.claim_images(job, 5);
      EXPECT_EQ(tracker.release_images(images), images.size());
    });
    const Load opening(1, [&] { ProgressTracker(directory.database()).list_jobs(); });
    for (std::int64_t i = 0; i < forks; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        int result = 1;
        {
          ProgressTracker own(directory.database());
          const auto images = own.claim_images(childrens, 1);
          result = images.size() == 1 && own.complete(images[0]) ? kOpenedItsOwn : 2;
        }
        ::_exit(result);
      }
      const int end = end_of(child);
      ++row.count;
      row.wrong += end == kOpenedItsOwn ? 0 : 1;
      ASSERT_EQ(end, kOpenedItsOwn) << "child " << i << " (-1: it hung)";
    }
  }
  EXPECT_EQ(tracker.get_status_counts(childrens)->completed, forks);
  EXPECT_EQ(tracker.get_status_counts(job)->pending, 500);
  Audit(directory.database()).expect_sound();
}

TEST(ForkUnderLoad, LetsTheChildLog) {
  if (!kMayAllocateInChild) {
    GTEST_SKIP() << "the sanitizer's allocator does not survive a fork beside other threads";
  }
  const auto forks = sized(100, 5'000);
  const int standard_error = ::dup(STDERR_FILENO);
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ::dup2(nowhere, STDERR_FILENO);
  Row row("Ends", "children of a fork under load that logged");
  {
    const Load load(2, [] { internal::log(LogLevel::kError, "a parent's message"); });
    for (; row.count < forks && row.wrong == 0; ++row.count) {
      const pid_t child = ::fork();
      if (child == 0) {
        internal::log(LogLevel::kError, "a child's message");
        ::_exit(0);
      }
      row.wrong += end_of(child) == 0 ? 0 : 1;
    }
  }
  ::dup2(standard_error, STDERR_FILENO);
  ::close(standard_error);
  ::close(nowhere);
  EXPECT_EQ(row.wrong, 0) << "a child hung";
}

// By fork() and exec; what posix_spawn() does is what Process does.
std::vector<std::string> inherited_by_exec(const std::string& directory) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return {"no pipe"};
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::execl("/proc/self/exe", "test", "--actor", "descriptors", directory.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string said;
  std::array<char, 4096> chunk{};
  for (ssize_t got = 0; (got = ::read(ends[0], chunk.data(), chunk.size())) > 0;) {
    said.append(chunk.data(), static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  if (end_of(child) != 0) {
    return {"the program did not run"};
  }
  return said.empty() ? std::vector<std::string>{} : std::vector<std::string>{said};
}

TEST(Programs, StartedUnderLoadInheritNoDescriptor) {
  const auto programs = sized(40, 1'000);
  Row row("Ends", "programs started under load");
  row.remark = "by exec and by posix_spawn";
  const TemporaryDirectory directory;
  ProgressTracker tracker(directory.database());
  const JobId job = tracker.create_job("load", test::image_paths(500), {});
  {
    const Load load(1, [&] { tracker.release_images(tracker.claim_images(job, 5)); });
    // Files that were just opened are what a careless open() would pass on.
    const Load opening(1, [&] {
      ProgressTracker other(directory.database());
      other.release_images(other.claim_images(job, 1));
    });
    const std::string place = directory.path().string();
    for (std::int64_t i = 0; i < programs; ++i) {
      const auto inherited =
          i % 2 == 0 ? Process("descriptors", {place}).receive_rest() : inherited_by_exec(place);
      ++row.count;
      row.wrong += inherited.empty() ? 0 : 1;
      ASSERT_THAT(inherited, IsEmpty());
    }
  }
  EXPECT_EQ(tracker.get_status_counts(job)->pending, 500);
  Audit(directory.database()).expect_sound();
}

}  // namespace
}  // namespace progress_tracker::reliability

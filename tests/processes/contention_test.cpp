// Many processes that commit all the time: the write-ahead log stays small.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "audit.h"
#include "process.h"
#include "progress_tracker/progress_tracker.h"
#include "remote_tracker.h"

namespace progress_tracker::processes {
namespace {

// Arguments: database, job, how many. One commit for each mark.
int mark_one_by_one(const Arguments& arguments) {
  ProgressTracker tracker(arguments.at(0));
  const JobId job{std::stoll(arguments.at(1))};
  const auto images =
      tracker.claim_images(job, static_cast<std::size_t>(std::stoul(arguments.at(2))));
  say("ready");
  hear();
  for (const Image& image : images) {
    tracker.complete(image);
  }
  say("finished");
  hear();
  return 0;
}

const RegisterActor kMarker{"marker", mark_one_by_one};

TEST(Contention, LogOfEightWritersStaysBelowSixteenMebibytes) {
  constexpr int kProcesses = 8;
  constexpr int kMarks = 1'000;
  constexpr std::uintmax_t kLimit = 16ULL * 1024 * 1024;
  const TemporaryDirectory directory;
  RemoteTracker loader(directory.database());
  const JobId job = loader.create_job("job", "images", 0, kProcesses * kMarks);
  std::vector<Process> markers;
  for (int i = 0; i < kProcesses; ++i) {
    markers.emplace_back(
        "marker", Arguments{directory.database().string(), text(job), std::to_string(kMarks)});
  }
  for (Process& marker : markers) {
    ASSERT_EQ(marker.receive(), "ready");
  }
  for (Process& marker : markers) {
    marker.send("go");
  }
  // The log never shrinks while it is in use, so its size at the end is its greatest.
  for (Process& marker : markers) {
    ASSERT_EQ(marker.receive(), "finished");
  }
  const auto log = std::filesystem::file_size(directory.database().string() + "-wal");
  std::cout << "write-ahead log: " << log / 1024 << " KiB after " << kProcesses * kMarks
            << " commits\n";
  EXPECT_LE(log, kLimit);
  EXPECT_EQ(loader.get_status_counts(job).completed, kProcesses * kMarks);
  for (Process& marker : markers) {
    EXPECT_EQ(marker.wait(), 0);
  }
  Audit(directory.database()).expect_sound();
}

TEST(Contention, LogOfALongLoadStaysBelowSixteenMebibytes) {
  constexpr std::uintmax_t kLimit = 16ULL * 1024 * 1024;
  const TemporaryDirectory directory;
  RemoteTracker loader(directory.database());
  loader.create_job("job", "images", 0, 500'000);
  const auto log = std::filesystem::file_size(directory.database().string() + "-wal");
  std::cout << "write-ahead log: " << log / 1024 << " KiB\n";
  EXPECT_LE(log, kLimit);
}

}  // namespace
}  // namespace progress_tracker::processes

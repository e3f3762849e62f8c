// G7, G9: many processes with several threads each do everything at once on one database.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "audit.h"
#include "campaign.h"
#include "crowd_member.h"
#include "ledger.h"
#include "process.h"
#include "progress_tracker/progress_tracker.h"
#include "remote_tracker.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

using processes::Audit;
using processes::number_of;
using processes::Process;
using processes::TemporaryDirectory;
using processes::text;

class Crowd {
 public:
  Crowd(int processes, int threads, int images, unsigned seed) : images_(images) {
    const auto paths = processes::some_paths("images", 0, images);
    jobs_[0] = tracker_.create_job("first", paths, {});
    std::vector<std::string> splits;
    for (int i = 0; i < images; ++i) {
      splits.emplace_back(i % 3 == 0 ? "train" : "valid");
    }
    jobs_[1] = tracker_.create_job("second", paths, splits);
    jobs_[CrowdMember::kChained] = tracker_.chain_job("chained", jobs_[0]);
    for (int i = 0; i < processes; ++i) {
      members_.push_back(start({.database = database(),
                                .ledger = ledger_file_,
                                .first_owner = 1 + i * threads,
                                .threads = threads,
                                .seed = seed,
                                .mark_buffer = i % 3 == 2 ? 8U : 0U,
                                .images_of_a_job = images,
                                .jobs = {jobs_.begin(), jobs_.end()}}));
    }
    for (Process& member : members_) {
      EXPECT_EQ(member.receive(), "ready");
    }
  }

  std::filesystem::path database() const { return directory_.database(); }
  std::filesystem::path log() const { return database().string() + "-wal"; }
  const Ledger& ledger() const { return ledger_; }
  std::int64_t wrong() const { return wrong_; }

  // Lets all of them work to the end, and calls `watch` again and again meanwhile.
  void work(const std::function<void()>& watch) {
    for (const Process& member : members_) {
      member.send("go");
    }
    std::vector<bool> finished(members_.size());
    while (std::find(finished.begin(), finished.end(), false) != finished.end()) {
      for (std::size_t i = 0; i < members_.size(); ++i) {
        while (const auto line = members_[i].receive_if_there()) {
          if (line == "finished") {
            finished[i] = true;
          } else {
            note(*line);
          }
        }
        ASSERT_FALSE(members_[i].has_ended()) << "a process died by itself";
      }
      watch();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));  // leaves the processor to them
    }
  }

  // What the database has to hold now, by the ledger.
  void compare() {
    Audit audit(database());
    audit.expect_sound();
    for (std::size_t job = 0; job < kJobs; ++job) {
      std::map<std::string, std::int64_t> counts;
      for (const processes::Row& row : audit.rows(
               "SELECT path, status, attempts FROM images WHERE job_id = " + text(jobs_[job]))) {
        ++counts[row[1]];
        note(ledger_.compare(job * static_cast<std::size_t>(images_) + number_of(row[0]), row[1],
                             std::stoi(row[2]), /*all_told=*/true));
      }
      EXPECT_EQ(counts["processing"], 0);
      tracker_.checkpoint(jobs_[job]);
      const Progress progress = tracker_.get_progress(jobs_[job]).value();
      EXPECT_EQ(progress.processed_count, counts["completed"]);
      EXPECT_EQ(progress.error_count, counts["error"]);
      EXPECT_EQ(progress.pending_count, counts["pending"]);
      const std::int64_t all =
          job == CrowdMember::kChained ? tracker_.get_status_counts(jobs_[0])->completed : images_;
      EXPECT_EQ(progress.total_images, all);
    }
    EXPECT_EQ(audit.number("SELECT sum(attempts) FROM images"), ledger_.claims());
  }

  void leave() {
    for (Process& member : members_) {
      EXPECT_EQ(member.wait(), 0);
    }
  }

 private:
  static constexpr std::size_t kJobs = 3;

  void note(const std::string& line) {
    if (!line.empty()) {
      ++wrong_;
      ADD_FAILURE() << line;
    }
  }

  const int images_;
  const TemporaryDirectory directory_;
  const std::filesystem::path ledger_file_ = directory_.path() / "ledger";
  Ledger ledger_{ledger_file_, static_cast<std::size_t>(images_) * kJobs};
  ProgressTracker tracker_{directory_.database()};
  std::array<JobId, kJobs> jobs_{};
  std::vector<Process> members_;
  std::int64_t wrong_{0};
};

constexpr std::uintmax_t kMostLog = 16ULL * 1024 * 1024;

std::string megabytes(std::uintmax_t bytes) { return std::to_string(bytes / 1024 / 1024) + " MiB"; }

// In every other crowd somebody looks at all of the file again and again, and so reads for long; in
// the others the log is measured.
TEST(Crowd, LosesNothingAndDoesNothingTwice) {
  const auto processes = static_cast<int>(sized(6, 32));
  const auto images = static_cast<int>(sized(2'000, 30'000));
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(sized(0, 10));
  unsigned seed = processes::test_seed();
  Row row("G7",
          "calls by " + std::to_string(processes) + " processes of 4 threads that do everything");
  Row log("G9", "KiB of log beside " + std::to_string(processes) + " processes");
  std::int64_t claims = 0;
  std::uintmax_t largest = 0;
  int rounds = 0;
  std::int64_t snapshots = 0;
  while (rounds < 2 || std::chrono::steady_clock::now() < end) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Crowd crowd(processes, 4, images, seed++);
    if (rounds++ % 2 == 0) {
      ASSERT_NO_FATAL_FAILURE(crowd.work(
          [&] { largest = std::max(largest, std::filesystem::file_size(crowd.log())); }));
    } else {
      Audit audit(crowd.database());
      ASSERT_NO_FATAL_FAILURE(crowd.work([&] {
        audit.expect_sound();
        ++snapshots;
      }));
    }
    crowd.compare();
    crowd.leave();
    claims += crowd.ledger().claims();
    row.count += crowd.ledger().calls();
    row.wrong += crowd.wrong();
    row.remark = std::to_string(claims) + " images claimed, " + std::to_string(snapshots) +
                 " snapshots recounted";
    log.count = static_cast<std::int64_t>(largest / 1024);
    log.wrong = largest > kMostLog ? 1 : 0;
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  EXPECT_LE(largest, kMostLog);
}

// How often the log was begun anew, by its own count.
std::uint32_t log_count(const std::filesystem::path& log) {
  std::ifstream file(log, std::ios::binary);
  std::array<unsigned char, 16> head{};
  file.read(reinterpret_cast<char*>(head.data()), head.size());
  return std::uint32_t{head[12]} << 24U | std::uint32_t{head[13]} << 16U |
         std::uint32_t{head[14]} << 8U | std::uint32_t{head[15]};
}

TEST(Crowd, LogThatGrewUnderALongReaderIsSmallAgainTwoCheckpointsLater) {
  const auto rounds = sized(1, 50);
  unsigned seed = processes::test_seed();
  Row row("G9", "long readers under which the log grew");
  std::uintmax_t largest = 0;
  for (; row.count < rounds; ++row.count) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Crowd crowd(4, 2, 4'000, seed++);
    auto reader = std::make_unique<test::Outsider>(crowd.database());
    reader->run("BEGIN; SELECT count(*) FROM images");
    std::uint32_t count = 0;
    bool looked = false;
    ASSERT_NO_FATAL_FAILURE(crowd.work([&] {
      const bool begun_anew = log_count(crowd.log()) >= count + 2;  // before the size is looked at
      const std::uintmax_t size = std::filesystem::file_size(crowd.log());
      largest = std::max(largest, size);
      if (reader != nullptr) {
        if (size > kMostLog + kMostLog / 2) {
          count = log_count(crowd.log());
          reader.reset();
        }
      } else if (!looked && begun_anew) {
        looked = true;
        row.wrong += size > kMostLog ? 1 : 0;
        EXPECT_LE(size, kMostLog);
      }
    }));
    EXPECT_TRUE(looked) << "there was not enough to do";
    crowd.compare();
    crowd.leave();
    row.remark = "to " + megabytes(largest);
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

}  // namespace
}  // namespace progress_tracker::reliability

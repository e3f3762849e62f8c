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
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "audit.h"
#include "campaign.h"
#include "ledger.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "progress_tracker/progress_tracker.h"
#include "remote_tracker.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

using processes::Arguments;
using processes::Audit;
using processes::hear;
using processes::Process;
using processes::say;
using processes::TemporaryDirectory;

using Random = std::mt19937;

int draw(Random& random, int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random);
}

// ---- One thread of the crowd -------------------------------------------------------------------

// The jobs, and where in the ledger the images of each begin.
struct Work {
  std::vector<JobId> jobs;
  int images_of_a_job{0};
};

class Hand {
 public:
  Hand(ProgressTracker& tracker, bool buffered, const Work& work, Ledger& ledger, int owner,
       unsigned seed)
      : tracker_(tracker),
        buffered_(buffered),
        work_(work),
        ledger_(ledger),
        owner_(owner),
        random_(seed) {}

  // Until nothing is pending in any of the jobs.
  void work() {
    for (;;) {
      job_ = static_cast<std::size_t>(draw(random_, 0, static_cast<int>(work_.jobs.size()) - 1));
      auto images = draw(random_, 0, 9) == 0 ? start_by_hand() : claim();
      if (images.empty() && nothing_is_pending()) {
        tracker_.checkpoint(job());
        acknowledge();
        return;
      }
      while (!images.empty()) {
        deal_with(images);
      }
      look();
    }
  }

 private:
  JobId job() const { return work_.jobs[job_]; }
  std::size_t place_of(const Image& image) const {
    return job_ * static_cast<std::size_t>(work_.images_of_a_job) +
           std::stoul(image.path.stem().string());
  }

  static void complain(const std::string& what) {
    if (!what.empty()) {
      say("wrong: " + what);
    }
  }
  void require(bool condition, const char* what) const {
    if (!condition) {
      complain(std::string(what) + ", owner " + std::to_string(owner_));
    }
  }

  std::vector<Image> claim() {
    auto images = tracker_.claim_images(job(), static_cast<std::size_t>(draw(random_, 1, 30)));
    acknowledge();
    for (const Image& image : images) {
      complain(ledger_.claimed(place_of(image), image.attempt, owner_));
    }
    return images;
  }

  // As the original did it: look for pending ones, then mark them. Somebody else may be quicker.
  std::vector<Image> start_by_hand() {
    auto images = tracker_.get_pending_images(job(), 3);
    try {
      tracker_.mark_processing(test::ids_of(images));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalidTransition) {
        throw;
      }
      images.clear();
    }
    acknowledge();
    for (Image& image : images) {
      image.attempt = tracker_.get_image(image.id)->attempts;
      complain(ledger_.claimed(place_of(image), image.attempt, owner_));
    }
    return images;
  }

  bool nothing_is_pending() {
    return std::all_of(work_.jobs.begin(), work_.jobs.end(),
                       [&](JobId each) { return tracker_.get_status_counts(each)->pending == 0; });
  }

  // Ends one or some of the images, in one of the ways there are. Only completing ends every
  // attempt, so that all of it ends.
  void deal_with(std::vector<Image>& images) {
    const Image image = images.back();
    const bool first = image.attempt == 1;
    const int way = draw(random_, 0, 7);
    if (way == 0) {
      return mark_together(images);
    }
    images.pop_back();
    ledger_.lets_go(place_of(image));
    if (first && way == 1) {
      tracker_.mark_error(image.id, "mark_error");
      mark_failed(image);
    } else if (first && way == 2) {
      require(tracker_.fail(image, "fail"), "fail() was refused");
      ledger_.failed(place_of(image), image.attempt);
    } else if (image.attempt < 3 && way == 3) {
      require(tracker_.release_images(std::span(&image, 1)) == 1, "a release was refused");
      acknowledge();
    } else if (way < 6) {
      tracker_.mark_completed(image.id);
      mark_completed(image);
    } else {
      require(tracker_.complete(image), "complete() was refused");
      ledger_.completed(place_of(image));
    }
    ledger_.count_call();
  }

  void mark_together(std::vector<Image>& images) {
    std::vector<Outcome> outcomes;
    for (const Image& image : images) {
      ledger_.lets_go(place_of(image));
      const bool good = image.attempt > 1 || draw(random_, 0, 3) > 0;
      outcomes.push_back({.id = image.id,
                          .attempt = image.attempt,
                          .error = good ? std::nullopt : std::optional<std::string>("outcome")});
    }
    require(tracker_.mark_outcomes(outcomes) == outcomes.size(), "an outcome was refused");
    acknowledge();
    for (std::size_t i = 0; i < images.size(); ++i) {
      if (outcomes[i].error.has_value()) {
        ledger_.failed(place_of(images[i]), images[i].attempt);
      } else {
        ledger_.completed(place_of(images[i]));
      }
    }
    ledger_.count_call();
    images.clear();
  }

  // Marks by id may be held back: then the next call that is none acknowledges them.
  void mark_completed(const Image& image) {
    completed_.push_back(place_of(image));
    if (!buffered_) {
      acknowledge();
    }
  }
  void mark_failed(const Image& image) {
    failed_.emplace_back(place_of(image), image.attempt);
    if (!buffered_) {
      acknowledge();
    }
  }
  void acknowledge() {
    ledger_.count_call();
    for (const std::size_t place : std::exchange(completed_, {})) {
      ledger_.completed(place);
    }
    for (const auto& [place, attempt] : std::exchange(failed_, {})) {
      ledger_.failed(place, attempt);
    }
  }

  void look() {
    const auto most = static_cast<std::int64_t>(work_.images_of_a_job);
    switch (draw(random_, 0, 11)) {
      case 0:
        tracker_.checkpoint(job());
        break;
      case 1: {
        const auto progress = tracker_.get_progress(job());
        require(progress->total_images <= most && progress->pending_count >= 0, "get_progress()");
        break;
      }
      case 2: {
        const std::int64_t total = tracker_.get_status_counts(job())->total();
        require(job_ == kChained ? total <= most : total == most, "get_status_counts()");
        break;
      }
      case 3: {
        std::int64_t total = 0;
        for (const auto& [split, counts] : tracker_.get_progress_by_split(job())) {
          total += counts.total();
        }
        require(job_ == kChained ? total <= most : total == most, "get_progress_by_split()");
        break;
      }
      case 4:
        for (const ImageRecord& each : tracker_.get_images(job(), Status::kProcessing, 20)) {
          require(each.attempts > 0 && each.status == Status::kProcessing, "get_images()");
        }
        break;
      case 5:
        tracker_.get_error_summary(job(), 5);
        break;
      case 6:
        for (const Worker& worker : tracker_.list_workers()) {
          require(worker.alive, "list_workers() shows a dead one");
        }
        break;
      case 7:
        require(tracker_.list_jobs().size() == work_.jobs.size(), "list_jobs()");
        break;
      case 8:
        tracker_.reset_error_images(job());
        break;
      default:
        return;
    }
    acknowledge();
  }

  static constexpr std::size_t kChained = 2;

  ProgressTracker& tracker_;
  const bool buffered_;
  const Work& work_;
  Ledger& ledger_;
  const int owner_;
  Random random_;
  std::size_t job_{0};
  std::vector<std::size_t> completed_;               // not yet acknowledged
  std::vector<std::pair<std::size_t, int>> failed_;  // likewise
};

// Arguments: database, ledger, first owner, threads, seed, mark_buffer, images of a job, jobs.
int join_crowd(const Arguments& arguments) {
  const auto number = [&](std::size_t place) { return std::stoi(arguments.at(place)); };
  Options options;
  options.mark_buffer = static_cast<std::size_t>(number(5));
  ProgressTracker tracker(arguments.at(0), options);
  Ledger ledger(arguments.at(1));
  Work work;
  work.images_of_a_job = number(6);
  for (std::size_t i = 7; i < arguments.size(); ++i) {
    work.jobs.push_back(JobId{std::stoll(arguments[i])});
  }
  say("ready");
  hear();
  std::vector<std::thread> threads;
  for (int i = 0; i < number(3); ++i) {
    threads.emplace_back([&, i] {
      try {
        const int owner = number(2) + i;
        Hand(tracker, options.mark_buffer > 0, work, ledger, owner,
             static_cast<unsigned>(std::stoul(arguments.at(4))) + static_cast<unsigned>(owner))
            .work();
      } catch (const std::exception& error) {  // kBusy, for one
        say(std::string("wrong: ") + error.what());
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  say("finished");
  hear();
  return 0;
}

const processes::RegisterActor kCrowd{"crowd", join_crowd};

// ---- The crowd ---------------------------------------------------------------------------------

class Crowd {
 public:
  Crowd(int processes, int threads, int images, unsigned seed) : images_(images) {
    Ledger::make(ledger_file_, kJobs * static_cast<std::size_t>(images));
    ledger_ = std::make_unique<Ledger>(ledger_file_);
    const auto paths = processes::some_paths("images", 0, images);
    jobs_[0] = tracker_.create_job("first", paths, {});
    std::vector<std::string> splits;
    for (int i = 0; i < images; ++i) {
      splits.emplace_back(i % 3 == 0 ? "train" : "valid");
    }
    jobs_[1] = tracker_.create_job("second", paths, splits);
    jobs_[2] = tracker_.chain_job("chained", jobs_[0]);
    for (int i = 0; i < processes; ++i) {
      Arguments arguments{
          database().string(),     ledger_file_.string(), std::to_string(1 + i * threads),
          std::to_string(threads), std::to_string(seed),  i % 3 == 2 ? "8" : "0",
          std::to_string(images)};
      for (const JobId job : jobs_) {
        arguments.push_back(std::to_string(static_cast<std::int64_t>(job)));
      }
      members_.emplace_back("crowd", arguments);
    }
    for (Process& member : members_) {
      EXPECT_EQ(member.receive(), "ready");
    }
  }

  std::filesystem::path database() const { return directory_.database(); }
  std::filesystem::path log() const { return database().string() + "-wal"; }
  const Ledger& ledger() const { return *ledger_; }
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
            complain(*line);
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
      const auto id = static_cast<std::int64_t>(jobs_[job]);
      std::map<std::string, std::int64_t> counts;
      for (const processes::Row& row : audit.rows(
               "SELECT path, status, attempts FROM images WHERE job_id = " + std::to_string(id))) {
        ++counts[row[1]];
        complain(ledger_->compare(job * static_cast<std::size_t>(images_) +
                                      std::stoul(std::filesystem::path(row[0]).stem().string()),
                                  row[1], std::stoi(row[2]), /*all_told=*/true));
      }
      EXPECT_EQ(counts["processing"], 0);
      tracker_.checkpoint(jobs_[job]);
      const Progress progress = tracker_.get_progress(jobs_[job]).value();
      EXPECT_EQ(progress.processed_count, counts["completed"]);
      EXPECT_EQ(progress.error_count, counts["error"]);
      EXPECT_EQ(progress.pending_count, counts["pending"]);
      const std::int64_t all = job == 2 ? tracker_.get_status_counts(jobs_[0])->completed : images_;
      EXPECT_EQ(progress.total_images, all);
    }
    EXPECT_EQ(audit.number("SELECT sum(attempts) FROM images"), ledger_->claims());
  }

  void leave() {
    for (Process& member : members_) {
      EXPECT_EQ(member.wait(), 0);
    }
  }

 private:
  static constexpr std::size_t kJobs = 3;

  void complain(const std::string& line) {
    if (!line.empty()) {
      ++wrong_;
      ADD_FAILURE() << line;
    }
  }

  const int images_;
  const TemporaryDirectory directory_;
  const std::filesystem::path ledger_file_ = directory_.path() / "ledger";
  std::unique_ptr<Ledger> ledger_;
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
  std::int64_t claims = 0;
  std::int64_t calls = 0;
  std::int64_t wrong = 0;
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
    calls += crowd.ledger().calls();
    wrong += crowd.wrong();
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  EXPECT_LE(largest, kMostLog);
  report("G7",
         "calls by " + std::to_string(processes) + " processes of 4 threads that do everything",
         calls, wrong,
         std::to_string(claims) + " images claimed, " + std::to_string(snapshots) +
             " snapshots recounted");
  report("G9", "MiB of log beside " + std::to_string(processes) + " processes",
         static_cast<std::int64_t>(largest / 1024 / 1024), largest > kMostLog ? 1 : 0);
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
  std::int64_t wrong = 0;
  std::uintmax_t largest = 0;
  for (int round = 0; round < rounds; ++round) {
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
        wrong += size > kMostLog ? 1 : 0;
        EXPECT_LE(size, kMostLog);
      }
    }));
    EXPECT_TRUE(looked) << "there was not enough to do";
    crowd.compare();
    crowd.leave();
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  report("G9", "long readers under which the log grew", rounds, wrong, "to " + megabytes(largest));
}

}  // namespace
}  // namespace progress_tracker::reliability

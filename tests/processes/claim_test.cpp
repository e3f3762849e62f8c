// Many processes claim at once: no image goes to two.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "audit.h"
#include "process.h"
#include "progress_tracker/progress_tracker.h"
#include "remote_tracker.h"

namespace progress_tracker::processes {
namespace {

using testing::AllOf;
using testing::Each;
using testing::Pair;
using testing::SizeIs;

// Arguments: database, job, limit, mark one of so many (0: none). Says each claim once the call has
// returned, and what it marked likewise. Waits at the end, so that nothing it holds is a dead
// worker's before all have finished.
int claim_all(const Arguments& arguments) {
  ProgressTracker tracker(arguments.at(0));
  const JobId job{std::stoll(arguments.at(1))};
  const auto limit = static_cast<std::size_t>(std::stoul(arguments.at(2)));
  const int every = std::stoi(arguments.at(3));
  say("ready");
  hear();
  int seen = 0;
  for (;;) {
    const auto images = tracker.claim_images(job, limit);
    if (images.empty()) {
      break;
    }
    for (const Image& image : images) {
      say("claimed " + text(image.id) + " " + text(image.attempt) + " " + image.path.string());
    }
    for (const Image& image : images) {
      if (every == 0 || ++seen % every != 0) {
        continue;
      }
      const bool good = seen % 2 == 0;
      if (good ? tracker.complete(image) : tracker.fail(image, "odd")) {
        say(std::string(good ? "completed " : "failed ") + text(image.id));
      }
    }
  }
  say("finished");
  hear();
  return 0;
}

const RegisterActor kClaimer{"claimer", claim_all};

TEST(ClaimsOfManyProcesses, GiveNoImageToTwo) {
  const TemporaryDirectory directory;
  constexpr int kImages = 20'000;
  RemoteTracker loader(directory.database());
  const JobId job = loader.create_job("job", "images", 0, kImages);

  const auto limits = std::to_array<std::pair<int, int>>(
      {{1, 1}, {3, 0}, {10, 2}, {32, 3}, {100, 1}, {100, 0}, {500, 5}, {1000, 0}});
  std::vector<Process> claimers;
  for (const auto& [limit, every] : limits) {
    claimers.emplace_back(
        "claimer", Arguments{directory.database().string(), text(job), text(limit), text(every)});
  }
  for (Process& claimer : claimers) {
    ASSERT_EQ(claimer.receive(), "ready");
  }
  for (Process& claimer : claimers) {
    claimer.send("go");
  }

  std::map<std::string, int> claims;  // by path
  StatusCounts expected;
  for (Process& claimer : claimers) {
    for (auto line = claimer.receive(); line != "finished"; line = claimer.receive()) {
      ASSERT_TRUE(line.has_value()) << "a claimer died";
      std::istringstream words(*line);
      std::string verb;
      std::string id;
      std::string attempt;
      std::string path;
      words >> verb >> id >> attempt >> path;
      if (verb == "claimed") {
        ++claims[path];
        EXPECT_EQ(attempt, "1") << path;
      } else {
        ++(verb == "completed" ? expected.completed : expected.error);
      }
    }
  }
  EXPECT_THAT(claims, AllOf(SizeIs(kImages), Each(Pair(testing::_, 1))));
  expected.processing = kImages - expected.completed - expected.error;
  EXPECT_EQ(loader.get_status_counts(job), expected);

  for (Process& claimer : claimers) {
    EXPECT_EQ(claimer.wait(), 0);
  }
  EXPECT_EQ(loader.get_status_counts(job), expected) << "an orderly end changes nothing";
  Audit(directory.database()).expect_sound();
}

// Arguments: database, job, threads, seed. Each thread claims, marks in one of the ways there are,
// gives back, looks, until nothing is left; each acknowledgement is said after the call.
int work_with_threads(const Arguments& arguments) {
  ProgressTracker tracker(arguments.at(0));
  const JobId job{std::stoll(arguments.at(1))};
  const auto seed = static_cast<unsigned>(std::stoul(arguments.at(3)));
  say("ready");
  hear();
  const auto work = [&](unsigned number) {
    unsigned drawn = seed * 97 + number;
    const auto draw = [&](unsigned below) {
      drawn = drawn * 1'664'525U + 1'013'904'223U;
      return (drawn >> 16U) % below;
    };
    for (;;) {
      const auto images = tracker.claim_images(job, 1 + draw(20));
      if (images.empty() && tracker.get_status_counts(job)->pending == 0) {
        return;
      }
      for (const Image& image : images) {
        // The first attempt of every third image is given back, that of every fifth fails.
        const std::string key = text(image.id) + " " + text(image.attempt);
        say("claimed " + key);
        const auto id = static_cast<std::int64_t>(image.id);
        if (image.attempt == 1 && id % 3 == 0) {
          say("ends " + key);  // before: it may be another's as soon as the call is through
          if (tracker.release_images(std::span(&image, 1)) != 1) {
            say("wrong: could not give back " + key);
          }
        } else if (id % 5 == 0) {
          say("ends " + key);
          say((tracker.fail(image, "fifth") ? "failed " : "wrong: stale ") + key);
        } else {
          say("ends " + key);
          const std::vector<Outcome> outcome{
              {.id = image.id, .attempt = image.attempt, .error = {}}};
          const bool applied =
              draw(2) == 0 ? tracker.complete(image) : tracker.mark_outcomes(outcome) == 1;
          say((applied ? "completed " : "wrong: stale ") + key);
        }
      }
      switch (draw(4)) {
        case 0:
          tracker.checkpoint(job);
          break;
        case 1:
          if (tracker.get_progress_by_split(job).at("").total() != 4'000) {
            say("wrong: total");
          }
          break;
        case 2:
          tracker.get_images(job, Status::kProcessing, 10);
          break;
        default:
          tracker.get_pending_images(job, 5);
          break;
      }
    }
  };
  std::vector<std::thread> threads;
  const auto count = static_cast<unsigned>(std::stoul(arguments.at(2)));
  for (unsigned i = 0; i < count; ++i) {
    threads.emplace_back(work, i);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  say("finished");
  hear();
  return 0;
}

const RegisterActor kThreads{"threads", work_with_threads};

TEST(ClaimsOfManyProcesses, StayApartWithSixteenThreadsInEach) {
  const TemporaryDirectory directory;
  constexpr int kImages = 4'000;
  RemoteTracker loader(directory.database());
  const JobId job = loader.create_job("job", "images", 0, kImages);

  std::vector<Process> workers;
  for (int i = 0; i < 2; ++i) {
    workers.emplace_back("threads",
                         Arguments{directory.database().string(), text(job), "16", text(i)});
  }
  for (Process& worker : workers) {
    ASSERT_EQ(worker.receive(), "ready");
  }
  for (Process& worker : workers) {
    worker.send("go");
  }
  std::set<std::string> claims;  // id and attempt
  StatusCounts expected;
  std::vector<std::string> wrong;
  for (Process& worker : workers) {
    for (auto line = worker.receive(); line != "finished"; line = worker.receive()) {
      ASSERT_TRUE(line.has_value()) << "a worker died";
      const std::string verb = line->substr(0, line->find(' '));
      if (verb == "claimed") {
        EXPECT_TRUE(claims.insert(*line).second) << "given twice: " << *line;
      } else if (verb == "completed" || verb == "failed") {
        ++(verb == "completed" ? expected.completed : expected.error);
      } else if (verb != "ends") {
        wrong.push_back(*line);
      }
    }
  }
  EXPECT_THAT(wrong, testing::IsEmpty());
  EXPECT_EQ(expected.total(), kImages);
  EXPECT_EQ(loader.get_status_counts(job), expected);
  for (Process& worker : workers) {
    EXPECT_EQ(worker.wait(), 0);
  }
  Audit audit(directory.database());
  audit.expect_sound();
  // Every third image was started twice, the others once; and no start is without its claim.
  EXPECT_EQ(audit.number("SELECT sum(attempts) FROM images"),
            static_cast<std::int64_t>(claims.size()));
  EXPECT_EQ(audit.number("SELECT count(*) FROM images WHERE attempts <> 1 + (id % 3 = 0)"), 0);
}

}  // namespace
}  // namespace progress_tracker::processes

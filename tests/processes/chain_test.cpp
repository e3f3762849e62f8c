// Jobs fed by others, while several processes complete.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "audit.h"
#include "process.h"
#include "progress_tracker/progress_tracker.h"
#include "remote_tracker.h"
#include "support.h"

namespace progress_tracker::processes {
namespace {

// Arguments: database, job, claim size. Completes until nothing is pending; every second claim by
// one call for all, the others one by one.
int complete_job(const Arguments& arguments) {
  ProgressTracker tracker(arguments.at(0));
  const JobId job{std::stoll(arguments.at(1))};
  const auto limit = static_cast<std::size_t>(std::stoul(arguments.at(2)));
  say("ready");
  hear();
  bool at_once = false;
  for (;;) {
    const auto images = tracker.claim_images(job, limit);
    if (images.empty()) {
      break;
    }
    at_once = !at_once;
    if (at_once) {
      tracker.mark_outcomes(test::completions_of(images));
    } else {
      for (const Image& image : images) {
        tracker.complete(image);
      }
    }
  }
  say("finished");
  return 0;
}

const RegisterActor kCompleter{"completer", complete_job};

class ChainTest : public testing::Test {
 protected:
  Process start_completer(JobId job, int limit) {
    return Process("completer", {directory_.database().string(), text(job), text(limit)});
  }

  static void run(std::vector<Process>& completers) {
    for (Process& completer : completers) {
      ASSERT_EQ(completer.receive(), "ready");
    }
    for (Process& completer : completers) {
      completer.send("go");
    }
  }

  static void finish(std::vector<Process>& completers) {
    for (Process& completer : completers) {
      EXPECT_EQ(completer.receive(), "finished");
      EXPECT_EQ(completer.wait(), 0);
    }
  }

  // Each path of the one exactly once in the other, and as pending.
  void expect_arrived(JobId chained, int images) {
    Audit audit(directory_.database());
    const std::string job = text(chained);
    EXPECT_EQ(audit.number("SELECT count(*) FROM images WHERE job_id = " + job), images);
    EXPECT_EQ(audit.number("SELECT count(DISTINCT path) FROM images WHERE job_id = " + job),
              images);
    EXPECT_EQ(audit.number("SELECT count(*) FROM chain_backlog"), 0);
    audit.expect_sound();
  }

  TemporaryDirectory directory_;
};

TEST_F(ChainTest, EveryImageCompletedByTwoProcessesArrivesOnce) {
  constexpr int kImages = 6'000;
  RemoteTracker tracker(directory_.database());
  const JobId upstream = tracker.create_job("upstream", "images", 0, kImages);
  const JobId chained = tracker.chain_job("chained", upstream);
  const JobId further = tracker.chain_job("further", chained);
  std::vector<Process> completers;
  completers.push_back(start_completer(upstream, 7));
  completers.push_back(start_completer(upstream, 64));
  run(completers);
  finish(completers);
  expect_arrived(chained, kImages);
  expect_arrived(further, 0);

  std::vector<Process> next;
  next.push_back(start_completer(chained, 50));
  next.push_back(start_completer(chained, 9));
  run(next);
  finish(next);
  expect_arrived(further, kImages);
}

TEST_F(ChainTest, MadeWhileTheUpstreamCompletesMissesNothing) {
  constexpr int kImages = 40'000;
  RemoteTracker tracker(directory_.database());
  const JobId upstream = tracker.create_job("upstream", "images", 0, kImages);
  // Some of it completed out of turn, so that the loader's walk meets gaps that close behind it.
  const auto early = tracker.claim_images(upstream, 20'000);
  const auto half = std::span(early).subspan(10'000);
  ASSERT_EQ(tracker.complete_all(half), 10'000);

  RemoteTracker loader(directory_.database());
  std::vector<Process> completers;
  completers.push_back(start_completer(upstream, 20));
  completers.push_back(start_completer(upstream, 100));
  run(completers);
  loader.begin_chain_job("chained", upstream);
  for (std::size_t done = 0; done < 10'000; done += 500) {
    ASSERT_EQ(tracker.complete_all(std::span(early).subspan(done, 500)), 500);
  }
  const JobId chained{loader.end()};
  finish(completers);
  expect_arrived(chained, kImages);
  EXPECT_EQ(tracker.get_status_counts(chained).pending, kImages);
}

TEST_F(ChainTest, MadeByTwoAtOnceIsOne) {
  constexpr int kImages = 12'000;
  RemoteTracker tracker(directory_.database());
  const JobId upstream = tracker.create_job("upstream", "images", 0, kImages);
  ASSERT_EQ(tracker.complete_all(tracker.claim_images(upstream, kImages)), kImages);
  RemoteTracker other(directory_.database());
  tracker.begin_chain_job("chained", upstream);
  other.begin_chain_job("chained", upstream);
  const JobId chained{tracker.end()};
  EXPECT_EQ(JobId{other.end()}, chained);
  expect_arrived(chained, kImages);
}

}  // namespace
}  // namespace progress_tracker::processes

// A tracker in a child process after fork(): refused, harmless, and no harm to the parent's.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fork_generation.h"
#include "progress_tracker/progress_tracker.h"
#include "support.h"

namespace progress_tracker {
namespace {

using test::code_of;
using test::image_paths;
using test::in_child;
using test::require;
using test::TempDirectory;
using test::ThrowsError;
using testing::ElementsAre;
using testing::Field;

namespace fs = std::filesystem;

// Two processes that take turns.
class Baton {
 public:
  Baton() {
    if (::pipe2(pipe_, O_CLOEXEC) != 0) {
      throw std::runtime_error("pipe");
    }
  }
  Baton(const Baton&) = delete;
  Baton& operator=(const Baton&) = delete;
  ~Baton() {
    ::close(pipe_[0]);
    ::close(pipe_[1]);
  }
  void pass() const { require(::write(pipe_[1], "x", 1) == 1, "passing the baton"); }
  void wait() const {
    char byte = 0;
    require(::read(pipe_[0], &byte, 1) == 1, "waiting for the baton");
  }

 private:
  int pipe_[2]{};
};

class ForkTest : public testing::Test {
 protected:
  ForkTest()
      : tracker(std::make_unique<ProgressTracker>(path)),
        job(tracker->create_job("job", image_paths(20), {})),
        held(tracker->claim_images(job, 5)) {}

  TempDirectory directory;
  const fs::path path = directory / "jobs.db";
  std::unique_ptr<ProgressTracker> tracker;
  const JobId job;
  const std::vector<Image> held;
};

TEST_F(ForkTest, EveryCallInTheChildIsRefused) {
  const ImageId image = held.at(0).id;
  const std::vector<ImageId> ids{image};
  const std::vector<Outcome> outcomes{{.id = image, .attempt = 1, .error = {}}};
  const auto paths = image_paths(1, "new");
  ProgressTracker& mine = *tracker;
  const std::vector<std::pair<std::string, std::function<void()>>> calls{
      {"create_job", [&] { mine.create_job("job", paths, {}); }},
      {"create_job, wrong arguments", [&] { mine.create_job("", paths, {}); }},
      {"add_images", [&] { mine.add_images(job, paths, {}); }},
      {"chain_job", [&] { mine.chain_job("chained", job); }},
      {"get_job_id", [&] { mine.get_job_id("job"); }},
      {"list_jobs", [&] { mine.list_jobs(); }},
      {"remove_job", [&] { mine.remove_job(job); }},
      {"get_pending_images", [&] { mine.get_pending_images(job); }},
      {"mark_processing", [&] { mine.mark_processing(ids); }},
      {"mark_processing of nothing", [&] { mine.mark_processing({}); }},
      {"claim_images", [&] { mine.claim_images(job); }},
      {"claim_images of nothing", [&] { mine.claim_images(job, 0); }},
      {"mark_completed", [&] { mine.mark_completed(image); }},
      {"mark_error", [&] { mine.mark_error(image, "broken"); }},
      {"mark_outcomes", [&] { mine.mark_outcomes(outcomes); }},
      {"mark_outcomes of nothing", [&] { mine.mark_outcomes({}); }},
      {"complete", [&] { mine.complete(held.at(0)); }},
      {"fail", [&] { mine.fail(held.at(0), "broken"); }},
      {"release_images", [&] { mine.release_images(held); }},
      {"reset_stuck_images", [&] { mine.reset_stuck_images(job); }},
      {"reset_processing_images", [&] { mine.reset_processing_images(job); }},
      {"reset_error_images", [&] { mine.reset_error_images(job); }},
      {"retry_images", [&] { mine.retry_images(ids); }},
      {"checkpoint", [&] { mine.checkpoint(job); }},
      {"get_progress", [&] { mine.get_progress(job); }},
      {"get_status_counts", [&] { mine.get_status_counts(job); }},
      {"get_progress_by_split", [&] { mine.get_progress_by_split(job); }},
      {"get_image_id", [&] { mine.get_image_id(job, "a"); }},
      {"get_image", [&] { mine.get_image(image); }},
      {"get_image_split", [&] { mine.get_image_split(image); }},
      {"get_images", [&] { mine.get_images(job); }},
      {"get_error_summary", [&] { mine.get_error_summary(job); }},
      {"list_workers", [&] { mine.list_workers(); }},
      {"create_batch", [&] { mine.create_batch(job, 1, 1); }},
      {"create_batch_of", [&] { mine.create_batch_of(job, 1, ids); }},
      {"get_unbatched_images", [&] { mine.get_unbatched_images(job); }},
      {"mark_batch_uploaded", [&] { mine.mark_batch_uploaded(BatchId{1}); }},
      {"mark_batch_error", [&] { mine.mark_batch_error(BatchId{1}, "broken"); }},
      {"get_pending_batches", [&] { mine.get_pending_batches(job); }},
      {"get_uploaded_batches", [&] { mine.get_uploaded_batches(job); }},
      {"get_batch_images", [&] { mine.get_batch_images(BatchId{1}); }},
      {"sync", [&] { mine.sync(); }},
      {"close", [&] { mine.close(); }},
      {"close again", [&] { mine.close(); }},
  };

  EXPECT_EQ(in_child([&] {
              for (const auto& [name, call] : calls) {
                const std::string code = code_of(call);
                require(code == "forked", name + " gave " + code);
              }
            }),
            0);

  EXPECT_EQ(tracker->get_status_counts(job), (StatusCounts{.pending = 15, .processing = 5}));
}

TEST_F(ForkTest, AlsoInAThreadOfTheChildAndInAGrandchild) {
  EXPECT_EQ(in_child([&] {
              std::string code;
              std::thread([&] { code = code_of([&] { tracker->list_jobs(); }); }).join();
              require(code == "forked", "in a thread: " + code);
              require(in_child([&] {
                        require(code_of([&] { tracker->list_jobs(); }) == "forked", "grandchild");
                      }) == 0,
                      "the grandchild");
            }),
            0);
}

TEST_F(ForkTest, AClosedTrackerIsRefusedAsTheParentsToo) {
  tracker->close();

  EXPECT_EQ(in_child([&] {
              require(code_of([&] { tracker->list_jobs(); }) == "forked", "forked comes first");
              tracker.reset();
            }),
            0);
}

TEST_F(ForkTest, TheDestructorInTheChildIsHarmless) {
  EXPECT_EQ(in_child([&] { tracker.reset(); }), 0);

  for (const Image& image : held) {
    EXPECT_TRUE(tracker->complete(image));
  }
  EXPECT_EQ(tracker->get_status_counts(job)->completed, 5);
}

TEST_F(ForkTest, AChildThatExitsWithEverythingIsHarmless) {
  // exit(), not _exit(): thread-local and static objects are destroyed, and the tracker is on the
  // stack of a thread that is no more.
  const pid_t child = ::fork();
  if (child == 0) {
    // Nothing of GoogleTest's may speak.
    ::close(STDOUT_FILENO);
    std::exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);

  EXPECT_EQ(tracker->claim_images(job, 20).size(), 15U);
  EXPECT_EQ(ProgressTracker(path).reset_stuck_images(job), 0U) << "the worker's lock is gone";
}

TEST_F(ForkTest, BufferedMarksStayTheParents) {
  ProgressTracker buffered(path, {.mark_buffer = 10});
  const Image image = buffered.claim_images(job, 1).at(0);
  buffered.mark_completed(image.id);

  EXPECT_EQ(in_child([&] { require(code_of([&] { buffered.close(); }) == "forked", "close"); }), 0);

  EXPECT_EQ(tracker->get_status_counts(job)->completed, 0);
  buffered.close();
  EXPECT_EQ(tracker->get_status_counts(job)->completed, 1);
}

TEST_F(ForkTest, TheParentStaysAliveInTheEyesOfAChild) {
  EXPECT_EQ(in_child([&] {
              ProgressTracker mine(path);
              const auto workers = mine.list_workers();
              require(workers.size() == 1 && workers[0].alive && workers[0].processing == 5,
                      "the parent is alive and holds 5");
              require(mine.reset_stuck_images(job) == 0, "nothing of its is taken back");
              require(mine.claim_images(job, 100).size() == 15, "the rest can be claimed");
            }),
            0);
}

TEST_F(ForkTest, TheChildsExitLeavesTheParentAlive) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(in_child([&] { ProgressTracker(path).claim_images(job, 1); }), 0);
  }

  ProgressTracker other(path);
  EXPECT_EQ(other.reset_stuck_images(job), 3U) << "what the children left, and nothing else";
  EXPECT_TRUE(tracker->complete(held.at(0)));
}

TEST_F(ForkTest, AForkedChildDoesNotKeepADeadParentAlive) {
  const Baton ready;
  const Baton finish;
  const pid_t parent = ::fork();
  if (parent == 0) {
    ProgressTracker mine(path);
    mine.claim_images(job, 3);
    if (::fork() == 0) {
      ready.pass();
      finish.wait();  // outlives its parent
      ::_exit(0);
    }
    ::pause();
  }
  ready.wait();
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);

  EXPECT_EQ(tracker->get_status_counts(job)->processing, 8);
  ProgressTracker other(path);
  EXPECT_EQ(other.reset_stuck_images(job), 3U);
  finish.pass();
}

TEST_F(ForkTest, AProgramThatWasExecutedDoesNotKeepADeadParentAlive) {
  int to_program[2];
  int from_program[2];
  ASSERT_EQ(::pipe(to_program), 0);  // at its end of file the program ends
  ASSERT_EQ(::pipe(from_program), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    ::close(to_program[1]);
    ProgressTracker mine(path);
    mine.claim_images(job, 3);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to_program[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from_program[1], STDOUT_FILENO);
    std::string cat = "cat";
    std::array<char*, 2> arguments{cat.data(), nullptr};
    pid_t ignored = 0;
    ::posix_spawnp(&ignored, cat.c_str(), &actions, nullptr, arguments.data(), environ);
    ::pause();
  }
  // Its answer shows that the program runs: exec lets go of the caller a moment before it closes
  // the descriptors.
  char byte = 'x';
  ASSERT_EQ(::write(to_program[1], &byte, 1), 1);
  ASSERT_EQ(::read(from_program[0], &byte, 1), 1);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);

  ProgressTracker other(path);
  EXPECT_EQ(other.reset_stuck_images(job), 3U);
  for (const int fd : {to_program[0], to_program[1], from_program[0], from_program[1]}) {
    ::close(fd);
  }
}

TEST_F(ForkTest, ATrackerOfTheChildSurvivesTheParentsClosing) {
  // SQLite keeps the locks of a process in one place, which the child inherits. If it went by the
  // parent's, it would hold no lock of its own, and the parent would remove the log under it.
  const Baton opened;
  const Baton closed;
  const pid_t child = ::fork();
  if (child == 0) {
    ProgressTracker mine(path);
    const auto images = mine.claim_images(job, 4);
    opened.pass();
    closed.wait();
    for (const Image& image : images) {
      mine.mark_completed(image.id);
    }
    ::kill(::getpid(), SIGKILL);  // all of it was acknowledged
  }
  opened.wait();
  tracker->close();
  closed.pass();
  ::waitpid(child, nullptr, 0);

  EXPECT_EQ(ProgressTracker(path).get_status_counts(job)->completed, 4);
}

TEST_F(ForkTest, ATrackerOfTheChildIsNotHeldUpByWhatTheParentHeldAtTheFork) {
  test::Outsider writer(path);
  writer.run("BEGIN IMMEDIATE");
  const Baton refused;
  const Baton committed;
  const pid_t child = ::fork();
  if (child == 0) {
    int result = 1;
    try {
      ProgressTracker mine(path, {.busy_timeout = std::chrono::milliseconds(0)});
      require(code_of([&] { mine.checkpoint(job); }) == "busy", "the parent has the lock");
      refused.pass();
      committed.wait();
      mine.mark_completed(held.at(0).id);
      result = 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "in the child: %s\n", error.what());
    }
    ::_exit(result);
  }
  refused.wait();
  writer.run("COMMIT");
  committed.pass();
  int status = 0;
  ::waitpid(child, &status, 0);

  EXPECT_EQ(status, 0);
  EXPECT_EQ(tracker->get_status_counts(job)->completed, 1);
}

TEST_F(ForkTest, ATrackerOfTheParentSurvivesTheChildsClosing) {
  const auto log_file = [&] {
    struct stat info {};
    return ::stat((path.native() + "-wal").c_str(), &info) == 0 ? info.st_ino : 0;
  };
  const ino_t before = log_file();
  ASSERT_NE(before, 0U);

  EXPECT_EQ(in_child([&] {
              ProgressTracker mine(path);
              mine.complete(mine.claim_images(job, 1).at(0));
              mine.close();
            }),
            0);

  EXPECT_EQ(log_file(), before) << "the child removed the log that the parent writes to";
  EXPECT_EQ(tracker->get_status_counts(job)->completed, 1);
}

TEST_F(ForkTest, AGenerationIsCountedForEachFork) {
  const std::uint64_t here = fork_generation();
  EXPECT_EQ(in_child([&] {
              const std::uint64_t child = fork_generation();
              require(child != here, "the child's differs");
              require(in_child([&] {
                        require(fork_generation() != child && fork_generation() != here,
                                "the grandchild's differs");
                      }) == 0,
                      "the grandchild");
            }),
            0);
  EXPECT_EQ(fork_generation(), here);
}

TEST_F(ForkTest, ForkingWhileThreadsWorkHarmsNobody) {
  constexpr int kForks = 50;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  const JobId many = tracker->create_job("many", image_paths(50'000), {});
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        for (const Image& image : tracker->claim_images(many, 5)) {
          tracker->complete(image);
        }
      }
    });
  }
  for (int i = 0; i < kForks; ++i) {
    EXPECT_EQ(in_child([&] {
                require(code_of([&] { tracker->checkpoint(many); }) == "forked", "refused");
              }),
              0);
  }
  stop = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
  const auto counts = tracker->get_status_counts(many);
  EXPECT_EQ(counts->processing, 0);
  EXPECT_EQ(counts->total(), 50'000);
  EXPECT_EQ(test::Outsider(path).value("PRAGMA integrity_check"), "ok");
}

}  // namespace
}  // namespace progress_tracker

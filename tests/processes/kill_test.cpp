// Workers killed at any moment: what was acknowledged is there, and nothing is half done.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../reliability/campaign.h"
#include "audit.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "progress_tracker/progress_tracker.h"
#include "record.h"
#include "remote_tracker.h"

namespace progress_tracker::processes {
namespace {

std::string join(const Operation& operation) {
  std::string line;
  for (const std::string& word : operation) {
    line += word + '\t';
  }
  return line;
}

Operation split_line(const std::string& line, std::size_t begin) {
  Operation operation;
  std::string word;
  for (const char each : line.substr(begin)) {
    if (each == '\t') {
      operation.push_back(std::exchange(word, {}));
    } else {
      word += each;
    }
  }
  return operation;
}

// ---- The worker: does anything, for as long as it lives --------------------------------------

class AnythingWorker {
 public:
  AnythingWorker(const std::string& database, unsigned seed)
      : database_(database), tracker_(std::make_unique<ProgressTracker>(database)), random_(seed) {
    for (const Job& job : tracker_->list_jobs()) {
      look_at(job.name, job.id);
    }
  }

  // Says what it will do, does it, and says what came of it.
  void step() {
    if (jobs_.empty()) {
      return create();
    }
    if (draw(random_, 0, 60) == 0) {
      return reopen();
    }
    switch (draw(random_, 0, 21)) {
      case 0:
        return create();
      case 1:
        return add();
      case 2:
        return chain();
      case 3:
      case 4:
      case 5:
      case 6:
        return claim();
      case 7:
      case 8:
      case 9:
        return complete_or_fail();
      case 10:
      case 11:
        return mark_any();
      case 12:
      case 13:
      case 14:
        return outcomes();
      case 15:
        return release();
      case 16:
        return mark_processing();
      case 17:
        return reset();
      case 18:
        return retry();
      case 19:
        return checkpoint();
      case 20:
        return batch();
      default:
        return draw(random_, 0, 3) == 0 ? remove() : upload();
    }
  }

 private:
  struct Known {
    std::string name;
    JobId id{};
    bool chained{false};
    std::vector<Image> images;
    std::vector<Image> claimed;  // in this life: some of them stale by now
    std::vector<std::pair<int, BatchId>> batches;
  };

  template <typename Call>
  void perform(const Operation& operation, const Call& call) {
    say("try " + join(operation));
    std::string result;
    try {
      result = call();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalidTransition) {
        throw;
      }
      result = "refused";
    }
    say("did " + result);
  }

  Known& any_job() {
    return std::next(jobs_.begin(), draw(random_, 0, static_cast<int>(jobs_.size()) - 1))->second;
  }
  const Image& any_of(const std::vector<Image>& images) {
    return images.at(
        static_cast<std::size_t>(draw(random_, 0, static_cast<int>(images.size()) - 1)));
  }

  void look_at(const std::string& name, JobId id) {
    Known& job = jobs_[name];
    job.name = name;
    job.id = id;
    job.chained = name[0] == 'c';
    job.images.clear();
    for (const ImageRecord& record : tracker_->get_images(id, {}, 100'000)) {
      job.images.push_back(record.image);
    }
    job.batches.clear();
    for (const auto& batches :
         {tracker_->get_pending_batches(id), tracker_->get_uploaded_batches(id)}) {
      for (const Batch& batch : batches) {
        job.batches.emplace_back(batch.batch_num, batch.id);
      }
    }
  }

  static std::vector<std::string> splits(int first, int count) {
    std::vector<std::string> splits;
    for (int i = first; i < first + count; ++i) {
      splits.push_back(split_of(i));
    }
    return splits;
  }

  std::string new_name(const char* kind) {
    int number = 0;
    while (jobs_.contains(kind + std::to_string(number))) {
      ++number;
    }
    return kind + std::to_string(number);
  }

  void create() {
    std::string name = new_name("j");
    if (jobs_.size() > 8 || (!jobs_.empty() && draw(random_, 0, 2) == 0)) {
      const Known& job = any_job();
      if (job.chained) {
        return;
      }
      name = job.name;
    }
    const int count =
        draw(random_, 0, 11) == 0 ? draw(random_, 2'001, 2'600) : draw(random_, 0, 60);
    const int first = draw(random_, 0, 30);
    JobId id{};
    perform({"create", name, std::to_string(first), std::to_string(count)}, [&] {
      id = tracker_->create_job(name, some_paths(name, first, count), splits(first, count));
      return "done";
    });
    look_at(name, id);
  }

  void add() {
    Known& job = any_job();
    if (job.chained) {
      return;
    }
    const int first = draw(random_, 0, 100);
    const int count = draw(random_, 1, 40);
    perform({"add", job.name, std::to_string(first), std::to_string(count)}, [&] {
      return std::to_string(
          tracker_->add_images(job.id, some_paths(job.name, first, count), splits(first, count)));
    });
    look_at(job.name, job.id);
  }

  void chain() {
    if (jobs_.size() > 8) {
      return;
    }
    const std::string upstream = any_job().name;
    const std::string name = new_name("c");
    JobId id{};
    perform({"chain", name, upstream}, [&] {
      id = tracker_->chain_job(name, jobs_.at(upstream).id);
      return "done";
    });
    look_at(name, id);
  }

  void remove() {
    const std::string name = any_job().name;
    bool done = false;
    perform({"remove", name}, [&] {
      tracker_->remove_job(jobs_.at(name).id);
      done = true;
      return "done";
    });
    if (done) {
      jobs_.erase(name);
    }
  }

  void claim() {
    Known& job = any_job();
    const int limit = draw(random_, 1, 15);
    perform({"claim", job.name, std::to_string(limit)}, [&] {
      std::string claimed;
      for (const Image& image : tracker_->claim_images(job.id, static_cast<std::size_t>(limit))) {
        claimed += image.path.string() + ":" + std::to_string(image.attempt) + " ";
        job.claimed.push_back(image);
      }
      return claimed;
    });
  }

  void complete_or_fail() {
    Known& job = any_job();
    if (job.claimed.empty()) {
      return;
    }
    const Image image = any_of(job.claimed);
    const std::string attempt = std::to_string(image.attempt);
    if (draw(random_, 0, 2) > 0) {
      perform({"complete", job.name, image.path.string(), attempt},
              [&] { return tracker_->complete(image) ? "1" : "0"; });
    } else {
      const std::string message = "failed " + std::to_string(draw(random_, 0, 5));
      perform({"fail", job.name, image.path.string(), attempt, message},
              [&] { return tracker_->fail(image, message) ? "1" : "0"; });
    }
  }

  void mark_any() {
    Known& job = any_job();
    if (job.images.empty()) {
      return;
    }
    const Image image = any_of(job.images);
    if (draw(random_, 0, 1) == 0) {
      perform({"mark_completed", job.name, image.path.string()}, [&] {
        tracker_->mark_completed(image.id);
        return "done";
      });
    } else {
      perform({"mark_error", job.name, image.path.string(), "by id"}, [&] {
        tracker_->mark_error(image.id, "by id");
        return "done";
      });
    }
  }

  void outcomes() {
    Known& job = any_job();
    if (job.images.empty()) {
      return;
    }
    Operation operation{"outcomes", job.name};
    std::vector<Outcome> list;
    for (int i = draw(random_, 1, 12); i > 0; --i) {
      const bool claimed = !job.claimed.empty() && draw(random_, 0, 3) > 0;
      const Image image = any_of(claimed ? job.claimed : job.images);
      Outcome& outcome = list.emplace_back();
      outcome.id = image.id;
      outcome.attempt = image.attempt;
      if (draw(random_, 0, 3) == 0) {
        outcome.error = "among others";
      }
      operation.insert(operation.end(), {image.path.string(), std::to_string(image.attempt),
                                         outcome.error.value_or("")});
    }
    perform(operation, [&] { return std::to_string(tracker_->mark_outcomes(list)); });
  }

  void release() {
    Known& job = any_job();
    Operation operation{"release", job.name};
    std::vector<Image> images;
    for (int i = draw(random_, 1, 5); i > 0 && !job.claimed.empty(); --i) {
      images.push_back(any_of(job.claimed));
      operation.insert(operation.end(),
                       {images.back().path.string(), std::to_string(images.back().attempt)});
    }
    perform(operation, [&] { return std::to_string(tracker_->release_images(images)); });
  }

  void mark_processing() {
    Known& job = any_job();
    Operation operation{"mark_processing", job.name};
    std::vector<ImageId> ids;
    const int skipped = draw(random_, 0, 10);
    int seen = 0;
    for (const Image& image : tracker_->get_pending_images(job.id, 15)) {
      if (++seen > skipped) {
        ids.push_back(image.id);
        operation.push_back(image.path.string());
      }
    }
    perform(operation, [&] {
      tracker_->mark_processing(ids);
      return "done";
    });
  }

  void reset() {
    Known& job = any_job();
    perform({"reset", job.name},
            [&] { return std::to_string(tracker_->reset_stuck_images(job.id)); });
  }

  void retry() {
    Known& job = any_job();
    if (draw(random_, 0, 2) == 0) {
      perform({"reset_errors", job.name},
              [&] { return std::to_string(tracker_->reset_error_images(job.id)); });
      return;
    }
    Operation operation{"retry", job.name};
    std::vector<ImageId> ids;
    for (const ImageRecord& record : tracker_->get_images(job.id, Status::kError, 3)) {
      ids.push_back(record.image.id);
      operation.push_back(record.image.path.string());
    }
    perform(operation, [&] { return std::to_string(tracker_->retry_images(ids)); });
  }

  void checkpoint() {
    Known& job = any_job();
    perform({"checkpoint", job.name}, [&] {
      tracker_->checkpoint(job.id);
      return "done";
    });
  }

  void batch() {
    Known& job = any_job();
    const auto images =
        tracker_->get_unbatched_images(job.id, static_cast<std::size_t>(draw(random_, 1, 8)));
    if (images.empty()) {
      return;
    }
    const int number = static_cast<int>(job.batches.size()) + 1;
    Operation operation{"batch", job.name, std::to_string(number)};
    std::vector<ImageId> ids;
    for (const Image& image : images) {
      ids.push_back(image.id);
      operation.push_back(image.path.string());
    }
    perform(operation, [&] {
      job.batches.emplace_back(number, tracker_->create_batch_of(job.id, number, ids));
      return "done";
    });
  }

  // An orderly end and a new beginning, both of which a kill may hit.
  void reopen() {
    perform({"reopen"}, [&] {
      tracker_->close();
      tracker_ = std::make_unique<ProgressTracker>(database_);
      return "done";
    });
  }

  void upload() {
    Known& job = any_job();
    if (job.batches.empty()) {
      return;
    }
    const auto [number, id] = job.batches.at(
        static_cast<std::size_t>(draw(random_, 0, static_cast<int>(job.batches.size()) - 1)));
    if (draw(random_, 0, 1) == 0) {
      perform({"uploaded", job.name, std::to_string(number)}, [&, batch = id] {
        tracker_->mark_batch_uploaded(batch);
        return "done";
      });
    } else {
      perform({"upload_failed", job.name, std::to_string(number), "no network"}, [&, batch = id] {
        tracker_->mark_batch_error(batch, "no network");
        return "done";
      });
    }
  }

  const std::string database_;
  std::unique_ptr<ProgressTracker> tracker_;
  Random random_;
  std::map<std::string, Known> jobs_;
};

int do_anything(const Arguments& arguments) {
  AnythingWorker worker(arguments.at(0), static_cast<unsigned>(std::stoul(arguments.at(1))));
  for (;;) {
    worker.step();
  }
}

const RegisterActor kAnything{"anything", do_anything};

// ---- The test ----------------------------------------------------------------------------------

class KillTest : public testing::Test {
 protected:
  unsigned seed_ = test_seed();
  Random random_{seed_};
  std::string trace() const { return "PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_); }
};

std::int64_t milliseconds_of(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

// Replays what the worker said into the record. Returns what it had begun and not acknowledged.
std::optional<Operation> replay(const std::vector<std::string>& lines, Record& record,
                                reliability::Row& row) {
  std::optional<Operation> begun;
  for (const std::string& line : lines) {
    if (line.rfind("try ", 0) == 0) {
      begun = split_line(line, 4);
    } else {
      const std::string expected = record.carry_out(begun.value());
      row.wrong += line.substr(4) == expected ? 0 : 1;
      EXPECT_EQ(line.substr(4), expected) << "of " << join(*begun);
      begun.reset();
    }
  }
  return begun;
}

TEST_F(KillTest, NothingAcknowledgedIsLostAndNothingIsHalfDone) {
  SCOPED_TRACE(trace());
  const int kills = scaled(200);
  reliability::Row row("G1", "kill -9 at a random time");
  std::unique_ptr<TemporaryDirectory> directory;
  Record record;
  bool doubtful = false;
  int acknowledged = 0;
  int begun_and_done = 0;
  int begun_and_not_done = 0;
  std::map<std::string, int> interrupted;
  std::chrono::steady_clock::duration longest_open{0};
  for (int round = 0; round < kills; ++round) {
    // Seldom, so that deaths, leftovers and a grown log add up. But after an end of which nobody
    // knows whether it was still an orderly one, the record does not know what is a death.
    if (round % 20 == 0 || doubtful) {
      doubtful = false;
      directory = std::make_unique<TemporaryDirectory>();
      record = Record();
    }
    const auto worker_seed = static_cast<unsigned>(random_());
    SCOPED_TRACE("round " + std::to_string(round) + ", the worker's seed " +
                 std::to_string(worker_seed));
    Process worker("anything", {directory->database().string(), std::to_string(worker_seed)});
    // Killed after so many lines, and a moment later: while it opens, works, or waits for the disk.
    std::vector<std::string> lines;
    for (int wanted = draw(random_, 0, 160); wanted > 0; --wanted) {
      auto line = worker.receive();
      ASSERT_TRUE(line.has_value())
          << "the worker ended by itself after " << (lines.empty() ? "nothing" : lines.back());
      lines.push_back(std::move(*line));
    }
    for (int looks = draw(random_, 0, 1'000); looks > 0; --looks) {
      if (auto line = worker.receive_if_there()) {
        lines.push_back(std::move(*line));
      }
    }
    worker.kill();
    ++row.count;
    for (std::string& line : worker.receive_rest()) {
      lines.push_back(std::move(line));
    }
    acknowledged += static_cast<int>(lines.size()) / 2;

    const auto begun = replay(lines, record, row);
    if (round % 4 == 0 && std::filesystem::exists(directory->database())) {
      // Here we come before anybody else and have to recover; else the next worker does.
      const auto begin = std::chrono::steady_clock::now();
      const ProgressTracker tracker(directory->database());
      longest_open = std::max(longest_open, std::chrono::steady_clock::now() - begin);
    }
    row.remark = std::to_string(acknowledged) + " calls acknowledged, longest open " +
                 std::to_string(milliseconds_of(longest_open)) + " ms";
    if (!std::filesystem::exists(directory->database())) {
      row.wrong += lines.empty() && record.picture().empty() ? 0 : 1;
      ASSERT_TRUE(lines.empty() && record.picture().empty()) << "all is gone";
      continue;
    }
    Audit audit(directory->database());
    if (audit.number("SELECT count(*) FROM sqlite_schema") == 0) {
      row.wrong += lines.empty() && record.picture().empty() ? 0 : 1;
      ASSERT_TRUE(lines.empty() && record.picture().empty()) << "all is gone";
      continue;  // killed before there was anything
    }
    audit.expect_sound();
    const Picture found = picture_of(audit);
    if (begun.has_value()) {
      ++interrupted[begun->at(0)];
      doubtful = begun->at(0) == "reopen";
      Record with = record;
      with.carry_out(*begun);
      if (found == with.picture()) {
        record = std::move(with);
        ++begun_and_done;
      } else {
        ++begun_and_not_done;
      }
    }
    row.wrong += found == record.picture() ? 0 : 1;
    ASSERT_TRUE(found == record.picture())
        << "begun, perhaps done: " << (begun.has_value() ? join(*begun) : "nothing") << "\n"
        << difference(record.picture(), found);
    if (testing::Test::HasFailure()) {
      return;
    }
    record.worker_died();
  }
  std::cout << "begun and done " << begun_and_done << ", begun and not done " << begun_and_not_done
            << "; interrupted:";
  for (const auto& [verb, times] : interrupted) {
    std::cout << ' ' << verb << ' ' << times;
  }
  std::cout << '\n';
}

// Arguments: database, job, seed. Claims and completes until nobody has anything left.
int work_steadily(const Arguments& arguments) {
  ProgressTracker tracker(arguments.at(0));
  const JobId job{std::stoll(arguments.at(1))};
  Random random(static_cast<unsigned>(std::stoul(arguments.at(2))));
  for (;;) {
    const auto images = tracker.claim_images(job, static_cast<std::size_t>(draw(random, 1, 6)));
    for (const Image& image : images) {
      say("claimed " + image.path.string() + " " + std::to_string(image.attempt));
    }
    for (const Image& image : images) {
      say((tracker.complete(image) ? "completed " : "stale ") + image.path.string());
    }
    const auto counts = tracker.get_status_counts(job).value();
    if (counts.pending + counts.processing == 0) {
      say("finished");
      hear();
      return 0;
    }
  }
}

const RegisterActor kSteady{"steady", work_steadily};

TEST_F(KillTest, ManyWorkersKilledOneAfterAnotherFinishTheJob) {
  SCOPED_TRACE(trace());
  const TemporaryDirectory directory;
  const int images = scaled(10'000);
  reliability::Row row("G1", "kill -9 of one of four workers");
  RemoteTracker loader(directory.database());
  const JobId job = loader.create_job("job", "images", 0, images);
  const auto start = [&] {
    return std::make_unique<Process>(
        "steady", Arguments{directory.database().string(), text(job), std::to_string(random_())});
  };
  std::vector<std::unique_ptr<Process>> workers(4);
  for (auto& worker : workers) {
    worker = start();
  }
  std::set<std::string> claims;
  std::set<std::string> completed;
  const auto take_note = [&](const std::string& line) {
    const bool new_claim = line.rfind("claimed ", 0) != 0 || claims.insert(line).second;
    EXPECT_TRUE(new_claim) << "given twice under one attempt: " << line;
    const bool new_completion = line.rfind("completed ", 0) != 0 || completed.insert(line).second;
    EXPECT_TRUE(new_completion) << "two were told: " << line;
    const bool stale = line.rfind("stale ", 0) == 0;
    EXPECT_FALSE(stale) << "a living worker lost its claim: " << line;
    row.wrong += new_claim && new_completion && !stale ? 0 : 1;
  };
  bool finished = false;
  while (!finished) {
    // Some lines of one worker, then its death.
    auto& worker = workers[static_cast<std::size_t>(draw(random_, 0, 3))];
    for (int wanted = draw(random_, 0, 30); wanted > 0 && !finished; --wanted) {
      const auto line = worker->receive();
      ASSERT_TRUE(line.has_value()) << "a worker ended by itself";
      finished = *line == "finished";
      take_note(*line);
    }
    if (!finished) {
      worker->kill();
      ++row.count;
      for (const std::string& line : worker->receive_rest()) {
        take_note(line);
      }
      worker = start();
    }
  }
  for (auto& worker : workers) {
    worker->close_input();
    for (const std::string& line : worker->receive_rest()) {
      take_note(line);
    }
    EXPECT_EQ(worker->wait(), 0);
  }
  EXPECT_EQ(loader.get_status_counts(job),
            (StatusCounts{.pending = 0, .processing = 0, .completed = images, .error = 0}));
  Audit audit(directory.database());
  audit.expect_sound();
  const auto given_away = audit.number("SELECT count(*) FROM images WHERE attempts <> deaths + 1");
  EXPECT_EQ(given_away, 0) << "only a death gives an image to another worker";
  row.wrong += given_away;
  EXPECT_LE(audit.number("SELECT max(deaths) FROM images"), row.count);
  row.remark = std::to_string(claims.size()) + " claims of " + std::to_string(images) + " images";
}

// Arguments: database, job. Marks one by one with a buffer of 50 and checkpoints every 37 marks.
int mark_buffered(const Arguments& arguments) {
  Options options;
  options.mark_buffer = 50;
  ProgressTracker tracker(arguments.at(0), options);
  const JobId job{std::stoll(arguments.at(1))};
  int marked = 0;
  for (;;) {
    for (const Image& image : tracker.claim_images(job, 100)) {
      say("marking");
      if (marked % 2 == 0) {
        tracker.mark_completed(image.id);
      } else {
        tracker.mark_error(image.id, "odd");
      }
      if (++marked % 37 == 0) {
        tracker.checkpoint(job);
        say("committed");
      }
    }
  }
}

const RegisterActor kBuffered{"buffered", mark_buffered};

TEST_F(KillTest, BufferedMarksAreLostUpToTheBuffersSizeAndNotOnceCommitted) {
  SCOPED_TRACE(trace());
  reliability::Row row("G1", "kill -9 of a worker that holds marks back");
  for (int round = 0; round < scaled(20); ++round) {
    const TemporaryDirectory directory;
    RemoteTracker loader(directory.database());
    const JobId job = loader.create_job("job", "images", 0, 1'500);
    Process worker("buffered", {directory.database().string(), text(job)});
    int begun = 0;
    int committed = 0;
    const auto take_note = [&](const std::string& line) {
      if (line == "committed") {
        committed = begun;
      } else {
        ++begun;
      }
    };
    for (int wanted = draw(random_, 1, 1'000); wanted > 0; --wanted) {
      const auto line = worker.receive();
      ASSERT_TRUE(line.has_value()) << "the worker ended by itself";
      take_note(*line);
    }
    worker.kill();
    ++row.count;
    for (const std::string& line : worker.receive_rest()) {
      take_note(line);
    }
    const StatusCounts counts = loader.get_status_counts(job);
    const int stored = static_cast<int>(counts.completed + counts.error);
    row.wrong += std::max(0, std::max(committed, begun - 51) - stored);
    EXPECT_GE(stored, committed);
    EXPECT_GE(stored, begun - 51) << "at most a buffer and the one being marked";
    EXPECT_LE(stored, begun);
    EXPECT_EQ(counts.error, stored / 2) << "in the order in which they were marked";
    Audit(directory.database()).expect_sound();
  }
}

}  // namespace
}  // namespace progress_tracker::processes

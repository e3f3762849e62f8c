// TrackerConformance: what every Tracker promises, as a suite of tests for anybody's
// implementation.
//
//   #include <progress_tracker/testing/conformance.h>
//
//   class MyTraits {
//    public:
//     // A tracker on a fresh, empty store.
//     std::unique_ptr<progress_tracker::Tracker> make();
//     // A second worker on the store of the last make().
//     std::unique_ptr<progress_tracker::Tracker> another();
//     // The tracker's worker dies as by kill -9. Returns a new worker on the same store.
//     std::unique_ptr<progress_tracker::Tracker> crash(std::unique_ptr<progress_tracker::Tracker>);
//     // Optional; without it the tests of that option are skipped. As make(), with
//     // Options::max_deaths.
//     std::unique_ptr<progress_tracker::Tracker> make_with_max_deaths(int max_deaths);
//   };
//
//   namespace progress_tracker_testing {
//   INSTANTIATE_TYPED_TEST_SUITE_P(MyTracker, TrackerConformance, MyTraits);
//   }
//
// Each test has traits of its own, which outlive its trackers. No test sleeps. The tests use
// stores of up to some ten thousand images and up to eight threads.
#ifndef PROGRESS_TRACKER_TESTING_CONFORMANCE_H_
#define PROGRESS_TRACKER_TESTING_CONFORMANCE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "progress_tracker/error.h"
#include "progress_tracker/rules.h"
#include "progress_tracker/tracker.h"
#include "progress_tracker/types.h"

namespace progress_tracker_testing {

// The name of the code of the Error that `call` throws: "not_found", ...; or "no error".
inline std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const progress_tracker::Error& error) {
    return std::string(to_string(error.code()));
  }
  return "no error";
}

// Some paths or splits, in order. A text is cut at its spaces: "a b" is two words, "" is none.
class Words {
 public:
  Words() = default;
  Words(const char* text) : Words(std::string(text)) {}
  Words(const std::string& text) {
    std::istringstream stream(text);
    for (std::string word; stream >> word;) list_.push_back(word);
  }
  Words(std::vector<std::string> list) : list_(std::move(list)) {}

  const std::vector<std::string>& list() const { return list_; }

  Words sorted() const {
    Words copy = *this;
    std::sort(copy.list_.begin(), copy.list_.end());
    return copy;
  }

  friend bool operator==(const Words& a, const Words& b) = default;
  friend void PrintTo(const Words& words, std::ostream* stream) {
    *stream << testing::PrintToString(words.list_);
  }

 private:
  std::vector<std::string> list_;
};

template <typename Traits>
class TrackerConformance : public testing::Test {
 protected:
  using Batch = progress_tracker::Batch;
  using BatchId = progress_tracker::BatchId;
  using Image = progress_tracker::Image;
  using ImageId = progress_tracker::ImageId;
  using ImageRecord = progress_tracker::ImageRecord;
  using JobId = progress_tracker::JobId;
  using Outcome = progress_tracker::Outcome;
  using Status = progress_tracker::Status;
  using StatusCounts = progress_tracker::StatusCounts;
  using Tracker = progress_tracker::Tracker;
  using Worker = progress_tracker::Worker;

  static constexpr JobId kNoJob{987'654'321};
  static constexpr ImageId kNoImage{987'654'321};
  static constexpr BatchId kNoBatch{987'654'321};
  static constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

  // ---- Making ----------------------------------------------------------------------------------

  // Makes the job `name`, or adds to it; what takes no other job works on the last one made so.
  JobId create(const Words& paths, const Words& splits = {}, std::string_view name = "job") {
    job = tracker->create_job(name, to_paths(paths), splits.list());
    return job;
  }

  // "000001.png", "000002.png", ...: in this order also when sorted.
  static std::vector<std::string> numbered(int count) {
    std::vector<std::string> names;
    for (int i = 1; i <= count; ++i) {
      const std::string digits = std::to_string(i);
      names.push_back(std::string(6 - digits.size(), '0') + digits + ".png");
    }
    return names;
  }

  static std::vector<std::filesystem::path> to_paths(const Words& names) {
    return {names.list().begin(), names.list().end()};
  }

  // ---- Working ---------------------------------------------------------------------------------

  std::vector<Image> claim(std::size_t limit = kAll) { return tracker->claim_images(job, limit); }

  Image claim_one() {
    const auto images = claim(1);
    if (images.size() != 1) throw std::logic_error("nothing to claim");
    return images[0];
  }

  void complete_all(const Words& paths) {
    for (const std::string& path : paths.list()) tracker->mark_completed(id(path));
  }

  void fail_all(const Words& paths, std::string_view error_msg = "broken") {
    for (const std::string& path : paths.list()) tracker->mark_error(id(path), error_msg);
  }

  // The worker of `tracker` dies, a new one takes its place.
  void crash() { tracker = traits.crash(std::move(tracker)); }

  // A worker dies, and what took its place ends in order.
  void kill(std::unique_ptr<Tracker> victim) { traits.crash(std::move(victim))->close(); }

  // A crash of one that holds these images, after which they are pending.
  void crash_while_processing(const Words& paths) {
    tracker->mark_processing(ids(paths));
    crash();
    tracker->reset_stuck_images(job);
  }

  // Calls `work` with 0, 1, ... on so many threads at once, and waits; rethrows what they throw.
  static void in_threads(int count, const std::function<void(int)>& work) {
    std::vector<std::future<void>> threads;
    for (int i = 0; i < count; ++i) threads.push_back(std::async(std::launch::async, work, i));
    for (auto& thread : threads) thread.get();
  }

  // Until times recorded from now on differ from those recorded so far.
  static void pass_a_millisecond() {
    using std::chrono::milliseconds;
    const auto now = [] {
      return std::chrono::floor<milliseconds>(std::chrono::system_clock::now());
    };
    for (const auto start = now(); now() == start;) {
    }
  }

  // ---- Looking ---------------------------------------------------------------------------------

  ImageId id(const std::string& path) {
    const auto found = tracker->get_image_id(job, path);
    if (!found) throw std::logic_error("no image " + path);
    return *found;
  }

  std::vector<ImageId> ids(const Words& paths) {
    std::vector<ImageId> found;
    for (const std::string& path : paths.list()) found.push_back(id(path));
    return found;
  }

  ImageRecord record(const std::string& path) { return tracker->get_image(id(path)).value(); }
  std::string status(const std::string& path) {
    return std::string(to_string(record(path).status));
  }
  std::string message(const std::string& path) { return record(path).error_message; }

  // Pending, processing, completed, error: "3 0 0 0".
  static std::string listed(const StatusCounts& counts) {
    return text_of({counts.pending, counts.processing, counts.completed, counts.error});
  }

  std::string counts_of(JobId of) { return listed(tracker->get_status_counts(of).value()); }
  std::string counts() { return counts_of(job); }

  // Total, processed, error, pending, as of the last checkpoint: "3 0 0 3".
  std::string progress() {
    const auto p = tracker->get_progress(job).value();
    return text_of({p.total_images, p.processed_count, p.error_count, p.pending_count});
  }

  static std::string text_of(const std::vector<std::int64_t>& numbers) {
    std::string text;
    for (const std::int64_t number : numbers) {
      if (!text.empty()) text += ' ';
      text += std::to_string(number);
    }
    return text;
  }

  static Words paths_of(const std::vector<Image>& images) {
    std::vector<std::string> paths;
    for (const Image& image : images) paths.push_back(image.path.native());
    return paths;
  }

  static Words paths_of(const std::vector<ImageRecord>& records) {
    std::vector<std::string> paths;
    for (const ImageRecord& found : records) paths.push_back(found.image.path.native());
    return paths;
  }

  static std::vector<ImageId> ids_of(const std::vector<Image>& images) {
    std::vector<ImageId> ids;
    for (const Image& image : images) ids.push_back(image.id);
    return ids;
  }

  static std::vector<Outcome> completions_of(const std::vector<Image>& images) {
    std::vector<Outcome> outcomes;
    for (const Image& image : images) outcomes.push_back({image.id, image.attempt, std::nullopt});
    return outcomes;
  }

  Words pending_paths(JobId of) { return paths_of(tracker->get_pending_images(of, kAll)); }
  Words pending_paths() { return pending_paths(job); }

  Words all_paths(JobId of) { return paths_of(tracker->get_images(of, {}, kAll)); }
  Words all_paths() { return all_paths(job); }

  std::vector<ImageRecord> all_records() { return tracker->get_images(job, {}, kAll); }

  // Expects that `call` throws this code, and that job and images stay as they were.
  void expect_refused(const std::string& code, const std::function<void()>& call) {
    const auto records = all_records();
    const auto jobs = tracker->list_jobs();
    EXPECT_EQ(error_of(call), code);
    EXPECT_TRUE(all_records() == records) << "images changed";
    EXPECT_TRUE(tracker->list_jobs() == jobs) << "jobs changed";
  }

  // ---- Batches ---------------------------------------------------------------------------------

  BatchId batch_of(int batch_num, const Words& paths) {
    return tracker->create_batch_of(job, batch_num, ids(paths));
  }

  // Of the job's batches, uploaded or not.
  Batch batch(BatchId id_of_batch) {
    for (const auto& found : tracker->get_pending_batches(job)) {
      if (found.id == id_of_batch) return found;
    }
    for (const auto& found : tracker->get_uploaded_batches(job)) {
      if (found.id == id_of_batch) return found;
    }
    throw std::logic_error("no such batch");
  }

  // Their numbers: "1 2 5".
  static std::string numbers_of(const std::vector<Batch>& batches) {
    std::vector<std::int64_t> numbers;
    for (const Batch& found : batches) numbers.push_back(found.batch_num);
    return text_of(numbers);
  }

  // ---- Every function --------------------------------------------------------------------------

  struct Call {
    std::string name;
    std::function<void(Tracker&)> call;
  };

  // All calls of Tracker that write, on these ids.
  static std::vector<Call> writing_calls(JobId on_job, ImageId on_image, BatchId on_batch) {
    const auto image_ids = std::make_shared<std::vector<ImageId>>(1, on_image);
    const auto outcomes = std::make_shared<std::vector<Outcome>>(1);
    outcomes->front().id = on_image;
    const auto images = std::make_shared<std::vector<Image>>(1);
    images->front().id = on_image;
    const std::filesystem::path path = "x.png";
    return {
        {"create_job", [=](Tracker& t) { t.create_job("new", std::span(&path, 1), {}); }},
        {"add_images", [=](Tracker& t) { t.add_images(on_job, std::span(&path, 1), {}); }},
        {"add_images of nothing", [=](Tracker& t) { t.add_images(on_job, {}, {}); }},
        {"chain_job", [=](Tracker& t) { t.chain_job("chained", on_job); }},
        {"mark_processing", [=](Tracker& t) { t.mark_processing(*image_ids); }},
        {"claim_images", [=](Tracker& t) { t.claim_images(on_job); }},
        {"claim_images of none", [=](Tracker& t) { t.claim_images(on_job, 0); }},
        {"mark_completed", [=](Tracker& t) { t.mark_completed(on_image); }},
        {"mark_error", [=](Tracker& t) { t.mark_error(on_image, "broken"); }},
        {"mark_outcomes", [=](Tracker& t) { t.mark_outcomes(*outcomes); }},
        {"complete", [=](Tracker& t) { t.complete(images->front()); }},
        {"fail", [=](Tracker& t) { t.fail(images->front(), "broken"); }},
        {"release_images", [=](Tracker& t) { t.release_images(*images); }},
        {"reset_stuck_images", [=](Tracker& t) { t.reset_stuck_images(on_job); }},
        {"reset_processing_images", [=](Tracker& t) { t.reset_processing_images(on_job); }},
        {"reset_error_images", [=](Tracker& t) { t.reset_error_images(on_job); }},
        {"retry_images", [=](Tracker& t) { t.retry_images(*image_ids); }},
        {"checkpoint", [=](Tracker& t) { t.checkpoint(on_job); }},
        {"create_batch", [=](Tracker& t) { t.create_batch(on_job, 1, 1); }},
        {"create_batch_of", [=](Tracker& t) { t.create_batch_of(on_job, 1, *image_ids); }},
        {"mark_batch_uploaded", [=](Tracker& t) { t.mark_batch_uploaded(on_batch); }},
        {"mark_batch_error", [=](Tracker& t) { t.mark_batch_error(on_batch, "broken"); }},
        {"remove_job", [=](Tracker& t) { t.remove_job(on_job); }},
    };
  }

  // All calls of Tracker that read, but for list_jobs() and list_workers(), with whether their
  // result is empty or nullopt.
  struct Reading {
    std::string name;
    std::function<bool(Tracker&)> is_empty;
  };

  static std::vector<Reading> reading_calls(JobId on_job, ImageId on_image, BatchId on_batch) {
    return {
        {"get_job_id", [](Tracker& t) { return !t.get_job_id("unknown"); }},
        {"get_pending_images", [=](Tracker& t) { return t.get_pending_images(on_job).empty(); }},
        {"get_progress", [=](Tracker& t) { return !t.get_progress(on_job); }},
        {"get_status_counts", [=](Tracker& t) { return !t.get_status_counts(on_job); }},
        {"get_progress_by_split",
         [=](Tracker& t) { return t.get_progress_by_split(on_job).empty(); }},
        {"get_image_id", [=](Tracker& t) { return !t.get_image_id(on_job, "a"); }},
        {"get_image", [=](Tracker& t) { return !t.get_image(on_image); }},
        {"get_image_split", [=](Tracker& t) { return !t.get_image_split(on_image); }},
        {"get_images", [=](Tracker& t) { return t.get_images(on_job).empty(); }},
        {"get_error_summary", [=](Tracker& t) { return t.get_error_summary(on_job).empty(); }},
        {"get_unbatched_images",
         [=](Tracker& t) { return t.get_unbatched_images(on_job).empty(); }},
        {"get_pending_batches", [=](Tracker& t) { return t.get_pending_batches(on_job).empty(); }},
        {"get_uploaded_batches",
         [=](Tracker& t) { return t.get_uploaded_batches(on_job).empty(); }},
        {"get_batch_images", [=](Tracker& t) { return t.get_batch_images(on_batch).empty(); }},
    };
  }

  // ----------------------------------------------------------------------------------------------

  Traits traits;  // before the trackers: it outlives them
  std::unique_ptr<Tracker> tracker = traits.make();
  JobId job{};
};

TYPED_TEST_SUITE_P(TrackerConformance);

// ---- create_job, add_images ---------------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, CreateJobRecordsEveryImageAsPendingAndNeverStarted) {
  this->create("a b c", "train train valid");

  EXPECT_EQ(this->all_paths(), "a b c");
  EXPECT_EQ(this->counts(), "3 0 0 0");
  for (const auto& record : this->all_records()) {
    EXPECT_EQ(record.job_id, this->job);
    EXPECT_EQ(record.image.attempt, 0);
    EXPECT_EQ(record.attempts, 0);
    EXPECT_EQ(record.deaths, 0);
    EXPECT_EQ(record.error_message, "");
    EXPECT_FALSE(record.started_at);
    EXPECT_FALSE(record.finished_at);
  }
}

TYPED_TEST_P(TrackerConformance, CreateJobAgainReturnsTheSameIdAndChangesNothing) {
  const auto made = this->create("a b", "train valid");
  this->complete_all("a");
  const auto before = this->all_records();

  EXPECT_EQ(this->create("a b", "train valid"), made);
  EXPECT_TRUE(this->all_records() == before);
}

TYPED_TEST_P(TrackerConformance, CreateJobAgainAddsThePathsThatAreNewAndRemovesNone) {
  this->create("a b");
  this->create("c b d");

  EXPECT_EQ(this->all_paths(), "a b c d");
}

TYPED_TEST_P(TrackerConformance, CreateJobAgainKeepsStatusAndSplit) {
  this->create("a b c", "train train train");
  this->complete_all("a");
  this->fail_all("b");
  this->create("a b c d", "valid valid valid valid");

  EXPECT_EQ(this->status("a"), "completed");
  EXPECT_EQ(this->status("b"), "error");
  EXPECT_EQ(this->tracker->get_image_split(this->id("a")), "train");
  EXPECT_EQ(this->tracker->get_image_split(this->id("c")), "train");
  EXPECT_EQ(this->tracker->get_image_split(this->id("d")), "valid");
}

TYPED_TEST_P(TrackerConformance, CreateJobWithADifferentListNeverMakesPendingNegative) {
  this->create("a b c");
  this->complete_all("a b c");
  this->create("d");
  this->tracker->checkpoint(this->job);

  EXPECT_EQ(this->progress(), "4 3 0 1");
}

TYPED_TEST_P(TrackerConformance, APathListedTwiceCountsOnceWithItsFirstSplit) {
  this->create("a b a a", "train train valid test");

  EXPECT_EQ(this->all_paths(), "a b");
  EXPECT_EQ(this->tracker->get_image_split(this->id("a")), "train");
  EXPECT_EQ(this->progress(), "2 0 0 2");
}

TYPED_TEST_P(TrackerConformance, WithoutSplitsEverySplitIsEmpty) {
  this->create("a b");

  EXPECT_EQ(this->tracker->get_image_split(this->id("a")), "");
  const auto by_split = this->tracker->get_progress_by_split(this->job);
  ASSERT_EQ(by_split.size(), 1U);
  EXPECT_EQ(this->listed(by_split.at("")), "2 0 0 0");
}

TYPED_TEST_P(TrackerConformance, SplitsOfAnotherLengthAreRefusedAndNothingIsStored) {
  const auto paths = this->to_paths("a b c");
  const std::vector<std::string> fewer{"train"};
  const std::vector<std::string> more(4, "train");

  EXPECT_EQ(error_of([&] { this->tracker->create_job("job", paths, fewer); }), "invalid_argument");
  EXPECT_EQ(error_of([&] { this->tracker->create_job("job", paths, more); }), "invalid_argument");
  EXPECT_EQ(error_of([&] { this->tracker->create_job("job", {}, fewer); }), "invalid_argument");
  EXPECT_TRUE(this->tracker->list_jobs().empty());
}

TYPED_TEST_P(TrackerConformance, AnEmptyListMakesOrFindsTheJob) {
  const auto made = this->create({});
  EXPECT_EQ(this->counts(), "0 0 0 0");
  EXPECT_EQ(this->progress(), "0 0 0 0");
  EXPECT_TRUE(this->tracker->get_progress_by_split(made).empty());

  this->create("a");
  EXPECT_EQ(this->create({}), made);
  EXPECT_EQ(this->all_paths(), "a");
}

TYPED_TEST_P(TrackerConformance, ABadJobNameIsRefusedAndNothingIsStored) {
  using namespace std::string_view_literals;
  const std::string_view names[] = {
      ""sv,         "a\nb"sv,  "a\tb"sv,     "\x1b[2J"sv,      "\x7f"sv,
      "a\0b"sv,
      "\xc2\x85"sv,  // a control character beyond ASCII
      "\xff"sv,     "a\xc3"sv, "\xc0\xaf"sv, "\xed\xa0\x80"sv, "\xf4\x90\x80\x80"sv,
  };
  const auto paths = this->to_paths("a");
  for (const std::string_view name : names) {
    EXPECT_EQ(error_of([&] { this->tracker->create_job(name, paths, {}); }), "invalid_argument")
        << progress_tracker::escape_for_display(name);
  }
  EXPECT_TRUE(this->tracker->list_jobs().empty());
}

TYPED_TEST_P(TrackerConformance, AJobNameIsAnyTextAndComesBackExactly) {
  const std::vector<std::string> names{"job",
                                       " job ",
                                       "Job",
                                       "jöb",
                                       "jo\u0308b",
                                       "'; --",
                                       "\"quoted\"",
                                       "%s?*",
                                       "\xf0\x9f\x93\xb7",
                                       std::string(2000, 'n')};
  std::vector<std::string> found;
  for (const std::string& name : names) {
    const auto made = this->create("a", {}, name);
    EXPECT_EQ(this->tracker->get_job_id(name), made);
  }
  for (const auto& listed : this->tracker->list_jobs()) found.push_back(listed.name);
  EXPECT_EQ(found, names);
}

TYPED_TEST_P(TrackerConformance, ABadSplitIsRefusedAndNothingIsStored) {
  using namespace std::string_view_literals;
  const std::string_view splits[] = {"a\nb"sv, "\x01"sv, "\x7f"sv,
                                     "a\0b"sv, "\xff"sv, "\xc2\x9f"sv};
  const auto paths = this->to_paths("a b");
  for (const std::string_view split : splits) {
    const std::vector<std::string> list{"train", std::string(split)};
    EXPECT_EQ(error_of([&] { this->tracker->create_job("job", paths, list); }), "invalid_argument")
        << progress_tracker::escape_for_display(split);
  }
  EXPECT_TRUE(this->tracker->list_jobs().empty());
}

TYPED_TEST_P(TrackerConformance, ASplitMayHaveAnyName) {
  const std::vector<std::string> splits{"train", "val",
                                        "Train", "neither",
                                        "all",   "",
                                        "a b",   "\xc3\xa9t\xc3\xa9",
                                        "0",     std::string(500, 's')};
  this->create(this->numbered(static_cast<int>(splits.size())), splits);

  std::vector<std::string> found;
  for (const auto& record : this->all_records()) found.push_back(record.image.split);
  EXPECT_EQ(found, splits);
  EXPECT_EQ(this->tracker->get_progress_by_split(this->job).size(), splits.size());
}

TYPED_TEST_P(TrackerConformance, AnEmptyPathOrOneWithNulIsRefusedAndNothingIsStored) {
  for (const std::string& bad : {std::string(), std::string("a\0b", 3), std::string("\0", 1)}) {
    const std::vector<std::filesystem::path> paths{"good", bad};
    EXPECT_EQ(error_of([&] { this->tracker->create_job("job", paths, {}); }), "invalid_argument");
  }
  EXPECT_TRUE(this->tracker->list_jobs().empty());
}

TYPED_TEST_P(TrackerConformance, EveryByteInAFileNameComesBackExactly) {
  std::vector<std::string> paths;
  for (int byte = 1; byte < 256; ++byte) {
    paths.push_back("dir/x" + std::string(1, static_cast<char>(byte)) + "y.png");
  }
  this->create(paths);

  EXPECT_EQ(this->all_paths(), paths);
  EXPECT_EQ(this->pending_paths(), paths);
  for (const std::string& path : paths) EXPECT_EQ(this->record(path).image.path.native(), path);
  EXPECT_EQ(this->paths_of(this->claim()), paths);
}

TYPED_TEST_P(TrackerConformance, EveryByteInADirectoryNameComesBackExactly) {
  std::vector<std::string> paths;
  for (int byte = 1; byte < 256; ++byte) {
    paths.push_back("/in" + std::string(1, static_cast<char>(byte)) + "/x.png");
  }
  this->create(paths);

  EXPECT_EQ(this->all_paths(), paths);
  for (const std::string& path : paths) EXPECT_EQ(this->record(path).image.path.native(), path);
}

TYPED_TEST_P(TrackerConformance, UnusualPathsComeBackExactly) {
  const std::vector<std::string> paths{
      "\xff\xfe",
      "caf\xe9.png",
      "caf\xc3\xa9.png",
      "\xed\xa0\x80.png",
      "\n",
      "a\nb/c\rd",
      " ",
      ".",
      "..",
      "-",
      "'; DROP TABLE x;",
      "%00",
      "\xe2\x80\xae.png",
      "a\xc3/\xa9.png",
      "C:\\x",
      std::string(5000, 'p'),
      "/" + std::string(255, 'd') + "/" + std::string(255, '\xff')};
  this->create(paths);

  EXPECT_EQ(this->all_paths(), paths);
  for (const std::string& path : paths) EXPECT_EQ(this->record(path).image.path.native(), path);
}

TYPED_TEST_P(TrackerConformance, PathsAreNotNormalised) {
  const std::vector<std::string> paths{"a.png",    "./a.png", "x/../a.png", "/a.png", "//a.png",
                                       "x//a.png", "x/a.png", "x/",         "x",      "x/.",
                                       "A.png",    "/",       "//"};
  this->create(paths);

  EXPECT_EQ(this->all_paths(), paths);
  std::set<progress_tracker::ImageId> ids;
  for (const std::string& path : paths) ids.insert(this->id(path));
  EXPECT_EQ(ids.size(), paths.size());
}

TYPED_TEST_P(TrackerConformance, ALargeListIsLoadedWholeAndInOrder) {
  const auto paths = this->numbered(45'000);
  this->create(paths);

  EXPECT_EQ(this->all_paths(), paths);
  EXPECT_EQ(this->counts(), "45000 0 0 0");

  EXPECT_EQ(this->tracker->add_images(this->job, this->to_paths(paths), {}), 0);
  EXPECT_EQ(this->counts(), "45000 0 0 0");
}

TYPED_TEST_P(TrackerConformance, EightThreadsMakingOneJobMakeItOnce) {
  const auto all = this->to_paths(this->numbered(400));
  std::vector<progress_tracker::JobId> made(8);
  this->in_threads(8, [&](int thread) {
    const auto first = static_cast<std::size_t>(thread) * 40;  // each overlaps its neighbours
    const auto part = std::span(all).subspan(first, 120);
    made[static_cast<std::size_t>(thread)] = this->tracker->create_job("job", part, {});
  });
  this->job = made[0];

  EXPECT_EQ(std::count(made.begin(), made.end(), this->job), 8);
  EXPECT_EQ(this->all_paths().sorted(), this->numbered(400));
  EXPECT_EQ(this->counts(), "400 0 0 0");
}

TYPED_TEST_P(TrackerConformance, NoCallSeesPartOfAJobThatIsBeingMade) {
  constexpr int kImages = 30'000;
  const auto paths = this->to_paths(this->numbered(kImages));
  std::atomic<bool> made{false};
  this->in_threads(2, [&](int thread) {
    if (thread == 0) {
      this->tracker->create_job("job", paths, {});
      made = true;
      return;
    }
    while (!made) {
      const auto jobs = this->tracker->list_jobs();
      if (jobs.empty()) continue;
      EXPECT_EQ(jobs[0].counts.pending, kImages);
      EXPECT_EQ(this->tracker->get_progress(jobs[0].id)->total_images, kImages);
    }
  });
}

TYPED_TEST_P(TrackerConformance, AddImagesReturnsHowManyWereNew) {
  this->create("a b");

  EXPECT_EQ(this->tracker->add_images(this->job, this->to_paths("b c d c"), {}), 2);
  EXPECT_EQ(this->tracker->add_images(this->job, this->to_paths("a d"), {}), 0);
  EXPECT_EQ(this->tracker->add_images(this->job, {}, {}), 0);
  EXPECT_EQ(this->all_paths(), "a b c d");
}

TYPED_TEST_P(TrackerConformance, AddImagesKeepsStatusAndSplitOfThoseItHas) {
  this->create("a", "train");
  this->complete_all("a");
  const std::vector<std::string> splits{"valid", "valid"};
  this->tracker->add_images(this->job, this->to_paths("a b"), splits);

  EXPECT_EQ(this->status("a"), "completed");
  EXPECT_EQ(this->tracker->get_image_split(this->id("a")), "train");
  EXPECT_EQ(this->tracker->get_image_split(this->id("b")), "valid");
}

TYPED_TEST_P(TrackerConformance, AddImagesRefusesWhatCreateJobRefuses) {
  this->create("a");
  const std::vector<std::string> one_split{"train"};
  const std::vector<std::string> bad_split{"a\nb"};
  const std::vector<std::filesystem::path> with_empty{"b", ""};

  this->expect_refused("invalid_argument", [&] {
    this->tracker->add_images(this->job, this->to_paths("b c"), one_split);
  });
  this->expect_refused("invalid_argument", [&] {
    this->tracker->add_images(this->job, this->to_paths("b"), bad_split);
  });
  this->expect_refused("invalid_argument",
                       [&] { this->tracker->add_images(this->job, with_empty, {}); });
}

TYPED_TEST_P(TrackerConformance, TotalImagesIsTheNumberOfImagesRecorded) {
  this->create("a b a");
  EXPECT_EQ(this->tracker->get_progress(this->job)->total_images, 2);

  this->create("b c");
  EXPECT_EQ(this->tracker->get_progress(this->job)->total_images, 3);

  this->tracker->add_images(this->job, this->to_paths("c d e"), {});
  EXPECT_EQ(this->tracker->get_progress(this->job)->total_images, 5);
}

TYPED_TEST_P(TrackerConformance, ImageIdsIncreaseInTheOrderOfAdding) {
  this->create("z a");
  this->create("m");
  this->tracker->add_images(this->job, this->to_paths("b y"), {});

  const auto ids = this->ids("z a m b y");
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  EXPECT_EQ(this->pending_paths(), "z a m b y");
}

TYPED_TEST_P(TrackerConformance, ImagesAddedWhileOthersAreWorkedOnAreGivenToo) {
  this->create("a b");
  EXPECT_EQ(this->paths_of(this->claim()), "a b");
  this->tracker->add_images(this->job, this->to_paths("c"), {});

  EXPECT_EQ(this->paths_of(this->claim()), "c");
}

TYPED_TEST_P(TrackerConformance, JobsDoNotShareImages) {
  const auto first = this->create("a b", {}, "first");
  this->complete_all("a");
  const auto second = this->create("a", {}, "second");

  EXPECT_NE(first, second);
  EXPECT_EQ(this->counts_of(first), "1 0 1 0");
  EXPECT_EQ(this->counts_of(second), "1 0 0 0");
  EXPECT_NE(this->tracker->get_image_id(first, "a"), this->tracker->get_image_id(second, "a"));
}

// ---- get_job_id, list_jobs ----------------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, AJobIsFoundByItsExactName) {
  this->create("a", {}, "job");

  EXPECT_EQ(this->tracker->get_job_id("job"), this->job);
  EXPECT_EQ(this->tracker->get_job_id("Job"), std::nullopt);
  EXPECT_EQ(this->tracker->get_job_id("job "), std::nullopt);
  EXPECT_EQ(this->tracker->get_job_id("jo"), std::nullopt);
}

TYPED_TEST_P(TrackerConformance, ListJobsGivesThemOldestFirstWithExactCounts) {
  this->create("a b c d", {}, "z");
  this->complete_all("a");
  this->fail_all("b");
  this->claim(1);
  this->create({}, {}, "a");

  const auto jobs = this->tracker->list_jobs();
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(jobs[0].name, "z");
  EXPECT_EQ(this->listed(jobs[0].counts), "1 1 1 1");
  EXPECT_EQ(jobs[0].counts.total(), 4);
  EXPECT_EQ(jobs[0].upstream, std::nullopt);
  EXPECT_EQ(jobs[1].name, "a");
  EXPECT_EQ(jobs[1].counts.total(), 0);
}

TYPED_TEST_P(TrackerConformance, AJobIsCreatedOnceAndUpdatedByCheckpoints) {
  const auto start = std::chrono::system_clock::now() - std::chrono::milliseconds(1);
  this->create("a");
  const auto made = this->tracker->list_jobs().at(0);
  EXPECT_GE(made.created_at, start);
  EXPECT_LE(made.created_at, std::chrono::system_clock::now());
  EXPECT_EQ(made.updated_at, made.created_at);

  this->pass_a_millisecond();
  this->tracker->checkpoint(this->job);
  const auto updated = this->tracker->list_jobs().at(0);
  EXPECT_EQ(updated.created_at, made.created_at);
  EXPECT_GT(updated.updated_at, made.updated_at);
}

// ---- remove_job ---------------------------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, ARemovedJobIsGoneFromEveryView) {
  this->create("a b c");
  this->complete_all("a");
  this->fail_all("b");
  const auto image = this->id("a");
  const auto batch = this->batch_of(1, "a");
  this->tracker->remove_job(this->job);

  for (const auto& reading : this->reading_calls(this->job, image, batch)) {
    EXPECT_TRUE(reading.is_empty(*this->tracker)) << reading.name;
  }
  for (const auto& writing : this->writing_calls(this->job, image, batch)) {
    if (writing.name == "create_job") continue;
    EXPECT_EQ(error_of([&] { writing.call(*this->tracker); }), "not_found") << writing.name;
  }
  EXPECT_TRUE(this->tracker->list_jobs().empty());
  EXPECT_EQ(this->tracker->get_job_id("job"), std::nullopt);
}

TYPED_TEST_P(TrackerConformance, TheNameOfARemovedJobIsFree) {
  this->create("a b");
  this->complete_all("a");
  this->tracker->remove_job(this->job);
  this->create("b c");

  EXPECT_EQ(this->all_paths(), "b c");
  EXPECT_EQ(this->counts(), "2 0 0 0");
  EXPECT_EQ(this->progress(), "2 0 0 2");
}

TYPED_TEST_P(TrackerConformance, IdsOfARemovedJobAreNeverGivenOutAgain) {
  std::set<progress_tracker::JobId> jobs;
  std::set<progress_tracker::ImageId> images;
  std::set<progress_tracker::BatchId> batches;
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(jobs.insert(this->create("a")).second);
    EXPECT_TRUE(images.insert(this->id("a")).second);
    EXPECT_TRUE(batches.insert(this->tracker->create_batch(this->job, 1, 0)).second);
    this->tracker->remove_job(this->job);
  }
}

TYPED_TEST_P(TrackerConformance, RemovingAJobLeavesTheOthersAsTheyWere) {
  const auto gone = this->create("a b", {}, "gone");
  this->create("a b", {}, "kept");
  this->complete_all("a");
  this->batch_of(1, "a");
  const auto before = this->all_records();
  this->tracker->remove_job(gone);

  EXPECT_TRUE(this->all_records() == before);
  EXPECT_EQ(this->tracker->get_pending_batches(this->job).size(), 1U);
  EXPECT_EQ(this->tracker->list_jobs().size(), 1U);
}

TYPED_TEST_P(TrackerConformance, ALargeJobIsRemovedWhole) {
  this->create(this->numbered(45'000));
  this->claim(25'000);
  this->tracker->remove_job(this->job);
  EXPECT_TRUE(this->tracker->list_jobs().empty());
  EXPECT_TRUE(this->all_records().empty());

  this->create("000001.png");
  EXPECT_EQ(this->counts(), "1 0 0 0");
}

TYPED_TEST_P(TrackerConformance, AJobIsNotRemovedWhileAnotherLiveWorkerHoldsAnImage) {
  this->create("a b");
  auto other = this->traits.another();
  const auto held = other->claim_images(this->job, 1);

  this->expect_refused("invalid_transition", [&] { this->tracker->remove_job(this->job); });
  other->complete(held.at(0));
  this->tracker->remove_job(this->job);
  EXPECT_TRUE(this->tracker->list_jobs().empty());
}

TYPED_TEST_P(TrackerConformance, AJobIsRemovedWhoseImagesADeadWorkerHolds) {
  this->create("a");
  auto other = this->traits.another();
  other->claim_images(this->job);
  this->kill(std::move(other));

  this->tracker->remove_job(this->job);
  EXPECT_TRUE(this->tracker->list_jobs().empty());
  for (const auto& worker : this->tracker->list_workers()) EXPECT_EQ(worker.processing, 0);
}

TYPED_TEST_P(TrackerConformance, AJobIsRemovedWhoseImagesAClosedWorkerHolds) {
  this->create("a");
  auto other = this->traits.another();
  other->claim_images(this->job);
  other->close();

  this->tracker->remove_job(this->job);
  EXPECT_TRUE(this->tracker->list_jobs().empty());
}

TYPED_TEST_P(TrackerConformance, AJobIsRemovedWhoseImagesThisTrackerHolds) {
  this->create("a b");
  this->claim(1);

  this->tracker->remove_job(this->job);
  EXPECT_TRUE(this->tracker->list_jobs().empty());
}

TYPED_TEST_P(TrackerConformance, AJobIsNotRemovedWhileAnotherIsChainedToIt) {
  const auto upstream = this->create("a");
  const auto chained = this->tracker->chain_job("chained", upstream);

  this->expect_refused("invalid_transition", [&] { this->tracker->remove_job(upstream); });
  this->tracker->remove_job(chained);
  this->tracker->remove_job(upstream);
  EXPECT_TRUE(this->tracker->list_jobs().empty());
}

TYPED_TEST_P(TrackerConformance, AnUpstreamGoesOnAfterItsChainedJobIsRemoved) {
  const auto upstream = this->create("a b");
  this->complete_all("a");
  this->tracker->remove_job(this->tracker->chain_job("chained", upstream));
  this->complete_all("b");
  EXPECT_EQ(this->counts(), "0 0 2 0");

  const auto again = this->tracker->chain_job("chained", upstream);
  EXPECT_EQ(this->pending_paths(again), "a b");
}

// ---- chain_job ----------------------------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, AChainedJobBeginsWithWhatIsCompletedInTheUpstreamsOrder) {
  const auto upstream = this->create("a b c d", "train valid train test");
  this->complete_all("d a b");
  const auto chained = this->tracker->chain_job("chained", upstream);

  EXPECT_EQ(this->pending_paths(chained), "a b d");
  EXPECT_EQ(this->counts_of(chained), "3 0 0 0");
  const auto by_split = this->tracker->get_progress_by_split(chained);
  EXPECT_EQ(by_split.size(), 3U);
  EXPECT_EQ(this->listed(by_split.at("valid")), "1 0 0 0");
}

TYPED_TEST_P(TrackerConformance, CompletionsArriveInTheChainedJobInTheirOrder) {
  const auto upstream = this->create("a b c d", "1 2 3 4");
  const auto chained = this->tracker->chain_job("chained", upstream);
  EXPECT_EQ(this->counts_of(chained), "0 0 0 0");
  this->complete_all("c a d");

  this->job = chained;
  EXPECT_EQ(this->all_paths(), "c a d");
  EXPECT_EQ(this->tracker->get_image_split(this->id("c")), "3");
  EXPECT_EQ(this->status("a"), "pending");
  EXPECT_EQ(this->record("a").attempts, 0);
  EXPECT_EQ(this->tracker->get_progress(chained)->total_images, 3);
}

TYPED_TEST_P(TrackerConformance, EveryWayOfCompletingFeedsTheChainedJob) {
  const auto upstream = this->create("a b c d e");
  const auto chained = this->tracker->chain_job("chained", upstream);
  const auto claimed = this->claim(4);
  this->tracker->mark_completed(claimed[0].id);
  this->tracker->complete(claimed[1]);
  this->tracker->mark_outcomes(this->completions_of({claimed[3], claimed[2]}));
  this->tracker->mark_completed(this->id("e"));

  EXPECT_EQ(this->pending_paths(chained), "a b d c e");
}

TYPED_TEST_P(TrackerConformance, OnlyCompletionsArriveInTheChainedJob) {
  const auto upstream = this->create("a b c");
  const auto chained = this->tracker->chain_job("chained", upstream);
  this->fail_all("a");
  this->claim(1);
  EXPECT_EQ(this->pending_paths(chained), "");

  this->complete_all("a");
  EXPECT_EQ(this->pending_paths(chained), "a");
}

TYPED_TEST_P(TrackerConformance, AnImageArrivesInTheChainedJobOnce) {
  const auto upstream = this->create("a");
  const auto chained = this->tracker->chain_job("chained", upstream);
  this->complete_all("a a");
  this->tracker->mark_completed(*this->tracker->get_image_id(chained, "a"));
  this->complete_all("a");
  EXPECT_EQ(this->tracker->chain_job("chained", upstream), chained);

  EXPECT_EQ(this->counts_of(chained), "0 0 1 0");
}

TYPED_TEST_P(TrackerConformance, StagesFollowOneAnother) {
  const auto segment = this->create("a b", {}, "segment");
  const auto annotate = this->tracker->chain_job("annotate", segment);
  const auto upload = this->tracker->chain_job("upload", annotate);
  this->complete_all("b a");
  EXPECT_EQ(this->pending_paths(annotate), "b a");
  EXPECT_EQ(this->pending_paths(upload), "");

  for (const auto& image : this->tracker->claim_images(annotate, 1)) this->tracker->complete(image);
  EXPECT_EQ(this->pending_paths(upload), "b");
}

TYPED_TEST_P(TrackerConformance, OneUpstreamMayFeedSeveralJobs) {
  const auto upstream = this->create("a b");
  const auto first = this->tracker->chain_job("first", upstream);
  this->complete_all("b");
  const auto second = this->tracker->chain_job("second", upstream);
  this->complete_all("a");

  EXPECT_EQ(this->pending_paths(first), "b a");
  EXPECT_EQ(this->pending_paths(second), "b a");
}

TYPED_TEST_P(TrackerConformance, ChainJobAgainFindsTheJob) {
  const auto upstream = this->create("a b");
  const auto chained = this->tracker->chain_job("chained", upstream);
  this->complete_all("a");

  EXPECT_EQ(this->tracker->chain_job("chained", upstream), chained);
  EXPECT_EQ(this->tracker->get_job_id("chained"), chained);
  EXPECT_EQ(this->tracker->list_jobs().at(1).upstream, upstream);
  EXPECT_EQ(this->counts_of(chained), "1 0 0 0");
}

TYPED_TEST_P(TrackerConformance, ChainJobRefusesANameThatIsTaken) {
  const auto first = this->create("a", {}, "first");
  const auto second = this->create("a", {}, "second");
  this->tracker->chain_job("chained", first);

  this->expect_refused("invalid_argument", [&] { this->tracker->chain_job("second", first); });
  this->expect_refused("invalid_argument", [&] { this->tracker->chain_job("first", first); });
  this->expect_refused("invalid_argument", [&] { this->tracker->chain_job("chained", second); });
}

TYPED_TEST_P(TrackerConformance, ChainJobChecksTheNameThenTheUpstreamThenWhetherTheyFit) {
  this->create("a", {}, "plain");

  this->expect_refused("invalid_argument", [&] { this->tracker->chain_job("", this->kNoJob); });
  this->expect_refused("not_found", [&] { this->tracker->chain_job("plain", this->kNoJob); });
}

TYPED_TEST_P(TrackerConformance, NothingIsAddedToAChainedJobByHand) {
  const auto upstream = this->create("a");
  const auto chained = this->tracker->chain_job("chained", upstream);
  const auto paths = this->to_paths("x");

  this->expect_refused("invalid_argument",
                       [&] { this->tracker->create_job("chained", paths, {}); });
  this->expect_refused("invalid_argument", [&] { this->tracker->add_images(chained, paths, {}); });
}

TYPED_TEST_P(TrackerConformance, CompletionsOfManyThreadsArriveInTheChainedJobOnceEach) {
  const auto upstream = this->create(this->numbered(800));
  const auto chained = this->tracker->chain_job("chained", upstream);
  this->in_threads(8, [&](int) {
    for (auto images = this->claim(10); !images.empty(); images = this->claim(10)) {
      this->tracker->mark_outcomes(this->completions_of(images));
    }
  });

  EXPECT_EQ(this->pending_paths(chained).sorted(), this->numbered(800));
}

// ---- get_pending_images, claim_images -----------------------------------------------------------

TYPED_TEST_P(TrackerConformance, PendingImagesComeInTheOrderOfAddingAndStayPending) {
  this->create("c a b", "x y z");
  const auto images = this->tracker->get_pending_images(this->job, 2);

  EXPECT_EQ(this->paths_of(images), "c a");
  EXPECT_EQ(images.at(1).split, "y");
  EXPECT_EQ(images.at(1).attempt, 0);
  EXPECT_EQ(this->counts(), "3 0 0 0");
  EXPECT_TRUE(this->tracker->get_pending_images(this->job, 2) == images);
}

TYPED_TEST_P(TrackerConformance, TheLimitIsAHundredUnlessGiven) {
  this->create(this->numbered(150));

  EXPECT_EQ(this->tracker->get_pending_images(this->job).size(), 100U);
  EXPECT_EQ(this->tracker->claim_images(this->job).size(), 100U);
  EXPECT_EQ(this->tracker->claim_images(this->job).size(), 50U);
}

TYPED_TEST_P(TrackerConformance, ClaimsComeInTheOrderOfAddingAndMarkProcessing) {
  this->create("c a b", "x y z");
  const auto images = this->claim(2);

  EXPECT_EQ(this->paths_of(images), "c a");
  EXPECT_EQ(images.at(1).split, "y");
  EXPECT_EQ(images.at(1).id, this->id("a"));
  EXPECT_EQ(this->status("a"), "processing");
  EXPECT_TRUE(this->record("a").started_at);
  EXPECT_FALSE(this->record("a").finished_at);
  EXPECT_EQ(this->counts(), "1 2 0 0");
  EXPECT_EQ(this->paths_of(this->claim(2)), "b");
  EXPECT_TRUE(this->claim(2).empty());
}

TYPED_TEST_P(TrackerConformance, AClaimCarriesItsAttempt) {
  this->create("a");
  for (int attempt = 1; attempt <= 3; ++attempt) {
    const auto image = this->claim_one();
    EXPECT_EQ(image.attempt, attempt);
    EXPECT_EQ(this->record("a").attempts, attempt);
    EXPECT_EQ(this->record("a").image.attempt, 0);
    this->tracker->release_images(std::span(&image, 1));
  }
}

TYPED_TEST_P(TrackerConformance, ALimitOfZeroGivesNothingAndDoesNothing) {
  this->create("a");
  this->fail_all("a");
  this->create("b");

  EXPECT_TRUE(this->claim(0).empty());
  EXPECT_TRUE(this->tracker->get_pending_images(this->job, 0).empty());
  EXPECT_TRUE(this->tracker->get_images(this->job, {}, 0).empty());
  EXPECT_TRUE(this->tracker->get_error_summary(this->job, 0).empty());
  EXPECT_TRUE(this->tracker->get_unbatched_images(this->job, 0).empty());
  EXPECT_EQ(this->counts(), "1 0 0 1");
}

TYPED_TEST_P(TrackerConformance, ALimitAboveAllNumbersMeansAll) {
  this->create("a b c");
  const std::size_t limits[] = {this->kAll, static_cast<std::size_t>(1) << 63,
                                (static_cast<std::size_t>(1) << 63) - 1};
  for (const std::size_t limit : limits) {
    EXPECT_EQ(this->tracker->get_pending_images(this->job, limit).size(), 3U);
    EXPECT_EQ(this->tracker->get_images(this->job, {}, limit).size(), 3U);
    const auto claimed = this->claim(limit);
    EXPECT_EQ(claimed.size(), 3U);
    this->tracker->release_images(claimed);
  }
  this->fail_all("a");
  EXPECT_EQ(this->tracker->get_error_summary(this->job, this->kAll).size(), 1U);
  this->complete_all("a");
  EXPECT_EQ(this->tracker->get_unbatched_images(this->job, this->kAll).size(), 1U);
}

TYPED_TEST_P(TrackerConformance, OfEightThreadsThatClaimNoneGetsAnImageOfAnother) {
  this->create(this->numbered(2'000));
  std::vector<std::vector<progress_tracker::ImageId>> claimed(8);
  this->in_threads(8, [&](int thread) {
    auto& mine = claimed[static_cast<std::size_t>(thread)];
    for (auto images = this->claim(7); !images.empty(); images = this->claim(7)) {
      for (const auto& image : images) mine.push_back(image.id);
    }
  });

  std::set<progress_tracker::ImageId> distinct;
  std::size_t total = 0;
  for (const auto& mine : claimed) {
    total += mine.size();
    distinct.insert(mine.begin(), mine.end());
  }
  EXPECT_EQ(total, 2'000U);
  EXPECT_EQ(distinct.size(), 2'000U);
  EXPECT_EQ(this->counts(), "0 2000 0 0");
}

TYPED_TEST_P(TrackerConformance, OfEightWorkersThatClaimNoneGetsAnImageOfAnother) {
  this->create(this->numbered(2'000));
  std::vector<std::unique_ptr<progress_tracker::Tracker>> workers;
  for (int i = 0; i < 8; ++i) workers.push_back(this->traits.another());
  std::atomic<std::size_t> claimed{0};
  std::atomic<std::size_t> applied{0};
  this->in_threads(8, [&](int thread) {
    auto& worker = *workers[static_cast<std::size_t>(thread)];
    for (auto images = worker.claim_images(this->job, 7); !images.empty();
         images = worker.claim_images(this->job, 7)) {
      claimed += images.size();
      applied += worker.mark_outcomes(this->completions_of(images));
    }
  });

  EXPECT_EQ(claimed, 2'000U);
  EXPECT_EQ(applied, 2'000U);
  EXPECT_EQ(this->counts(), "0 0 2000 0");
  for (const auto& record : this->all_records()) EXPECT_EQ(record.attempts, 1);
}

// ---- mark_processing ----------------------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, MarkProcessingStartsTheWholeList) {
  this->create("a b c");
  this->tracker->mark_processing(this->ids("c a"));

  EXPECT_EQ(this->counts(), "1 2 0 0");
  EXPECT_EQ(this->record("a").attempts, 1);
  EXPECT_TRUE(this->record("a").started_at);
  EXPECT_EQ(this->paths_of(this->claim()), "b");
}

TYPED_TEST_P(TrackerConformance, MarkProcessingCountsAnIdListedTwiceOnce) {
  this->create("a b");
  this->tracker->mark_processing(this->ids("a b a"));

  EXPECT_EQ(this->counts(), "0 2 0 0");
  EXPECT_EQ(this->record("a").attempts, 1);
}

TYPED_TEST_P(TrackerConformance, MarkProcessingIsTheWholeListOrNothing) {
  this->create("a b c d");
  this->complete_all("b");
  this->fail_all("c");
  this->tracker->mark_processing(this->ids("d"));

  for (const char* other : {"b", "c", "d"}) {
    this->expect_refused("invalid_transition", [&] {
      this->tracker->mark_processing(this->ids(std::string("a ") + other));
    });
  }
  const std::vector<progress_tracker::ImageId> unknown{this->id("a"), this->kNoImage};
  this->expect_refused("not_found", [&] { this->tracker->mark_processing(unknown); });
}

TYPED_TEST_P(TrackerConformance, MarkProcessingLooksForUnknownIdsBeforeItLooksAtStates) {
  this->create("a");
  this->complete_all("a");
  const std::vector<progress_tracker::ImageId> both{this->id("a"), this->kNoImage};

  this->expect_refused("not_found", [&] { this->tracker->mark_processing(both); });
}

// ---- mark_completed, mark_error -----------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, AMarkFromPendingCountsAnAttemptAndSetsBothTimes) {
  this->create("a b");
  this->complete_all("a");
  this->fail_all("b", "broken");

  EXPECT_EQ(this->status("a"), "completed");
  EXPECT_EQ(this->status("b"), "error");
  EXPECT_EQ(this->message("b"), "broken");
  for (const auto& record : this->all_records()) {
    EXPECT_EQ(record.attempts, 1);
    ASSERT_TRUE(record.started_at);
    ASSERT_TRUE(record.finished_at);
    EXPECT_LE(*record.started_at, *record.finished_at);
  }
  EXPECT_EQ(this->counts(), "0 0 1 1");
}

TYPED_TEST_P(TrackerConformance, AMarkFromProcessingKeepsTheStartAndTheAttempt) {
  this->create("a b");
  this->claim();
  const auto before = this->all_records();
  this->pass_a_millisecond();
  this->complete_all("a");
  this->fail_all("b");

  const auto after = this->all_records();
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(after[i].attempts, 1);
    EXPECT_EQ(after[i].started_at, before[i].started_at);
    EXPECT_GT(after[i].finished_at, before[i].started_at);
  }
}

TYPED_TEST_P(TrackerConformance, AMarkFromErrorKeepsTheStartAndTheAttempt) {
  this->create("a b");
  this->fail_all("a b", "first");
  const auto before = this->all_records();
  this->pass_a_millisecond();
  this->complete_all("a");
  this->fail_all("b", "second");

  const auto after = this->all_records();
  EXPECT_EQ(this->status("a"), "completed");
  EXPECT_EQ(this->message("a"), "");
  EXPECT_EQ(this->message("b"), "second");
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(after[i].attempts, 1);
    EXPECT_EQ(after[i].started_at, before[i].started_at);
    EXPECT_GT(after[i].finished_at, before[i].finished_at);
  }
}

TYPED_TEST_P(TrackerConformance, CompletingAgainChangesNothing) {
  this->create("a");
  this->complete_all("a");
  const auto before = this->record("a");
  this->pass_a_millisecond();
  this->complete_all("a");

  EXPECT_TRUE(this->record("a") == before);
}

TYPED_TEST_P(TrackerConformance, AnErrorForACompletedImageIsRefused) {
  this->create("a");
  this->complete_all("a");

  this->expect_refused("invalid_transition",
                       [&] { this->tracker->mark_error(this->id("a"), "late"); });
}

TYPED_TEST_P(TrackerConformance, AnyTrackerMayMarkAnyImageById) {
  this->create("a b c");
  this->claim(2);
  const auto ids = this->ids("a b c");
  auto other = this->traits.another();
  other->mark_completed(ids[0]);
  other->mark_error(ids[1], "broken");
  other->mark_completed(ids[2]);

  EXPECT_EQ(this->counts(), "0 0 2 1");
}

TYPED_TEST_P(TrackerConformance, WhatWasMarkedIsHeldByNobody) {
  this->create("a b");
  this->claim();
  this->complete_all("a");
  this->fail_all("b");
  EXPECT_EQ(this->tracker->reset_stuck_images(this->job), 0U);

  this->crash();
  EXPECT_EQ(this->tracker->reset_stuck_images(this->job), 0U);
  EXPECT_EQ(this->counts(), "0 0 1 1");
  EXPECT_EQ(this->record("b").deaths, 0);
}

TYPED_TEST_P(TrackerConformance, MarksOfEightThreadsAreAllCounted) {
  this->create(this->numbered(800));
  const auto images = this->claim();
  this->in_threads(8, [&](int thread) {
    for (auto i = static_cast<std::size_t>(thread); i < images.size(); i += 8) {
      if (i % 4 == 3) {
        this->tracker->mark_error(images[i].id, "broken");
      } else {
        this->tracker->mark_completed(images[i].id);
      }
    }
  });

  EXPECT_EQ(this->counts(), "0 0 600 200");
}

TYPED_TEST_P(TrackerConformance, ReadersSeeEveryImageOnceWhileOthersWrite) {
  constexpr std::int64_t kImages = 600;
  this->create(this->numbered(kImages));
  std::atomic<int> working{3};
  this->in_threads(4, [&](int thread) {
    if (thread > 0) {
      for (auto images = this->claim(5); !images.empty(); images = this->claim(5)) {
        this->tracker->mark_outcomes(this->completions_of(images));
      }
      --working;
      return;
    }
    while (working > 0) {
      EXPECT_EQ(this->tracker->get_status_counts(this->job)->total(), kImages);
      EXPECT_EQ(this->tracker->list_jobs().at(0).counts.total(), kImages);
    }
  });
  EXPECT_EQ(this->counts(), "0 0 600 0");
}

// ---- Error messages -----------------------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, AnErrorMessageIsStoredAsGiven) {
  const std::vector<std::string> messages{"",
                                          "broken",
                                          "two\nlines\t\x1b[1m",
                                          "caf\xc3\xa9 \xf0\x9f\x93\xb7",
                                          "'quoted' \"twice\" %s",
                                          std::string(65'536, 'x')};
  this->create("a");
  for (const std::string& message : messages) {
    this->fail_all("a", message);
    EXPECT_EQ(this->message("a"), message);
    EXPECT_EQ(this->status("a"), "error");
  }
}

TYPED_TEST_P(TrackerConformance, InvalidBytesAndNulInAnErrorMessageAreReplaced) {
  using namespace std::string_view_literals;
  this->create("a");
  this->fail_all("a", "x\0y\xffz"sv);

  EXPECT_EQ(this->message("a"), "x\xef\xbf\xbdy\xef\xbf\xbdz");
}

TYPED_TEST_P(TrackerConformance, ALongErrorMessageIsCutAtACharacterWithAVisibleMark) {
  std::string camera;
  while (camera.size() < 70'000) camera += "\xf0\x9f\x93\xb7";
  this->create("a");
  for (const std::string& lead : {std::string(), std::string("x"), std::string("xx")}) {
    this->fail_all("a", lead + camera);
    const std::string message = this->message("a");
    EXPECT_LE(message.size(), progress_tracker::kMaxMessageBytes);
    EXPECT_GT(message.size(), progress_tracker::kMaxMessageBytes - 8);
    EXPECT_TRUE(progress_tracker::is_valid_utf8(message));
    EXPECT_THAT(message, testing::StartsWith(lead + "\xf0\x9f\x93\xb7"));
    EXPECT_THAT(message, testing::EndsWith("\xe2\x80\xa6 [cut]"));
  }
}

TYPED_TEST_P(TrackerConformance, EveryWayToGiveAnErrorMessageCleansIt) {
  using namespace std::string_view_literals;
  constexpr std::string_view kRaw = "x\0"sv;
  constexpr std::string_view kClean = "x\xef\xbf\xbd"sv;
  this->create("a b c d");
  this->tracker->mark_error(this->id("a"), kRaw);
  this->tracker->fail(this->claim_one(), kRaw);
  const std::vector<progress_tracker::Outcome> outcomes{{this->id("c"), 0, std::string(kRaw)}};
  this->tracker->mark_outcomes(outcomes);
  EXPECT_EQ(this->message("a"), kClean);
  EXPECT_EQ(this->message("b"), kClean);
  EXPECT_EQ(this->message("c"), kClean);

  const auto batch = this->tracker->create_batch(this->job, 1, 0);
  this->tracker->mark_batch_error(batch, kRaw);
  EXPECT_EQ(this->batch(batch).upload_error, kClean);
}

// ---- mark_outcomes, complete, fail --------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, OutcomesUnderTheirAttemptAreApplied) {
  this->create("a b");
  const auto images = this->claim();
  const std::vector<progress_tracker::Outcome> outcomes{
      {images[0].id, images[0].attempt, std::nullopt}, {images[1].id, images[1].attempt, "broken"}};

  EXPECT_EQ(this->tracker->mark_outcomes(outcomes), 2U);
  EXPECT_EQ(this->status("a"), "completed");
  EXPECT_EQ(this->status("b"), "error");
  EXPECT_EQ(this->message("b"), "broken");
  EXPECT_TRUE(this->record("b").finished_at);
}

TYPED_TEST_P(TrackerConformance, AnOutcomeOfAnEarlierAttemptIsSkipped) {
  this->create("a");
  const auto lost = this->claim_one();
  this->tracker->reset_stuck_images(this->job);
  const auto current = this->claim_one();

  EXPECT_FALSE(this->tracker->complete(lost));
  EXPECT_FALSE(this->tracker->fail(lost, "late"));
  EXPECT_EQ(this->status("a"), "processing");
  EXPECT_TRUE(this->tracker->complete(current));
}

TYPED_TEST_P(TrackerConformance, AnOutcomeForAnImageThatWasGivenBackIsSkipped) {
  this->create("a");
  const auto image = this->claim_one();
  this->tracker->release_images(std::span(&image, 1));

  EXPECT_FALSE(this->tracker->complete(image));
  EXPECT_FALSE(this->tracker->fail(image, "late"));
  EXPECT_EQ(this->status("a"), "pending");
  EXPECT_EQ(this->message("a"), "");
}

TYPED_TEST_P(TrackerConformance, AnOutcomeWithAnAttemptThatNeverWasIsSkipped) {
  this->create("a b");
  const auto image = this->claim_one();
  for (const int attempt :
       {-1, 2, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()}) {
    const std::vector<progress_tracker::Outcome> outcomes{{image.id, attempt, std::nullopt},
                                                          {this->id("b"), attempt, "broken"}};
    EXPECT_EQ(this->tracker->mark_outcomes(outcomes), 0U) << attempt;
  }
  EXPECT_EQ(this->counts(), "1 1 0 0");
}

TYPED_TEST_P(TrackerConformance, AnOutcomeOfADeadWorkerAppliesUntilItsImageIsStartedAgain) {
  this->create("a b");
  auto worker = this->traits.another();
  const auto held = worker->claim_images(this->job);
  this->kill(std::move(worker));
  EXPECT_TRUE(this->tracker->complete(held.at(0)));

  this->tracker->reset_stuck_images(this->job);
  EXPECT_FALSE(this->tracker->complete(held.at(1)));
  this->claim_one();
  EXPECT_FALSE(this->tracker->complete(held.at(1)));
  EXPECT_EQ(this->counts(), "0 1 1 0");
}

TYPED_TEST_P(TrackerConformance, UnfencedOutcomesApplyWhoeverHoldsTheImage) {
  this->create("a b c");
  auto other = this->traits.another();
  other->claim_images(this->job, 1);
  const std::vector<progress_tracker::Outcome> outcomes{
      {this->id("a"), 0, std::nullopt}, {this->id("b"), 0, std::nullopt}, {this->id("c"), 0, "x"}};

  EXPECT_EQ(this->tracker->mark_outcomes(outcomes), 3U);
  EXPECT_EQ(this->counts(), "0 0 2 1");
  EXPECT_EQ(this->record("a").attempts, 1);
  EXPECT_EQ(this->record("b").attempts, 1);
  EXPECT_TRUE(this->record("b").started_at);
}

// Neighbours in one list, as a loop over get_pending_images() gives them, while others are at work.
TYPED_TEST_P(TrackerConformance, UnfencedCompletionsOfNeighboursApplyWhereverEachStands) {
  this->create("a b c d e f g h i", "x x y y x y x x y");
  auto other = this->traits.another();
  other->mark_processing(this->ids("c d e"));
  other->release_images(std::vector{this->record("e").image});
  this->fail_all("f");
  this->complete_all("g");
  std::vector<progress_tracker::Outcome> outcomes;
  for (const auto id : this->ids("a b c d e f g h")) outcomes.push_back({id, 0, std::nullopt});

  EXPECT_EQ(this->tracker->mark_outcomes(outcomes), 8U);

  EXPECT_EQ(this->counts(), "1 0 8 0");
  const auto splits = this->tracker->get_progress_by_split(this->job);
  EXPECT_EQ(this->listed(splits.at("x")), "0 0 5 0");
  EXPECT_EQ(this->listed(splits.at("y")), "1 0 3 0");
  for (const char* path : {"a", "b", "c", "d", "f", "g", "h"}) {
    EXPECT_EQ(this->record(path).attempts, 1) << path;
  }
  EXPECT_EQ(this->record("e").attempts, 2) << "a mark starts a pending image";
  EXPECT_EQ(this->message("f"), "");
  EXPECT_TRUE(this->record("a").started_at && this->record("a").finished_at);
  EXPECT_EQ(this->paths_of(this->claim()), "i");
}

TYPED_TEST_P(TrackerConformance,
             CompletingAgainUnderTheSameAttemptCountsAsAppliedAndChangesNothing) {
  this->create("a");
  const auto image = this->claim_one();
  EXPECT_TRUE(this->tracker->complete(image));
  const auto before = this->record("a");
  this->pass_a_millisecond();

  EXPECT_TRUE(this->tracker->complete(image));
  const std::vector<progress_tracker::Outcome> unfenced{{image.id, 0, std::nullopt}};
  EXPECT_EQ(this->tracker->mark_outcomes(unfenced), 1U);
  EXPECT_TRUE(this->record("a") == before);
}

TYPED_TEST_P(TrackerConformance, CompletingACompletedImageUnderAnotherAttemptIsSkipped) {
  this->create("a");
  auto lost = this->claim_one();
  this->tracker->release_images(std::span(&lost, 1));
  this->tracker->complete(this->claim_one());

  EXPECT_FALSE(this->tracker->complete(lost));
}

TYPED_TEST_P(TrackerConformance, AnErrorOutcomeForACompletedImageIsSkipped) {
  this->create("a");
  const auto image = this->claim_one();
  this->tracker->complete(image);
  const auto before = this->record("a");
  this->pass_a_millisecond();

  EXPECT_FALSE(this->tracker->fail(image, "late"));
  const std::vector<progress_tracker::Outcome> unfenced{{image.id, 0, "late"}};
  EXPECT_EQ(this->tracker->mark_outcomes(unfenced), 0U);
  EXPECT_TRUE(this->record("a") == before);
}

TYPED_TEST_P(TrackerConformance, AnErrorRepeatedUnderTheSameAttemptIsApplied) {
  this->create("a");
  const auto image = this->claim_one();
  EXPECT_TRUE(this->tracker->fail(image, "first"));
  EXPECT_TRUE(this->tracker->fail(image, "second"));

  EXPECT_EQ(this->message("a"), "second");
  EXPECT_EQ(this->record("a").attempts, 1);
  EXPECT_EQ(this->counts(), "0 0 0 1");
}

TYPED_TEST_P(TrackerConformance, AnErrorMayBecomeACompletionUnderTheSameAttempt) {
  this->create("a");
  const auto image = this->claim_one();
  this->tracker->fail(image, "broken");

  EXPECT_TRUE(this->tracker->complete(image));
  EXPECT_EQ(this->status("a"), "completed");
  EXPECT_EQ(this->message("a"), "");
}

TYPED_TEST_P(TrackerConformance, OutcomesAreAppliedInListOrder) {
  this->create("a b");
  const auto images = this->claim();
  const auto& a = images[0];
  const auto& b = images[1];
  const std::vector<progress_tracker::Outcome> outcomes{
      {a.id, a.attempt, "first"},  {a.id, a.attempt, "second"},
      {b.id, b.attempt, "broken"}, {b.id, b.attempt, std::nullopt},
      {b.id, b.attempt, "late"},   {b.id, b.attempt, std::nullopt}};

  EXPECT_EQ(this->tracker->mark_outcomes(outcomes), 5U);
  EXPECT_EQ(this->message("a"), "second");
  EXPECT_EQ(this->status("b"), "completed");
  EXPECT_EQ(this->counts(), "0 0 1 1");
}

TYPED_TEST_P(TrackerConformance, OutcomesMaySpanJobs) {
  const auto first = this->create("a", {}, "first");
  const auto a = this->claim_one();
  const auto second = this->create("a", {}, "second");
  const auto b = this->claim_one();

  EXPECT_EQ(this->tracker->mark_outcomes(this->completions_of({b, a})), 2U);
  EXPECT_EQ(this->counts_of(first), "0 0 1 0");
  EXPECT_EQ(this->counts_of(second), "0 0 1 0");
}

TYPED_TEST_P(TrackerConformance, OutcomesWithAnUnknownIdAreNoneApplied) {
  this->create("a");
  const auto image = this->claim_one();
  const std::vector<progress_tracker::Outcome> outcomes{{image.id, image.attempt, std::nullopt},
                                                        {this->kNoImage, 1, std::nullopt}};

  this->expect_refused("not_found", [&] { this->tracker->mark_outcomes(outcomes); });
}

TYPED_TEST_P(TrackerConformance, ManyOutcomesAreOneStep) {
  this->create(this->numbered(5'000));
  const auto images = this->claim();

  EXPECT_EQ(this->tracker->mark_outcomes(this->completions_of(images)), 5'000U);
  EXPECT_EQ(this->tracker->mark_outcomes(this->completions_of(images)), 5'000U);
  EXPECT_EQ(this->counts(), "0 0 5000 0");
}

// ---- release_images -----------------------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, ReleasedImagesArePendingAgainInTheirOldPlace) {
  this->create("a b c d");
  const auto images = this->claim(3);
  const auto before = this->record("b");

  EXPECT_EQ(this->tracker->release_images(std::span(images).subspan(1)), 2U);
  EXPECT_EQ(this->pending_paths(), "b c d");
  EXPECT_EQ(this->record("b").deaths, 0);
  EXPECT_EQ(this->record("b").attempts, 1);
  EXPECT_EQ(this->record("b").started_at, before.started_at);
  EXPECT_EQ(this->record("b").finished_at, std::nullopt);
  EXPECT_EQ(this->paths_of(this->claim(2)), "b c");
}

TYPED_TEST_P(TrackerConformance, ReleaseSkipsWhatIsStaleOrNotProcessing) {
  this->create("stale done failed held");
  const auto images = this->claim();
  this->tracker->release_images(std::span(images).first(1));
  this->claim_one();
  this->tracker->complete(images[1]);
  this->tracker->fail(images[2], "broken");

  EXPECT_EQ(this->tracker->release_images(images), 1U);
  EXPECT_EQ(this->status("stale"), "processing");
  EXPECT_EQ(this->status("done"), "completed");
  EXPECT_EQ(this->status("failed"), "error");
  EXPECT_EQ(this->status("held"), "pending");
}

TYPED_TEST_P(TrackerConformance, AnImageListedTwiceIsReleasedOnce) {
  this->create("a");
  const auto image = this->claim_one();
  const std::vector<progress_tracker::Image> twice{image, image};

  EXPECT_EQ(this->tracker->release_images(twice), 1U);
  EXPECT_EQ(this->tracker->release_images(twice), 0U);
}

TYPED_TEST_P(TrackerConformance, AnUnfencedReleaseGivesBackWhoeverHoldsTheImage) {
  this->create("a b");
  auto other = this->traits.another();
  auto images = other->claim_images(this->job);
  EXPECT_EQ(this->tracker->release_images(std::span(images).first(1)), 1U);

  images.at(1).attempt = 0;
  EXPECT_EQ(this->tracker->release_images(std::span(images).subspan(1)), 1U);
  EXPECT_EQ(this->counts(), "2 0 0 0");
}

TYPED_TEST_P(TrackerConformance, AReleaseWithAnUnknownIdGivesNothingBack) {
  this->create("a");
  std::vector<progress_tracker::Image> images{this->claim_one(), {}};
  images[1].id = this->kNoImage;

  this->expect_refused("not_found", [&] { this->tracker->release_images(images); });
}

// ---- Death: reset_stuck_images and claim_images -------------------------------------------------

TYPED_TEST_P(TrackerConformance, ResetGivesBackWhatThisTrackerHoldsWithoutADeath) {
  this->create("a b c");
  this->claim(1);
  this->tracker->mark_processing(this->ids("b"));

  EXPECT_EQ(this->tracker->reset_stuck_images(this->job), 2U);
  EXPECT_EQ(this->pending_paths(), "a b c");
  EXPECT_EQ(this->record("a").deaths, 0);
  EXPECT_EQ(this->record("a").attempts, 1);
  EXPECT_TRUE(this->record("a").started_at);
}

TYPED_TEST_P(TrackerConformance, ResetGivesBackWhatOtherThreadsOfThisTrackerHold) {
  this->create("a b");
  this->in_threads(2, [&](int) { this->claim(1); });

  EXPECT_EQ(this->tracker->reset_stuck_images(this->job), 2U);
  EXPECT_EQ(this->counts(), "2 0 0 0");
}

TYPED_TEST_P(TrackerConformance, ResetTakesNothingFromAnotherLiveWorker) {
  this->create("a b c");
  auto other = this->traits.another();
  const auto held = other->claim_images(this->job, 1);
  other->mark_processing(this->ids("b"));
  this->claim(1);

  EXPECT_EQ(this->tracker->reset_stuck_images(this->job), 1U);
  EXPECT_EQ(this->pending_paths(), "c");
  EXPECT_TRUE(other->complete(held.at(0)));
}

TYPED_TEST_P(TrackerConformance, ResetGivesBackAtOnceWhatADeadWorkerHeldAndCountsADeath) {
  this->create("a b c");
  this->claim(2);
  this->crash();
  EXPECT_EQ(this->counts(), "1 2 0 0");

  EXPECT_EQ(this->tracker->reset_stuck_images(this->job), 2U);
  EXPECT_EQ(this->counts(), "3 0 0 0");
  EXPECT_EQ(this->record("a").deaths, 1);
  EXPECT_EQ(this->record("a").attempts, 1);
  EXPECT_TRUE(this->record("a").started_at);
  EXPECT_EQ(this->record("c").deaths, 0);
}

TYPED_TEST_P(TrackerConformance, WhatMarkProcessingHoldsIsTakenBackFromTheDeadToo) {
  this->create("a b");
  this->tracker->mark_processing(this->ids("b"));
  this->crash();

  EXPECT_EQ(this->tracker->reset_stuck_images(this->job), 1U);
  EXPECT_EQ(this->record("b").deaths, 1);
}

TYPED_TEST_P(TrackerConformance, ADeathCountsOnce) {
  this->create("a");
  this->claim();
  this->crash();
  this->tracker->reset_stuck_images(this->job);

  EXPECT_EQ(this->tracker->reset_stuck_images(this->job), 0U);
  EXPECT_EQ(this->record("a").deaths, 1);
}

TYPED_TEST_P(TrackerConformance, DeathsAddUpAndNothingElseChangesThem) {
  this->create("a");
  for (int death = 1; death <= 3; ++death) {
    this->claim();
    this->crash();
    this->tracker->reset_stuck_images(this->job);
    EXPECT_EQ(this->record("a").deaths, death);
  }
  const auto image = this->claim_one();
  this->tracker->release_images(std::span(&image, 1));
  this->fail_all("a");
  this->tracker->reset_error_images(this->job);
  this->complete_all("a");
  EXPECT_EQ(this->record("a").deaths, 3);
  EXPECT_EQ(this->record("a").attempts, 6);
}

TYPED_TEST_P(TrackerConformance, WorkThatWasDoneBeforeADeathStaysDone) {
  this->create("a b c");
  const auto images = this->claim();
  this->tracker->complete(images[0]);
  this->tracker->fail(images[1], "broken");
  const auto before = this->all_records();
  this->crash();
  this->tracker->reset_stuck_images(this->job);

  EXPECT_TRUE(this->record("a") == before[0]);
  EXPECT_TRUE(this->record("b") == before[1]);
  EXPECT_EQ(this->status("c"), "pending");
}

TYPED_TEST_P(TrackerConformance, AClosedTrackersImagesStayProcessingAndComeBackWithoutADeath) {
  this->create("a b");
  auto other = this->traits.another();
  other->claim_images(this->job, 1);
  other->close();
  EXPECT_EQ(this->counts(), "1 1 0 0");

  EXPECT_EQ(this->tracker->reset_stuck_images(this->job), 1U);
  EXPECT_EQ(this->record("a").deaths, 0);
}

TYPED_TEST_P(TrackerConformance, ADestroyedTrackersImagesComeBackWithoutADeath) {
  this->create("a b");
  auto other = this->traits.another();
  other->claim_images(this->job, 1);
  other.reset();
  EXPECT_EQ(this->counts(), "1 1 0 0");

  EXPECT_EQ(this->tracker->reset_stuck_images(this->job), 1U);
  EXPECT_EQ(this->record("a").deaths, 0);
}

TYPED_TEST_P(TrackerConformance, ResetLeavesOtherJobsAlone) {
  const auto first = this->create("a", {}, "first");
  this->claim();
  this->create("a", {}, "second");
  this->claim();

  EXPECT_EQ(this->tracker->reset_stuck_images(this->job), 1U);
  EXPECT_EQ(this->counts_of(first), "0 1 0 0");
}

TYPED_TEST_P(TrackerConformance, ResetGivesBackALargeNumber) {
  this->create(this->numbered(30'000));
  this->claim();
  this->crash();

  EXPECT_EQ(this->tracker->reset_stuck_images(this->job), 30'000U);
  EXPECT_EQ(this->counts(), "30000 0 0 0");
}

TYPED_TEST_P(TrackerConformance, ResetProcessingImagesIsTheSameByItsOlderName) {
  this->create("a b");
  auto other = this->traits.another();
  other->claim_images(this->job, 1);
  this->claim(1);
  this->tracker->reset_processing_images(this->job);

  EXPECT_EQ(this->counts(), "1 1 0 0");
}

TYPED_TEST_P(TrackerConformance, AResetThatBringsNoErrorDoesNotCheckpoint) {
  this->create("a b");
  this->complete_all("a");
  this->claim();
  this->tracker->reset_stuck_images(this->job);

  EXPECT_EQ(this->progress(), "2 0 0 2");
}

TYPED_TEST_P(TrackerConformance, ImagesWithADeathComeAfterAllOthers) {
  this->create("a b c d");
  this->crash_while_processing("a c");

  EXPECT_EQ(this->pending_paths(), "b d a c");
  EXPECT_EQ(this->paths_of(this->claim()), "b d");
  EXPECT_EQ(this->paths_of(this->claim()), "a");
}

TYPED_TEST_P(TrackerConformance, ImagesWithADeathAreGivenOneACall) {
  this->create("a b c");
  this->crash_while_processing("a b c");

  EXPECT_EQ(this->paths_of(this->claim()), "a");
  EXPECT_EQ(this->paths_of(this->claim(2)), "b");
  EXPECT_EQ(this->paths_of(this->claim(100)), "c");
  EXPECT_TRUE(this->claim().empty());
}

TYPED_TEST_P(TrackerConformance, ImagesAddedLaterComeBeforeThoseWithADeath) {
  this->create("a");
  this->crash_while_processing("a");
  this->tracker->add_images(this->job, this->to_paths("b c"), {});

  EXPECT_EQ(this->paths_of(this->claim()), "b c");
  EXPECT_EQ(this->paths_of(this->claim()), "a");
}

TYPED_TEST_P(TrackerConformance, AnImageWithADeathStaysLastAfterAReleaseAndARetry) {
  this->create("a b");
  this->crash_while_processing("a");
  this->claim(1);
  const auto poisonous = this->claim_one();
  ASSERT_EQ(poisonous.path, "a");
  this->tracker->reset_stuck_images(this->job);
  EXPECT_EQ(this->pending_paths(), "b a");

  this->fail_all("a");
  this->tracker->retry_images(this->ids("a"));
  EXPECT_EQ(this->pending_paths(), "b a");
}

TYPED_TEST_P(TrackerConformance, AClaimTakesBackFromTheDeadWhenNothingIsPending) {
  this->create("a b c");
  auto other = this->traits.another();
  other->claim_images(this->job, 2);
  this->kill(std::move(other));

  EXPECT_EQ(this->paths_of(this->claim()), "c");
  EXPECT_EQ(this->counts(), "0 3 0 0");
  EXPECT_EQ(this->paths_of(this->claim()), "a");
  EXPECT_EQ(this->paths_of(this->claim()), "b");
  EXPECT_TRUE(this->claim().empty());
  EXPECT_EQ(this->record("a").deaths, 1);
  EXPECT_EQ(this->record("a").attempts, 2);
}

TYPED_TEST_P(TrackerConformance, AClaimTakesBackFromTheClosedWithoutADeath) {
  this->create("a b c");
  auto other = this->traits.another();
  other->claim_images(this->job);
  other.reset();

  EXPECT_EQ(this->paths_of(this->claim()), "a b c");
  EXPECT_EQ(this->record("a").deaths, 0);
}

TYPED_TEST_P(TrackerConformance, AClaimNeverTakesBackWhatALiveWorkerHolds) {
  this->create("a b");
  auto other = this->traits.another();
  other->claim_images(this->job, 1);
  this->claim(1);

  EXPECT_TRUE(this->claim().empty());
  EXPECT_TRUE(other->claim_images(this->job).empty());
  EXPECT_EQ(this->counts(), "0 2 0 0");
}

TYPED_TEST_P(TrackerConformance, AClaimOfNoneTakesNothingBack) {
  this->create("a");
  this->claim();
  this->crash();

  EXPECT_TRUE(this->claim(0).empty());
  EXPECT_EQ(this->status("a"), "processing");
}

TYPED_TEST_P(TrackerConformance, AClaimTakesBackInItsOwnJobOnly) {
  const auto first = this->create("a", {}, "first");
  this->claim();
  this->crash();
  this->create({}, {}, "second");

  EXPECT_TRUE(this->claim().empty());
  EXPECT_EQ(this->counts_of(first), "0 1 0 0");
}

TYPED_TEST_P(TrackerConformance, OneWorkersDeathTakesNothingFromAnother) {
  this->create("a b c");
  auto first = this->traits.another();
  auto second = this->traits.another();
  first->claim_images(this->job, 1);
  const auto held = second->claim_images(this->job, 1);
  this->kill(std::move(first));

  EXPECT_EQ(this->tracker->reset_stuck_images(this->job), 1U);
  EXPECT_TRUE(second->complete(held.at(0)));
  EXPECT_EQ(this->record("a").deaths, 1);
  EXPECT_EQ(this->record("b").deaths, 0);
}

TYPED_TEST_P(TrackerConformance, WorkersThatTakeBackAtOnceShareWhatTheDeadHeld) {
  this->create(this->numbered(40));
  this->claim();
  this->crash();
  std::vector<std::unique_ptr<progress_tracker::Tracker>> workers;
  for (int i = 0; i < 4; ++i) workers.push_back(this->traits.another());
  std::atomic<std::size_t> applied{0};
  this->in_threads(4, [&](int thread) {
    auto& worker = *workers[static_cast<std::size_t>(thread)];
    for (auto images = worker.claim_images(this->job); !images.empty();
         images = worker.claim_images(this->job)) {
      applied += worker.mark_outcomes(this->completions_of(images));
    }
  });

  EXPECT_EQ(applied, 40U);
  for (const auto& record : this->all_records()) {
    EXPECT_EQ(record.deaths, 1);
    EXPECT_EQ(record.attempts, 2);
  }
}

TYPED_TEST_P(TrackerConformance, AnImageGoesToErrorOnceItsWorkersDiedMaxDeathsTimes) {
  if constexpr (requires { this->traits.make_with_max_deaths(2); }) {
    this->tracker = this->traits.make_with_max_deaths(2);
    this->create("a b");
    this->complete_all("b");
    this->crash_while_processing("a");
    EXPECT_EQ(this->status("a"), "pending");

    this->claim();
    this->crash();
    EXPECT_EQ(this->tracker->reset_stuck_images(this->job), 0U);
    EXPECT_EQ(this->status("a"), "error");
    EXPECT_EQ(this->message("a"), "worker died 2 times while processing");
    EXPECT_EQ(this->record("a").deaths, 2);
    EXPECT_TRUE(this->record("a").finished_at);
    EXPECT_EQ(this->progress(), "2 1 1 0");
  } else {
    GTEST_SKIP() << "the traits have no make_with_max_deaths()";
  }
}

TYPED_TEST_P(TrackerConformance, AClaimGivesNoImageWhoseWorkersDiedMaxDeathsTimes) {
  if constexpr (requires { this->traits.make_with_max_deaths(2); }) {
    this->tracker = this->traits.make_with_max_deaths(1);
    this->create("a b");
    this->claim();
    this->crash();

    EXPECT_TRUE(this->claim().empty());
    EXPECT_EQ(this->counts(), "0 0 0 2");
    EXPECT_THAT(this->message("b"), testing::StartsWith("worker died 1 time"));
  } else {
    GTEST_SKIP() << "the traits have no make_with_max_deaths()";
  }
}

TYPED_TEST_P(TrackerConformance, AnImageThatWentToErrorByItsDeathsMayBeTriedAgain) {
  if constexpr (requires { this->traits.make_with_max_deaths(2); }) {
    this->tracker = this->traits.make_with_max_deaths(1);
    this->create("a");
    this->claim();
    this->crash();
    this->tracker->reset_stuck_images(this->job);

    EXPECT_EQ(this->tracker->reset_error_images(this->job), 1U);
    EXPECT_EQ(this->record("a").deaths, 1);
    this->tracker->complete(this->claim_one());
    EXPECT_EQ(this->status("a"), "completed");
  } else {
    GTEST_SKIP() << "the traits have no make_with_max_deaths()";
  }
}

// ---- list_workers -------------------------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, ALiveWorkerIsListedWithWhatItHolds) {
  this->create("a b c");
  this->claim(2);

  const auto workers = this->tracker->list_workers();
  ASSERT_EQ(workers.size(), 1U);
  EXPECT_TRUE(workers[0].alive);
  EXPECT_EQ(workers[0].processing, 2);
  EXPECT_EQ(workers[0].pid, getpid());
  EXPECT_NE(workers[0].host, "");
  EXPECT_LE(workers[0].started_at, std::chrono::system_clock::now());
}

TYPED_TEST_P(TrackerConformance, ATrackerThatLoadsImagesIsAWorker) {
  this->create("");
  const auto upstream = this->job;
  this->tracker->chain_job("chained", upstream);
  ASSERT_EQ(this->tracker->list_workers().size(), 1U);
  this->tracker->remove_job(*this->tracker->get_job_id("chained"));
  for (const bool adds : {false, true}) {
    auto other = this->traits.another();
    const auto paths = this->to_paths("a");
    EXPECT_EQ(error_of([&] { other->add_images(this->kNoJob, paths, {}); }), "not_found");
    EXPECT_EQ(error_of([&] { other->chain_job("c", this->kNoJob); }), "not_found");
    other->create_job("job", {}, {});
    EXPECT_EQ(other->list_workers().size(), 1U) << "it loaded nothing yet";
    if (adds) {
      other->add_images(upstream, paths, {});
    } else {
      other->create_job("job", paths, {});
    }
    EXPECT_EQ(other->list_workers().size(), 2U);
    other->close();
  }
}

TYPED_TEST_P(TrackerConformance, ATrackerThatOnlyReadsIsNoWorker) {
  this->create("a b");
  this->claim(1);
  auto reader = this->traits.another();
  reader->list_jobs();
  reader->get_pending_images(this->job);
  reader->get_status_counts(this->job);

  EXPECT_EQ(reader->list_workers().size(), 1U);
}

TYPED_TEST_P(TrackerConformance, WorkersAreListedOldestFirst) {
  this->create("a b c");
  this->claim(1);
  auto second = this->traits.another();
  second->claim_images(this->job);

  const auto workers = this->tracker->list_workers();
  ASSERT_EQ(workers.size(), 2U);
  EXPECT_LT(workers[0].id, workers[1].id);
  EXPECT_EQ(workers[0].processing, 1);
  EXPECT_EQ(workers[1].processing, 2);
}

TYPED_TEST_P(TrackerConformance, ADeadWorkerIsListedWhileItHoldsImages) {
  this->create("a b");
  this->claim(1);
  this->crash();

  auto workers = this->tracker->list_workers();
  const auto dead = [](const progress_tracker::Worker& worker) { return !worker.alive; };
  ASSERT_EQ(std::count_if(workers.begin(), workers.end(), dead), 1);
  EXPECT_EQ(std::find_if(workers.begin(), workers.end(), dead)->processing, 1);

  this->tracker->reset_stuck_images(this->job);
  workers = this->tracker->list_workers();
  EXPECT_EQ(std::count_if(workers.begin(), workers.end(), dead), 0);
}

TYPED_TEST_P(TrackerConformance, AClosedWorkerIsNotListedAsAlive) {
  this->create("a b");
  this->claim(1);
  auto other = this->traits.another();
  other->claim_images(this->job);
  other->close();

  std::int64_t alive = 0;
  for (const auto& worker : this->tracker->list_workers()) alive += worker.alive ? 1 : 0;
  EXPECT_EQ(alive, 1);
}

// ---- reset_error_images, retry_images -----------------------------------------------------------

TYPED_TEST_P(TrackerConformance, ResetErrorImagesPutsThemBackAndClearsTheirMessages) {
  this->create("a b c d");
  this->fail_all("a c");
  this->complete_all("b");
  const auto before = this->record("a");

  EXPECT_EQ(this->tracker->reset_error_images(this->job), 2U);
  const auto after = this->record("a");
  EXPECT_EQ(after.status, progress_tracker::Status::kPending);
  EXPECT_EQ(after.error_message, "");
  EXPECT_EQ(after.finished_at, std::nullopt);
  EXPECT_EQ(after.started_at, before.started_at);
  EXPECT_EQ(after.attempts, 1);
  EXPECT_EQ(this->pending_paths(), "a c d");
  EXPECT_EQ(this->tracker->reset_error_images(this->job), 0U);
}

TYPED_TEST_P(TrackerConformance, ResetErrorImagesCheckpoints) {
  this->create("a b c");
  this->fail_all("a");
  this->tracker->checkpoint(this->job);
  this->complete_all("b");
  this->tracker->reset_error_images(this->job);

  EXPECT_EQ(this->progress(), "3 1 0 2");
}

TYPED_TEST_P(TrackerConformance, ResetErrorImagesThatChangesNothingDoesNotCheckpoint) {
  this->create("a b");
  this->complete_all("a");
  const auto before = this->tracker->list_jobs().at(0).updated_at;
  this->pass_a_millisecond();

  EXPECT_EQ(this->tracker->reset_error_images(this->job), 0U);
  EXPECT_EQ(this->progress(), "2 0 0 2");
  EXPECT_EQ(this->tracker->list_jobs().at(0).updated_at, before);
}

TYPED_TEST_P(TrackerConformance, ResetErrorImagesPutsALargeNumberBack) {
  this->create(this->numbered(25'000));
  std::vector<progress_tracker::Outcome> outcomes = this->completions_of(this->claim());
  for (auto& outcome : outcomes) outcome.error = "broken";
  this->tracker->mark_outcomes(outcomes);

  EXPECT_EQ(this->tracker->reset_error_images(this->job), 25'000U);
  EXPECT_EQ(this->counts(), "25000 0 0 0");
  EXPECT_EQ(this->claim(25'000).size(), 25'000U);
}

TYPED_TEST_P(TrackerConformance, ResetErrorImagesLeavesOtherJobsAlone) {
  const auto first = this->create("a", {}, "first");
  this->fail_all("a");
  this->create("a", {}, "second");

  EXPECT_EQ(this->tracker->reset_error_images(this->job), 0U);
  EXPECT_EQ(this->counts_of(first), "0 0 0 1");
}

TYPED_TEST_P(TrackerConformance, RetryPutsBackThoseInErrorAndLeavesTheOthers) {
  this->create("pending held done failed failed2");
  this->tracker->mark_processing(this->ids("held"));
  this->complete_all("done");
  this->fail_all("failed failed2");
  const auto before = this->record("failed");

  EXPECT_EQ(this->tracker->retry_images(this->ids("pending held done failed")), 1U);
  EXPECT_EQ(this->counts(), "2 1 1 1");
  const auto after = this->record("failed");
  EXPECT_EQ(after.status, progress_tracker::Status::kPending);
  EXPECT_EQ(after.error_message, "");
  EXPECT_EQ(after.finished_at, std::nullopt);
  EXPECT_EQ(after.started_at, before.started_at);
  EXPECT_EQ(after.attempts, before.attempts);
}

TYPED_TEST_P(TrackerConformance, RetryCheckpointsTheJobsItChanged) {
  const auto untouched = this->create("x", {}, "untouched");
  this->complete_all("x");
  const auto x = this->id("x");
  this->create("a b");
  this->fail_all("a b");
  this->tracker->checkpoint(this->job);
  const std::vector<progress_tracker::ImageId> ids{this->id("a"), x};

  EXPECT_EQ(this->tracker->retry_images(ids), 1U);
  EXPECT_EQ(this->progress(), "2 0 1 1");
  EXPECT_EQ(this->tracker->get_progress(untouched)->processed_count, 0);
}

TYPED_TEST_P(TrackerConformance, RetryCountsAnIdListedTwiceOnceAndMaySpanJobs) {
  const auto first = this->create("a", {}, "first");
  this->fail_all("a");
  const auto a = this->id("a");
  this->create("a", {}, "second");
  this->fail_all("a");
  const std::vector<progress_tracker::ImageId> ids{a, this->id("a"), a};

  EXPECT_EQ(this->tracker->retry_images(ids), 2U);
  EXPECT_EQ(this->counts_of(first), "1 0 0 0");
  EXPECT_EQ(this->counts(), "1 0 0 0");
}

TYPED_TEST_P(TrackerConformance, RetryWithAnUnknownIdChangesNothing) {
  this->create("a");
  this->fail_all("a");
  const std::vector<progress_tracker::ImageId> ids{this->id("a"), this->kNoImage};

  this->expect_refused("not_found", [&] { this->tracker->retry_images(ids); });
}

// ---- Progress -----------------------------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, ProgressIsRightBeforeAnyCheckpoint) {
  this->create("a b c");
  this->complete_all("a");
  this->fail_all("b");

  EXPECT_EQ(this->progress(), "3 0 0 3");
}

TYPED_TEST_P(TrackerConformance, ProgressIsAsOfTheLastCheckpointAndTotalIsCurrent) {
  this->create("a b c d");
  this->complete_all("a");
  this->fail_all("b");
  this->tracker->mark_processing(this->ids("c"));
  this->tracker->checkpoint(this->job);
  EXPECT_EQ(this->progress(), "4 1 1 2");

  this->complete_all("b c");
  this->tracker->add_images(this->job, this->to_paths("e"), {});
  EXPECT_EQ(this->progress(), "5 1 1 3");

  this->tracker->checkpoint(this->job);
  EXPECT_EQ(this->progress(), "5 3 0 2");
}

TYPED_TEST_P(TrackerConformance, ACheckpointIsOfOneJob) {
  const auto first = this->create("a", {}, "first");
  this->complete_all("a");
  this->create("a", {}, "second");
  this->complete_all("a");
  this->tracker->checkpoint(this->job);

  EXPECT_EQ(this->tracker->get_progress(this->job)->processed_count, 1);
  EXPECT_EQ(this->tracker->get_progress(first)->processed_count, 0);
}

TYPED_TEST_P(TrackerConformance, WhatOneTrackerWritesAnotherSees) {
  this->create("a b");
  this->complete_all("a");
  this->tracker->checkpoint(this->job);
  auto other = this->traits.another();

  EXPECT_EQ(other->get_job_id("job"), this->job);
  EXPECT_TRUE(other->get_status_counts(this->job) == this->tracker->get_status_counts(this->job));
  EXPECT_TRUE(other->get_progress(this->job) == this->tracker->get_progress(this->job));
  EXPECT_TRUE(other->get_images(this->job) == this->tracker->get_images(this->job));
}

TYPED_TEST_P(TrackerConformance, StatusCountsAreExactAfterEveryStep) {
  this->create("a b c");
  EXPECT_EQ(this->counts(), "3 0 0 0");
  const auto images = this->claim(2);
  EXPECT_EQ(this->counts(), "1 2 0 0");
  this->tracker->complete(images[0]);
  EXPECT_EQ(this->counts(), "1 1 1 0");
  this->tracker->fail(images[1], "broken");
  EXPECT_EQ(this->counts(), "1 0 1 1");
  this->tracker->reset_error_images(this->job);
  EXPECT_EQ(this->counts(), "2 0 1 0");
  this->claim();
  EXPECT_EQ(this->counts(), "0 2 1 0");
  this->tracker->reset_stuck_images(this->job);
  EXPECT_EQ(this->counts(), "2 0 1 0");
  this->tracker->add_images(this->job, this->to_paths("d"), {});
  EXPECT_EQ(this->counts(), "3 0 1 0");
}

TYPED_TEST_P(TrackerConformance, ProgressBySplitIsExactForEverySplit) {
  const std::vector<std::string> splits{"train", "val", "train", "", "train"};
  this->create("a b c d e", splits);
  this->complete_all("a");
  this->fail_all("b");
  this->tracker->mark_processing(this->ids("c"));

  const auto by_split = this->tracker->get_progress_by_split(this->job);
  ASSERT_EQ(by_split.size(), 3U);
  EXPECT_EQ(this->listed(by_split.at("")), "1 0 0 0");
  EXPECT_EQ(this->listed(by_split.at("train")), "1 1 1 0");
  EXPECT_EQ(this->listed(by_split.at("val")), "0 0 0 1");
}

// ---- Look-ups -----------------------------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, AnImageIsFoundByItsExactPathInItsJob) {
  this->create("dir/a.png b", "train valid");

  EXPECT_TRUE(this->tracker->get_image_id(this->job, "dir/a.png"));
  for (const char* path : {"a.png", "dir/A.png", "dir//a.png", "./dir/a.png", "dir/", "dir/a.pn"}) {
    EXPECT_FALSE(this->tracker->get_image_id(this->job, path)) << path;
  }
  EXPECT_FALSE(this->tracker->get_image_id(this->kNoJob, "b"));
  EXPECT_EQ(this->tracker->get_image_split(this->id("b")), "valid");
}

TYPED_TEST_P(TrackerConformance, PagesOfImagesComeInOrderOfIds) {
  this->create(this->numbered(250));
  std::vector<std::string> paths;
  std::optional<progress_tracker::ImageId> after;
  for (auto page = this->tracker->get_images(this->job, {}, 100); !page.empty();
       page = this->tracker->get_images(this->job, {}, 100, after)) {
    EXPECT_LE(page.size(), 100U);
    after = page.back().image.id;
    for (const auto& record : page) paths.push_back(record.image.path.native());
  }
  EXPECT_EQ(paths, this->numbered(250));
}

TYPED_TEST_P(TrackerConformance, APageMayBeOfOneStatus) {
  using progress_tracker::Status;
  this->create("a b c d e f g");
  this->complete_all("f b");
  this->fail_all("e a");
  this->tracker->mark_processing(this->ids("g c"));
  const auto page = [&](Status status, std::size_t limit, auto after) {
    return this->paths_of(this->tracker->get_images(this->job, status, limit, after));
  };

  EXPECT_EQ(page(Status::kPending, 10, std::nullopt), "d");
  EXPECT_EQ(page(Status::kProcessing, 10, std::nullopt), "c g");
  EXPECT_EQ(page(Status::kCompleted, 10, std::nullopt), "b f");
  EXPECT_EQ(page(Status::kError, 1, std::nullopt), "a");
  EXPECT_EQ(page(Status::kError, 10, this->id("a")), "e");
  EXPECT_EQ(page(Status::kCompleted, 10, this->id("f")), "");
  EXPECT_EQ(page(Status::kPending, 10, this->id("d")), "");
}

TYPED_TEST_P(TrackerConformance, APageOfPendingImagesIsInOrderOfIdsEvenAfterADeath) {
  this->create("a b c");
  this->crash_while_processing("a");
  using progress_tracker::Status;

  EXPECT_EQ(this->paths_of(this->tracker->get_images(this->job, Status::kPending)), "a b c");
}

TYPED_TEST_P(TrackerConformance, APageMayBeginAfterAnyId) {
  using progress_tracker::ImageId;
  this->create("a b");
  const auto after = [&](std::int64_t id) {
    return this->tracker->get_images(this->job, {}, 10, ImageId{id}).size();
  };

  EXPECT_EQ(after(0), 2U);
  EXPECT_EQ(after(-1), 2U);
  EXPECT_EQ(after(std::numeric_limits<std::int64_t>::min()), 2U);
  EXPECT_EQ(after(std::numeric_limits<std::int64_t>::max()), 0U);
  EXPECT_EQ(after(static_cast<std::int64_t>(this->id("b"))), 0U);
}

TYPED_TEST_P(TrackerConformance, APageHasAThousandImagesUnlessGiven) {
  this->create(this->numbered(1'001));

  EXPECT_EQ(this->tracker->get_images(this->job).size(), 1'000U);
}

TYPED_TEST_P(TrackerConformance, ErrorsAreGroupedByMessageLargestFirst) {
  this->create("a b c d e f");
  this->fail_all("e b", "no such file");
  this->fail_all("f", "zero bytes");
  this->fail_all("c", "bad header");
  this->complete_all("a");

  const auto groups = this->tracker->get_error_summary(this->job);
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[0].message, "no such file");
  EXPECT_EQ(groups[0].count, 2);
  EXPECT_EQ(groups[0].example, "b");
  EXPECT_EQ(groups[1].message, "bad header");
  EXPECT_EQ(groups[1].count, 1);
  EXPECT_EQ(groups[2].message, "zero bytes");
  EXPECT_EQ(groups[2].example, "f");
  EXPECT_EQ(this->tracker->get_error_summary(this->job, 1).size(), 1U);
}

TYPED_TEST_P(TrackerConformance, ErrorsThatWereResolvedLeaveTheSummary) {
  this->create("a b c");
  this->fail_all("a b c");
  this->complete_all("a");
  this->tracker->retry_images(this->ids("b"));

  const auto groups = this->tracker->get_error_summary(this->job);
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].count, 1);
  EXPECT_EQ(groups[0].example, "c");
}

TYPED_TEST_P(TrackerConformance, TheSummaryHasTwentyGroupsUnlessGiven) {
  this->create(this->numbered(25));
  for (const std::string& path : this->numbered(25)) this->fail_all(path, "in " + path);

  EXPECT_EQ(this->tracker->get_error_summary(this->job).size(), 20U);
  EXPECT_EQ(this->tracker->get_error_summary(this->job, 100).size(), 25U);
}

// ---- Unknown ids --------------------------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, AnUnknownIdIsNotFoundInEveryCallThatWrites) {
  using progress_tracker::BatchId;
  using progress_tracker::ImageId;
  using progress_tracker::JobId;
  this->create("a");
  for (const std::int64_t id :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{987'654'321},
        std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    for (const auto& writing : this->writing_calls(JobId{id}, ImageId{id}, BatchId{id})) {
      if (writing.name == "create_job") continue;
      SCOPED_TRACE(writing.name + " of " + std::to_string(id));
      this->expect_refused("not_found", [&] { writing.call(*this->tracker); });
    }
  }
}

TYPED_TEST_P(TrackerConformance, AnUnknownIdGivesAnEmptyResultInEveryCallThatReads) {
  using progress_tracker::BatchId;
  using progress_tracker::ImageId;
  using progress_tracker::JobId;
  this->create("a");
  for (const std::int64_t id :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{987'654'321},
        std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    for (const auto& reading : this->reading_calls(JobId{id}, ImageId{id}, BatchId{id})) {
      EXPECT_TRUE(reading.is_empty(*this->tracker)) << reading.name << " of " << id;
    }
  }
}

TYPED_TEST_P(TrackerConformance, AnImageIdNextToAKnownOneIsUnknown) {
  using progress_tracker::ImageId;
  this->create("a b");
  const auto first = static_cast<std::int64_t>(this->id("a"));
  const auto last = static_cast<std::int64_t>(this->id("b"));

  EXPECT_FALSE(this->tracker->get_image(ImageId{first - 1}));
  EXPECT_FALSE(this->tracker->get_image(ImageId{last + 1}));
  EXPECT_EQ(error_of([&] { this->tracker->mark_completed(ImageId{last + 1}); }), "not_found");
}

TYPED_TEST_P(TrackerConformance, AnEmptyListChangesNothing) {
  this->create("a");
  const auto before = this->all_records();
  this->tracker->mark_processing({});

  EXPECT_EQ(this->tracker->mark_outcomes({}), 0U);
  EXPECT_EQ(this->tracker->release_images({}), 0U);
  EXPECT_EQ(this->tracker->retry_images({}), 0U);
  EXPECT_EQ(this->tracker->add_images(this->job, {}, {}), 0);
  EXPECT_TRUE(this->all_records() == before);
}

TYPED_TEST_P(TrackerConformance, ArgumentsAreCheckedBeforeIds) {
  this->create("a");
  const std::vector<std::filesystem::path> with_empty{""};

  this->expect_refused("invalid_argument",
                       [&] { this->tracker->add_images(this->kNoJob, with_empty, {}); });
  this->expect_refused("invalid_argument",
                       [&] { this->tracker->create_batch(this->kNoJob, 1, -1); });
  this->expect_refused("invalid_argument",
                       [&] { this->tracker->create_batch_of(this->kNoJob, 1, {}); });
}

// ---- Upload batches -----------------------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, ABatchIsRecordedPending) {
  this->create("a");
  const auto start = std::chrono::system_clock::now() - std::chrono::milliseconds(1);
  const auto id = this->tracker->create_batch(this->job, 7, 123);

  const auto batch = this->batch(id);
  EXPECT_EQ(batch.job_id, this->job);
  EXPECT_EQ(batch.batch_num, 7);
  EXPECT_EQ(batch.status, progress_tracker::BatchStatus::kPending);
  EXPECT_EQ(batch.image_count, 123);
  EXPECT_GE(batch.created_at, start);
  EXPECT_EQ(batch.uploaded_at, std::nullopt);
  EXPECT_EQ(batch.upload_error, "");
  EXPECT_TRUE(this->tracker->get_batch_images(id).empty());
}

TYPED_TEST_P(TrackerConformance, ABatchNumberUsedAgainGivesThatBatchUnchanged) {
  this->create("a");
  const auto id = this->tracker->create_batch(this->job, 1, 5);
  const auto before = this->batch(id);
  EXPECT_EQ(this->tracker->create_batch(this->job, 1, 9), id);
  EXPECT_TRUE(this->batch(id) == before);

  this->tracker->mark_batch_uploaded(id);
  EXPECT_EQ(this->tracker->create_batch(this->job, 1, 9), id);
  EXPECT_EQ(this->batch(id).status, progress_tracker::BatchStatus::kUploaded);
}

TYPED_TEST_P(TrackerConformance, ABatchNumberBelongsToItsJob) {
  const auto first = this->create("a", {}, "first");
  const auto second = this->create("a", {}, "second");

  EXPECT_NE(this->tracker->create_batch(first, 1, 1), this->tracker->create_batch(second, 1, 1));
  EXPECT_EQ(this->tracker->get_pending_batches(first).size(), 1U);
}

TYPED_TEST_P(TrackerConformance, ABatchMayHaveAnyNumberAndAnyCountButANegativeOne) {
  this->create("a");
  for (const int number :
       {0, -1, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()}) {
    const auto id = this->tracker->create_batch(this->job, number, 0);
    EXPECT_EQ(this->batch(id).batch_num, number);
  }
  const auto largest = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(this->batch(this->tracker->create_batch(this->job, 5, largest)).image_count, largest);
  for (const std::int64_t count : {std::int64_t{-1}, std::numeric_limits<std::int64_t>::min()}) {
    EXPECT_EQ(error_of([&] { this->tracker->create_batch(this->job, 6, count); }),
              "invalid_argument");
  }
  EXPECT_EQ(this->tracker->get_pending_batches(this->job).size(), 5U);
}

TYPED_TEST_P(TrackerConformance, ABatchOfImagesRecordsThem) {
  this->create("a b c", "train valid test");
  this->complete_all("a b c");
  const auto id = this->batch_of(1, "c a");

  EXPECT_EQ(this->batch(id).image_count, 2);
  const auto images = this->tracker->get_batch_images(id);
  EXPECT_EQ(this->paths_of(images), "a c");
  EXPECT_EQ(images.at(1).split, "test");
  EXPECT_EQ(images.at(1).attempt, 0);
}

TYPED_TEST_P(TrackerConformance, ABatchCountsAnImageListedTwiceOnce) {
  this->create("a b");
  this->complete_all("a b");
  const auto id = this->batch_of(1, "a b a");

  EXPECT_EQ(this->batch(id).image_count, 2);
}

TYPED_TEST_P(TrackerConformance, ABatchOfTheSameImagesIsFoundAgain) {
  this->create("a b");
  this->complete_all("a b");
  const auto id = this->batch_of(1, "a b");
  EXPECT_EQ(this->batch_of(1, "b a a"), id);
  EXPECT_EQ(this->tracker->create_batch(this->job, 1, 9), id);

  this->tracker->mark_batch_uploaded(id);
  EXPECT_EQ(this->batch_of(1, "a b"), id);
  EXPECT_EQ(this->batch(id).status, progress_tracker::BatchStatus::kUploaded);
}

TYPED_TEST_P(TrackerConformance, ABatchNumberThatHasOtherImagesIsRefused) {
  this->create("a b c");
  this->complete_all("a b c");
  this->batch_of(1, "a b");
  this->tracker->create_batch(this->job, 2, 1);

  for (const std::vector<std::string>& others :
       {std::vector<std::string>{"a"}, {"c"}, {"a", "b", "c"}, {"a", "c"}}) {
    EXPECT_EQ(error_of([&] { this->batch_of(1, others); }), "invalid_argument");
  }
  EXPECT_EQ(error_of([&] { this->batch_of(2, "c"); }), "invalid_argument");
  EXPECT_EQ(this->paths_of(this->tracker->get_unbatched_images(this->job)), "c");
}

TYPED_TEST_P(TrackerConformance, ABatchTakesOnlyCompletedImagesOfItsJobThatAreInNoOther) {
  const auto other_job = this->create("x", {}, "other");
  this->complete_all("x");
  const auto x = this->id("x");
  this->create("done batched pending held failed");
  this->complete_all("done batched");
  this->tracker->mark_processing(this->ids("held"));
  this->fail_all("failed");
  this->batch_of(1, "batched");

  for (const char* bad : {"batched", "pending", "held", "failed"}) {
    EXPECT_EQ(error_of([&] { this->batch_of(2, std::string("done ") + bad); }), "invalid_argument")
        << bad;
  }
  const std::vector<progress_tracker::ImageId> foreign{this->id("done"), x};
  EXPECT_EQ(error_of([&] { this->tracker->create_batch_of(this->job, 2, foreign); }),
            "invalid_argument");
  EXPECT_EQ(this->tracker->get_pending_batches(this->job).size(), 1U);
  EXPECT_EQ(this->tracker->get_unbatched_images(this->job).size(), 1U);
  EXPECT_EQ(this->tracker->get_unbatched_images(other_job).size(), 1U);
}

TYPED_TEST_P(TrackerConformance, ABatchOfAnUnknownImageIsNotFoundBeforeAnythingElseIsLookedAt) {
  this->create("done pending");
  this->complete_all("done");
  this->batch_of(1, "done");
  const std::vector<progress_tracker::ImageId> ids{this->id("pending"), this->kNoImage};

  EXPECT_EQ(error_of([&] { this->tracker->create_batch_of(this->job, 1, ids); }), "not_found");
  EXPECT_EQ(error_of([&] { this->tracker->create_batch_of(this->job, 2, ids); }), "not_found");
  const auto done = this->ids("done");
  EXPECT_EQ(error_of([&] { this->tracker->create_batch_of(this->kNoJob, 1, done); }), "not_found");
}

TYPED_TEST_P(TrackerConformance, ABatchOfNothingIsRefused) {
  this->create("a");

  EXPECT_EQ(error_of([&] { this->tracker->create_batch_of(this->job, 1, {}); }),
            "invalid_argument");
  EXPECT_TRUE(this->tracker->get_pending_batches(this->job).empty());
}

TYPED_TEST_P(TrackerConformance, UnbatchedImagesAreThoseCompletedAndInNoBatchInOrderOfAdding) {
  this->create("a b c d e");
  this->complete_all("e c a b");
  EXPECT_EQ(this->paths_of(this->tracker->get_unbatched_images(this->job)), "a b c e");

  this->batch_of(1, "b");
  EXPECT_EQ(this->paths_of(this->tracker->get_unbatched_images(this->job, 2)), "a c");
  EXPECT_EQ(this->tracker->get_unbatched_images(this->job).at(0).attempt, 0);
}

TYPED_TEST_P(TrackerConformance, ImagesFinishedBeforeACrashAreBatchedAfterIt) {
  this->create("a b");
  this->complete_all("a");
  this->crash();
  const auto images = this->tracker->get_unbatched_images(this->job);
  const auto id = this->tracker->create_batch_of(this->job, 1, this->ids_of(images));
  this->crash();

  EXPECT_EQ(this->paths_of(this->tracker->get_batch_images(id)), "a");
  EXPECT_TRUE(this->tracker->get_unbatched_images(this->job).empty());
}

TYPED_TEST_P(TrackerConformance, BatchesAreListedByNumber) {
  this->create("a");
  std::map<int, progress_tracker::BatchId> ids;
  for (const int number : {5, -2, 3, 1, 4, 2}) {
    ids[number] = this->tracker->create_batch(this->job, number, 1);
  }
  this->tracker->mark_batch_uploaded(ids[4]);
  this->tracker->mark_batch_uploaded(ids[1]);
  this->tracker->mark_batch_error(ids[3], "refused");

  EXPECT_EQ(this->numbers_of(this->tracker->get_pending_batches(this->job)), "-2 2 3 5");
  EXPECT_EQ(this->numbers_of(this->tracker->get_uploaded_batches(this->job)), "1 4");
}

TYPED_TEST_P(TrackerConformance, UploadingABatchSetsItsTimeAndClearsItsError) {
  this->create("a");
  const auto id = this->tracker->create_batch(this->job, 1, 1);
  this->tracker->mark_batch_error(id, "refused");
  EXPECT_EQ(this->batch(id).status, progress_tracker::BatchStatus::kError);
  EXPECT_EQ(this->batch(id).upload_error, "refused");
  EXPECT_EQ(this->batch(id).uploaded_at, std::nullopt);

  this->tracker->mark_batch_uploaded(id);
  EXPECT_EQ(this->batch(id).status, progress_tracker::BatchStatus::kUploaded);
  EXPECT_EQ(this->batch(id).upload_error, "");
  EXPECT_TRUE(this->batch(id).uploaded_at);
}

TYPED_TEST_P(TrackerConformance, ABatchErrorAgainReplacesTheMessage) {
  this->create("a");
  const auto id = this->tracker->create_batch(this->job, 1, 1);
  this->tracker->mark_batch_error(id, "first");
  this->tracker->mark_batch_error(id, "second");

  EXPECT_EQ(this->batch(id).upload_error, "second");
  EXPECT_EQ(this->tracker->get_pending_batches(this->job).size(), 1U);
}

TYPED_TEST_P(TrackerConformance, AnUploadedBatchStaysUploaded) {
  this->create("a");
  const auto id = this->tracker->create_batch(this->job, 1, 1);
  this->tracker->mark_batch_uploaded(id);
  const auto before = this->batch(id);
  this->pass_a_millisecond();
  this->tracker->mark_batch_uploaded(id);
  EXPECT_TRUE(this->batch(id) == before);

  EXPECT_EQ(error_of([&] { this->tracker->mark_batch_error(id, "late"); }), "invalid_transition");
  EXPECT_TRUE(this->batch(id) == before);
}

// ---- close --------------------------------------------------------------------------------------

TYPED_TEST_P(TrackerConformance, EveryCallOfAClosedTrackerIsRefused) {
  this->create("a");
  const auto image = this->id("a");
  const auto batch = this->tracker->create_batch(this->job, 1, 1);
  this->tracker->close();

  for (const auto& writing : this->writing_calls(this->job, image, batch)) {
    EXPECT_EQ(error_of([&] { writing.call(*this->tracker); }), "closed") << writing.name;
  }
  for (const auto& reading : this->reading_calls(this->job, image, batch)) {
    EXPECT_EQ(error_of([&] { reading.is_empty(*this->tracker); }), "closed") << reading.name;
  }
  EXPECT_EQ(error_of([&] { this->tracker->list_jobs(); }), "closed");
  EXPECT_EQ(error_of([&] { this->tracker->list_workers(); }), "closed");
}

TYPED_TEST_P(TrackerConformance, ClosedIsCheckedBeforeArgumentsAndIds) {
  this->tracker->close();

  EXPECT_EQ(error_of([&] { this->tracker->create_job("", {}, {}); }), "closed");
  EXPECT_EQ(error_of([&] { this->tracker->create_batch(this->kNoJob, 1, -1); }), "closed");
  EXPECT_EQ(error_of([&] { this->tracker->mark_processing({}); }), "closed");
  EXPECT_EQ(error_of([&] { this->tracker->mark_outcomes({}); }), "closed");
  EXPECT_EQ(error_of([&] { this->tracker->claim_images(this->kNoJob, 0); }), "closed");
}

TYPED_TEST_P(TrackerConformance, ClosingTwiceIsHarmless) {
  this->create("a");
  this->tracker->close();
  this->tracker->close();

  this->tracker = this->traits.another();
  EXPECT_EQ(this->counts(), "1 0 0 0");
}

TYPED_TEST_P(TrackerConformance, ClosingOneTrackerLeavesTheOthersOpen) {
  this->create("a");
  auto other = this->traits.another();
  other->close();

  this->tracker->complete(this->claim_one());
  EXPECT_EQ(this->counts(), "0 0 1 0");
}

TYPED_TEST_P(TrackerConformance, NothingAcknowledgedIsLostByCloseOrDestruction) {
  this->create("a b c");
  this->complete_all("a");
  auto second = this->traits.another();
  this->tracker->close();
  second->mark_error(*second->get_image_id(this->job, "b"), "broken");
  this->tracker = this->traits.another();
  second.reset();

  EXPECT_EQ(this->counts(), "1 0 1 1");
  EXPECT_EQ(this->message("b"), "broken");
}

TYPED_TEST_P(TrackerConformance, NothingAcknowledgedIsLostByACrash) {
  this->create("a b c d", "train train valid valid");
  this->complete_all("a");
  this->fail_all("b");
  this->tracker->complete(this->claim_one());
  this->tracker->checkpoint(this->job);
  const auto batch = this->batch_of(1, "a");
  this->tracker->mark_batch_uploaded(batch);
  const auto records = this->all_records();
  const auto jobs = this->tracker->list_jobs();
  const auto uploaded = this->tracker->get_uploaded_batches(this->job);
  this->crash();

  EXPECT_TRUE(this->all_records() == records);
  EXPECT_TRUE(this->tracker->list_jobs() == jobs);
  EXPECT_TRUE(this->tracker->get_uploaded_batches(this->job) == uploaded);
  EXPECT_EQ(this->progress(), "4 2 1 1");
}

TYPED_TEST_P(TrackerConformance, NothingAcknowledgedIsLostByTheEndOfAThread) {
  this->create(this->numbered(80));
  this->in_threads(
      8, [&](int) { this->tracker->mark_outcomes(this->completions_of(this->claim(10))); });

  EXPECT_EQ(this->counts(), "0 0 80 0");
}

TYPED_TEST_P(TrackerConformance, CallsInsideFinishWhenTheTrackerIsClosed) {
  using progress_tracker::Error;
  this->create(this->numbered(4'000));
  auto closing = this->traits.another();
  std::atomic<std::int64_t> acknowledged{0};
  this->in_threads(5, [&](int thread) {
    if (thread == 0) {
      while (acknowledged < 20) {
      }
      closing->close();
      return;
    }
    try {
      for (auto images = closing->claim_images(this->job, 1); !images.empty();
           images = closing->claim_images(this->job, 1)) {
        if (closing->complete(images[0])) ++acknowledged;
      }
    } catch (const Error& error) {
      EXPECT_EQ(to_string(error.code()), "closed") << error.what();
    }
  });

  EXPECT_EQ(this->tracker->get_status_counts(this->job)->completed, acknowledged);
}

TYPED_TEST_P(TrackerConformance, AnErrorSaysWhichCallAndWhichId) {
  try {
    this->tracker->mark_completed(this->kNoImage);
    FAIL() << "it was found";
  } catch (const progress_tracker::Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("mark_completed"));
    EXPECT_THAT(error.what(), testing::HasSubstr("987654321"));
  }
}

// -------------------------------------------------------------------------------------------------

REGISTER_TYPED_TEST_SUITE_P(
    TrackerConformance, CreateJobRecordsEveryImageAsPendingAndNeverStarted,
    CreateJobAgainReturnsTheSameIdAndChangesNothing,
    CreateJobAgainAddsThePathsThatAreNewAndRemovesNone, CreateJobAgainKeepsStatusAndSplit,
    CreateJobWithADifferentListNeverMakesPendingNegative,
    APathListedTwiceCountsOnceWithItsFirstSplit, WithoutSplitsEverySplitIsEmpty,
    SplitsOfAnotherLengthAreRefusedAndNothingIsStored, AnEmptyListMakesOrFindsTheJob,
    ABadJobNameIsRefusedAndNothingIsStored, AJobNameIsAnyTextAndComesBackExactly,
    ABadSplitIsRefusedAndNothingIsStored, ASplitMayHaveAnyName,
    AnEmptyPathOrOneWithNulIsRefusedAndNothingIsStored, EveryByteInAFileNameComesBackExactly,
    EveryByteInADirectoryNameComesBackExactly, UnusualPathsComeBackExactly, PathsAreNotNormalised,
    ALargeListIsLoadedWholeAndInOrder, EightThreadsMakingOneJobMakeItOnce,
    NoCallSeesPartOfAJobThatIsBeingMade, AddImagesReturnsHowManyWereNew,
    AddImagesKeepsStatusAndSplitOfThoseItHas, AddImagesRefusesWhatCreateJobRefuses,
    TotalImagesIsTheNumberOfImagesRecorded, ImageIdsIncreaseInTheOrderOfAdding,
    ImagesAddedWhileOthersAreWorkedOnAreGivenToo, JobsDoNotShareImages, AJobIsFoundByItsExactName,
    ListJobsGivesThemOldestFirstWithExactCounts, AJobIsCreatedOnceAndUpdatedByCheckpoints,
    ARemovedJobIsGoneFromEveryView, TheNameOfARemovedJobIsFree,
    IdsOfARemovedJobAreNeverGivenOutAgain, RemovingAJobLeavesTheOthersAsTheyWere,
    ALargeJobIsRemovedWhole, AJobIsNotRemovedWhileAnotherLiveWorkerHoldsAnImage,
    AJobIsRemovedWhoseImagesADeadWorkerHolds, AJobIsRemovedWhoseImagesAClosedWorkerHolds,
    AJobIsRemovedWhoseImagesThisTrackerHolds, AJobIsNotRemovedWhileAnotherIsChainedToIt,
    AnUpstreamGoesOnAfterItsChainedJobIsRemoved,
    AChainedJobBeginsWithWhatIsCompletedInTheUpstreamsOrder,
    CompletionsArriveInTheChainedJobInTheirOrder, EveryWayOfCompletingFeedsTheChainedJob,
    OnlyCompletionsArriveInTheChainedJob, AnImageArrivesInTheChainedJobOnce, StagesFollowOneAnother,
    OneUpstreamMayFeedSeveralJobs, ChainJobAgainFindsTheJob, ChainJobRefusesANameThatIsTaken,
    ChainJobChecksTheNameThenTheUpstreamThenWhetherTheyFit, NothingIsAddedToAChainedJobByHand,
    CompletionsOfManyThreadsArriveInTheChainedJobOnceEach,
    PendingImagesComeInTheOrderOfAddingAndStayPending, TheLimitIsAHundredUnlessGiven,
    ClaimsComeInTheOrderOfAddingAndMarkProcessing, AClaimCarriesItsAttempt,
    ALimitOfZeroGivesNothingAndDoesNothing, ALimitAboveAllNumbersMeansAll,
    OfEightThreadsThatClaimNoneGetsAnImageOfAnother,
    OfEightWorkersThatClaimNoneGetsAnImageOfAnother, MarkProcessingStartsTheWholeList,
    MarkProcessingCountsAnIdListedTwiceOnce, MarkProcessingIsTheWholeListOrNothing,
    MarkProcessingLooksForUnknownIdsBeforeItLooksAtStates,
    AMarkFromPendingCountsAnAttemptAndSetsBothTimes, AMarkFromProcessingKeepsTheStartAndTheAttempt,
    AMarkFromErrorKeepsTheStartAndTheAttempt, CompletingAgainChangesNothing,
    AnErrorForACompletedImageIsRefused, AnyTrackerMayMarkAnyImageById, WhatWasMarkedIsHeldByNobody,
    MarksOfEightThreadsAreAllCounted, ReadersSeeEveryImageOnceWhileOthersWrite,
    AnErrorMessageIsStoredAsGiven, InvalidBytesAndNulInAnErrorMessageAreReplaced,
    ALongErrorMessageIsCutAtACharacterWithAVisibleMark, EveryWayToGiveAnErrorMessageCleansIt,
    OutcomesUnderTheirAttemptAreApplied, AnOutcomeOfAnEarlierAttemptIsSkipped,
    AnOutcomeForAnImageThatWasGivenBackIsSkipped, AnOutcomeWithAnAttemptThatNeverWasIsSkipped,
    AnOutcomeOfADeadWorkerAppliesUntilItsImageIsStartedAgain,
    UnfencedOutcomesApplyWhoeverHoldsTheImage,
    UnfencedCompletionsOfNeighboursApplyWhereverEachStands,
    CompletingAgainUnderTheSameAttemptCountsAsAppliedAndChangesNothing,
    CompletingACompletedImageUnderAnotherAttemptIsSkipped,
    AnErrorOutcomeForACompletedImageIsSkipped, AnErrorRepeatedUnderTheSameAttemptIsApplied,
    AnErrorMayBecomeACompletionUnderTheSameAttempt, OutcomesAreAppliedInListOrder,
    OutcomesMaySpanJobs, OutcomesWithAnUnknownIdAreNoneApplied, ManyOutcomesAreOneStep,
    ReleasedImagesArePendingAgainInTheirOldPlace, ReleaseSkipsWhatIsStaleOrNotProcessing,
    AnImageListedTwiceIsReleasedOnce, AnUnfencedReleaseGivesBackWhoeverHoldsTheImage,
    AReleaseWithAnUnknownIdGivesNothingBack, ResetGivesBackWhatThisTrackerHoldsWithoutADeath,
    ResetGivesBackWhatOtherThreadsOfThisTrackerHold, ResetTakesNothingFromAnotherLiveWorker,
    ResetGivesBackAtOnceWhatADeadWorkerHeldAndCountsADeath,
    WhatMarkProcessingHoldsIsTakenBackFromTheDeadToo, ADeathCountsOnce,
    DeathsAddUpAndNothingElseChangesThem, WorkThatWasDoneBeforeADeathStaysDone,
    AClosedTrackersImagesStayProcessingAndComeBackWithoutADeath,
    ADestroyedTrackersImagesComeBackWithoutADeath, ResetLeavesOtherJobsAlone,
    ResetGivesBackALargeNumber, ResetProcessingImagesIsTheSameByItsOlderName,
    AResetThatBringsNoErrorDoesNotCheckpoint, ImagesWithADeathComeAfterAllOthers,
    ImagesWithADeathAreGivenOneACall, ImagesAddedLaterComeBeforeThoseWithADeath,
    AnImageWithADeathStaysLastAfterAReleaseAndARetry,
    AClaimTakesBackFromTheDeadWhenNothingIsPending, AClaimTakesBackFromTheClosedWithoutADeath,
    AClaimNeverTakesBackWhatALiveWorkerHolds, AClaimOfNoneTakesNothingBack,
    AClaimTakesBackInItsOwnJobOnly, OneWorkersDeathTakesNothingFromAnother,
    WorkersThatTakeBackAtOnceShareWhatTheDeadHeld,
    AnImageGoesToErrorOnceItsWorkersDiedMaxDeathsTimes,
    AClaimGivesNoImageWhoseWorkersDiedMaxDeathsTimes,
    AnImageThatWentToErrorByItsDeathsMayBeTriedAgain, ALiveWorkerIsListedWithWhatItHolds,
    ATrackerThatLoadsImagesIsAWorker, ATrackerThatOnlyReadsIsNoWorker, WorkersAreListedOldestFirst,
    ADeadWorkerIsListedWhileItHoldsImages, AClosedWorkerIsNotListedAsAlive,
    ResetErrorImagesPutsThemBackAndClearsTheirMessages, ResetErrorImagesCheckpoints,
    ResetErrorImagesThatChangesNothingDoesNotCheckpoint, ResetErrorImagesPutsALargeNumberBack,
    ResetErrorImagesLeavesOtherJobsAlone, RetryPutsBackThoseInErrorAndLeavesTheOthers,
    RetryCheckpointsTheJobsItChanged, RetryCountsAnIdListedTwiceOnceAndMaySpanJobs,
    RetryWithAnUnknownIdChangesNothing, ProgressIsRightBeforeAnyCheckpoint,
    ProgressIsAsOfTheLastCheckpointAndTotalIsCurrent, ACheckpointIsOfOneJob,
    WhatOneTrackerWritesAnotherSees, StatusCountsAreExactAfterEveryStep,
    ProgressBySplitIsExactForEverySplit, AnImageIsFoundByItsExactPathInItsJob,
    PagesOfImagesComeInOrderOfIds, APageMayBeOfOneStatus,
    APageOfPendingImagesIsInOrderOfIdsEvenAfterADeath, APageMayBeginAfterAnyId,
    APageHasAThousandImagesUnlessGiven, ErrorsAreGroupedByMessageLargestFirst,
    ErrorsThatWereResolvedLeaveTheSummary, TheSummaryHasTwentyGroupsUnlessGiven,
    AnUnknownIdIsNotFoundInEveryCallThatWrites, AnUnknownIdGivesAnEmptyResultInEveryCallThatReads,
    AnImageIdNextToAKnownOneIsUnknown, AnEmptyListChangesNothing, ArgumentsAreCheckedBeforeIds,
    ABatchIsRecordedPending, ABatchNumberUsedAgainGivesThatBatchUnchanged,
    ABatchNumberBelongsToItsJob, ABatchMayHaveAnyNumberAndAnyCountButANegativeOne,
    ABatchOfImagesRecordsThem, ABatchCountsAnImageListedTwiceOnce,
    ABatchOfTheSameImagesIsFoundAgain, ABatchNumberThatHasOtherImagesIsRefused,
    ABatchTakesOnlyCompletedImagesOfItsJobThatAreInNoOther,
    ABatchOfAnUnknownImageIsNotFoundBeforeAnythingElseIsLookedAt, ABatchOfNothingIsRefused,
    UnbatchedImagesAreThoseCompletedAndInNoBatchInOrderOfAdding,
    ImagesFinishedBeforeACrashAreBatchedAfterIt, BatchesAreListedByNumber,
    UploadingABatchSetsItsTimeAndClearsItsError, ABatchErrorAgainReplacesTheMessage,
    AnUploadedBatchStaysUploaded, EveryCallOfAClosedTrackerIsRefused,
    ClosedIsCheckedBeforeArgumentsAndIds, ClosingTwiceIsHarmless,
    ClosingOneTrackerLeavesTheOthersOpen, NothingAcknowledgedIsLostByCloseOrDestruction,
    NothingAcknowledgedIsLostByACrash, NothingAcknowledgedIsLostByTheEndOfAThread,
    CallsInsideFinishWhenTheTrackerIsClosed, AnErrorSaysWhichCallAndWhichId);

// Including this header without instantiating the suite is fine.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TrackerConformance);

}  // namespace progress_tracker_testing

#endif  // PROGRESS_TRACKER_TESTING_CONFORMANCE_H_

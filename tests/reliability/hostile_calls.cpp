#include "hostile_calls.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <span>

#include "progress_tracker/error.h"
#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"
#include "progress_tracker/run_job.h"
#include "progress_tracker/types.h"

namespace progress_tracker::reliability {
namespace {

using std::chrono::milliseconds;

// Nobody else is there to be waited for.
constexpr milliseconds kNoWaiting{0};

class Script {
 public:
  Script(std::filesystem::path database, Random& random, Answers& answers)
      : database_(std::move(database)), random_(random), answers_(answers) {}

  // False: it cannot be opened.
  bool open() {
    Options options;
    options.busy_timeout = kNoWaiting;
    options.max_retries = 0;
    options.read_only = below(4) == 0;
    options.mark_buffer = below(4) == 0 ? 3 : 0;
    options.max_deaths = below(2) == 0 ? 3 : 0;
    if (below(8) == 0) options.synchronous = Options::Synchronous::kFull;
    attempt("open", [&] { tracker_ = std::make_unique<ProgressTracker>(database_, options); });
    if (tracker_ == nullptr) return false;
    attempt("list_jobs", [&] {
      for (const Job& job : tracker_->list_jobs()) {
        check(job.counts, "list_jobs");
        jobs_.push_back(job.id);
        names_.push_back(job.name);
      }
    });
    return true;
  }

  void look_around() {
    const JobId job = any_job();
    attempt("get_images", [&] {
      std::optional<Status> status;
      if (below(2) == 0) status = static_cast<Status>(below(4));
      for (const ImageRecord& record :
           tracker_->get_images(job, status, any_limit(), any_after())) {
        note(record);
      }
    });
    attempt("get_pending_batches", [&] { note(tracker_->get_pending_batches(job)); });
  }

  void call(std::size_t which) {
    const NamedCall& chosen = calls().at(which % calls().size());
    attempt(chosen.name, [&] { chosen.call(*this); });
  }
  void call_any() { call(below(calls().size())); }

  void close() {
    if (tracker_ == nullptr) return;
    attempt("close", [&] { tracker_->close(); });
    attempt("the destructor", [&] { tracker_.reset(); });
  }

  void examine() {
    attempt("examine", [&] {
      const Examination found = progress_tracker::examine(database_, kNoWaiting);
      check(found.images, "examine: images");
      check(found.mendable, "examine: mendable");
      check(found.workers, "examine");
      for (const Leftover& leftover : found.leftovers) check(leftover.images, "examine: leftovers");
      for (const CountDifference& each : found.count_differences) check(each.counted, "examine");
    });
  }
  void repair() {
    attempt("repair", [&] { progress_tracker::repair(database_, kNoWaiting); });
  }
  void snapshot() {
    const auto copy = database_.parent_path() / (kCopyPrefix + database_.filename().native());
    attempt("snapshot", [&] { progress_tracker::snapshot(database_, copy, kNoWaiting); });
    std::error_code ignored;
    std::filesystem::remove(copy, ignored);
  }

  std::size_t below(std::size_t bound) { return random_() % bound; }

  struct NamedCall {
    const char* name;
    std::function<void(Script&)> call;
  };
  static const std::vector<NamedCall>& calls();

 private:
  void attempt(const std::string& name, const std::function<void()>& call) {
    ++answers_.calls;
    try {
      call();
      ++answers_.returned;
    } catch (const Error& error) {
      ++answers_.errors[std::string(to_string(error.code()))];
    } catch (const std::bad_alloc&) {
      ++answers_.errors["bad_alloc"];
    } catch (const std::exception& other) {
      answers_.wrong.push_back(name + " threw " + other.what());
    } catch (...) {
      answers_.wrong.push_back(name + " threw what is no exception");
    }
  }

  void note(ImageId image, const std::filesystem::path& path) {
    images_.push_back(image);
    paths_.push_back(path);
  }
  void note(const ImageRecord& record) {
    check(record);
    note(record.image.id, record.image.path);
  }
  void note(const std::vector<Batch>& batches) {
    for (const Batch& batch : batches) {
      check(batch.image_count, "a batch's images", std::numeric_limits<std::int64_t>::max());
      expect(batch.status >= BatchStatus::kPending && batch.status <= BatchStatus::kError,
             "a batch's status is none");
      batches_.push_back(batch.id);
    }
  }

  // ---- What can be, whatever the file says ----

  static constexpr std::int64_t kMostImages = 0xffffffff;  // of a job

  void expect(bool condition, const std::string& otherwise) {
    ++answers_.counts;
    if (!condition) answers_.wrong.push_back(otherwise);
  }
  void check(std::int64_t count, const std::string& what, std::int64_t most = kMostImages) {
    expect(count >= 0 && count <= most, what + ": " + std::to_string(count));
  }
  void check(const StatusCounts& counts, const std::string& what) {
    check(counts.pending, what + ": pending");
    check(counts.processing, what + ": processing");
    check(counts.completed, what + ": completed");
    check(counts.error, what + ": error");
    check(counts.total(), what + ": total");
  }
  void check(const ImageRecord& record) {
    expect(record.status >= Status::kPending && record.status <= Status::kError,
           "an image's status is none");
    check(record.attempts, "attempts", std::numeric_limits<int>::max());
    check(record.deaths, "deaths", record.attempts);
    expect(record.image.attempt == 0, "an image that was not claimed has an attempt");
  }
  void check(const std::vector<Worker>& workers, const std::string& what) {
    for (const Worker& worker : workers) check(worker.processing, what + ": a worker's images");
  }
  // A call says to how many of so many it did what it does.
  void check_part(std::size_t count, std::size_t of, const std::string& what) {
    expect(count <= of, what + ": " + std::to_string(count) + " of " + std::to_string(of));
  }

  // The three calls that count a job's images have to say the same, those of them that answer.
  void compare_counts() {
    const JobId job = any_job();
    std::optional<StatusCounts> all;
    attempt("get_status_counts", [&] { all = tracker_->get_status_counts(job); });
    if (all.has_value()) check(*all, "get_status_counts");
    attempt("get_progress_by_split", [&] {
      StatusCounts sum;
      for (const auto& [split, counts] : tracker_->get_progress_by_split(job)) {
        check(counts, "get_progress_by_split");
        sum.pending += counts.pending;
        sum.processing += counts.processing;
        sum.completed += counts.completed;
        sum.error += counts.error;
      }
      expect(!all.has_value() || sum == *all, "the counts of the splits are not those of the job");
    });
    attempt("get_progress", [&] {
      const auto progress = tracker_->get_progress(job);
      if (!progress.has_value()) return;
      check(progress->processed_count, "get_progress: processed_count");
      check(progress->error_count, "get_progress: error_count");
      check(progress->pending_count, "get_progress: pending_count");
      expect(progress->processed_count + progress->error_count + progress->pending_count ==
                 progress->total_images,
             "get_progress: its parts are not the total");
      expect(!all.has_value() || progress->total_images == all->total(),
             "get_progress: its total is not that of get_status_counts");
    });
  }

  template <typename Id>
  Id any_of(const std::vector<Id>& known) {
    constexpr std::array<std::int64_t, 7> kOdd{0,
                                               1,
                                               2,
                                               -1,
                                               (std::int64_t{1} << 32) + 1,
                                               std::numeric_limits<std::int64_t>::min(),
                                               std::numeric_limits<std::int64_t>::max()};
    if (!known.empty() && below(8) != 0) return known[below(known.size())];
    return Id{kOdd.at(below(kOdd.size()))};
  }
  JobId any_job() { return any_of(jobs_); }
  ImageId any_image() { return any_of(images_); }
  BatchId any_batch() { return any_of(batches_); }

  std::vector<ImageId> some_images() {
    std::vector<ImageId> some;
    for (std::size_t left = below(6); left > 0; --left) some.push_back(any_image());
    // Neighbours are marked by one statement.
    if (below(2) == 0) {
      some.insert(some.end(), images_.begin(),
                  images_.begin() + static_cast<std::ptrdiff_t>(below(images_.size() + 1)));
    }
    return some;
  }

  std::vector<Outcome> some_outcomes() {
    std::vector<Outcome> outcomes;
    const bool all_completed = below(2) == 0;
    for (const ImageId image : some_images()) {
      outcomes.push_back({image, static_cast<int>(below(3)), {}});
      if (!all_completed && below(3) == 0) outcomes.back().error = "broken";
    }
    return outcomes;
  }

  std::vector<std::filesystem::path> some_paths() {
    std::vector<std::filesystem::path> paths;
    for (std::size_t left = below(5); left > 0; --left) {
      if (!paths_.empty() && below(2) == 0) {
        paths.push_back(paths_[below(paths_.size())]);
      } else {
        paths.emplace_back("new/" + std::to_string(below(50)) + ".png");
      }
    }
    return paths;
  }

  std::string any_name() {
    if (!names_.empty() && below(4) != 0) return names_[below(names_.size())];
    return "new " + std::to_string(below(3));
  }

  std::size_t any_limit() {
    constexpr std::array<std::size_t, 6> kLimits{
        0, 1, 3, 100, 1000, std::numeric_limits<std::size_t>::max()};
    return kLimits.at(below(kLimits.size()));
  }
  std::optional<ImageId> any_after() {
    return below(4) == 0 ? std::optional(any_image()) : std::nullopt;
  }

  const std::filesystem::path database_;
  Random& random_;
  Answers& answers_;
  std::unique_ptr<ProgressTracker> tracker_;
  // What the file has told.
  std::vector<JobId> jobs_;
  std::vector<std::string> names_;
  std::vector<ImageId> images_;
  std::vector<std::filesystem::path> paths_;
  std::vector<BatchId> batches_;
  std::vector<Image> claimed_;
};

const std::vector<Script::NamedCall>& Script::calls() {
  static const std::vector<NamedCall> kCalls{
      {"create_job", [](Script& s) { s.tracker_->create_job(s.any_name(), s.some_paths(), {}); }},
      {"add_images",
       [](Script& s) {
         const auto paths = s.some_paths();
         s.check(s.tracker_->add_images(s.any_job(), paths, {}), "add_images", std::ssize(paths));
       }},
      {"chain_job", [](Script& s) { s.tracker_->chain_job(s.any_name(), s.any_job()); }},
      {"get_job_id", [](Script& s) { s.tracker_->get_job_id(s.any_name()); }},
      {"list_jobs", [](Script& s) { s.tracker_->list_jobs(); }},
      {"remove_job", [](Script& s) { s.tracker_->remove_job(s.any_job()); }},
      {"get_pending_images",
       [](Script& s) { s.tracker_->get_pending_images(s.any_job(), s.any_limit()); }},
      {"mark_processing", [](Script& s) { s.tracker_->mark_processing(s.some_images()); }},
      {"claim_images",
       [](Script& s) {
         for (Image& image : s.tracker_->claim_images(s.any_job(), s.any_limit())) {
           s.expect(image.attempt > 0, "claim_images: an attempt that is none");
           s.note(image.id, image.path);
           s.claimed_.push_back(std::move(image));
         }
       }},
      {"mark_completed", [](Script& s) { s.tracker_->mark_completed(s.any_image()); }},
      {"mark_error", [](Script& s) { s.tracker_->mark_error(s.any_image(), "broken"); }},
      {"mark_outcomes",
       [](Script& s) {
         const auto outcomes = s.some_outcomes();
         s.check_part(s.tracker_->mark_outcomes(outcomes), outcomes.size(), "mark_outcomes");
       }},
      {"mark_outcomes of the claimed",
       [](Script& s) {
         std::vector<Outcome> outcomes;
         for (const Image& image : s.claimed_) outcomes.push_back({image.id, image.attempt, {}});
         s.tracker_->mark_outcomes(outcomes);
       }},
      {"release_images",
       [](Script& s) {
         s.check_part(s.tracker_->release_images(s.claimed_), s.claimed_.size(), "release_images");
       }},
      {"reset_stuck_images",
       [](Script& s) {
         s.check_part(s.tracker_->reset_stuck_images(s.any_job()), s.kMostImages,
                      "reset_stuck_images");
       }},
      {"reset_error_images",
       [](Script& s) {
         s.check_part(s.tracker_->reset_error_images(s.any_job()), s.kMostImages,
                      "reset_error_images");
       }},
      {"retry_images",
       [](Script& s) {
         const auto images = s.some_images();
         s.check_part(s.tracker_->retry_images(images), images.size(), "retry_images");
       }},
      {"checkpoint", [](Script& s) { s.tracker_->checkpoint(s.any_job()); }},
      {"the counts of a job", [](Script& s) { s.compare_counts(); }},
      {"get_image_id",
       [](Script& s) {
         for (const auto& path : s.some_paths()) s.tracker_->get_image_id(s.any_job(), path);
       }},
      {"get_image",
       [](Script& s) {
         if (const auto record = s.tracker_->get_image(s.any_image())) s.check(*record);
       }},
      {"get_images",
       [](Script& s) {
         for (const ImageRecord& record :
              s.tracker_->get_images(s.any_job(), {}, s.any_limit(), s.any_after())) {
           s.note(record);
         }
       }},
      {"get_error_summary",
       [](Script& s) {
         for (const ErrorGroup& group : s.tracker_->get_error_summary(s.any_job(), s.any_limit())) {
           s.check(group.count, "get_error_summary");
         }
       }},
      {"list_workers", [](Script& s) { s.check(s.tracker_->list_workers(), "list_workers"); }},
      {"create_batch",
       [](Script& s) {
         s.batches_.push_back(
             s.tracker_->create_batch(s.any_job(), static_cast<int>(s.below(4)), 10));
       }},
      {"create_batch_of",
       [](Script& s) {
         s.tracker_->create_batch_of(s.any_job(), static_cast<int>(s.below(6)), s.some_images());
       }},
      {"create_batch_of the unbatched",
       [](Script& s) {
         std::vector<ImageId> images;
         const JobId job = s.any_job();
         for (const Image& image : s.tracker_->get_unbatched_images(job, s.any_limit())) {
           images.push_back(image.id);
         }
         s.tracker_->create_batch_of(job, static_cast<int>(s.below(100)), images);
       }},
      {"mark_batch_uploaded", [](Script& s) { s.tracker_->mark_batch_uploaded(s.any_batch()); }},
      {"mark_batch_error", [](Script& s) { s.tracker_->mark_batch_error(s.any_batch(), "x"); }},
      {"get_pending_batches",
       [](Script& s) { s.note(s.tracker_->get_pending_batches(s.any_job())); }},
      {"get_uploaded_batches",
       [](Script& s) { s.note(s.tracker_->get_uploaded_batches(s.any_job())); }},
      {"get_batch_images", [](Script& s) { s.tracker_->get_batch_images(s.any_batch()); }},
      {"sync", [](Script& s) { s.tracker_->sync(); }},
  };
  return kCalls;
}

}  // namespace

std::string Answers::summary() const {
  std::string text = std::to_string(returned) + " of " + std::to_string(calls) + " calls returned";
  const char* separator = "; ";
  for (const auto& [code, count] : errors) {
    text += separator + code + ' ' + std::to_string(count);
    separator = ", ";
  }
  return text;
}

void call_some(const std::filesystem::path& database, Random& random, Answers& answers) {
  constexpr std::size_t kMostCalls = 8;
  Script script(database, random, answers);
  if (script.below(16) == 0) script.examine();
  if (script.below(32) == 0) script.repair();
  if (script.below(64) == 0) script.snapshot();
  if (!script.open()) return;
  script.look_around();
  for (std::size_t left = 1 + script.below(kMostCalls); left > 0; --left) script.call_any();
  script.close();
}

void call_all(const std::filesystem::path& database, Random& random, Answers& answers,
              bool with_snapshot) {
  Script script(database, random, answers);
  script.examine();
  if (with_snapshot) script.snapshot();
  for (int round = 0; round < 2; ++round) {
    if (!script.open()) break;
    script.look_around();
    const std::size_t first = script.below(Script::calls().size());
    for (std::size_t i = 0; i < Script::calls().size(); ++i) script.call(first + i);
    script.close();
  }
  script.repair();
}

}  // namespace progress_tracker::reliability

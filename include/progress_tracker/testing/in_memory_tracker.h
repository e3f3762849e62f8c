// InMemoryTracker: a Tracker that keeps its record in memory, for tests and examples.
//
//   progress_tracker_testing::InMemoryTracker tracker;
//   auto job = tracker.create_job("batch_001", paths, {});
//   segment_all(tracker, job);                      // the code under test
//   EXPECT_EQ(tracker.get_status_counts(job)->completed, 3);
//
// It behaves as ProgressTracker does, and runs the same conformance suite, but needs neither a file
// nor SQLite nor GoogleTest. Nothing of it is durable, and where ProgressTracker would log a
// warning it is silent.
//
// Several workers. A store is shared by all trackers that were made from one another:
//
//   auto second = tracker.another();                // a second worker beside this one
//   auto restarted = second->reopen();              // the second dies as by kill -9, a third
//   starts
//
// What a worker held that died is given out again, and counts a death, as tracker.h describes. A
// tracker that is closed or destroyed ends in order: what it held can be had by others too, but
// counts no death.
//
// Any thread may call any function at any time. Calls of all trackers of one store follow one
// another under one mutex.
#ifndef PROGRESS_TRACKER_TESTING_IN_MEMORY_TRACKER_H_
#define PROGRESS_TRACKER_TESTING_IN_MEMORY_TRACKER_H_

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "progress_tracker/error.h"
#include "progress_tracker/rules.h"
#include "progress_tracker/tracker.h"
#include "progress_tracker/types.h"

namespace progress_tracker_testing {
namespace internal {

namespace pt = progress_tracker;

// Now, in the resolution of all times in a record.
inline std::chrono::system_clock::time_point now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

template <typename Id>
std::string describe(std::string_view kind, Id id) {
  return std::string(kind) + ' ' + std::to_string(static_cast<std::int64_t>(id));
}

[[noreturn]] inline void refuse(pt::ErrorCode code, std::string_view operation,
                                std::string_view thing, std::string_view cause) {
  std::string message(operation);
  message.append(": ").append(thing).append(": ").append(cause);
  throw pt::Error(code, message);
}

inline std::int64_t& count_of(pt::StatusCounts& counts, pt::Status status) {
  switch (status) {
    case pt::Status::kProcessing:
      return counts.processing;
    case pt::Status::kCompleted:
      return counts.completed;
    case pt::Status::kError:
      return counts.error;
    case pt::Status::kPending:
      break;
  }
  return counts.pending;
}

// Ids of one kind, from 1, none given out twice.
template <typename Id>
class IdSequence {
 public:
  Id next() { return Id{++last_}; }

 private:
  std::int64_t last_{0};
};

// What all trackers of one store share. Everything is guarded by `mutex`; the functions expect the
// caller to hold it.
struct Store {
  struct ImageRow {
    pt::ImageRecord record;
    std::optional<pt::WorkerId> holder;  // set exactly in processing
    std::optional<pt::BatchId> batch;
  };

  struct JobRow {
    pt::JobId id{};
    std::string name;
    std::optional<pt::JobId> upstream;
    std::chrono::system_clock::time_point created_at;
    std::chrono::system_clock::time_point updated_at;
    pt::StatusCounts checkpointed;

    std::vector<pt::ImageId> images;  // in the order in which they were added, which is that of ids
    std::unordered_map<std::string, pt::ImageId> by_path;
    std::map<std::string, pt::StatusCounts> by_split;
    std::set<std::pair<bool, pt::ImageId>> pending;  // (has a death, id): the order of claims
    std::set<pt::ImageId> processing;
  };

  struct BatchRow {
    pt::Batch batch;
    std::set<pt::ImageId> images;  // empty for one made by create_batch()
  };

  enum class Life { kAlive, kEndedInOrder, kDied };

  struct WorkerRow {
    Life life{Life::kAlive};
    std::chrono::system_clock::time_point started_at;
  };

  // ---- Look-ups: null if there is none ---------------------------------------------------------

  JobRow* find_job(pt::JobId id) { return find(jobs, id); }
  ImageRow* find_image(pt::ImageId id) { return find(images, id); }

  JobRow* find_job(std::string_view name) {
    const auto at = job_by_name.find(name);
    return at == job_by_name.end() ? nullptr : find_job(at->second);
  }

  BatchRow* find_batch(pt::JobId job, int batch_num) {
    for (auto& [id, row] : batches) {
      if (row.batch.job_id == job && row.batch.batch_num == batch_num) return &row;
    }
    return nullptr;
  }

  // ---- Look-ups: kNotFound if there is none ----------------------------------------------------

  JobRow& job(std::string_view operation, pt::JobId id) {
    return found(find_job(id), operation, "job", id);
  }
  ImageRow& image(std::string_view operation, pt::ImageId id) {
    return found(find_image(id), operation, "image", id);
  }
  BatchRow& batch(std::string_view operation, pt::BatchId id) {
    return found(find(batches, id), operation, "batch", id);
  }

  // ---- Jobs ------------------------------------------------------------------------------------

  JobRow& add_job(std::string_view name, std::optional<pt::JobId> upstream) {
    const pt::JobId id = job_ids.next();
    JobRow& row = jobs[id];
    row.id = id;
    row.name = name;
    row.upstream = upstream;
    row.created_at = row.updated_at = now();
    job_by_name.emplace(name, id);
    return row;
  }

  // False: the job has this path already, and it stays as it is.
  bool add_image(JobRow& job, const std::filesystem::path& path, const std::string& split) {
    if (job.by_path.contains(path.native())) return false;
    const pt::ImageId id = image_ids.next();
    pt::ImageRecord& record = images[id].record;
    record.image = {id, path, split, 0};
    record.job_id = job.id;
    job.images.push_back(id);
    job.by_path.emplace(path.native(), id);
    job.pending.emplace(false, id);
    ++job.by_split[split].pending;
    return true;
  }

  std::int64_t add_images(JobRow& job, std::span<const std::filesystem::path> paths,
                          std::span<const std::string> splits) {
    const std::string no_split;
    std::int64_t added = 0;
    for (std::size_t i = 0; i < paths.size(); ++i) {
      added += add_image(job, paths[i], splits.empty() ? no_split : splits[i]) ? 1 : 0;
    }
    return added;
  }

  void remove_job(const JobRow& job) {
    const pt::JobId id = job.id;
    for (const pt::ImageId image : job.images) images.erase(image);
    std::erase_if(batches, [&](const auto& entry) { return entry.second.batch.job_id == id; });
    job_by_name.erase(job.name);
    jobs.erase(id);
  }

  bool feeds_another(pt::JobId id) const {
    return std::any_of(jobs.begin(), jobs.end(),
                       [&](const auto& entry) { return entry.second.upstream == id; });
  }

  static pt::StatusCounts counts(const JobRow& job) {
    pt::StatusCounts sum;
    for (const auto& [split, counts] : job.by_split) {
      sum.pending += counts.pending;
      sum.processing += counts.processing;
      sum.completed += counts.completed;
      sum.error += counts.error;
    }
    return sum;
  }

  static void checkpoint(JobRow& job) {
    job.checkpointed = counts(job);
    job.updated_at = now();
  }

  // ---- The states of an image ------------------------------------------------------------------

  // Keeps everything in step that depends on the status.
  void set_status(ImageRow& row, pt::Status status) {
    pt::ImageRecord& record = row.record;
    JobRow& job = jobs.at(record.job_id);
    const pt::ImageId id = record.image.id;
    pt::StatusCounts& counts = job.by_split.at(record.image.split);
    --count_of(counts, record.status);
    ++count_of(counts, status);

    job.pending.erase({false, id});
    job.pending.erase({true, id});
    job.processing.erase(id);
    row.holder.reset();
    if (status == pt::Status::kPending) job.pending.emplace(record.deaths > 0, id);
    if (status == pt::Status::kProcessing) job.processing.insert(id);

    const bool finished = status == pt::Status::kCompleted || status == pt::Status::kError;
    record.finished_at.reset();
    if (finished) record.finished_at = now();
    record.error_message.clear();
    record.status = status;
  }

  static void count_attempt(ImageRow& row) {
    ++row.record.attempts;
    row.record.started_at = now();
  }

  void start(ImageRow& row, pt::WorkerId worker) {
    count_attempt(row);
    set_status(row, pt::Status::kProcessing);
    row.holder = worker;
  }

  // From any status but completed.
  void fail(ImageRow& row, std::string_view message) {
    if (row.record.status == pt::Status::kPending) count_attempt(row);
    set_status(row, pt::Status::kError);
    row.record.error_message = pt::clean_message(message);
  }

  void complete(ImageRow& row) {
    if (row.record.status == pt::Status::kCompleted) return;
    if (row.record.status == pt::Status::kPending) count_attempt(row);
    set_status(row, pt::Status::kCompleted);
    for (auto& [id, job] : jobs) {
      if (job.upstream == row.record.job_id) {
        add_image(job, row.record.image.path, row.record.image.split);
      }
    }
  }

  // False: stale, and nothing was changed.
  bool apply(const pt::Outcome& outcome) {
    ImageRow& row = images.at(outcome.id);
    const pt::ImageRecord& record = row.record;
    const bool fenced = outcome.attempt != 0;
    if (fenced && outcome.attempt != record.attempts) return false;
    if (fenced && record.status == pt::Status::kPending) return false;
    if (record.status == pt::Status::kCompleted) return !outcome.error;
    outcome.error ? fail(row, *outcome.error) : complete(row);
    return true;
  }

  bool release(const pt::Image& image) {
    ImageRow& row = images.at(image.id);
    const bool current = image.attempt == 0 || image.attempt == row.record.attempts;
    if (!current || row.record.status != pt::Status::kProcessing) return false;
    set_status(row, pt::Status::kPending);
    return true;
  }

  bool retry(ImageRow& row) {
    if (row.record.status != pt::Status::kError) return false;
    set_status(row, pt::Status::kPending);
    return true;
  }

  // ---- Workers ---------------------------------------------------------------------------------

  pt::WorkerId add_worker() {
    const pt::WorkerId id = worker_ids.next();
    workers[id].started_at = now();
    return id;
  }

  bool is_held_by_another_live_worker(const ImageRow& row, std::optional<pt::WorkerId> self) const {
    return row.holder && row.holder != self && workers.at(*row.holder).life == Life::kAlive;
  }

  // Gives a processing image back; one whose workers died too often goes to error. Returns whether
  // it is pending now.
  bool take_back(ImageRow& row, int max_deaths) {
    pt::ImageRecord& record = row.record;
    const bool died = workers.at(row.holder.value()).life == Life::kDied;
    if (died) ++record.deaths;
    if (died && max_deaths > 0 && record.deaths >= max_deaths) {
      fail(row, "worker died " + std::to_string(record.deaths) +
                    (record.deaths == 1 ? " time" : " times") + " while processing");
      return false;
    }
    set_status(row, pt::Status::kPending);
    return true;
  }

  // Takes back those of the job's processing images that `may_be_taken`. Returns how many are
  // pending now.
  template <typename Predicate>
  std::size_t take_back_if(JobRow& job, int max_deaths, Predicate may_be_taken) {
    std::size_t pending = 0;
    bool failed = false;
    const std::set<pt::ImageId> held = job.processing;
    for (const pt::ImageId id : held) {
      ImageRow& row = images.at(id);
      if (!may_be_taken(row)) continue;
      if (take_back(row, max_deaths)) {
        ++pending;
      } else {
        failed = true;
      }
    }
    if (failed) checkpoint(job);
    return pending;
  }

  // ---- Data ------------------------------------------------------------------------------------

  std::mutex mutex;

  std::map<pt::JobId, JobRow> jobs;
  std::map<std::string, pt::JobId, std::less<>> job_by_name;
  std::unordered_map<pt::ImageId, ImageRow> images;
  std::map<pt::BatchId, BatchRow> batches;
  std::map<pt::WorkerId, WorkerRow> workers;

  IdSequence<pt::JobId> job_ids;
  IdSequence<pt::ImageId> image_ids;
  IdSequence<pt::BatchId> batch_ids;
  IdSequence<pt::WorkerId> worker_ids;

 private:
  template <typename Map>
  static typename Map::mapped_type* find(Map& map, typename Map::key_type id) {
    const auto at = map.find(id);
    return at == map.end() ? nullptr : &at->second;
  }

  template <typename Row, typename Id>
  static Row& found(Row* row, std::string_view operation, std::string_view kind, Id id) {
    if (row == nullptr) {
      refuse(pt::ErrorCode::kNotFound, operation, describe(kind, id), "there is none");
    }
    return *row;
  }
};

}  // namespace internal

class InMemoryTracker final : public progress_tracker::Tracker {
 public:
  using BatchId = progress_tracker::BatchId;
  using Image = progress_tracker::Image;
  using ImageId = progress_tracker::ImageId;
  using JobId = progress_tracker::JobId;
  using Status = progress_tracker::Status;
  using StatusCounts = progress_tracker::StatusCounts;

  // An empty store with one worker. `max_deaths` is that of Options (options.h).
  explicit InMemoryTracker(int max_deaths = 0)
      : InMemoryTracker(std::make_shared<Store>(), max_deaths) {}

  // As close().
  ~InMemoryTracker() override { end(Life::kEndedInOrder); }

  // A second worker on the same store, with the same max_deaths.
  std::unique_ptr<InMemoryTracker> another() const {
    return std::unique_ptr<InMemoryTracker>(new InMemoryTracker(store_, max_deaths_));
  }

  // This tracker's worker dies, as by kill -9; this tracker is closed from then on. Returns a new
  // worker on the same store. If this tracker was closed before, its end in order stands.
  std::unique_ptr<InMemoryTracker> reopen() {
    end(Life::kDied);
    return another();
  }

  // ---- Jobs ------------------------------------------------------------------------------------

  JobId create_job(std::string_view name, std::span<const std::filesystem::path> image_paths,
                   std::span<const std::string> splits) override {
    const auto lock = enter("create_job");
    progress_tracker::check_job_name("create_job", name);
    progress_tracker::check_images("create_job", image_paths, splits);
    JobRow* job = store_->find_job(name);
    if (job != nullptr) refuse_if_chained("create_job", *job);
    if (!image_paths.empty()) self();
    if (job == nullptr) job = &store_->add_job(name, std::nullopt);
    store_->add_images(*job, image_paths, splits);
    return job->id;
  }

  std::int64_t add_images(JobId job, std::span<const std::filesystem::path> image_paths,
                          std::span<const std::string> splits) override {
    const auto lock = enter("add_images");
    progress_tracker::check_images("add_images", image_paths, splits);
    JobRow& row = store_->job("add_images", job);
    refuse_if_chained("add_images", row);
    if (!image_paths.empty()) self();
    return store_->add_images(row, image_paths, splits);
  }

  JobId chain_job(std::string_view name, JobId upstream) override {
    const auto lock = enter("chain_job");
    progress_tracker::check_job_name("chain_job", name);
    const JobRow& source = store_->job("chain_job", upstream);
    if (const JobRow* existing = store_->find_job(name)) {
      if (existing->upstream == upstream) return existing->id;
      internal::refuse(ErrorCode::kInvalidArgument, "chain_job",
                       internal::describe("job", existing->id),
                       "it exists with another upstream, or with none");
    }
    self();
    JobRow& job = store_->add_job(name, upstream);
    for (const ImageId id : source.images) {
      const progress_tracker::ImageRecord& record = store_->images.at(id).record;
      if (record.status != Status::kCompleted) continue;
      store_->add_image(job, record.image.path, record.image.split);
    }
    return job.id;
  }

  std::optional<JobId> get_job_id(std::string_view name) override {
    const auto lock = enter("get_job_id");
    const JobRow* job = store_->find_job(name);
    if (job == nullptr) return std::nullopt;
    return job->id;
  }

  std::vector<progress_tracker::Job> list_jobs() override {
    const auto lock = enter("list_jobs");
    std::vector<progress_tracker::Job> jobs;
    for (const auto& [id, row] : store_->jobs) {
      jobs.push_back(
          {id, row.name, row.upstream, Store::counts(row), row.created_at, row.updated_at});
    }
    return jobs;
  }

  void remove_job(JobId job) override {
    const auto lock = enter("remove_job");
    const JobRow& row = store_->job("remove_job", job);
    if (store_->feeds_another(job)) {
      internal::refuse(ErrorCode::kInvalidTransition, "remove_job", internal::describe("job", job),
                       "a job is chained to it");
    }
    for (const ImageId id : row.processing) {
      if (store_->is_held_by_another_live_worker(store_->images.at(id), worker_)) {
        internal::refuse(ErrorCode::kInvalidTransition, "remove_job",
                         internal::describe("job", job), "another worker holds images of it");
      }
    }
    store_->remove_job(row);
  }

  // ---- Work ------------------------------------------------------------------------------------

  std::vector<Image> get_pending_images(JobId job, std::size_t limit = 100) override {
    const auto lock = enter("get_pending_images");
    std::vector<Image> images;
    const JobRow* row = store_->find_job(job);
    if (row == nullptr) return images;
    for (const auto& [has_death, id] : row->pending) {
      if (images.size() >= limit) break;
      images.push_back(store_->images.at(id).record.image);
    }
    return images;
  }

  void mark_processing(std::span<const ImageId> image_ids) override {
    const auto lock = enter("mark_processing");
    const std::set<ImageId> ids(image_ids.begin(), image_ids.end());
    for (const ImageId id : ids) store_->image("mark_processing", id);
    for (const ImageId id : ids) {
      if (store_->images.at(id).record.status != Status::kPending) {
        internal::refuse(ErrorCode::kInvalidTransition, "mark_processing",
                         internal::describe("image", id), "it is not pending");
      }
    }
    for (const ImageId id : ids) store_->start(store_->images.at(id), self());
  }

  std::vector<Image> claim_images(JobId job, std::size_t limit = 100) override {
    const auto lock = enter("claim_images");
    JobRow& row = store_->job("claim_images", job);
    std::vector<Image> claimed;
    if (limit == 0) return claimed;
    if (row.pending.empty()) take_back_from_dead_workers(row);
    for (const ImageId id : next_to_claim(row, limit)) {
      ImageRow& image = store_->images.at(id);
      store_->start(image, self());
      claimed.push_back(image.record.image);
      claimed.back().attempt = image.record.attempts;
    }
    return claimed;
  }

  void mark_completed(ImageId image_id) override {
    const auto lock = enter("mark_completed");
    store_->complete(store_->image("mark_completed", image_id));
  }

  void mark_error(ImageId image_id, std::string_view error_msg) override {
    const auto lock = enter("mark_error");
    ImageRow& row = store_->image("mark_error", image_id);
    if (row.record.status == Status::kCompleted) {
      internal::refuse(ErrorCode::kInvalidTransition, "mark_error",
                       internal::describe("image", image_id), "completed images stay completed");
    }
    store_->fail(row, error_msg);
  }

  std::size_t mark_outcomes(std::span<const progress_tracker::Outcome> outcomes) override {
    const auto lock = enter("mark_outcomes");
    for (const auto& outcome : outcomes) store_->image("mark_outcomes", outcome.id);
    std::size_t applied = 0;
    for (const auto& outcome : outcomes) applied += store_->apply(outcome) ? 1 : 0;
    return applied;
  }

  std::size_t release_images(std::span<const Image> images) override {
    const auto lock = enter("release_images");
    for (const Image& image : images) store_->image("release_images", image.id);
    std::size_t released = 0;
    for (const Image& image : images) released += store_->release(image) ? 1 : 0;
    return released;
  }

  // ---- Resume ----------------------------------------------------------------------------------

  std::size_t reset_stuck_images(JobId job) override {
    const auto lock = enter("reset_stuck_images");
    return store_->take_back_if(store_->job("reset_stuck_images", job), max_deaths_,
                                [this](const ImageRow& image) {
                                  return !store_->is_held_by_another_live_worker(image, worker_);
                                });
  }

  std::size_t reset_error_images(JobId job) override {
    const auto lock = enter("reset_error_images");
    JobRow& row = store_->job("reset_error_images", job);
    std::size_t reset = 0;
    for (const ImageId id : row.images) reset += store_->retry(store_->images.at(id)) ? 1 : 0;
    if (reset > 0) Store::checkpoint(row);
    return reset;
  }

  std::size_t retry_images(std::span<const ImageId> image_ids) override {
    const auto lock = enter("retry_images");
    for (const ImageId id : image_ids) store_->image("retry_images", id);
    std::size_t retried = 0;
    std::set<JobId> changed;
    for (const ImageId id : image_ids) {
      ImageRow& row = store_->images.at(id);
      if (!store_->retry(row)) continue;
      ++retried;
      changed.insert(row.record.job_id);
    }
    for (const JobId job : changed) Store::checkpoint(store_->jobs.at(job));
    return retried;
  }

  // ---- Progress --------------------------------------------------------------------------------

  void checkpoint(JobId job) override {
    const auto lock = enter("checkpoint");
    Store::checkpoint(store_->job("checkpoint", job));
  }

  std::optional<progress_tracker::Progress> get_progress(JobId job) override {
    const auto lock = enter("get_progress");
    const JobRow* row = store_->find_job(job);
    if (row == nullptr) return std::nullopt;
    const auto total = static_cast<std::int64_t>(row->images.size());
    const StatusCounts& counts = row->checkpointed;
    return progress_tracker::Progress{total, counts.completed, counts.error,
                                      total - counts.completed - counts.error};
  }

  std::optional<StatusCounts> get_status_counts(JobId job) override {
    const auto lock = enter("get_status_counts");
    const JobRow* row = store_->find_job(job);
    if (row == nullptr) return std::nullopt;
    return Store::counts(*row);
  }

  std::map<std::string, StatusCounts> get_progress_by_split(JobId job) override {
    const auto lock = enter("get_progress_by_split");
    const JobRow* row = store_->find_job(job);
    if (row == nullptr) return {};
    return row->by_split;
  }

  std::optional<ImageId> get_image_id(JobId job, const std::filesystem::path& path) override {
    const auto lock = enter("get_image_id");
    const JobRow* row = store_->find_job(job);
    if (row == nullptr) return std::nullopt;
    const auto at = row->by_path.find(path.native());
    if (at == row->by_path.end()) return std::nullopt;
    return at->second;
  }

  std::optional<progress_tracker::ImageRecord> get_image(ImageId image_id) override {
    const auto lock = enter("get_image");
    const ImageRow* row = store_->find_image(image_id);
    if (row == nullptr) return std::nullopt;
    return row->record;
  }

  std::vector<progress_tracker::ImageRecord> get_images(
      JobId job, std::optional<Status> status = {}, std::size_t limit = 1000,
      std::optional<ImageId> after = {}) override {
    const auto lock = enter("get_images");
    std::vector<progress_tracker::ImageRecord> page;
    const JobRow* row = store_->find_job(job);
    if (row == nullptr) return page;
    auto at = row->images.begin();
    if (after) at = std::upper_bound(at, row->images.end(), *after);
    for (; at != row->images.end() && page.size() < limit; ++at) {
      const progress_tracker::ImageRecord& record = store_->images.at(*at).record;
      if (!status || record.status == *status) page.push_back(record);
    }
    return page;
  }

  std::vector<progress_tracker::ErrorGroup> get_error_summary(JobId job,
                                                              std::size_t limit = 20) override {
    const auto lock = enter("get_error_summary");
    const JobRow* row = store_->find_job(job);
    if (row == nullptr) return {};
    std::map<std::string, progress_tracker::ErrorGroup> by_message;
    for (const ImageId id : row->images) {
      const progress_tracker::ImageRecord& record = store_->images.at(id).record;
      if (record.status != Status::kError) continue;
      auto& group = by_message[record.error_message];
      if (++group.count > 1) continue;
      group.message = record.error_message;
      group.example = record.image.path;
    }
    std::vector<progress_tracker::ErrorGroup> groups;
    for (auto& [message, group] : by_message) groups.push_back(std::move(group));
    std::stable_sort(groups.begin(), groups.end(),
                     [](const auto& a, const auto& b) { return a.count > b.count; });
    if (groups.size() > limit) groups.resize(limit);
    return groups;
  }

  std::vector<progress_tracker::Worker> list_workers() override {
    const auto lock = enter("list_workers");
    std::map<progress_tracker::WorkerId, std::int64_t> held;
    for (const auto& [job_id, job] : store_->jobs) {
      for (const ImageId id : job.processing) ++held[store_->images.at(id).holder.value()];
    }
    std::vector<progress_tracker::Worker> workers;
    for (const auto& [id, row] : store_->workers) {
      const bool alive = row.life == Life::kAlive;
      if (!alive && held[id] == 0) continue;
      workers.push_back({id, host(), getpid(), alive, held[id], row.started_at});
    }
    return workers;
  }

  // ---- Upload batches --------------------------------------------------------------------------

  BatchId create_batch(JobId job, int batch_num, std::int64_t image_count) override {
    const auto lock = enter("create_batch");
    if (image_count < 0) {
      internal::refuse(ErrorCode::kInvalidArgument, "create_batch",
                       "image_count " + std::to_string(image_count), "it is negative");
    }
    store_->job("create_batch", job);
    const BatchRow* existing = store_->find_batch(job, batch_num);
    return existing != nullptr ? existing->batch.id : add_batch(job, batch_num, image_count);
  }

  BatchId create_batch_of(JobId job, int batch_num, std::span<const ImageId> image_ids) override {
    const auto lock = enter("create_batch_of");
    if (image_ids.empty()) refuse_batch(batch_num, "it has no images");
    store_->job("create_batch_of", job);
    const std::set<ImageId> images(image_ids.begin(), image_ids.end());
    for (const ImageId id : images) store_->image("create_batch_of", id);
    if (const BatchRow* existing = store_->find_batch(job, batch_num)) {
      if (existing->images != images) refuse_batch(batch_num, "it exists with other images");
      return existing->batch.id;
    }
    for (const ImageId id : images) check_may_be_batched(job, id);

    const BatchId id = add_batch(job, batch_num, static_cast<std::int64_t>(images.size()));
    for (const ImageId image : images) store_->images.at(image).batch = id;
    store_->batches.at(id).images = images;
    return id;
  }

  std::vector<Image> get_unbatched_images(JobId job, std::size_t limit = 100) override {
    const auto lock = enter("get_unbatched_images");
    std::vector<Image> images;
    const JobRow* row = store_->find_job(job);
    if (row == nullptr) return images;
    for (const ImageId id : row->images) {
      if (images.size() >= limit) break;
      const ImageRow& image = store_->images.at(id);
      if (image.record.status != Status::kCompleted || image.batch) continue;
      images.push_back(image.record.image);
    }
    return images;
  }

  void mark_batch_uploaded(BatchId batch_id) override {
    const auto lock = enter("mark_batch_uploaded");
    progress_tracker::Batch& batch = store_->batch("mark_batch_uploaded", batch_id).batch;
    if (batch.status == BatchStatus::kUploaded) return;
    batch.status = BatchStatus::kUploaded;
    batch.uploaded_at = internal::now();
    batch.upload_error.clear();
  }

  void mark_batch_error(BatchId batch_id, std::string_view error_msg) override {
    const auto lock = enter("mark_batch_error");
    progress_tracker::Batch& batch = store_->batch("mark_batch_error", batch_id).batch;
    if (batch.status == BatchStatus::kUploaded) {
      internal::refuse(ErrorCode::kInvalidTransition, "mark_batch_error",
                       internal::describe("batch", batch_id), "uploaded batches stay uploaded");
    }
    batch.status = BatchStatus::kError;
    batch.upload_error = progress_tracker::clean_message(error_msg);
  }

  std::vector<progress_tracker::Batch> get_pending_batches(JobId job) override {
    const auto lock = enter("get_pending_batches");
    return batches_if(job, [](BatchStatus status) { return status != BatchStatus::kUploaded; });
  }

  std::vector<progress_tracker::Batch> get_uploaded_batches(JobId job) override {
    const auto lock = enter("get_uploaded_batches");
    return batches_if(job, [](BatchStatus status) { return status == BatchStatus::kUploaded; });
  }

  std::vector<Image> get_batch_images(BatchId batch_id) override {
    const auto lock = enter("get_batch_images");
    std::vector<Image> images;
    const auto at = store_->batches.find(batch_id);
    if (at == store_->batches.end()) return images;
    for (const ImageId id : at->second.images) {
      images.push_back(store_->images.at(id).record.image);
    }
    return images;
  }

  // ----------------------------------------------------------------------------------------------

  void close() override { end(Life::kEndedInOrder); }

 private:
  using BatchStatus = progress_tracker::BatchStatus;
  using ErrorCode = progress_tracker::ErrorCode;
  using Store = internal::Store;
  using BatchRow = Store::BatchRow;
  using ImageRow = Store::ImageRow;
  using JobRow = Store::JobRow;
  using Life = Store::Life;

  InMemoryTracker(std::shared_ptr<Store> store, int max_deaths)
      : store_(std::move(store)), max_deaths_(max_deaths) {}

  // Every call begins here and holds the lock until it ends.
  std::unique_lock<std::mutex> enter(std::string_view operation) {
    std::unique_lock lock(store_->mutex);
    if (closed_) internal::refuse(ErrorCode::kClosed, operation, "tracker", "it was closed");
    return lock;
  }

  void end(Life life) {
    const std::lock_guard lock(store_->mutex);
    if (!closed_ && worker_) store_->workers.at(*worker_).life = life;
    closed_ = true;
  }

  // This tracker's worker, which begins with its first work.
  progress_tracker::WorkerId self() {
    if (!worker_) worker_ = store_->add_worker();
    return *worker_;
  }

  static std::string host() {
    char name[256] = {};
    return gethostname(name, sizeof name - 1) == 0 ? name : "";
  }

  static void refuse_if_chained(std::string_view operation, const JobRow& job) {
    if (!job.upstream) return;
    internal::refuse(ErrorCode::kInvalidArgument, operation, internal::describe("job", job.id),
                     "it is chained, so only its upstream adds images");
  }

  void take_back_from_dead_workers(JobRow& job) {
    store_->take_back_if(job, max_deaths_, [this](const ImageRow& image) {
      return image.holder != worker_ && !store_->is_held_by_another_live_worker(image, worker_);
    });
  }

  // An image with a death comes after all others, and alone.
  static std::vector<ImageId> next_to_claim(const JobRow& job, std::size_t limit) {
    std::vector<ImageId> next;
    for (const auto& [has_death, id] : job.pending) {
      if (next.size() >= limit || (has_death && !next.empty())) break;
      next.push_back(id);
      if (has_death) break;
    }
    return next;
  }

  [[noreturn]] static void refuse_batch(int batch_num, std::string_view cause) {
    internal::refuse(ErrorCode::kInvalidArgument, "create_batch_of",
                     "batch " + std::to_string(batch_num), cause);
  }

  void check_may_be_batched(JobId job, ImageId id) const {
    const ImageRow& image = store_->images.at(id);
    const char* cause = image.record.job_id != job                  ? "it is of another job"
                        : image.record.status != Status::kCompleted ? "it is not completed"
                        : image.batch                               ? "it is in another batch"
                                                                    : nullptr;
    if (cause == nullptr) return;
    internal::refuse(ErrorCode::kInvalidArgument, "create_batch_of",
                     internal::describe("image", id), cause);
  }

  BatchId add_batch(JobId job, int batch_num, std::int64_t image_count) {
    progress_tracker::Batch batch;
    batch.id = store_->batch_ids.next();
    batch.job_id = job;
    batch.batch_num = batch_num;
    batch.image_count = image_count;
    batch.created_at = internal::now();
    store_->batches[batch.id].batch = batch;
    return batch.id;
  }

  // By number.
  template <typename Predicate>
  std::vector<progress_tracker::Batch> batches_if(JobId job, Predicate wanted) const {
    std::vector<progress_tracker::Batch> batches;
    for (const auto& [id, row] : store_->batches) {
      if (row.batch.job_id == job && wanted(row.batch.status)) batches.push_back(row.batch);
    }
    std::sort(batches.begin(), batches.end(),
              [](const auto& a, const auto& b) { return a.batch_num < b.batch_num; });
    return batches;
  }

  // Constant after construction.
  const std::shared_ptr<Store> store_;
  const int max_deaths_;

  // Guarded by store_->mutex.
  std::optional<progress_tracker::WorkerId> worker_;  // no value: has not worked yet
  bool closed_{false};
};

}  // namespace progress_tracker_testing

#endif  // PROGRESS_TRACKER_TESTING_IN_MEMORY_TRACKER_H_

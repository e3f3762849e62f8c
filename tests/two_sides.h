// Workers of a ProgressTracker and of an InMemoryTracker, side by side: the same calls must give
// the same results and leave the same record in both.
#ifndef PROGRESS_TRACKER_TESTS_TWO_SIDES_H_
#define PROGRESS_TRACKER_TESTS_TWO_SIDES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "progress_tracker/error.h"
#include "progress_tracker/progress_tracker.h"
#include "progress_tracker/testing/in_memory_tracker.h"
#include "progress_tracker/tracker.h"
#include "progress_tracker/types.h"
#include "testing_hooks.h"

namespace progress_tracker::test {

// One of the two stores, with its workers. Jobs, images and batches are named as both know them:
// by name, path and number.
class Side {
 public:
  // An id that nobody has ever had.
  static constexpr std::int64_t kNobodys = 987'654'321;

  Side() = default;
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;
  virtual ~Side() = default;
  virtual std::unique_ptr<Tracker> open() = 0;
  virtual void kill(Tracker& worker) = 0;

  void start(std::size_t count) {
    while (workers.size() < count) workers.push_back(open());
  }
  // The worker dies, or ends in order, and a new one takes its place.
  void replace(std::size_t worker, bool dies) {
    auto& place = workers[worker];
    dies ? kill(*place) : place->close();
    place.reset();
    place = open();
  }

  JobId job(const std::string& name, std::int64_t otherwise = kNobodys) {
    return workers[0]->get_job_id(name).value_or(JobId{otherwise});
  }
  ImageId image(JobId job, const std::string& path, std::int64_t otherwise = kNobodys) {
    return workers[0]->get_image_id(job, path).value_or(ImageId{otherwise});
  }
  std::vector<ImageId> images(JobId job, const std::vector<std::string>& paths,
                              std::int64_t otherwise = kNobodys) {
    std::vector<ImageId> found;
    for (const std::string& path : paths) found.push_back(image(job, path, otherwise));
    return found;
  }
  BatchId batch(JobId job, int number, std::int64_t otherwise = kNobodys) {
    for (const auto& list :
         {workers[0]->get_pending_batches(job), workers[0]->get_uploaded_batches(job)}) {
      for (const Batch& found : list) {
        if (found.batch_num == number) return found.id;
      }
    }
    return BatchId{otherwise};
  }

  std::vector<std::unique_ptr<Tracker>> workers;
  std::vector<Image> claimed;  // all that was ever claimed, so that old claims are tried too
};

class ModelSide final : public Side {
 public:
  explicit ModelSide(int max_deaths) : store_(max_deaths) {}
  std::unique_ptr<Tracker> open() override { return store_.another(); }
  void kill(Tracker& worker) override {
    dynamic_cast<progress_tracker_testing::InMemoryTracker&>(worker).reopen();
  }

 private:
  progress_tracker_testing::InMemoryTracker store_;
};

class SqliteSide : public Side {
 public:
  SqliteSide(std::filesystem::path database, int max_deaths) : database_(std::move(database)) {
    options_.max_deaths = max_deaths;
  }
  std::unique_ptr<Tracker> open() override {
    return std::make_unique<ProgressTracker>(database_, options_);
  }
  void kill(Tracker& worker) override {
    internal::simulate_death(dynamic_cast<ProgressTracker&>(worker));
  }

 private:
  const std::filesystem::path database_;
  Options options_;
};

// ---- What both must agree on --------------------------------------------------------------------

inline void write(std::ostream& out, const StatusCounts& counts) {
  out << counts.pending << '/' << counts.processing << '/' << counts.completed << '/'
      << counts.error;
}

inline void write(std::ostream& out, const std::vector<Image>& images) {
  for (const Image& image : images) {
    out << ' ' << image.path.native() << '(' << image.split << ',' << image.attempt << ')';
  }
}

inline void write(std::ostream& out, Tracker& tracker, const std::vector<Batch>& batches) {
  for (const Batch& batch : batches) {
    out << "  batch " << batch.batch_num << ' ' << to_string(batch.status) << ' '
        << batch.image_count << (batch.uploaded_at ? " uploaded" : "") << " \""
        << batch.upload_error << "\" of";
    write(out, tracker.get_batch_images(batch.id));
    out << '\n';
  }
}

inline void write(std::ostream& out, Tracker& tracker, const Job& job,
                  const std::string& upstream) {
  out << "job " << job.name << " upstream \"" << upstream << "\" ";
  write(out, job.counts);
  const Progress progress = tracker.get_progress(job.id).value();
  out << " checkpoint " << progress.total_images << '/' << progress.processed_count << '/'
      << progress.error_count << '/' << progress.pending_count << '\n';
  for (const auto& [split, counts] : tracker.get_progress_by_split(job.id)) {
    out << "  split \"" << split << "\" ";
    write(out, counts);
    out << '\n';
  }
  for (const ImageRecord& record : tracker.get_images(job.id)) {
    out << "  " << record.image.path.native() << ' ' << record.image.split << ' '
        << to_string(record.status) << " attempts " << record.attempts << " deaths "
        << record.deaths << (record.started_at ? " started" : "")
        << (record.finished_at ? " finished" : "") << " \"" << record.error_message << "\"\n";
  }
  out << "  pending";
  write(out, tracker.get_pending_images(job.id));
  out << "\n  unbatched";
  write(out, tracker.get_unbatched_images(job.id));
  out << '\n';
  for (const ErrorGroup& group : tracker.get_error_summary(job.id)) {
    out << "  " << group.count << " times \"" << group.message << "\" as " << group.example.native()
        << '\n';
  }
  write(out, tracker, tracker.get_pending_batches(job.id));
  write(out, tracker, tracker.get_uploaded_batches(job.id));
}

// All that can be read, but for ids and times.
inline std::string record_of(Tracker& tracker) {
  std::ostringstream out;
  const auto jobs = tracker.list_jobs();
  const auto name_of = [&](std::optional<JobId> id) {
    const auto at =
        std::find_if(jobs.begin(), jobs.end(), [&](const Job& j) { return j.id == id; });
    return at == jobs.end() ? std::string() : at->name;
  };
  for (const Job& job : jobs) write(out, tracker, job, name_of(job.upstream));
  return out.str();
}

// ---- Calls --------------------------------------------------------------------------------------

// What a call on one of them gave, as text.
inline std::string result_of(const std::function<std::string(Side&)>& call, Side& side) {
  try {
    return call(side);
  } catch (const Error& error) {
    return std::string(to_string(error.code()));
  }
}

// A claim, remembered by its side, as its result.
inline std::string claim(Side& side, std::size_t worker, JobId job, std::size_t limit) {
  const auto images = side.workers[worker]->claim_images(job, limit);
  side.claimed.insert(side.claimed.end(), images.begin(), images.end());
  std::ostringstream out;
  write(out, images);
  return out.str();
}

}  // namespace progress_tracker::test

#endif  // PROGRESS_TRACKER_TESTS_TWO_SIDES_H_

#include "progress_tracker/import.h"

#include <algorithm>
#include <bitset>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "import_remarks.h"
#include "original_database.h"
#include "progress_tracker/error.h"
#include "progress_tracker/rules.h"
#include "progress_tracker/trace.h"

namespace progress_tracker {
namespace {

constexpr const char* kOperation = "import_original";

// What is brought over together. A tracker takes long lists at a higher rate than short ones.
constexpr std::size_t kMostRows = 20'000;
constexpr std::size_t kMostBytes = std::size_t{8} << 20U;

// What is asked for together: each image may come with a message of 64 KiB.
constexpr std::size_t kPage = 1'000;

constexpr int kLowestNumber = std::numeric_limits<int>::min();

// Whether the tracker would take it for a name, or for a split that is not empty.
bool is_label(std::string_view text) {
  try {
    check_job_name(kOperation, text);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::string split_of(const std::string& original) {
  return original.empty() || is_label(original) ? original : escape_for_display(original);
}

bool is_path(std::string_view bytes) {
  return !bytes.empty() && bytes.find('\0') == std::string_view::npos;
}

// What the tracker says of an image.
struct Standing {
  ImageId id{};
  Status status{Status::kPending};
};

// Images of one job in the order of the old file, and what became of them.
struct Piece {
  std::vector<std::filesystem::path> paths;
  std::vector<std::string> splits;
  std::vector<Status> statuses;
  std::vector<std::string> errors;
};

// Which images have been met, in a bit for each where ids are close together.
class SeenImages {
 public:
  // False: it has been before.
  bool insert(ImageId id) {
    const auto bit = static_cast<std::uint64_t>(id);
    auto seen = blocks_[bit / kBlock][bit % kBlock];
    if (seen) return false;
    seen = true;
    return true;
  }

 private:
  static constexpr std::size_t kBlock = 4096;
  std::unordered_map<std::uint64_t, std::bitset<kBlock>> blocks_;
};

// A job of the old file, and what is known of it so far.
struct JobInProgress {
  JobId id{};
  std::string name;  // as the tracker has it
  JobRemarks remarks;

  Piece piece;                   // read, and not brought over yet
  std::optional<ImageId> after;  // the last one brought over, as the tracker has it
  SeenImages seen;               // if the tracker had the job before

  std::optional<std::map<int, Batch>> batches;  // by number, as the tracker has them
  std::set<int> numbers;                        // given to batches of the old file
  int spare{kLowestNumber};                     // the next to be tried where others are taken
};

// Gives each job of the file a name that the tracker takes, and no two the same one.
class Names {
 public:
  explicit Names(std::span<const OriginalJob> jobs) {
    // Names that may stay come first.
    for (const OriginalJob& job : jobs) {
      if (is_label(job.name) && taken_.insert(job.name).second) names_[job.id] = job.name;
    }
    for (const OriginalJob& job : jobs) {
      if (names_.contains(job.id)) continue;
      const std::string by_id = "job " + std::to_string(job.id);
      std::string name = job.name.empty()     ? by_id
                         : is_label(job.name) ? job.name
                                              : escape_for_display(job.name);
      while (!taken_.insert(name).second) name += " (" + by_id + ")";
      names_[job.id] = name;
    }
  }

  const std::string& of(const OriginalJob& job) const { return names_.at(job.id); }

 private:
  std::map<std::int64_t, std::string> names_;
  std::set<std::string> taken_;
};

class Import {
 public:
  Import(OriginalDatabase& original, Tracker& tracker) : original_(original), tracker_(tracker) {}

  ImportSummary run() {
    bring_jobs();
    original_.for_each_image([this](OriginalImage& image) { take(image); });
    bring_pieces();
    original_.for_each_batch([this](const OriginalBatch& batch) { bring_batch(batch); });
    for (auto& [id, job] : jobs_) {
      tracker_.checkpoint(job.id);
      tell(job.name, job.remarks, summary_.notes);
    }
    tell(strays_, summary_.notes);
    return std::move(summary_);
  }

 private:
  void bring_jobs() {
    const std::vector<OriginalJob> jobs = original_.jobs();
    const Names names(jobs);
    const std::set<std::string> known = known_names(jobs, names);
    for (const OriginalJob& old : jobs) {
      JobInProgress& job = jobs_[old.id];
      job.name = names.of(old);
      job.remarks.total_images = old.total_images;
      job.remarks.is_new = !known.contains(job.name);
      job.id = tracker_.create_job(job.name, {}, {});
      summary_.jobs += job.remarks.is_new ? 1 : 0;
      if (job.name != old.name) {
        tell_name(old.id, old.name, job.name, summary_.notes);
      }
    }
  }

  // Those of the tracker's jobs. Throws Error if one that takes no images would get some.
  std::set<std::string> known_names(const std::vector<OriginalJob>& jobs, const Names& names) {
    std::set<std::string> known;
    std::set<std::string> fed;
    for (const Job& job : tracker_.list_jobs()) {
      known.insert(job.name);
      if (job.upstream.has_value()) fed.insert(job.name);
    }
    for (const OriginalJob& old : jobs) {
      if (!fed.contains(names.of(old))) continue;
      throw Error(ErrorCode::kInvalidArgument,
                  std::string(kOperation) + ": job " + in_quotes(names.of(old)) +
                      " gets its images from another job of the tracker, as by chain_job(), and "
                      "takes none from an old file");
    }
    return known;
  }

  JobInProgress* job_of(std::optional<std::int64_t> id) {
    const auto found = id.has_value() ? jobs_.find(*id) : jobs_.end();
    return found == jobs_.end() ? nullptr : &found->second;
  }

  // ---- Images --------------------------------------------------------------------------------

  void take(OriginalImage& image) {
    JobInProgress* job = job_of(image.job);
    if (job == nullptr) {
      ++summary_.images_left_out;
      strays_.images.add(image.id);
      return;
    }
    ++job->remarks.images;
    if (!is_path(image.path)) {
      ++summary_.images_left_out;
      job->remarks.no_paths.add(image.id);
      return;
    }
    const Status status = status_of(image, *job);
    std::string split = split_of(image.split);
    if (split != image.split) job->remarks.changed_splits.add(in_quotes(image.split));
    std::string message;
    if (status == Status::kError) {
      message = std::move(image.error_message);
    } else if (!image.error_message.empty()) {
      ++job->remarks.old_messages;
    }

    taken_bytes_ += image.path.size() + split.size() + message.size();
    ++taken_rows_;
    job->piece.paths.emplace_back(std::move(image.path));
    job->piece.splits.push_back(std::move(split));
    job->piece.statuses.push_back(status);
    job->piece.errors.push_back(std::move(message));
    if (taken_rows_ >= kMostRows || taken_bytes_ >= kMostBytes) bring_pieces();
  }

  static Status status_of(const OriginalImage& image, JobInProgress& job) {
    if (image.status == "completed") return Status::kCompleted;
    if (image.status == "error") return Status::kError;
    if (image.status == "processing") {
      ++job.remarks.were_processing;
    } else if (image.status != "pending") {
      job.remarks.unknown_statuses.add(in_quotes(image.status));
    }
    return Status::kPending;
  }

  void bring_pieces() {
    for (auto& [id, job] : jobs_) {
      if (job.piece.paths.empty()) continue;
      bring_piece(job);
      job.piece = {};
    }
    taken_rows_ = 0;
    taken_bytes_ = 0;
  }

  void bring_piece(JobInProgress& job) {
    const Piece& piece = job.piece;
    const std::int64_t added = tracker_.add_images(job.id, piece.paths, piece.splits);
    summary_.images += added;
    const std::int64_t seen_again = mark(job);
    const std::int64_t not_added = std::ssize(piece.paths) - added;
    const std::int64_t listed_twice = job.remarks.is_new ? not_added : seen_again;
    summary_.listed_twice += listed_twice;
    job.remarks.listed_twice += listed_twice;
    summary_.already_there += not_added - listed_twice;
    job.remarks.already_there += not_added - listed_twice;
  }

  // Returns how many of the images have been met before, if the tracker had the job: in a new one,
  // those are the ones that were not added.
  std::int64_t mark(JobInProgress& job) {
    const Piece& piece = job.piece;
    std::int64_t seen_again = 0;
    std::unordered_map<std::string, Standing> known = standings_after(job);
    std::vector<Outcome> completed;
    std::vector<Outcome> errors;
    for (std::size_t i = 0; i < piece.paths.size(); ++i) {
      const bool is_last = i + 1 == piece.paths.size();
      if (piece.statuses[i] == Status::kPending && !is_last && job.remarks.is_new) continue;
      Standing* image = standing_of(known, job.id, piece.paths[i]);
      if (image == nullptr) continue;
      if (is_last) job.after = image->id;
      if (!job.remarks.is_new && !job.seen.insert(image->id)) ++seen_again;
      if (image->status != Status::kPending) continue;
      if (piece.statuses[i] == Status::kCompleted) {
        completed.push_back({.id = image->id, .attempt = 0, .error = {}});
      } else if (piece.statuses[i] == Status::kError) {
        errors.push_back({.id = image->id, .attempt = 0, .error = piece.errors[i]});
      }
      image->status = piece.statuses[i];  // of one that is listed twice, the first end counts
    }
    summary_.completed += mark(completed);
    summary_.errors += mark(errors);
    return seen_again;
  }

  // Those just added are the next in the tracker too, and so are those that an earlier import
  // added: so they are asked for together.
  std::unordered_map<std::string, Standing> standings_after(const JobInProgress& job) {
    std::unordered_map<std::string, Standing> standings;
    std::optional<ImageId> after = job.after;
    for (std::size_t left = job.piece.paths.size(); left > 0;) {
      const std::vector<ImageRecord> page =
          tracker_.get_images(job.id, std::nullopt, std::min(left, kPage), after);
      if (page.empty()) break;
      for (const ImageRecord& record : page) {
        standings[record.image.path.native()] = {record.image.id, record.status};
      }
      after = page.back().image.id;
      left -= std::min(left, page.size());
    }
    return standings;
  }

  // The others are asked for one by one. nullptr: it is not there, as its job has been removed.
  Standing* standing_of(std::unordered_map<std::string, Standing>& known, JobId job,
                        const std::filesystem::path& path) {
    const auto found = known.find(path.native());
    if (found != known.end()) return &found->second;
    const std::optional<ImageId> id = tracker_.get_image_id(job, path);
    const auto record = id.has_value() ? tracker_.get_image(*id) : std::nullopt;
    if (!record.has_value()) return nullptr;
    return &(known[path.native()] = {*id, record->status});
  }

  std::int64_t mark(const std::vector<Outcome>& outcomes) {
    return outcomes.empty() ? 0 : static_cast<std::int64_t>(tracker_.mark_outcomes(outcomes));
  }

  // ---- Batches -------------------------------------------------------------------------------

  void bring_batch(const OriginalBatch& old) {
    JobInProgress* job = job_of(old.job);
    if (job == nullptr) {
      ++summary_.batches_left_out;
      strays_.batches.add(old.id);
      return;
    }
    std::int64_t count = old.image_count.value_or(0);
    if (!old.image_count.has_value() || count < 0) {
      count = 0;
      job->remarks.no_image_counts.add(old.id);
    }
    if (old.status != "error" && !old.upload_error.empty()) ++job->remarks.old_batch_messages;
    const std::optional<int> batch_num = number_for(old, count, *job);
    if (!batch_num.has_value()) {
      ++summary_.batches_left_out;
      job->remarks.no_batch_numbers.add(old.id);
      return;
    }
    const BatchId id = tracker_.create_batch(job->id, *batch_num, count);
    const auto found = job->batches->find(*batch_num);
    if (found == job->batches->end()) {
      ++summary_.batches;
      mark_batch(id, old, *job);
    } else if (found->second.status == BatchStatus::kPending) {
      mark_batch(id, old, *job);
    } else if (!ended_alike(found->second, old)) {
      job->remarks.differing_batches.add(*batch_num);
    }
  }

  static bool ended_alike(const Batch& batch, const OriginalBatch& old) {
    if (batch.status == BatchStatus::kUploaded) return old.status == "uploaded";
    return old.status == "error" && batch.upload_error == clean_message(old.upload_error);
  }

  // Its own, unless another batch of the job has it. What is tried, and in which order, depends on
  // the file and on what the tracker has, so that a second import comes to the same number.
  std::optional<int> number_for(const OriginalBatch& old, std::int64_t count, JobInProgress& job) {
    if (!job.batches.has_value()) job.batches = batches_of(job.id);
    constexpr std::int64_t kMost = std::numeric_limits<int>::max();
    const std::int64_t own = old.number.value_or(-1);
    if (own >= 0 && own <= kMost && take_number(static_cast<int>(own), count, job)) {
      return static_cast<int>(own);
    }
    if (old.id < 1 || old.id > kMost) return std::nullopt;
    int number = static_cast<int>(-old.id);
    if (!take_number(number, count, job)) {
      while (!take_number(job.spare, count, job)) ++job.spare;
      number = job.spare;
    }
    job.remarks.renumbered_batches.add(number);
    return number;
  }

  // False: it belongs to another batch, of the old file or of the tracker.
  static bool take_number(int number, std::int64_t count, JobInProgress& job) {
    const auto found = job.batches->find(number);
    const bool is_others = found != job.batches->end() && found->second.image_count != count;
    return !is_others && job.numbers.insert(number).second;
  }

  std::map<int, Batch> batches_of(JobId job) {
    std::map<int, Batch> by_number;
    for (Batch& batch : tracker_.get_pending_batches(job)) by_number[batch.batch_num] = batch;
    for (Batch& batch : tracker_.get_uploaded_batches(job)) by_number[batch.batch_num] = batch;
    return by_number;
  }

  void mark_batch(BatchId id, const OriginalBatch& old, JobInProgress& job) {
    if (old.status == "uploaded") {
      tracker_.mark_batch_uploaded(id);
    } else if (old.status == "error") {
      tracker_.mark_batch_error(id, old.upload_error);
    } else if (old.status != "pending") {
      job.remarks.unknown_batch_statuses.add(in_quotes(old.status));
    }
  }

  OriginalDatabase& original_;
  Tracker& tracker_;
  ImportSummary summary_;
  std::map<std::int64_t, JobInProgress> jobs_;  // by their old ids
  std::size_t taken_rows_{0};                   // in the pieces of all jobs
  std::size_t taken_bytes_{0};
  StrayRemarks strays_;
};

}  // namespace

ImportSummary import_original(const std::filesystem::path& old_database, Tracker& tracker,
                              std::chrono::milliseconds busy_timeout) {
  PROGRESS_TRACKER_TRACE("import_original");
  OriginalDatabase original(kOperation, old_database, busy_timeout);
  return Import(original, tracker).run();
}

void check_original(const std::filesystem::path& old_database,
                    std::chrono::milliseconds busy_timeout) {
  PROGRESS_TRACKER_TRACE("check_original");
  const OriginalDatabase original(kOperation, old_database, busy_timeout);
}

}  // namespace progress_tracker

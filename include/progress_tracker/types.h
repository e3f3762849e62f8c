// The values that go in and out of a Tracker.
//
// Plain values: copied freely, compared with ==, holding no reference to any tracker. Times are
// system_clock times in UTC with millisecond resolution.
#ifndef PROGRESS_TRACKER_TYPES_H_
#define PROGRESS_TRACKER_TYPES_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace progress_tracker {

// Each kind of id is a type of its own, so that a job's id cannot be passed where an image's is
// wanted. Ids are positive, unique within one store and never given out twice.
enum class JobId : std::int64_t {};
enum class ImageId : std::int64_t {};
enum class BatchId : std::int64_t {};
enum class WorkerId : std::int64_t {};

// Where an image stands. These numbers are stored: never renumber.
//
//   pending -> processing -> completed        completed is final
//      ^  \________\______-> error            error may be completed, or go back to pending
enum class Status {
  kPending = 0,
  kProcessing = 1,
  kCompleted = 2,
  kError = 3,
};

// Where an upload batch stands. These numbers are stored: never renumber. Uploaded is final.
enum class BatchStatus {
  kPending = 0,
  kUploaded = 1,
  kError = 2,
};

// "pending", "processing", "completed", "error"; "unknown" for a value outside the enumeration.
std::string_view to_string(Status status);

// "pending", "uploaded", "error"; "unknown" for a value outside the enumeration.
std::string_view to_string(BatchStatus status);

// One image to work on.
struct Image {
  ImageId id{};
  std::filesystem::path path{};  // byte for byte as it was given
  std::string split{};           // may be empty

  // The attempt under which this Image was claimed: the fence of Tracker::complete() and fail().
  // 0 in an image that came from anything but claim_images(): such an image is unfenced.
  int attempt{0};

  bool operator==(const Image&) const = default;
};

// Everything that is known of one image.
struct ImageRecord {
  Image image{};  // image.attempt is 0
  JobId job_id{};
  Status status{Status::kPending};

  // How often work was started: a claim, mark_processing() or an unfenced mark of a pending image
  // adds one. Never goes down.
  int attempts{0};

  // How often a worker died while it held this image: counted when the image is taken back from it
  // (reset_stuck_images() or a claim).
  int deaths{0};

  std::string error_message{};  // empty unless status is kError

  // The latest start of work; stays when the image goes back to pending. No value: never started.
  std::optional<std::chrono::system_clock::time_point> started_at{};

  // Set exactly in completed and error.
  std::optional<std::chrono::system_clock::time_point> finished_at{};

  bool operator==(const ImageRecord&) const = default;
};

// How far a job is, as of its last checkpoint. See Tracker::get_progress().
struct Progress {
  std::int64_t total_images{0};     // always current
  std::int64_t processed_count{0};  // completed images, as of the last checkpoint
  std::int64_t error_count{0};      // images in error, as of the last checkpoint
  std::int64_t pending_count{0};    // total - processed - error: images being processed included

  bool operator==(const Progress&) const = default;
};

// How many images are in each status, exact at one moment.
struct StatusCounts {
  std::int64_t pending{0};
  std::int64_t processing{0};
  std::int64_t completed{0};
  std::int64_t error{0};

  std::int64_t total() const;

  bool operator==(const StatusCounts&) const = default;
};

struct Job {
  JobId id{};
  std::string name{};
  std::optional<JobId> upstream{};  // set for a job made by Tracker::chain_job()
  StatusCounts counts{};            // exact
  std::chrono::system_clock::time_point created_at{};
  std::chrono::system_clock::time_point updated_at{};  // the last checkpoint, or the creation

  bool operator==(const Job&) const = default;
};

// What became of one image, for Tracker::mark_outcomes().
struct Outcome {
  ImageId id{};
  int attempt{0};                      // Image::attempt; 0: unfenced
  std::optional<std::string> error{};  // no error: completed

  bool operator==(const Outcome&) const = default;
};

// Images in error that carry the same message.
struct ErrorGroup {
  std::string message{};
  std::int64_t count{0};
  std::filesystem::path example{};  // the first of them, in the order in which they were added

  bool operator==(const ErrorGroup&) const = default;
};

// A tracker that claims, marks processing or loads images.
struct Worker {
  WorkerId id{};
  std::string host{};
  std::int64_t pid{0};
  bool alive{false};           // known for certain: by a lock that dies with the process
  std::int64_t processing{0};  // images it holds now
  std::chrono::system_clock::time_point started_at{};

  bool operator==(const Worker&) const = default;
};

struct Batch {
  BatchId id{};
  JobId job_id{};
  int batch_num{0};
  BatchStatus status{BatchStatus::kPending};
  std::int64_t image_count{0};
  std::chrono::system_clock::time_point created_at{};
  std::optional<std::chrono::system_clock::time_point> uploaded_at{};
  std::string upload_error{};  // empty unless status is kError

  bool operator==(const Batch&) const = default;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_TYPES_H_

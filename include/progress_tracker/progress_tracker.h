// ProgressTracker: a Tracker that keeps its record in one SQLite file.
//
//   progress_tracker::ProgressTracker tracker("logs/pipeline.db");
//   auto job = tracker.create_job("batch_001", paths, splits);
//   progress_tracker::run_job(tracker, job, [&](const auto& image) { segment(image.path); });
//
// Threads. Any thread may call any function at any time. Each calling thread gets its own database
// connection, which belongs to the tracker and is closed when the thread ends or the tracker is
// closed. Threads that write queue for the one writer's place; readers run beside them.
//
// Processes. Any number on one machine may open the same file. Not over a network file system:
// kUnsupportedFilesystem. In a child process after fork() every call throws kForked and the
// destructor closes nothing: open a new tracker there.
//
// Durability. After a call returns (a buffered mark: once committed) no death of any process, kill
// -9 included, loses it. After a power loss the file is intact and holds a prefix of what was
// committed: the latest commits may be missing. sync(), and Options::Synchronous::kFull, close
// that gap. A disk that lies about having written voids this.
//
// Who is alive. A tracker that claims, marks processing or loads images is a worker, and holds a
// kernel lock on a file beside the database ("<database>-workers") that dies with its process.
// There is no heartbeat, no timeout and no clock: after kill -9 the dead worker's images can be had
// back at once, and a slow worker never loses its own. Never delete that file while in use.
//
// Buffered marks (Options::mark_buffer = N). mark_completed() and mark_error() are then held in
// memory, at most N of them, and committed together: by the N-th, by checkpoint(), sync(),
// close(), the destructor, by any other call through this tracker from any thread, and by the next
// mark once the oldest is a second old. kNotFound and kInvalidTransition are still thrown by the
// mark itself. finished_at is when they are committed. A crash costs at most N marks, whose images
// are worked on again. A held mark that another tracker has made impossible meanwhile (its image is
// gone, or an error for an image that is completed now) is dropped, with one warning in the log,
// and the others are committed. If the commit fails otherwise, the call that tried it throws and
// the marks stay held; a close() that throws leaves the tracker open; the destructor logs how many
// it lost.
#ifndef PROGRESS_TRACKER_PROGRESS_TRACKER_H_
#define PROGRESS_TRACKER_PROGRESS_TRACKER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "progress_tracker/error.h"
#include "progress_tracker/options.h"
#include "progress_tracker/tracker.h"
#include "progress_tracker/types.h"

namespace progress_tracker {

namespace internal {
struct TestAccess;
}  // namespace internal

class ProgressTracker final : public Tracker {
 public:
  // Opens the database, or makes it and its parent directories. A relative path is made absolute
  // here, once.
  //
  // Throws Error:
  //   kInvalidArgument  an empty path, ":memory:", or an option out of its range
  //   kNotFound         read_only, and there is no such file
  //   kReadOnly         not read_only, and we may not write the file, its side files or directory
  //   kNotADatabase, kForeignDatabase, kSchemaTooNew, kSchemaTooOld, kUnsupportedFilesystem
  //                     the file is not ours to use; it and its log were left as they were, byte
  //                     for byte
  //   kBusy             the file could not be had within busy_timeout
  //   kIo               read_only, and nobody has the file open, and SQLite cannot make its -shm
  //                     file beside it (see maintenance.h, snapshot()); any other refusal of the
  //                     system
  //   kCorrupt          the file is damaged, or its tables are not those that the library makes
  //   kFull
  explicit ProgressTracker(const std::filesystem::path& db_path, Options options = {});

  // As close(), but never throws: what close() would throw is logged at error. If the tracker still
  // holds images then, they count a death, as after a crash.
  ~ProgressTracker() override;

  // Commits buffered marks; then makes all that was committed so far, by anyone, survive a power
  // loss too. One sync of the disk, some milliseconds.
  // Throws Error: kReadOnly; kIo if the disk refused: then what was committed may not survive even
  // if a later sync seems to succeed, so the tracker accepts only close() from there on.
  void sync();

  JobId create_job(std::string_view name, std::span<const std::filesystem::path> image_paths,
                   std::span<const std::string> splits) override;
  std::int64_t add_images(JobId job, std::span<const std::filesystem::path> image_paths,
                          std::span<const std::string> splits) override;
  JobId chain_job(std::string_view name, JobId upstream) override;
  std::optional<JobId> get_job_id(std::string_view name) override;
  std::vector<Job> list_jobs() override;
  void remove_job(JobId job) override;

  std::vector<Image> get_pending_images(JobId job, std::size_t limit = 100) override;
  void mark_processing(std::span<const ImageId> image_ids) override;
  std::vector<Image> claim_images(JobId job, std::size_t limit = 100) override;
  void mark_completed(ImageId image_id) override;
  void mark_error(ImageId image_id, std::string_view error_msg) override;
  std::size_t mark_outcomes(std::span<const Outcome> outcomes) override;
  std::size_t release_images(std::span<const Image> images) override;

  std::size_t reset_stuck_images(JobId job) override;
  std::size_t reset_error_images(JobId job) override;
  std::size_t retry_images(std::span<const ImageId> image_ids) override;

  void checkpoint(JobId job) override;
  std::optional<Progress> get_progress(JobId job) override;
  std::optional<StatusCounts> get_status_counts(JobId job) override;
  std::map<std::string, StatusCounts> get_progress_by_split(JobId job) override;
  std::optional<ImageId> get_image_id(JobId job, const std::filesystem::path& path) override;
  std::optional<ImageRecord> get_image(ImageId image_id) override;
  std::vector<ImageRecord> get_images(JobId job, std::optional<Status> status = {},
                                      std::size_t limit = 1000,
                                      std::optional<ImageId> after = {}) override;
  std::vector<ErrorGroup> get_error_summary(JobId job, std::size_t limit = 20) override;
  std::vector<Worker> list_workers() override;

  BatchId create_batch(JobId job, int batch_num, std::int64_t image_count) override;
  BatchId create_batch_of(JobId job, int batch_num, std::span<const ImageId> image_ids) override;
  std::vector<Image> get_unbatched_images(JobId job, std::size_t limit = 100) override;
  void mark_batch_uploaded(BatchId batch_id) override;
  void mark_batch_error(BatchId batch_id, std::string_view error_msg) override;
  std::vector<Batch> get_pending_batches(JobId job) override;
  std::vector<Batch> get_uploaded_batches(JobId job) override;
  std::vector<Image> get_batch_images(BatchId batch_id) override;

  // As Tracker::close(). Throws, and leaves the tracker open, if buffered marks could not be
  // committed; kBusy also if it could not be written down that this is no death, for the images
  // that the tracker still holds. (One that holds none waits for nobody.)
  void close() override;

 private:
  friend struct internal::TestAccess;
  class Impl;
  explicit ProgressTracker(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_PROGRESS_TRACKER_H_

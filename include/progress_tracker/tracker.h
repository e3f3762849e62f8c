// Durable record of which images of a job are pending, processing, completed or in error.
//
// A job is a named list of images, each with a split. Workers, which may be threads or processes,
// claim images, work on them and mark them. Work that a dead worker left behind is handed out
// again. `Tracker` is the interface; ProgressTracker (progress_tracker.h) keeps the record in
// SQLite, and progress_tracker/testing/ has a mock and an in-memory implementation.
//
// Any thread may call any function at any time.
//
// Rules for all functions:
//
//   Checks come in this order: closed (kClosed) or forked (kForked), arguments (kInvalidArgument),
//   read-only (kReadOnly), unknown id (kNotFound), transition (kInvalidTransition). A call that
//   throws has changed nothing, unless its description or its code (error.h) says otherwise.
//
//   An unknown id throws kNotFound in a call that writes (claim_images() and checkpoint()
//   included), and nothing of the call is done; in a call that reads it gives an empty result.
//
//   Names of jobs are non-empty valid UTF-8 without control characters; splits are the same or
//   empty. Paths are bytes: any Linux file name comes back exactly as given, valid UTF-8 or not,
//   and nothing is normalised, so "a.png" and "./a.png" are two images. An empty path or one with
//   a NUL is kInvalidArgument.
//
//   Error messages are never a reason to fail: invalid UTF-8 and NUL are replaced by U+FFFD, and
//   what exceeds 64 KiB is cut at a character, with a mark at the end that says so.
//
//   A limit of 0 gives an empty result; one above INT64_MAX means all.
//
//   A call that goes to a database may throw kBusy, kFull, kIo, kOutcomeUnknown, kCorrupt or
//   kDatabaseMoved (error.h), and std::bad_alloc.
#ifndef PROGRESS_TRACKER_TRACKER_H_
#define PROGRESS_TRACKER_TRACKER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "progress_tracker/types.h"

namespace progress_tracker {

class Tracker {
 public:
  Tracker() = default;
  Tracker(const Tracker&) = delete;
  Tracker& operator=(const Tracker&) = delete;
  Tracker(Tracker&&) = delete;
  Tracker& operator=(Tracker&&) = delete;
  virtual ~Tracker();

  // ---- Jobs --------------------------------------------------------------------------------

  // Makes the job `name` with these images, or adds to it those it does not have yet. Returns the
  // job's id, the same at every call with that name.
  //
  // Atomic: afterwards all of it is there or nothing, and until then no call shows any of it.
  // Running it again with the same list changes nothing: the images the job has keep status and
  // split (one warning in the log gives the number whose split differed), and none is removed.
  // A path listed twice counts once, with its first split.
  //
  // `splits` has one entry per path, or none at all: then every split is empty.
  // Waits while another living tracker loads images into this job, at most busy_timeout.
  // Throws Error: kInvalidArgument if the lists' lengths differ, for a bad name, split or path,
  // and if the job was made by chain_job(); kBusy.
  virtual JobId create_job(std::string_view name,
                           std::span<const std::filesystem::path> image_paths,
                           std::span<const std::string> splits) = 0;

  // Adds to an existing job the images it does not have yet, under the rules of create_job().
  // Returns how many were new. A list too long for memory is added in several calls; each is
  // atomic by itself.
  // Throws Error: kNotFound; kInvalidArgument as create_job() does.
  virtual std::int64_t add_images(JobId job, std::span<const std::filesystem::path> image_paths,
                                  std::span<const std::string> splits) = 0;

  // Makes, or finds, a job that is fed by another: every image completed in `upstream`, already
  // or from now on, becomes a pending image here, with its path and split, in the transaction of
  // its completion. First those completed already, in the upstream's order, then each as it
  // completes. A path that is already here stays as it is.
  //
  // Throws Error: kNotFound if there is no job `upstream`; kInvalidArgument for a bad name, and if
  // the job exists with another upstream or with none.
  virtual JobId chain_job(std::string_view name, JobId upstream) = 0;

  // The job called `name`, or nullopt.
  virtual std::optional<JobId> get_job_id(std::string_view name) = 0;

  // All jobs, oldest first.
  virtual std::vector<Job> list_jobs() = 0;

  // Removes the job with its images and batches. It is gone from every view, and its name free,
  // from one moment on; its rows are then cleared away before the call returns. Where that fails,
  // the job is removed all the same, and a later create_job, add_images or remove_job clears them.
  //
  // Throws Error: kNotFound; kInvalidTransition while another live worker loads images into it or
  // holds one of them, and while a job is chained to it.
  virtual void remove_job(JobId job) = 0;

  // ---- Work --------------------------------------------------------------------------------

  // The next pending images, at most `limit`, without marking them: other workers may be given
  // the same ones. In the order in which they were added; those whose worker died come last.
  virtual std::vector<Image> get_pending_images(JobId job, std::size_t limit = 100) = 0;

  // Marks pending images as being processed by this tracker: the whole list or nothing. An id
  // listed twice counts once.
  // Throws Error: kNotFound; kInvalidTransition if one of them is not pending.
  virtual void mark_processing(std::span<const ImageId> image_ids) = 0;

  // Picks the next pending images, at most `limit`, and marks them processing, in one step: of any
  // number of threads and processes that claim at once, no image goes to two. Returns them with
  // the attempt that fences their outcome; empty if there is nothing to do.
  //
  // In the order of get_pending_images(). When nothing is pending, first takes back what dead
  // workers held in this job. An image with a death is given only when nothing else is pending,
  // and then alone, whatever the limit: so a file that kills its worker takes no other with it.
  // Throws Error: kNotFound.
  virtual std::vector<Image> claim_images(JobId job, std::size_t limit = 100) = 0;

  // Marks one image completed, from pending, processing or error, whoever holds it. Completed is
  // final: again changes nothing. Clears an earlier error message.
  // Throws Error: kNotFound.
  virtual void mark_completed(ImageId image_id) = 0;

  // Marks one image as failed, from pending, processing or error, whoever holds it.
  // Throws Error: kNotFound; kInvalidTransition if the image is completed.
  virtual void mark_error(ImageId image_id, std::string_view error_msg) = 0;

  // Records many outcomes in one transaction, in list order. Returns how many were applied.
  //
  // An outcome with an attempt is applied if that is still the image's attempt and the image is
  // not pending; otherwise it is stale and skipped: somebody else has started the image since, or
  // it was given back. One with attempt 0 is applied whoever holds the image. A completed image
  // stays completed: completing it again under the same attempt or 0 counts as applied, an error
  // for it is skipped. An error repeated under the same attempt counts as applied.
  // Throws Error: kNotFound if one id is unknown; then none is applied.
  virtual std::size_t mark_outcomes(std::span<const Outcome> outcomes) = 0;

  // Records that a claimed image is done. False: the claim was stale, and nothing was changed.
  // Throws Error: kNotFound.
  bool complete(const Image& image);

  // Records that a claimed image failed. False: the claim was stale, or the image is completed,
  // and nothing was changed.
  // Throws Error: kNotFound.
  bool fail(const Image& image, std::string_view error_msg);

  // Gives claimed images back to pending, for an orderly stop; no death is counted. Stale ones and
  // those not processing are skipped. Returns how many were given back.
  // Throws Error: kNotFound if one id is unknown; then none is given back.
  virtual std::size_t release_images(std::span<const Image> images) = 0;

  // ---- Resume ------------------------------------------------------------------------------

  // Puts the job's processing images back to pending, unless another *live* worker holds them:
  // what dead workers held, at once and without any timeout, and what this tracker itself holds,
  // its other threads included. So call it before work starts. A worker's death counts for each
  // image it held. Returns how many went back to pending.
  //
  // A large number is put back in pieces, each of which stands by itself.
  // Throws Error: kNotFound.
  virtual std::size_t reset_stuck_images(JobId job) = 0;

  // The same by its older name.
  void reset_processing_images(JobId job);

  // Puts the job's images in error back to pending, clears their messages, and writes the job's
  // counts as checkpoint() does. Returns how many. In pieces, as reset_stuck_images().
  // Throws Error: kNotFound.
  virtual std::size_t reset_error_images(JobId job) = 0;

  // The same for those of the given images that are in error; the others stay as they are.
  // Throws Error: kNotFound if one id is unknown; then none is changed.
  virtual std::size_t retry_images(std::span<const ImageId> image_ids) = 0;

  // ---- Progress ----------------------------------------------------------------------------

  // Writes the job's counts to its row, where get_progress() reads them.
  // Throws Error: kNotFound.
  virtual void checkpoint(JobId job) = 0;

  // The job's counts as of its last checkpoint; total_images is always current. As in the design
  // this follows, pending_count includes the images being processed. nullopt: no such job.
  virtual std::optional<Progress> get_progress(JobId job) = 0;

  // The job's counts, exact at this moment. The cost does not depend on the number of images.
  // nullopt: no such job.
  virtual std::optional<StatusCounts> get_status_counts(JobId job) = 0;

  // The same by split; empty: no such job, or no images.
  virtual std::map<std::string, StatusCounts> get_progress_by_split(JobId job) = 0;

  // The image with exactly this path, or nullopt.
  virtual std::optional<ImageId> get_image_id(JobId job, const std::filesystem::path& path) = 0;

  // nullopt: no such image.
  virtual std::optional<ImageRecord> get_image(ImageId image_id) = 0;

  // nullopt: no such image. An image without a split gives "".
  std::optional<std::string> get_image_split(ImageId image_id);

  // The job's images, or those in one status, in the order in which they were added, which is the
  // order of their ids; at most `limit`. The next page begins after the last id of this one.
  virtual std::vector<ImageRecord> get_images(JobId job, std::optional<Status> status = {},
                                              std::size_t limit = 1000,
                                              std::optional<ImageId> after = {}) = 0;

  // The job's errors by message, largest group first, at most `limit` groups.
  virtual std::vector<ErrorGroup> get_error_summary(JobId job, std::size_t limit = 20) = 0;

  // The live workers, and the dead ones that still hold images; oldest first.
  virtual std::vector<Worker> list_workers() = 0;

  // ---- Upload batches ----------------------------------------------------------------------

  // Records an upload batch of `image_count` images, or finds the one that already has this number
  // in the job and leaves it as it is.
  // Throws Error: kInvalidArgument if image_count is negative; kNotFound.
  virtual BatchId create_batch(JobId job, int batch_num, std::int64_t image_count) = 0;

  // The same, recording which images are in it. An id listed twice counts once.
  // Throws Error: kInvalidArgument if the list is empty, if an image is not of this job, not
  // completed or in another batch, and if the number exists with other images; kNotFound.
  virtual BatchId create_batch_of(JobId job, int batch_num, std::span<const ImageId> image_ids) = 0;

  // Completed images that are in no batch, at most `limit`, in the order in which they were added.
  virtual std::vector<Image> get_unbatched_images(JobId job, std::size_t limit = 100) = 0;

  // Uploaded is final: again changes nothing. Clears an earlier upload error.
  // Throws Error: kNotFound.
  virtual void mark_batch_uploaded(BatchId batch_id) = 0;

  // Throws Error: kNotFound; kInvalidTransition if the batch is uploaded.
  virtual void mark_batch_error(BatchId batch_id, std::string_view error_msg) = 0;

  // The batches not uploaded yet, pending and error, by number.
  virtual std::vector<Batch> get_pending_batches(JobId job) = 0;

  // By number.
  virtual std::vector<Batch> get_uploaded_batches(JobId job) = 0;

  // The images recorded by create_batch_of(), in the order in which they were added.
  virtual std::vector<Image> get_batch_images(BatchId batch_id) = 0;

  // ------------------------------------------------------------------------------------------

  // Ends the use of this tracker. Calls already inside finish first; later ones get kClosed;
  // closing twice is harmless. Nothing acknowledged is lost. Images still held stay processing,
  // and the next reset or claim of any tracker takes them back, with no death counted. Do not call
  // it from inside a callback of a running call.
  virtual void close() = 0;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_TRACKER_H_

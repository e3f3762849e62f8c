// The door: each function checks its arguments, opens its transaction, calls the store, answers.
#include "progress_tracker/progress_tracker.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

#include "progress_tracker/rules.h"
#include "progress_tracker/trace.h"
#include "sqlite/durable.h"
#include "store/batches.h"
#include "store/claim.h"
#include "store/counts.h"
#include "store/images.h"
#include "store/jobs.h"
#include "store/work.h"
#include "store/workers.h"
#include "tracker_impl.h"

namespace progress_tracker {
namespace {

using sqlite::Connection;

// Images that one transaction of a reset puts back: some milliseconds of the write lock.
constexpr std::int64_t kResetPiece = 5'000;

// Outcomes that are few enough to be committed with those of other threads.
constexpr std::size_t kMostShared = 64;

std::int64_t as_limit(std::size_t limit) {
  constexpr std::size_t kAll = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min(limit, kAll));
}

}  // namespace

ProgressTracker::ProgressTracker(const std::filesystem::path& db_path, Options options) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.ProgressTracker");
  impl_ = std::make_unique<Impl>(db_path, options, Clock::system());
}

ProgressTracker::ProgressTracker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ProgressTracker::~ProgressTracker() {
  if (impl_ == nullptr) {
    return;
  }
  if (impl_->process != fork_generation()) {
    // All of it is the parent's. Leaked, because closing it here would drop the parent's locks.
    static_cast<void>(impl_.release());
    return;
  }
  PROGRESS_TRACKER_TRACE("ProgressTracker.~ProgressTracker");
  try {
    impl_->close();
  } catch (const std::exception& error) {
    // A destructor cannot report it otherwise. What was acknowledged is committed; held marks are
    // what Options::mark_buffer puts at stake, and their images are worked on again.
    impl_->gate.close();
    internal::log_if_possible(LogLevel::kError, [&] {
      const std::size_t held = impl_->buffer.size();
      return "~ProgressTracker: " + impl_->path + ": " +
             (held > 0 ? "lost " + std::to_string(held) + " buffered marks"
                       : std::string("the images it holds will count a death")) +
             ": " + error.what();
    });
    impl_->let_go();
  }
}

void ProgressTracker::close() {
  PROGRESS_TRACKER_TRACE("ProgressTracker.close");
  impl_->close();
}

void ProgressTracker::sync() {
  PROGRESS_TRACKER_TRACE("ProgressTracker.sync");
  Impl::Call call(*impl_, "sync");
  call.will_write();
  try {
    call.read([&](Connection& db) {
      impl_->check_not_moved(call.operation(), db);
      sqlite::sync_to_disk(db, impl_->path);
      impl_->check_not_moved(call.operation(), db);
    });
  } catch (const Error& error) {
    if (error.sqlite_code() == SQLITE_IOERR_FSYNC ||
        error.sqlite_code() == SQLITE_IOERR_DIR_FSYNC) {
      impl_->transactions.disk_has_refused();
    }
    throw;
  }
}

// ---- Jobs --------------------------------------------------------------------------------------

JobId ProgressTracker::create_job(std::string_view name,
                                  std::span<const std::filesystem::path> image_paths,
                                  std::span<const std::string> splits) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.create_job");
  Impl::Call call(*impl_, "create_job");
  check_job_name("create_job", name);
  check_images("create_job", image_paths, splits);
  call.will_write();
  const auto result = impl_->loader.create_job(name, image_paths, splits);
  call.warn_of_differing_splits(result);
  return result.job;
}

std::int64_t ProgressTracker::add_images(JobId job,
                                         std::span<const std::filesystem::path> image_paths,
                                         std::span<const std::string> splits) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.add_images");
  Impl::Call call(*impl_, "add_images");
  check_images("add_images", image_paths, splits);
  call.will_write();
  const auto result = impl_->loader.add_images(job, image_paths, splits);
  call.warn_of_differing_splits(result);
  return result.added;
}

JobId ProgressTracker::chain_job(std::string_view name, JobId upstream) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.chain_job");
  Impl::Call call(*impl_, "chain_job");
  check_job_name("chain_job", name);
  call.will_write();
  return impl_->loader.chain_job(name, upstream);
}

std::optional<JobId> ProgressTracker::get_job_id(std::string_view name) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.get_job_id");
  Impl::Call call(*impl_, "get_job_id");
  call.will_read();
  return call.read([&](Connection& db) { return store::find_job_id(db, name); });
}

std::vector<Job> ProgressTracker::list_jobs() {
  PROGRESS_TRACKER_TRACE("ProgressTracker.list_jobs");
  Impl::Call call(*impl_, "list_jobs");
  call.will_read();
  return call.read([&](Connection& db) { return store::list_jobs(db); });
}

void ProgressTracker::remove_job(JobId job) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.remove_job");
  Impl::Call call(*impl_, "remove_job");
  call.will_write();
  impl_->worker.ensure_in_place();
  impl_->loader.remove_job(job);
}

// ---- Work --------------------------------------------------------------------------------------

std::vector<Image> ProgressTracker::get_pending_images(JobId job, std::size_t limit) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.get_pending_images");
  Impl::Call call(*impl_, "get_pending_images");
  call.will_read();
  auto images = call.read([&](Connection& db) {
    const auto row = store::find_job(db, job);
    return row.has_value() ? store::pending_images(db, *row, as_limit(limit))
                           : std::vector<Image>{};
  });
  impl_->remember_open(images);
  return images;
}

void ProgressTracker::mark_processing(std::span<const ImageId> image_ids) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.mark_processing");
  Impl::Call call(*impl_, "mark_processing");
  call.will_write();
  if (image_ids.empty()) {
    return;
  }
  std::vector<ImageId> ids(image_ids.begin(), image_ids.end());
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  impl_->worker.ensure();
  call.write([&](Connection& db) {
    const WorkerId worker = impl_->worker.self();
    store::StateChanges changes(db, impl_->clock.wall_ms());
    const auto started = changes.start_all(ids, worker);
    if (!started.unknown.empty()) {
      throw_not_found(call.operation(), started.unknown.front());
    }
    if (!started.not_pending.empty()) {
      throw Error(
          ErrorCode::kInvalidTransition,
          "mark_processing: " + store::describe(started.not_pending.front()) + " is not pending");
    }
    changes.finish();
  });
  impl_->remember_open(ids);
}

std::vector<Image> ProgressTracker::claim_images(JobId job, std::size_t limit) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.claim_images");
  Impl::Call call(*impl_, "claim_images");
  call.will_write();
  if (limit == 0 || impl_->worker.self() == WorkerId{0}) {
    call.read([&](Connection& db) { store::require_job(db, call.operation(), job); });
    if (limit == 0) {
      return {};
    }
  }
  impl_->worker.ensure();
  std::vector<Image> images;
  bool again = false;
  do {
    std::tie(images, again) = call.write([&](Connection& db) {
      const WorkerId worker = impl_->worker.self();
      const std::int64_t now = impl_->clock.wall_ms();
      const auto row = store::require_job(db, call.operation(), job);
      auto claimed = store::claim(db, row, worker, as_limit(limit), now);
      store::TakenBack taken;
      if (claimed.empty()) {
        taken = store::take_back(db, row, worker, /*own=*/false, impl_->options.max_deaths,
                                 kResetPiece, impl_->is_alive(), now);
      }
      if (taken.total() > 0) {
        claimed = store::claim(db, row, worker, as_limit(limit), now);
      }
      // All that was taken back may have died too often, and there may be more of it.
      return std::pair(std::move(claimed), taken.total() > 0);
    });
  } while (images.empty() && again);
  impl_->remember_open(images);
  return images;
}

void ProgressTracker::mark_completed(ImageId image_id) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.mark_completed");
  Impl::Call call(*impl_, "mark_completed");
  impl_->mark(call, image_id, std::nullopt);
}

void ProgressTracker::mark_error(ImageId image_id, std::string_view error_msg) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.mark_error");
  Impl::Call call(*impl_, "mark_error");
  impl_->mark(call, image_id, clean_message(error_msg));
}

std::size_t ProgressTracker::mark_outcomes(std::span<const Outcome> outcomes) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.mark_outcomes");
  Impl::Call call(*impl_, "mark_outcomes");
  call.will_write();
  if (outcomes.empty()) {
    return 0;
  }
  // Copied only where a message has to be cleaned.
  std::vector<Outcome> cleaned;
  const auto is_clean = [](const Outcome& each) {
    return !each.error.has_value() || clean_message(*each.error) == *each.error;
  };
  if (!std::all_of(outcomes.begin(), outcomes.end(), is_clean)) {
    cleaned.assign(outcomes.begin(), outcomes.end());
    for (Outcome& outcome : cleaned) {
      if (outcome.error.has_value()) {
        outcome.error = clean_message(*outcome.error);
      }
    }
    outcomes = cleaned;
  }
  const auto mark = [&](Connection& db) {
    store::StateChanges changes(db, impl_->clock.wall_ms());
    const auto marked = changes.mark_all(outcomes);
    if (!marked.unknown.empty()) {
      throw_not_found(call.operation(), marked.unknown.front());
    }
    changes.finish();
    return marked.applied;
  };
  // A long one would keep those waiting who are committed with it.
  return outcomes.size() <= kMostShared ? call.write_by_any(mark) : call.write(mark);
}

std::size_t ProgressTracker::release_images(std::span<const Image> images) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.release_images");
  Impl::Call call(*impl_, "release_images");
  call.will_write();
  if (images.empty()) {
    return 0;
  }
  return call.write([&](Connection& db) {
    store::StateChanges changes(db, impl_->clock.wall_ms());
    std::size_t released = 0;
    for (const Image& image : images) {
      const auto result = changes.release(image.id, image.attempt);
      if (result == store::StateChanges::Result::kUnknown) {
        throw_not_found(call.operation(), image.id);
      }
      released += result == store::StateChanges::Result::kApplied ? 1 : 0;
    }
    changes.finish();
    return released;
  });
}

// ---- Resume ------------------------------------------------------------------------------------

std::size_t ProgressTracker::reset_stuck_images(JobId job) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.reset_stuck_images");
  Impl::Call call(*impl_, "reset_stuck_images");
  call.will_write();
  impl_->worker.ensure_in_place();
  std::size_t reset = 0;
  for (;;) {
    const auto taken = call.write([&](Connection& db) {
      const std::int64_t now = impl_->clock.wall_ms();
      const auto row = store::require_job(db, call.operation(), job);
      return store::take_back(db, row, impl_->worker.self(), /*own=*/true,
                              impl_->options.max_deaths, kResetPiece, impl_->is_alive(), now);
    });
    reset += taken.to_pending;
    if (taken.total() < static_cast<std::size_t>(kResetPiece)) {
      return reset;
    }
    impl_->transactions.make_way();
  }
}

std::size_t ProgressTracker::reset_error_images(JobId job) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.reset_error_images");
  Impl::Call call(*impl_, "reset_error_images");
  call.will_write();
  std::size_t reset = 0;
  for (;;) {
    const std::size_t piece = call.write([&](Connection& db) {
      const std::int64_t now = impl_->clock.wall_ms();
      const auto row = store::require_job(db, call.operation(), job);
      const std::size_t count = store::reset_errors(db, row, kResetPiece, now);
      if (count > 0) {
        store::checkpoint(db, job, now);
      }
      return count;
    });
    reset += piece;
    if (piece < static_cast<std::size_t>(kResetPiece)) {
      return reset;
    }
    impl_->transactions.make_way();
  }
}

std::size_t ProgressTracker::retry_images(std::span<const ImageId> image_ids) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.retry_images");
  Impl::Call call(*impl_, "retry_images");
  call.will_write();
  if (image_ids.empty()) {
    return 0;
  }
  return call.write([&](Connection& db) {
    const std::int64_t now = impl_->clock.wall_ms();
    store::StateChanges changes(db, now);
    std::set<JobId> changed_jobs;
    std::size_t retried = 0;
    for (const ImageId id : image_ids) {
      const auto result = changes.retry(id);
      if (result == store::StateChanges::Result::kUnknown) {
        throw_not_found(call.operation(), id);
      }
      if (result == store::StateChanges::Result::kApplied) {
        changed_jobs.insert(store::job_of(id));
        ++retried;
      }
    }
    changes.finish();
    for (const JobId job : changed_jobs) {
      store::checkpoint(db, job, now);
    }
    return retried;
  });
}

// ---- Progress ----------------------------------------------------------------------------------

void ProgressTracker::checkpoint(JobId job) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.checkpoint");
  Impl::Call call(*impl_, "checkpoint");
  call.will_write();
  call.write_by_any([&](Connection& db) {
    store::require_job(db, call.operation(), job);
    store::checkpoint(db, job, impl_->clock.wall_ms());
  });
}

std::optional<Progress> ProgressTracker::get_progress(JobId job) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.get_progress");
  Impl::Call call(*impl_, "get_progress");
  call.will_read();
  return call.read([&](Connection& db) -> std::optional<Progress> {
    if (!store::find_job(db, job).has_value()) {
      return std::nullopt;
    }
    return store::checkpointed_progress(db, job);
  });
}

std::optional<StatusCounts> ProgressTracker::get_status_counts(JobId job) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.get_status_counts");
  Impl::Call call(*impl_, "get_status_counts");
  call.will_read();
  return call.read([&](Connection& db) -> std::optional<StatusCounts> {
    if (!store::find_job(db, job).has_value()) {
      return std::nullopt;
    }
    return store::status_counts(db, job);
  });
}

std::map<std::string, StatusCounts> ProgressTracker::get_progress_by_split(JobId job) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.get_progress_by_split");
  Impl::Call call(*impl_, "get_progress_by_split");
  call.will_read();
  return call.read([&](Connection& db) {
    return store::find_job(db, job).has_value() ? store::counts_by_split(db, job)
                                                : std::map<std::string, StatusCounts>{};
  });
}

std::optional<ImageId> ProgressTracker::get_image_id(JobId job, const std::filesystem::path& path) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.get_image_id");
  Impl::Call call(*impl_, "get_image_id");
  call.will_read();
  return call.read([&](Connection& db) -> std::optional<ImageId> {
    const auto row = store::find_job(db, job);
    return row.has_value() ? store::find_image(db, *row, path.native()) : std::nullopt;
  });
}

std::optional<ImageRecord> ProgressTracker::get_image(ImageId image_id) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.get_image");
  Impl::Call call(*impl_, "get_image");
  call.will_read();
  return call.read([&](Connection& db) { return store::image_record(db, image_id); });
}

std::vector<ImageRecord> ProgressTracker::get_images(JobId job, std::optional<Status> status,
                                                     std::size_t limit,
                                                     std::optional<ImageId> after) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.get_images");
  Impl::Call call(*impl_, "get_images");
  call.will_read();
  return call.read([&](Connection& db) {
    const auto row = store::find_job(db, job);
    return row.has_value() ? store::image_records(db, *row, status, as_limit(limit), after)
                           : std::vector<ImageRecord>{};
  });
}

std::vector<ErrorGroup> ProgressTracker::get_error_summary(JobId job, std::size_t limit) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.get_error_summary");
  Impl::Call call(*impl_, "get_error_summary");
  call.will_read();
  return call.read([&](Connection& db) {
    const auto row = store::find_job(db, job);
    return row.has_value() ? store::error_summary(db, *row, as_limit(limit))
                           : std::vector<ErrorGroup>{};
  });
}

std::vector<Worker> ProgressTracker::list_workers() {
  PROGRESS_TRACKER_TRACE("ProgressTracker.list_workers");
  Impl::Call call(*impl_, "list_workers");
  call.will_read();
  return call.read([&](Connection& db) {
    return store::list_workers(db, impl_->worker.self(), impl_->is_alive());
  });
}

// ---- Upload batches ----------------------------------------------------------------------------

BatchId ProgressTracker::create_batch(JobId job, int batch_num, std::int64_t image_count) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.create_batch");
  Impl::Call call(*impl_, "create_batch");
  if (image_count < 0) {
    throw Error(ErrorCode::kInvalidArgument,
                "create_batch: batch number " + std::to_string(batch_num) +
                    ": image_count is negative: " + std::to_string(image_count));
  }
  call.will_write();
  return call.write([&](Connection& db) {
    store::require_job(db, call.operation(), job);
    return store::create_batch(db, job, batch_num, image_count, impl_->clock.wall_ms());
  });
}

BatchId ProgressTracker::create_batch_of(JobId job, int batch_num,
                                         std::span<const ImageId> image_ids) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.create_batch_of");
  Impl::Call call(*impl_, "create_batch_of");
  if (image_ids.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "create_batch_of: batch number " + std::to_string(batch_num) + ": has no images");
  }
  call.will_write();
  return call.write([&](Connection& db) {
    const auto row = store::require_job(db, call.operation(), job);
    return store::create_batch_of(db, row, batch_num, image_ids, impl_->clock.wall_ms());
  });
}

std::vector<Image> ProgressTracker::get_unbatched_images(JobId job, std::size_t limit) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.get_unbatched_images");
  Impl::Call call(*impl_, "get_unbatched_images");
  call.will_read();
  return call.read([&](Connection& db) {
    const auto row = store::find_job(db, job);
    return row.has_value() ? store::unbatched_images(db, *row, as_limit(limit))
                           : std::vector<Image>{};
  });
}

void ProgressTracker::mark_batch_uploaded(BatchId batch_id) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.mark_batch_uploaded");
  Impl::Call call(*impl_, "mark_batch_uploaded");
  call.will_write();
  call.write(
      [&](Connection& db) { store::mark_batch_uploaded(db, batch_id, impl_->clock.wall_ms()); });
}

void ProgressTracker::mark_batch_error(BatchId batch_id, std::string_view error_msg) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.mark_batch_error");
  Impl::Call call(*impl_, "mark_batch_error");
  const std::string message = clean_message(error_msg);
  call.will_write();
  call.write([&](Connection& db) { store::mark_batch_error(db, batch_id, message); });
}

std::vector<Batch> ProgressTracker::get_pending_batches(JobId job) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.get_pending_batches");
  Impl::Call call(*impl_, "get_pending_batches");
  call.will_read();
  return call.read([&](Connection& db) {
    return store::find_job(db, job).has_value() ? store::list_batches(db, job, false)
                                                : std::vector<Batch>{};
  });
}

std::vector<Batch> ProgressTracker::get_uploaded_batches(JobId job) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.get_uploaded_batches");
  Impl::Call call(*impl_, "get_uploaded_batches");
  call.will_read();
  return call.read([&](Connection& db) {
    return store::find_job(db, job).has_value() ? store::list_batches(db, job, true)
                                                : std::vector<Batch>{};
  });
}

std::vector<Image> ProgressTracker::get_batch_images(BatchId batch_id) {
  PROGRESS_TRACKER_TRACE("ProgressTracker.get_batch_images");
  Impl::Call call(*impl_, "get_batch_images");
  call.will_read();
  return call.read([&](Connection& db) { return store::batch_images(db, batch_id); });
}

}  // namespace progress_tracker

// Three kinds of threads share one Run. The workers take an image from the queue, call `process`,
// leave the outcome and take the next. The keeper claims, marks and releases, and is the only one
// to move images. The calling thread checkpoints and calls on_progress, which may be slow without
// holding up a mark.
//
// One queue for all workers, so that none sits on images while another is idle. The keeper never
// runs code of the user's, so an outcome waits for nothing but the database, however long `process`
// or on_progress takes.
#include "progress_tracker/run_job.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <limits>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "claim_pace.h"
#include "log_internal.h"
#include "progress_tracker/error.h"
#include "progress_tracker/trace.h"

namespace progress_tracker {
namespace {

using Clock = std::chrono::steady_clock;
using Process = std::function<void(const Image&)>;
using namespace std::chrono_literals;

// An outcome waits this long for others to be marked with it; the promise is 100 ms.
constexpr Clock::duration kHoldOutcomes = 40ms;

// So many outcomes are marked without waiting for more.
constexpr std::size_t kManyOutcomes = 1000;

// How often to look for work again while others may leave some, or bring some.
constexpr Clock::duration kLookAgain = 200ms;

// Keeps sums of times from overflowing.
constexpr std::chrono::milliseconds kLongestWait = std::chrono::hours(24 * 365);

[[noreturn]] void reject(const std::string& cause) {
  throw Error(ErrorCode::kInvalidArgument, "run_job: " + cause);
}

void check(const Process& process, const RunOptions& options) {
  if (!process) {
    reject("process is empty");
  }
  if (options.tries < 1) {
    reject("tries must be at least 1");
  }
  if (options.retry_delay < 0ms) {
    reject("retry_delay is negative");
  }
  if (options.limit < 0) {
    reject("limit is negative");
  }
  if (options.max_errors < 0) {
    reject("max_errors is negative");
  }
  if (options.checkpoint_interval < 0ms) {
    reject("checkpoint_interval is negative");
  }
}

std::size_t worker_count(const RunOptions& options) {
  std::size_t count = options.workers;
  if (count == 0) {
    count = std::max(1U, std::thread::hardware_concurrency());
  }
  if (options.limit > 0) {
    count = std::min(count, static_cast<std::size_t>(options.limit));
  }
  return count;
}

// A message short enough to need no memory stands in for one that cannot be copied.
std::string copy_message(const char* message) noexcept {
  try {
    return message == nullptr ? std::string() : std::string(message);
  } catch (...) {
    return "out of memory";
  }
}

class Run {
 public:
  Run(Tracker& tracker, JobId job, const Process& process, const RunOptions& options)
      : tracker_(tracker),
        job_(job),
        process_(process),
        options_(options),
        workers_(worker_count(options)),
        pace_(workers_) {}

  RunSummary run();

 private:
  // What became of one image.
  struct Verdict {
    bool give_back{false};
    std::optional<std::string> error;
  };

  using Lock = std::unique_lock<std::mutex>;

  // ---- Any thread.
  void end();                           // start nothing more; what is in work is finished
  void end_locked();                    // the same, holding mutex_
  void fail(std::exception_ptr error);  // keeps the first one, and ends
  void finish();                        // lets the workers and the calling thread go

  // ---- The workers.
  void work();
  Verdict process_image(const Image& image);
  bool pause(std::chrono::milliseconds delay);  // false: the run ended meanwhile
  void record(Image image, Verdict verdict, Clock::duration took, Clock::time_point now);

  // ---- The keeper. Those that take a lock give it up while they are in the tracker.
  void keep_then_finish();
  void keep();
  std::size_t claim(Lock& lock);
  void mark(Lock& lock);
  void release(Lock& lock);
  void give_back_queue(std::size_t keep_first);
  void give_back_surplus(Clock::time_point now);
  void start_alone();
  bool others_are_busy();
  bool others_may_hold();
  std::int64_t mark_batch(std::vector<Outcome>& batch);
  void release_batch();

  // What the keeper decides by; all hold mutex_.
  bool keeper_is_needed() const;
  bool has_outcomes() const { return !completions_.empty() || !errors_.empty(); }
  bool is_quiet() const { return running_ == 0 && queue_.empty(); }
  bool has_nothing_in_hand() const;
  bool marking_is_due(Clock::time_point now) const;
  std::size_t left_of_limit() const;
  std::size_t images_to_claim() const;

  // ---- The calling thread.
  void start_threads(std::vector<std::jthread>& threads);
  void watch();
  void report();
  StatusCounts counts();
  bool work_is_left();
  void clean_up();

  // Constant after construction.
  Tracker& tracker_;
  const JobId job_;
  const Process& process_;
  const RunOptions& options_;

  // Constant once all_started_.
  std::size_t workers_;

  // Never held while a function of the tracker or of the user is called.
  mutable std::mutex mutex_;
  std::condition_variable workers_wake_;  // there are images, or it is time to go
  std::condition_variable keeper_wakes_;  // keeper_is_needed()
  std::condition_variable caller_wakes_;  // finished_
  std::condition_variable pause_ends_;    // ending_

  // Guarded by mutex_.
  std::deque<Image> queue_;           // claimed, not started
  std::optional<Image> alone_;        // claimed, waits until nothing else is in hand
  bool alone_now_{false};             // the image in the queue or in work is such a one
  std::size_t running_{0};            // images in work
  std::vector<Outcome> completions_;  // finished, not marked
  std::vector<Outcome> errors_;       // likewise; apart, so that each mark's count is exact
  std::vector<Image> give_back_;      // to be released
  Clock::time_point oldest_outcome_;  // if has_outcomes()
  Clock::time_point last_start_;      // of work on any image
  std::int64_t started_{0};           // images of this run
  std::int64_t failed_{0};            // images of this run
  ClaimPace pace_;
  bool nothing_to_claim_{false};  // until the keeper looks again
  bool ending_{false};
  bool finished_{false};
  bool all_started_{false};
  bool gave_back_at_end_{false};  // images that this run would have worked on
  std::exception_ptr failure_;

  // Touched by the keeper, and by the calling thread after the keeper has ended.
  std::vector<Outcome> completions_batch_;  // being marked
  std::vector<Outcome> errors_batch_;       // likewise
  std::vector<Image> release_batch_;        // being released
  Clock::time_point look_again_at_;
  bool ended_early_{false};
  std::set<ImageId> given_back_;  // and not claimed again
  std::int64_t completed_count_{0};
  std::int64_t error_count_{0};
  std::int64_t released_count_{0};  // those of which it is not known which they were
};

// ---- Any thread ------------------------------------------------------------------------------

void Run::end() {
  const Lock lock(mutex_);
  end_locked();
}

void Run::end_locked() {
  ending_ = true;
  workers_wake_.notify_all();
  keeper_wakes_.notify_all();
  pause_ends_.notify_all();
}

void Run::fail(std::exception_ptr error) {
  const Lock lock(mutex_);
  if (!failure_) {
    failure_ = std::move(error);
  }
  end_locked();
}

void Run::finish() {
  const Lock lock(mutex_);
  finished_ = true;
  workers_wake_.notify_all();
  keeper_wakes_.notify_all();
  caller_wakes_.notify_all();
}

// ---- The workers -----------------------------------------------------------------------------

void Run::work() {
  Lock lock(mutex_);
  for (;;) {
    workers_wake_.wait(lock, [this] { return ending_ || finished_ || !queue_.empty(); });
    // The token is set a moment before its callback sets ending_.
    if (ending_ || queue_.empty() || options_.stop.stop_requested()) {
      return;
    }
    Image image = std::move(queue_.front());
    queue_.pop_front();
    ++running_;
    ++started_;
    const Clock::time_point start = Clock::now();
    last_start_ = start;
    lock.unlock();

    Verdict verdict = process_image(image);

    const Clock::time_point now = Clock::now();
    lock.lock();
    record(std::move(image), std::move(verdict), now - start, now);
    if (keeper_is_needed()) {
      keeper_wakes_.notify_one();
    }
  }
}

Run::Verdict Run::process_image(const Image& image) {
  std::chrono::milliseconds delay = std::min(options_.retry_delay, kLongestWait);
  for (int nth = 1;; ++nth) {
    std::string message;
    try {
      process_(image);
      return {};
    } catch (const std::exception& error) {
      message = copy_message(error.what());
    } catch (...) {
      message = copy_message("unknown exception");
    }
    // It may have failed because of the stop, so this says nothing about the image.
    if (options_.stop.stop_requested()) {
      return {.give_back = true, .error = {}};
    }
    if (nth == options_.tries) {
      return {.give_back = false, .error = std::move(message)};
    }
    if (!pause(delay)) {
      return {.give_back = true, .error = {}};
    }
    delay = std::min(2 * delay, kLongestWait);
  }
}

bool Run::pause(std::chrono::milliseconds delay) {
  Lock lock(mutex_);
  return !pause_ends_.wait_for(lock, delay, [this] { return ending_; });
}

void Run::record(Image image, Verdict verdict, Clock::duration took, Clock::time_point now) {
  --running_;
  if (verdict.give_back) {
    give_back_.push_back(std::move(image));
    return;
  }
  pace_.image_took(took);
  if (!has_outcomes()) {
    oldest_outcome_ = now;
  }
  if (!verdict.error) {
    completions_.push_back({image.id, image.attempt, {}});
    return;
  }
  errors_.push_back({image.id, image.attempt, std::move(verdict.error)});
  ++failed_;
  if (failed_ == options_.max_errors) {
    end_locked();
  }
}

// ---- The keeper ------------------------------------------------------------------------------

void Run::keep_then_finish() {
  try {
    keep();
  } catch (...) {
    fail(std::current_exception());
  }
  finish();
}

void Run::keep() {
  Lock lock(mutex_);
  keeper_wakes_.wait(lock, [this] { return all_started_ || finished_; });
  while (all_started_) {
    if (has_nothing_in_hand()) {
      alone_now_ = false;
      if (ending_ || left_of_limit() == 0) {
        ended_early_ = true;
        return;
      }
      if (claim(lock) > 0) {
        continue;
      }
      if (!options_.wait_for_others) {
        return;
      }
      lock.unlock();
      const bool busy = others_are_busy();
      lock.lock();
      if (!busy) {
        return;
      }
      keeper_wakes_.wait_for(lock, kLookAgain, [this] { return ending_; });
      continue;
    }

    const Clock::time_point wake_at =
        has_outcomes() ? oldest_outcome_ + kHoldOutcomes : Clock::now() + kHoldOutcomes;
    keeper_wakes_.wait_until(lock, wake_at, [this] { return keeper_is_needed(); });

    if (ending_) {
      give_back_queue(0);
    }
    const Clock::time_point now = Clock::now();
    if (now >= look_again_at_) {
      nothing_to_claim_ = false;
    }
    // First what idle workers wait for.
    if (images_to_claim() > 0) {
      claim(lock);
    }
    if (marking_is_due(now)) {
      mark(lock);
    }
    give_back_surplus(now);
    if (!give_back_.empty()) {
      release(lock);
    }
    if (alone_ && is_quiet() && !has_outcomes() && !ending_) {
      start_alone();
    }
  }
}

bool Run::keeper_is_needed() const {
  return is_quiet() || !give_back_.empty() || images_to_claim() > 0 ||
         completions_.size() + errors_.size() >= kManyOutcomes ||
         (ending_ && (alone_ || !queue_.empty()));
}

bool Run::has_nothing_in_hand() const {
  return is_quiet() && !alone_ && !has_outcomes() && give_back_.empty();
}

bool Run::marking_is_due(Clock::time_point now) const {
  return has_outcomes() && (is_quiet() || now >= oldest_outcome_ + kHoldOutcomes ||
                            completions_.size() + errors_.size() >= kManyOutcomes);
}

std::size_t Run::left_of_limit() const {
  if (options_.limit == 0) {
    return std::numeric_limits<std::size_t>::max();
  }
  const auto taken = static_cast<std::size_t>(started_) + queue_.size() + (alone_ ? 1U : 0U);
  const auto limit = static_cast<std::size_t>(options_.limit);
  return taken < limit ? limit - taken : 0;
}

// 0: not now.
std::size_t Run::images_to_claim() const {
  if (ending_ || nothing_to_claim_ || alone_ || alone_now_) {
    return 0;
  }
  const bool chosen = options_.claim_size == 0;
  const std::size_t target = chosen ? pace_.target(workers_) : options_.claim_size;
  const bool somebody_waits = queue_.size() < workers_ - running_;
  if (!somebody_waits && !pace_.runs_out_soon(queue_.size(), target, workers_)) {
    return 0;
  }
  const std::size_t held = chosen ? running_ + queue_.size() : 0;
  return target > held ? std::min(target - held, left_of_limit()) : 0;
}

// Returns how many images it got.
std::size_t Run::claim(Lock& lock) {
  nothing_to_claim_ = false;
  const std::size_t size = images_to_claim();
  pace_.claiming(workers_);
  lock.unlock();
  const Clock::time_point start = Clock::now();
  std::vector<Image> images = tracker_.claim_images(job_, size);
  const Clock::duration took = Clock::now() - start;
  for (auto image = images.begin(); image != images.end() && !given_back_.empty(); ++image) {
    given_back_.erase(image->id);
  }
  lock.lock();
  pace_.call_took(took);

  if (images.empty()) {
    nothing_to_claim_ = true;
    look_again_at_ = Clock::now() + kLookAgain;
    return 0;
  }
  if (images.size() > 1) {
    std::move(images.begin(), images.end(), std::back_inserter(queue_));
    workers_wake_.notify_all();
    return images.size();
  }
  // An image with a death is given alone. Until it is known whether this is one it waits apart,
  // where a failure to ask leaves it to be released.
  alone_ = std::move(images.front());
  const ImageId id = alone_->id;
  lock.unlock();
  const std::optional<ImageRecord> record = tracker_.get_image(id);
  lock.lock();
  if (!record || record->deaths == 0) {
    queue_.push_back(std::move(*alone_));
    alone_.reset();
    workers_wake_.notify_one();
  }
  return 1;
}

void Run::start_alone() {
  queue_.push_back(std::move(*alone_));
  alone_.reset();
  alone_now_ = true;
  workers_wake_.notify_one();
}

void Run::mark(Lock& lock) {
  completions_batch_.swap(completions_);
  errors_batch_.swap(errors_);
  lock.unlock();
  const Clock::time_point start = Clock::now();
  completed_count_ += mark_batch(completions_batch_);
  error_count_ += mark_batch(errors_batch_);
  const Clock::duration took = Clock::now() - start;
  lock.lock();
  pace_.call_took(took);
}

// Returns how many were applied. What cannot be marked stays in the batch.
std::int64_t Run::mark_batch(std::vector<Outcome>& batch) {
  if (batch.empty()) {
    return 0;
  }
  const std::size_t applied = tracker_.mark_outcomes(batch);
  batch.clear();
  return static_cast<std::int64_t>(applied);
}

void Run::release(Lock& lock) {
  release_batch_.swap(give_back_);
  gave_back_at_end_ = gave_back_at_end_ || ending_;
  lock.unlock();
  release_batch();
  lock.lock();
}

void Run::release_batch() {
  const std::size_t released = tracker_.release_images(release_batch_);
  if (released == release_batch_.size()) {
    for (const Image& image : release_batch_) {
      given_back_.insert(image.id);
    }
  } else {
    released_count_ += static_cast<std::int64_t>(released);
  }
  release_batch_.clear();
}

void Run::give_back_queue(std::size_t keep_first) {
  while (queue_.size() > keep_first) {
    give_back_.push_back(std::move(queue_.back()));
    queue_.pop_back();
  }
  if (ending_ && alone_) {
    give_back_.push_back(std::move(*alone_));
    alone_.reset();
  }
}

void Run::give_back_surplus(Clock::time_point now) {
  if (options_.claim_size != 0) {
    return;
  }
  const Clock::duration since = running_ == workers_ ? now - last_start_ : Clock::duration::zero();
  if (pace_.is_too_much(queue_.size(), workers_, since)) {
    give_back_queue(workers_);
    // Else the next claim would fetch the same again.
    pace_.slow_down(workers_, since);
  }
}

// Whether work for this job may still come. Asks for the job itself last: what an upstream job
// completes just before we look at it is then seen here.
bool Run::others_are_busy() {
  const std::vector<Job> jobs = tracker_.list_jobs();
  const auto find = [&jobs](JobId id) {
    return std::find_if(jobs.begin(), jobs.end(), [id](const Job& job) { return job.id == id; });
  };
  auto job = find(job_);
  // No further than there are jobs: on a damaged file they may feed each other.
  for (std::size_t left = jobs.size(); left > 0 && job != jobs.end() && job->upstream; --left) {
    job = find(*job->upstream);
    if (job != jobs.end() && job->counts.pending + job->counts.processing > 0) {
      return true;
    }
  }
  const StatusCounts here = counts();
  return here.pending > 0 || (here.processing > 0 && others_may_hold());
}

// Whether another worker, alive or dead, may hold what is being processed. We have claimed, so one
// live worker is this tracker: where it is the only one, what it holds was claimed outside this run
// and will not be marked by anybody we could wait for.
bool Run::others_may_hold() {
  const std::vector<Worker> workers = tracker_.list_workers();
  const auto alive = std::count_if(workers.begin(), workers.end(),
                                   [](const Worker& worker) { return worker.alive; });
  return alive != 1 || workers.size() > 1;
}

// ---- The calling thread ----------------------------------------------------------------------

RunSummary Run::run() {
  {
    std::vector<std::jthread> threads;
    const std::stop_callback on_stop(options_.stop, [this] { end(); });
    struct FinishBeforeJoin {
      Run& run;
      ~FinishBeforeJoin() { run.finish(); }
    };
    const FinishBeforeJoin finish_before_join{*this};

    try {
      start_threads(threads);
    } catch (const std::system_error& error) {
      throw Error(ErrorCode::kIo, std::string("run_job: cannot start a thread: ") + error.what());
    }
    watch();
  }

  if (failure_) {
    clean_up();
    std::rethrow_exception(failure_);
  }
  report();
  return {.completed = completed_count_,
          .errors = error_count_,
          .released = released_count_ + static_cast<std::int64_t>(given_back_.size()),
          .stopped = ended_early_ && work_is_left()};
}

// The keeper first, because it is needed however few workers there are.
void Run::start_threads(std::vector<std::jthread>& threads) {
  const auto start = [&](void (Run::*body)()) {
    threads.emplace_back([this, body] {
      try {
        (this->*body)();
      } catch (...) {
        fail(std::current_exception());
      }
    });
  };
  start(&Run::keep_then_finish);
  std::size_t started = 0;
  try {
    for (; started < workers_; ++started) {
      start(&Run::work);
    }
  } catch (const std::system_error& error) {
    if (started == 0) {
      throw;
    }
    internal::log(LogLevel::kWarn, "run_job: goes on with " + std::to_string(started) + " of " +
                                       std::to_string(workers_) + " threads: " + error.what());
  }
  const Lock lock(mutex_);
  workers_ = started;
  all_started_ = true;
  keeper_wakes_.notify_one();
}

void Run::watch() {
  // An interval of 0 is taken for the shortest there is.
  const auto interval = std::clamp(options_.checkpoint_interval, 1ms, kLongestWait);
  Lock lock(mutex_);
  while (!caller_wakes_.wait_for(lock, interval, [this] { return finished_; })) {
    lock.unlock();
    try {
      report();
    } catch (...) {
      fail(std::current_exception());
      lock.lock();
      caller_wakes_.wait(lock, [this] { return finished_; });
      return;
    }
    lock.lock();
  }
}

void Run::report() {
  tracker_.checkpoint(job_);
  if (options_.on_progress) {
    options_.on_progress(counts());
  }
}

StatusCounts Run::counts() { return tracker_.get_status_counts(job_).value_or(StatusCounts{}); }

// Whether this run would have gone on if nothing had ended it.
bool Run::work_is_left() {
  if (gave_back_at_end_) {
    return true;
  }
  const StatusCounts here = counts();
  if (here.pending > 0) {
    return true;
  }
  if (here.processing > 0) {
    // The next claim would take back what dead workers hold.
    const std::vector<Worker> workers = tracker_.list_workers();
    if (std::any_of(workers.begin(), workers.end(),
                    [](const Worker& worker) { return !worker.alive && worker.processing > 0; })) {
      return true;
    }
  }
  return options_.wait_for_others && others_are_busy();
}

// After a failure: saves what can be saved. Each step for itself, because the failure may concern
// only one of them.
void Run::clean_up() {
  const auto attempt = [this](std::string_view what, const auto& step) {
    try {
      step();
    } catch (const std::exception& error) {
      internal::log(LogLevel::kError,
                    "run_job: after a failure: " + std::string(what) + ": " + error.what());
    } catch (...) {
      internal::log(LogLevel::kError, "run_job: after a failure: " + std::string(what));
    }
  };
  attempt("completed images could not be marked", [this] {
    completions_batch_.insert(completions_batch_.end(), completions_.begin(), completions_.end());
    mark_batch(completions_batch_);
  });
  attempt("failed images could not be marked", [this] {
    errors_batch_.insert(errors_batch_.end(), errors_.begin(), errors_.end());
    mark_batch(errors_batch_);
  });
  attempt("claimed images could not be released", [this] {
    give_back_queue(0);
    release_batch_.insert(release_batch_.end(), give_back_.begin(), give_back_.end());
    if (!release_batch_.empty()) {
      release_batch();
    }
  });
  if (started_ > 0) {
    attempt("the counts could not be checkpointed", [this] { tracker_.checkpoint(job_); });
  }
}

}  // namespace

RunSummary run_job(Tracker& tracker, JobId job, const std::function<void(const Image&)>& process,
                   const RunOptions& options) {
  PROGRESS_TRACKER_TRACE("run_job");
  check(process, options);
  return Run(tracker, job, process, options).run();
}

}  // namespace progress_tracker

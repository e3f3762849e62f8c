// The state machine of an image: start, mark, release, retry.
#ifndef PROGRESS_TRACKER_SRC_STORE_WORK_H_
#define PROGRESS_TRACKER_SRC_STORE_WORK_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "progress_tracker/types.h"
#include "sqlite/connection.h"
#include "store/chain.h"
#include "store/counts.h"
#include "store/jobs.h"

namespace progress_tracker::store {

// Changes of images' states within one write transaction. Counts, marks and chained jobs follow
// when finish() is called, once, at the end; without it the transaction must be rolled back.
class StateChanges {
 public:
  enum class Result {
    kApplied,    // or was so already
    kStale,      // another attempt, or given back: nothing was changed
    kCompleted,  // an error for a completed image: nothing was changed
    kUnknown,    // no such image
  };

  StateChanges(sqlite::Connection& connection, std::int64_t now)
      : connection_(connection), now_(now) {}

  // Completed without a message, else error. Attempt 0: unfenced.
  Result mark(ImageId image, int attempt, const std::optional<std::string_view>& error);

  struct Marked {
    std::size_t applied{0};
    std::size_t refused{0};  // errors for completed images
    std::vector<ImageId> unknown;
  };

  // As mark() for each, in list order. Messages must be clean.
  Marked mark_all(std::span<const Outcome> outcomes);

  struct Started {
    std::vector<ImageId> unknown;
    std::vector<ImageId> not_pending;
  };

  // Pending to processing. `images`: in order of id, each once.
  Started start_all(std::span<const ImageId> images, WorkerId worker);

  // Processing to pending. Attempt 0: whatever the attempt. kStale: another attempt, or not
  // processing.
  Result release(ImageId image, int attempt);

  // Error to pending. kStale: it is not in error.
  Result retry(ImageId image);

  void finish();

 private:
  struct JobChanges {
    JobRow row;
    std::optional<std::vector<ChainFeed>> feeds;  // looked up when the first image completes
    bool started{false};                          // an image got its first state row
  };
  struct State {
    Status status{Status::kPending};
    int attempts{0};
    std::int64_t split{0};
  };

  // nullptr: no such image.
  JobChanges* job_changes(ImageId image);
  // Reads where the image stands; false: no such image.
  bool read_state(ImageId image, State& state);
  void set_status(ImageId image, const State& from, Status to);
  void insert_state(JobChanges& job, ImageId image, std::int64_t split, Status status);
  std::size_t insert_states(JobChanges& job, ImageId first, std::size_t length, Status status,
                            std::optional<WorkerId> worker);
  void start_again(const JobChanges* job, ImageId image, WorkerId worker, Started& result);
  void mark_one(const Outcome& outcome, Marked& marked);
  void complete_run(JobChanges& job, std::span<const Outcome> run, Marked& marked);
  std::size_t complete_processing(std::span<const Outcome> run);
  void after_completions(JobChanges& job, std::span<const Outcome> completed);
  void after_completion(JobChanges& job, ImageId image);
  void advance_started(JobChanges& job);

  sqlite::Connection& connection_;
  const std::int64_t now_;
  std::deque<JobChanges> jobs_;  // a deque: pointers into it stay valid
  CountChanges counts_;
};

// What `mark` would say, without doing it: for marks that are held back.
struct Standing {
  bool exists{false};
  Status status{Status::kPending};
};
Standing standing_of(sqlite::Connection& connection, ImageId image);

// Puts at most `limit` of a job's images in error back to pending. Returns how many.
std::size_t reset_errors(sqlite::Connection& connection, const JobRow& job, std::int64_t limit,
                         std::int64_t now);

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_WORK_H_

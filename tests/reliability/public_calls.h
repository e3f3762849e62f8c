// Every public function of a tracker, as calls on a database made for them.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_PUBLIC_CALLS_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_PUBLIC_CALLS_H_

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "progress_tracker/progress_tracker.h"
#include "progress_tracker/types.h"

namespace progress_tracker::reliability {

struct PublicCall {
  enum class Kind { kWrites, kReads, kSyncs };

  std::string name;
  Kind kind;
  std::function<void(ProgressTracker&)> run;
};

// A database in which each call has something to do. Its maker is gone.
class Stage {
 public:
  explicit Stage(const std::filesystem::path& database);

  JobId job() const { return job_; }

  // Each of them once, close() apart; in this order all of them succeed. Refer to the stage.
  std::vector<PublicCall> calls() const;

 private:
  JobId job_{};
  JobId spare_{};
  BatchId batch_{};
  BatchId other_batch_{};
  std::vector<Image> held_;  // the first two completed, the next two in error, two processing
  std::vector<ImageId> pending_;
};

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_PUBLIC_CALLS_H_

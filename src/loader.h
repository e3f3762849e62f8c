// Loading and removing jobs: the waiting for others and the cutting into pieces.
#ifndef PROGRESS_TRACKER_SRC_LOADER_H_
#define PROGRESS_TRACKER_SRC_LOADER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "clock.h"
#include "progress_tracker/options.h"
#include "progress_tracker/types.h"
#include "sqlite/transaction.h"
#include "store/load.h"
#include "worker_identity.h"

namespace progress_tracker {

// Any thread may call any function at any time. Arguments are checked already.
class Loader {
 public:
  struct Result {
    JobId job{};
    std::int64_t added{0};
    std::int64_t differing{0};  // paths the job had with another split
  };

  Loader(sqlite::Transactions& transactions, WorkerIdentity& worker, const Options& options,
         Clock& clock)
      : transactions_(transactions), worker_(worker), options_(options), clock_(clock) {}

  Result create_job(std::string_view name, std::span<const std::filesystem::path> paths,
                    std::span<const std::string> splits);
  Result add_images(JobId job, std::span<const std::filesystem::path> paths,
                    std::span<const std::string> splits);
  JobId chain_job(std::string_view name, JobId upstream);
  void remove_job(JobId job);

 private:
  using FindTarget = std::function<store::LoadTarget(sqlite::Connection&)>;
  class Claim;

  store::IsLoading is_loading();
  Result load(std::string_view operation, const FindTarget& find, std::string_view new_name,
              std::span<const std::filesystem::path> paths, std::span<const std::string> splits);
  // Calls `attempt` until it says true; in between, clears leftovers and waits for other loaders.
  void when_free(std::string_view operation,
                 const std::function<store::LoadTarget::Kind()>& attempt);
  void clear_leftovers(std::string_view operation);
  // Makes this tracker a worker, if `check` lets it; of one that is a worker already nothing is
  // asked.
  void register_if(std::string_view operation,
                   const std::function<void(sqlite::Connection&)>& check);
  // Throws if others have taken this load for a dead worker's, and may have cleared its pieces.
  void check_still_loading(std::string_view operation, sqlite::Connection& connection, JobId job);

  sqlite::Transactions& transactions_;
  WorkerIdentity& worker_;
  const Options& options_;
  Clock& clock_;

  std::mutex mutex_;
  // Guarded by mutex_: what threads of this tracker load now. Twice the same job where one load has
  // committed its end and not yet returned, and the next one has begun.
  std::multiset<JobId> loading_;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_LOADER_H_

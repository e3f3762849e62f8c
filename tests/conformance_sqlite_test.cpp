// The conformance suite on ProgressTracker.
#include <filesystem>
#include <memory>
#include <string>

#include "progress_tracker/progress_tracker.h"
#include "progress_tracker/testing/conformance.h"
#include "support.h"
#include "testing_hooks.h"

namespace progress_tracker_testing {
namespace {

using progress_tracker::Options;
using progress_tracker::ProgressTracker;
using progress_tracker::Tracker;

class SqliteTraits {
 public:
  std::unique_ptr<Tracker> make() { return make_with_max_deaths(0); }

  std::unique_ptr<Tracker> make_with_max_deaths(int max_deaths) {
    options_.max_deaths = max_deaths;
    database_ = directory_ / (std::to_string(++stores_) + ".db");
    return another();
  }

  std::unique_ptr<Tracker> another() {
    return std::make_unique<ProgressTracker>(database_, options_);
  }

  std::unique_ptr<Tracker> crash(std::unique_ptr<Tracker> tracker) {
    progress_tracker::internal::simulate_death(dynamic_cast<ProgressTracker&>(*tracker));
    return another();
  }

 private:
  Options options_;
  progress_tracker::test::TempDirectory directory_;
  std::filesystem::path database_;
  int stores_{0};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, TrackerConformance, SqliteTraits);

}  // namespace
}  // namespace progress_tracker_testing

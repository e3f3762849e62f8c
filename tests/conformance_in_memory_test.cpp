// The conformance suite on InMemoryTracker.
#include <memory>

#include "progress_tracker/testing/conformance.h"
#include "progress_tracker/testing/in_memory_tracker.h"

namespace progress_tracker_testing {
namespace {

using progress_tracker::Tracker;

class InMemoryTraits {
 public:
  std::unique_ptr<Tracker> make() { return make_with_max_deaths(0); }

  std::unique_ptr<Tracker> make_with_max_deaths(int max_deaths) {
    first_ = std::make_unique<InMemoryTracker>(max_deaths);
    return another();
  }

  std::unique_ptr<Tracker> another() { return first_->another(); }

  std::unique_ptr<Tracker> crash(std::unique_ptr<Tracker> tracker) {
    return dynamic_cast<InMemoryTracker&>(*tracker).reopen();
  }

 private:
  std::unique_ptr<InMemoryTracker> first_;  // keeps the store; never works
};

INSTANTIATE_TYPED_TEST_SUITE_P(InMemory, TrackerConformance, InMemoryTraits);

}  // namespace
}  // namespace progress_tracker_testing

// A scenario played while something fails: what every call has to keep to.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_FAULTY_PLAY_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_FAULTY_PLAY_H_

#include <functional>
#include <string>

#include "script.h"

namespace progress_tracker::reliability {

// A fault that was arranged, in whatever it is that fails.
struct Fault {
  std::function<bool()> was_met;  // by now
  std::function<void()> lift;     // everything works again
};

// Plays it from the prepared beginning. A call that fails has to say so by a typed Error or
// std::bad_alloc, having done nothing, or by kOutcomeUnknown; and it has to succeed when it is
// repeated without the fault. What is not so becomes a failure of the test.
void play_with_fault(const Scenario& scenario, const Prepared& prepared,
                     const ScratchDirectory& directory, const Fault& fault);

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_FAULTY_PLAY_H_

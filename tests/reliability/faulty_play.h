// A scenario played while something fails: what every call has to keep to.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_FAULTY_PLAY_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_FAULTY_PLAY_H_

#include <functional>

#include "progress_tracker/error.h"
#include "script.h"

namespace progress_tracker::reliability {

// A fault that was arranged, in whatever it is that fails.
struct Fault {
  std::function<bool()> was_met;  // by now
  std::function<void()> lift;     // everything works again
  // Whether this is what a call may throw because of it.
  std::function<bool(const Error&)> fits;
  bool may_be_bad_alloc{false};  // and not only an Error
};

// Plays it from the prepared beginning. A call that fails has to say so by an error that fits the
// fault, having done nothing, or by kOutcomeUnknown; and it has to succeed when it is repeated
// without the fault, by a new tracker where the error asks for one. What is not so becomes a
// failure of the test.
void play_with_fault(const Scenario& scenario, const Prepared& prepared,
                     const ScratchDirectory& directory, const Fault& fault);

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_FAULTY_PLAY_H_

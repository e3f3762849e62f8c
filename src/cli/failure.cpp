#include "cli/failure.h"

#include "cli/exit_code.h"
#include "cli/json_output.h"
#include "cli/output.h"
#include "progress_tracker/error.h"

namespace progress_tracker::cli {

Failure failure_of(const std::exception& error) {
  if (const auto* refusal = dynamic_cast<const Refusal*>(&error)) {
    return {
        .message = refusal->what(), .advice = refusal->advice(), .exit_code = refusal->exit_code()};
  }
  if (const auto* of_tracker = dynamic_cast<const Error*>(&error)) {
    return {.message = display(of_tracker->what()),
            .advice = advice_for(of_tracker->code()),
            .exit_code = exit_code_for(of_tracker->code())};
  }
  return {.message = display(error.what()), .advice = nullptr, .exit_code = kExitUsage};
}

void tell(const Failure& failure, bool in_json, std::ostream& err) {
  if (in_json) {
    err << failed_event(failure.message, failure.advice, failure.exit_code) + "\n" << std::flush;
    return;
  }
  complain(err, failure.message);
  if (failure.advice != nullptr) complain(err, failure.advice);
}

}  // namespace progress_tracker::cli

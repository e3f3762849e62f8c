// What `doctor` shows: an examination in words, the verdict and what to do next at the end, where
// it is still on the screen.
#ifndef PROGRESS_TRACKER_CLI_DOCTOR_REPORT_H_
#define PROGRESS_TRACKER_CLI_DOCTOR_REPORT_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

#include "progress_tracker/maintenance.h"

namespace progress_tracker::cli {

// What `doctor --repair` did, before it examined the file.
struct Treatment {
  Repair repaired;  // its sentences tell also of images given back
  std::int64_t images_given_back = 0;
  std::string refusal;  // why it stopped: the file says what it must not; empty: it did not stop

  bool is_refused() const { return !refusal.empty(); }
};

// Safe to show on a terminal, whatever is in the file.
void write_doctor_report(std::ostream& out, const Examination& found,
                         const std::optional<Treatment>& treatment, const std::string& program);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_DOCTOR_REPORT_H_

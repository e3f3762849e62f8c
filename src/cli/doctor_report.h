// What `doctor` shows: an examination in words, the verdict and what to do next at the end, where
// it is still on the screen.
#ifndef PROGRESS_TRACKER_CLI_DOCTOR_REPORT_H_
#define PROGRESS_TRACKER_CLI_DOCTOR_REPORT_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "progress_tracker/maintenance.h"

namespace progress_tracker::cli {

// What `doctor --repair` did, before it examined the file.
struct Treatment {
  bool is_refused = false;  // the file is damaged: what is not in `done` was not done
  std::vector<std::string> done;
  std::int64_t counts_corrected = 0;
  std::int64_t images_given_back = 0;
  std::int64_t workers_forgotten = 0;
  std::int64_t leftovers_cleared = 0;
};

// Safe to show on a terminal, whatever is in the file.
void write_doctor_report(std::ostream& out, const Examination& found,
                         const std::optional<Treatment>& treatment, const std::string& program);

// As strftime() has it; "?" for what no calendar has.
std::string utc_text(std::chrono::system_clock::time_point time, const char* format);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_DOCTOR_REPORT_H_

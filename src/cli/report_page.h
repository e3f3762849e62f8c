// The report as a page of its own.
#ifndef PROGRESS_TRACKER_CLI_REPORT_PAGE_H_
#define PROGRESS_TRACKER_CLI_REPORT_PAGE_H_

#include <ostream>

#include "cli/job_report.h"

namespace progress_tracker::cli {

// Writes one HTML document that needs nothing else: its style and its charts are in it, it loads
// nothing, and has no script. Text from the file is only ever text, whatever is in it; what is too
// long is cut, with a mark. The same report gives the same bytes.
//
// `out` does not throw; its state tells of failures.
void write_report_page(std::ostream& out, const JobReport& report);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_REPORT_PAGE_H_

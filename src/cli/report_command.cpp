#include "cli/report_command.h"

#include <algorithm>
#include <chrono>
#include <ostream>
#include <vector>

#include "cli/atomic_file.h"
#include "cli/database.h"
#include "cli/exit_code.h"
#include "cli/job_report.h"
#include "cli/output.h"
#include "cli/report_page.h"

namespace progress_tracker::cli {
namespace {

Job find_job(Tracker& tracker, const Context& context, const std::string& name) {
  const JobId id = require_job(tracker, context, name);
  const std::vector<Job> jobs = tracker.list_jobs();
  const auto found =
      std::find_if(jobs.begin(), jobs.end(), [id](const Job& job) { return job.id == id; });
  if (found == jobs.end()) throw NotFound("report: job " + display(name) + " was just removed");
  return *found;
}

}  // namespace

int report_command(const ReportSettings& settings, const Context& context) {
  refuse_database_as_output(context.database(), "--output", settings.output);
  const auto tracker = open_tracker(context.database(), Access::kRead);
  const Job job = find_job(*tracker, context, settings.job);
  const JobReport report = collect_report(*tracker, job, std::chrono::system_clock::now());
  write_output("--output", settings.output, context.streams.out,
               [&](std::ostream& out) { write_report_page(out, report); });
  return kExitOk;
}

}  // namespace progress_tracker::cli

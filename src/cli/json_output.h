// Everything the tool says in JSON, each as one line of ASCII without a line break.
//
// New fields may be added at any time; readers ignore what they do not know. A path that is not has
// its odd bytes escaped in "path", and all of it in "path_base64", which is there in that case
// only.
#ifndef PROGRESS_TRACKER_CLI_JSON_OUTPUT_H_
#define PROGRESS_TRACKER_CLI_JSON_OUTPUT_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cli/doctor_report.h"
#include "cli/job_figures.h"
#include "cli/progress_line.h"
#include "progress_tracker/run_job.h"
#include "progress_tracker/types.h"

namespace progress_tracker::cli {

// `status JOB --json`.
std::string status_document(const JobFigures& figures);

// `status --json`, `jobs --json`.
std::string jobs_document(std::span<const Job> jobs, std::int64_t live_workers);

// `doctor --json`. What was not looked at, because the file is damaged, is null. "repair" is there
// if there was one; its "refusal" says why it stopped, or is null. "healthy" is what the
// examination found, whatever became of a repair.
std::string doctor_document(const Examination& found, const std::optional<Treatment>& treatment);

// `run --json`: how it ended, as the event "end" has it.
std::string run_document(const std::string& job, const StatusCounts& counts,
                         const RunSummary& summary, Seconds elapsed, int exit_code,
                         const std::optional<std::string>& resume);

// The lines of `run --progress json`: "event" is start, progress, error, note, output, end, or
// failed.
std::string start_event(const std::string& job, const StatusCounts& counts, std::size_t workers);
std::string progress_event(const ProgressFigures& figures);
std::string error_event(const std::filesystem::path& path, std::string_view message);
std::string note_event(std::string_view message);
// What a command wrote, where it cannot stand beside the events. Bytes that are not UTF-8 are
// replaced.
std::string output_event(std::string_view lines);
std::string end_event(const StatusCounts& counts, const RunSummary& summary, Seconds elapsed,
                      int exit_code, const std::optional<std::string>& resume);

// In place of the end: what kept the run from it, and what to do, if anything is known.
std::string failed_event(std::string_view message, const char* advice, int exit_code);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_JSON_OUTPUT_H_

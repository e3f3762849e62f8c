// progress-tracker doctor
#ifndef PROGRESS_TRACKER_CLI_DOCTOR_COMMAND_H_
#define PROGRESS_TRACKER_CLI_DOCTOR_COMMAND_H_

#include <string>

#include "cli/command_line.h"
#include "cli/output.h"

namespace progress_tracker::cli {

// Examines the database, after repairing it if asked to, and makes none where there is none.
// `program`: what the user called us by, for the lines that are to be typed next. Returns the exit
// code: kExitOk, or kExitDatabase if there is a problem or the repair stopped. Throws Error, having
// told what was repaired.
int doctor_command(const DoctorSettings& settings, const std::string& database,
                   const std::string& program, const Streams& streams);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_DOCTOR_COMMAND_H_

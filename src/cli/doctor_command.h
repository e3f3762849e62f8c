// progress-tracker doctor
#ifndef PROGRESS_TRACKER_CLI_DOCTOR_COMMAND_H_
#define PROGRESS_TRACKER_CLI_DOCTOR_COMMAND_H_

#include "cli/context.h"
#include "cli/settings.h"

namespace progress_tracker::cli {

// Examines the database, after repairing it if asked to, and makes none where there is none.
// Returns the exit code: kExitOk, or kExitDatabase if there is a problem or the repair stopped.
// Throws Error, having told what was repaired.
int doctor_command(const DoctorSettings& settings, const Context& context);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_DOCTOR_COMMAND_H_

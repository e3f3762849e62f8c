// The exit codes of progress-tracker. Scripts rely on them: never renumber.
#ifndef PROGRESS_TRACKER_CLI_EXIT_CODE_H_
#define PROGRESS_TRACKER_CLI_EXIT_CODE_H_

#include "progress_tracker/error.h"

namespace progress_tracker::cli {

inline constexpr int kExitOk = 0;            // the job has nothing pending and no error
inline constexpr int kExitImageErrors = 1;   // nothing pending here, but images are in error
inline constexpr int kExitUsage = 2;         // wrong usage or configuration
inline constexpr int kExitNotFound = 3;      // no such job or database
inline constexpr int kExitIncomplete = 4;    // stopped early on purpose, with images left
inline constexpr int kExitDatabase = 6;      // it cannot be used, or `doctor` found a problem
inline constexpr int kExitCannotRun = 126;   // the command is there but cannot be run
inline constexpr int kExitNoCommand = 127;   // the command was not found
inline constexpr int kExitSignalBase = 128;  // plus the signal, after an orderly stop: 130, 143

// The exit code that says what the user can do about `code`.
int exit_code_for(ErrorCode code);

// What the user can do next, or nullptr.
const char* advice_for(ErrorCode code);

// What the user can do next where there is no database.
inline constexpr char kNoDatabaseAdvice[] =
    "check --db and PROGRESS_TRACKER_DB; `run` makes the database";

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_EXIT_CODE_H_

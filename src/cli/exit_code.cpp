#include "cli/exit_code.h"

namespace progress_tracker::cli {

int exit_code_for(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kInvalidTransition:
      return kExitUsage;
    case ErrorCode::kNotFound:
      return kExitNotFound;
    case ErrorCode::kBusy:
    case ErrorCode::kClosed:
    case ErrorCode::kReadOnly:
    case ErrorCode::kFull:
    case ErrorCode::kIo:
    case ErrorCode::kOutcomeUnknown:
    case ErrorCode::kCorrupt:
    case ErrorCode::kNotADatabase:
    case ErrorCode::kForeignDatabase:
    case ErrorCode::kSchemaTooNew:
    case ErrorCode::kSchemaTooOld:
    case ErrorCode::kUnsupportedFilesystem:
    case ErrorCode::kDatabaseMoved:
    case ErrorCode::kForked:
      break;
  }
  return kExitDatabase;
}

const char* advice_for(ErrorCode code) {
  switch (code) {
    case ErrorCode::kBusy:
      return "run the same command again once no other process holds the database";
    case ErrorCode::kFull:
      return "make room, then run the same command again";
    case ErrorCode::kReadOnly:
      return "make the database and its directory writable, or give another with --db";
    case ErrorCode::kNotADatabase:
    case ErrorCode::kForeignDatabase:
    case ErrorCode::kUnsupportedFilesystem:
      return "give another place with --db";
    case ErrorCode::kSchemaTooNew:
      return "use the newer progress-tracker that wrote it";
    case ErrorCode::kSchemaTooOld:
      return "`run` or `doctor --repair` brings it up to date";
    case ErrorCode::kDatabaseMoved:
      return "put it back before you run the same command again: with no database there, the job "
             "begins anew";
    case ErrorCode::kOutcomeUnknown:
    case ErrorCode::kIo:
      return "run the same command again once the cause is gone; nothing recorded is lost";
    case ErrorCode::kCorrupt:
      return "keep the file and those beside it as they are; if nothing else helps, restore a "
             "backup";
    default:
      return nullptr;
  }
}

}  // namespace progress_tracker::cli

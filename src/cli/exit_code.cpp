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

}  // namespace progress_tracker::cli

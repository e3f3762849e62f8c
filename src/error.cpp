#include "progress_tracker/error.h"

namespace progress_tracker {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kInvalidTransition:
      return "invalid_transition";
    case ErrorCode::kBusy:
      return "busy";
    case ErrorCode::kClosed:
      return "closed";
    case ErrorCode::kReadOnly:
      return "read_only";
    case ErrorCode::kFull:
      return "full";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kOutcomeUnknown:
      return "outcome_unknown";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kNotADatabase:
      return "not_a_database";
    case ErrorCode::kForeignDatabase:
      return "foreign_database";
    case ErrorCode::kSchemaTooNew:
      return "schema_too_new";
    case ErrorCode::kSchemaTooOld:
      return "schema_too_old";
    case ErrorCode::kUnsupportedFilesystem:
      return "unsupported_filesystem";
    case ErrorCode::kDatabaseMoved:
      return "database_moved";
    case ErrorCode::kForked:
      return "forked";
  }
  return "unknown";
}

Error::Error(ErrorCode code, const std::string& message, int sqlite_code)
    : std::runtime_error(message), code_(code), sqlite_code_(sqlite_code) {}

Error::~Error() = default;

ErrorCode Error::code() const noexcept { return code_; }

int Error::sqlite_code() const noexcept { return sqlite_code_; }

}  // namespace progress_tracker

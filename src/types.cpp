#include "progress_tracker/types.h"

namespace progress_tracker {

std::string_view to_string(Status status) {
  switch (status) {
    case Status::kPending:
      return "pending";
    case Status::kProcessing:
      return "processing";
    case Status::kCompleted:
      return "completed";
    case Status::kError:
      return "error";
  }
  return "unknown";
}

std::string_view to_string(BatchStatus status) {
  switch (status) {
    case BatchStatus::kPending:
      return "pending";
    case BatchStatus::kUploaded:
      return "uploaded";
    case BatchStatus::kError:
      return "error";
  }
  return "unknown";
}

std::int64_t StatusCounts::total() const { return pending + processing + completed + error; }

}  // namespace progress_tracker

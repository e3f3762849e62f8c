// What an import meets that is not in the tracker as it was in the old file: counted while rows go
// by, and told in one sentence for each kind, however many they are.
#ifndef PROGRESS_TRACKER_SRC_IMPORT_REMARKS_H_
#define PROGRESS_TRACKER_SRC_IMPORT_REMARKS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace progress_tracker {

// A kind of thing, and the first one met.
struct Remark {
  std::int64_t count{0};
  std::string first;  // fit for display

  void add(std::int64_t old_id) { add(std::to_string(old_id)); }
  void add(const std::string& example) {
    if (count++ == 0) first = example;
  }
};

struct JobRemarks {
  bool is_new{false};  // was not in the tracker
  std::optional<std::int64_t> total_images{};
  std::int64_t images{0};  // rows, those left out included
  std::int64_t already_there{0};
  std::int64_t listed_twice{0};
  std::int64_t were_processing{0};
  std::int64_t old_messages{0};  // of errors that are over
  Remark unknown_statuses{};
  Remark changed_splits{};
  Remark no_paths{};  // by old id, as the others of images and batches

  std::int64_t old_batch_messages{0};
  Remark renumbered_batches{};  // by new number
  Remark differing_batches{};   // by number
  Remark unknown_batch_statuses{};
  Remark no_image_counts{};
  Remark no_batch_numbers{};
};

// Of jobs that are not there.
struct StrayRemarks {
  Remark images{};
  Remark batches{};
};

// The beginning of a foreign text, in quotes and fit for display.
std::string in_quotes(std::string_view text);

void tell_name(std::int64_t old_id, std::string_view old_name, std::string_view name,
               std::vector<std::string>& notes);
void tell(std::string_view job, const JobRemarks& remarks, std::vector<std::string>& notes);
void tell(const StrayRemarks& remarks, std::vector<std::string>& notes);

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_IMPORT_REMARKS_H_

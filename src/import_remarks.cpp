#include "import_remarks.h"

#include "progress_tracker/rules.h"

namespace progress_tracker {
namespace {

std::string number(std::int64_t value) { return std::to_string(value); }

std::string images(std::int64_t count) {
  return number(count) + (count == 1 ? " image" : " images");
}

std::string batches(std::int64_t count) {
  return number(count) + (count == 1 ? " batch" : " batches");
}

}  // namespace

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kMostShown = 100;
  const bool is_long = text.size() > kMostShown;
  return '"' + escape_for_display(text.substr(0, kMostShown)) + (is_long ? "…\"" : "\"");
}

void tell_name(std::int64_t old_id, std::string_view old_name, std::string_view name,
               std::vector<std::string>& notes) {
  notes.push_back("job " + number(old_id) + " of the old file, " + in_quotes(old_name) +
                  ", is called " + in_quotes(name) + " now");
}

void tell(std::string_view job, const JobRemarks& remarks, std::vector<std::string>& notes) {
  const auto note = [&](const std::string& sentence) {
    notes.push_back("job " + in_quotes(job) + ": " + sentence);
  };
  const auto note_if_any = [&](const Remark& remark, const std::string& things,
                               const std::string& before, const std::string& after) {
    if (remark.count > 0) note(things + before + remark.first + after);
  };
  if (!remarks.is_new) {
    note("was there already, with " + number(remarks.already_there) + " of these " +
         images(remarks.images - remarks.listed_twice));
  }
  if (remarks.listed_twice > 0) note("lists " + images(remarks.listed_twice) + " twice");
  if (remarks.total_images.has_value() && *remarks.total_images != remarks.images) {
    note("the old file announces " + images(*remarks.total_images) + " and lists " +
         number(remarks.images));
  }
  if (remarks.were_processing > 0) {
    note(images(remarks.were_processing) + " in work, pending now");
  }
  if (remarks.old_messages > 0) {
    note(images(remarks.old_messages) + " with the message of an error that is over, dropped");
  }
  note_if_any(remarks.unknown_statuses, images(remarks.unknown_statuses.count),
              " in a status that is unknown, such as ", ", pending now");
  note_if_any(remarks.changed_splits, images(remarks.changed_splits.count),
              " of a split with control characters or bytes that are not UTF-8, such as ",
              ", which are escaped now");
  note_if_any(remarks.no_paths, images(remarks.no_paths.count),
              " without a path, or with a NUL in it, left out; the first has the old id ", "");
  if (remarks.old_batch_messages > 0) {
    note(batches(remarks.old_batch_messages) +
         " with the message of an error that is over, dropped");
  }
  note_if_any(remarks.renumbered_batches, batches(remarks.renumbered_batches.count),
              " whose number another batch has, or that had none, with a negative number now; the "
              "first is ",
              "");
  note_if_any(remarks.differing_batches, batches(remarks.differing_batches.count),
              " that are taken for those that were there, with the same numbers, but had ended "
              "otherwise or with another message, which stays; the first is ",
              "");
  note_if_any(remarks.unknown_batch_statuses, batches(remarks.unknown_batch_statuses.count),
              " in a status that is unknown, such as ", ", pending now");
  note_if_any(remarks.no_image_counts, batches(remarks.no_image_counts.count),
              " without a number of images, 0 now; the first has the old id ", "");
  note_if_any(remarks.no_batch_numbers, batches(remarks.no_batch_numbers.count),
              " that no number could be found for, left out; the first has the old id ", "");
}

void tell(const StrayRemarks& remarks, std::vector<std::string>& notes) {
  const auto note_if_any = [&](const Remark& remark, const std::string& things) {
    if (remark.count == 0) return;
    notes.push_back(things + " of jobs that are not there, left out; the first has the old id " +
                    remark.first);
  };
  note_if_any(remarks.images, images(remarks.images.count));
  note_if_any(remarks.batches, batches(remarks.batches.count));
}

}  // namespace progress_tracker

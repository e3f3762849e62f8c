#include "cli/json_support.h"

#include <cmath>

#include "cli/output.h"
#include "cli/time_text.h"
#include "progress_tracker/rules.h"

namespace progress_tracker::cli {

ordered_json new_document() {
  ordered_json document;
  document["schema_version"] = kSchemaVersion;
  return document;
}

ordered_json counts_object(const StatusCounts& counts) {
  ordered_json object;
  object["pending"] = counts.pending;
  object["processing"] = counts.processing;
  object["completed"] = counts.completed;
  object["error"] = counts.error;
  return object;
}

void add_counts(ordered_json& document, const StatusCounts& counts) {
  document["total_images"] = counts.total();
  document.update(counts_object(counts));
}

void add_path(ordered_json& document, const std::filesystem::path& path) {
  const std::string& bytes = path.native();
  if (is_valid_utf8(bytes)) {
    document["path"] = bytes;
  } else {
    document["path"] = escape_for_display(bytes);
    document["path_base64"] = base64(bytes);
  }
}

ordered_json image_object(const ImageRecord& record) {
  ordered_json object;
  add_path(object, record.image.path);
  object["split"] = record.image.split;
  object["status"] = to_string(record.status);
  object["attempts"] = record.attempts;
  object["deaths"] = record.deaths;
  object["started_at"] = time_value(record.started_at);
  object["finished_at"] = time_value(record.finished_at);
  object["error_message"] = record.error_message;
  return object;
}

ordered_json time_value(std::optional<std::chrono::system_clock::time_point> time) {
  return time ? ordered_json(utc_milliseconds(*time)) : ordered_json();
}

double rounded(Seconds duration) { return std::round(duration.count() * 1000) / 1000; }

JsonListDocument::JsonListDocument(std::ostream& out, const ordered_json& head, const char* list,
                                   const char* separator)
    : out_(out), separator_(separator) {
  std::string text = text_of(head);
  text.back() = ',';  // in place of the brace
  out_ << text << '"' << list << "\":[";
}

void JsonListDocument::add(const ordered_json& entry) {
  out_ << (is_first_ ? "" : ",") << separator_ << text_of(entry);
  is_first_ = false;
}

void JsonListDocument::finish(const ordered_json& rest) {
  out_ << separator_ << ']' << (rest.empty() ? "" : ",") << text_of(rest).substr(1) << '\n';
}

std::string text_of(const ordered_json& document) {
  constexpr bool kInAscii = true;
  return document.dump(-1, ' ', kInAscii, ordered_json::error_handler_t::replace);
}

}  // namespace progress_tracker::cli

// The building blocks of what the tool says in JSON. See json_output.h.
#ifndef PROGRESS_TRACKER_CLI_JSON_SUPPORT_H_
#define PROGRESS_TRACKER_CLI_JSON_SUPPORT_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>

#include "cli/progress_line.h"
#include "progress_tracker/types.h"

namespace progress_tracker::cli {

using nlohmann::ordered_json;

inline constexpr int kSchemaVersion = 1;

// A document with its "schema_version".
ordered_json new_document();

// "pending", "processing", "completed" and "error".
ordered_json counts_object(const StatusCounts& counts);

// The same and "total_images", as members of `document`.
void add_counts(ordered_json& document, const StatusCounts& counts);

// "path", and "path_base64" if it is not UTF-8.
void add_path(ordered_json& document, const std::filesystem::path& path);

// All that is known of an image, its path first.
ordered_json image_object(const ImageRecord& record);

// A time in UTC, or null.
ordered_json time_value(std::optional<std::chrono::system_clock::time_point> time);

// In seconds. Milliseconds are enough, and do not fill the line with digits.
double rounded(Seconds duration);

// In one line of ASCII: JSON itself would let through what a terminal obeys or reorders text for.
std::string text_of(const ordered_json& document);

// A document whose last member but those of `finish` is a list, written as it comes: it may be
// longer than there is memory for.
class JsonListDocument {
 public:
  // `head`: what comes before the list; not empty. `separator` stands before each entry but the
  // first, behind the comma.
  JsonListDocument(std::ostream& out, const ordered_json& head, const char* list,
                   const char* separator = "");
  void add(const ordered_json& entry);
  // `rest`: what comes behind the list.
  void finish(const ordered_json& rest = ordered_json::object());

 private:
  std::ostream& out_;
  const char* separator_;
  bool is_first_ = true;
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_JSON_SUPPORT_H_

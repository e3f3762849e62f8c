#include "cli/export_command.h"

#include <string>
#include <string_view>

#include "cli/atomic_file.h"
#include "cli/database.h"
#include "cli/exit_code.h"
#include "cli/image_pages.h"
#include "cli/json_support.h"
#include "cli/output.h"
#include "cli/time_text.h"

namespace progress_tracker::cli {
namespace {

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + '"';
}

std::string csv_time(std::optional<std::chrono::system_clock::time_point> time) {
  return time ? utc_milliseconds(*time) : std::string();
}

// Nothing in it that a terminal would obey, so that it may be shown on one: what is not printable
// is escaped, and the path then comes once more as it is.
void write_csv(std::ostream& out, Tracker& tracker, JobId job) {
  out << "path,path_base64,split,status,attempts,deaths,started_at,finished_at,error_message\n";
  for_each_image(tracker, job, std::nullopt, [&](const ImageRecord& record) {
    const std::string& path = record.image.path.native();
    const std::string shown = display(path);
    out << csv_field(shown) << ',' << (shown == path ? "" : base64(path)) << ','
        << csv_field(display(record.image.split)) << ',' << to_string(record.status) << ','
        << record.attempts << ',' << record.deaths << ',' << csv_time(record.started_at) << ','
        << csv_time(record.finished_at) << ',' << csv_field(display(record.error_message)) << '\n';
    return !out.fail();
  });
}

// One document, with a line for each image.
void write_json(std::ostream& out, Tracker& tracker, JobId job, const std::string& name) {
  ordered_json head = new_document();
  head["job"] = name;
  add_counts(head, tracker.get_status_counts(job).value_or(StatusCounts{}));
  JsonListDocument document(out, head, "images", "\n");
  for_each_image(tracker, job, std::nullopt, [&](const ImageRecord& record) {
    document.add(image_object(record));
    return !out.fail();
  });
  document.finish();
}

}  // namespace

int export_command(const ExportSettings& settings, const Context& context) {
  if (settings.format == ExportFormat::kSnapshot) {
    if (settings.output == "-") {
      throw UsageError("--snapshot -: a database cannot go to standard output: name a file");
    }
    copy_database(context.database(), settings.output);
    return kExitOk;
  }
  const char* option = settings.format == ExportFormat::kCsv ? "--csv" : "--json";
  refuse_database_as_output(context.database(), option, settings.output);
  const auto tracker = open_tracker(context.database(), Access::kRead);
  const JobId job = require_job(*tracker, context, settings.job);
  if (settings.format == ExportFormat::kCsv) {
    write_output(option, settings.output, context.streams.out,
                 [&](std::ostream& out) { write_csv(out, *tracker, job); });
  } else {
    write_output(option, settings.output, context.streams.out,
                 [&](std::ostream& out) { write_json(out, *tracker, job, settings.job); });
  }
  return kExitOk;
}

}  // namespace progress_tracker::cli

#include "cli/errors_command.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/database.h"
#include "cli/exit_code.h"
#include "cli/image_pages.h"
#include "cli/job_report.h"
#include "cli/json_support.h"
#include "cli/output.h"

namespace progress_tracker::cli {
namespace {

constexpr std::size_t kMostGroups = 20;
constexpr std::size_t kShownBytes = 400;        // of a message
constexpr std::int64_t kMostLookedAt = 20'000;  // images in error, for their paths

std::vector<ErrorSample> read_groups(Tracker& tracker, JobId job) {
  ImagePass pass(tracker.get_error_summary(job, kMostGroups));
  std::int64_t looked_at = 0;
  for_each_image(tracker, job, Status::kError, [&](const ImageRecord& record) {
    pass.add(record);
    return ++looked_at < kMostLookedAt;
  });
  return pass.errors();
}

// The summary has one path of each group, wherever it is.
std::vector<std::filesystem::path> examples_of(const ErrorSample& sample) {
  return sample.examples.empty() ? std::vector{sample.group.example} : sample.examples;
}

StatusCounts counts_of(Tracker& tracker, JobId job) {
  return tracker.get_status_counts(job).value_or(StatusCounts{});
}

void write_groups(const Context& context, const std::string& job, const StatusCounts& counts,
                  const std::vector<ErrorSample>& groups) {
  std::ostream& out = context.streams.out;
  out << "job " << display(job) << ": " << counts.error << " of "
      << counted(counts.total(), "image") << " in error\n";
  std::size_t width = 0;
  std::int64_t shown = 0;
  for (const ErrorSample& sample : groups) {
    width = std::max(width, std::to_string(sample.group.count).size());
    shown += sample.group.count;
  }
  const std::string indent(width + 4, ' ');
  for (const ErrorSample& sample : groups) {
    const std::string count = std::to_string(sample.group.count);
    out << '\n'
        << std::string(width + 2 - count.size(), ' ')
        << paint(count, Color::kRed, context.out.is_colored) << "  "
        << display_lines(sample.group.message, indent, kShownBytes) << '\n';
    const auto paths = examples_of(sample);
    for (const auto& example : paths) {
      out << indent << "- " << display(example.native()) << '\n';
    }
    const auto left = sample.group.count - static_cast<std::int64_t>(paths.size());
    if (left > 0) out << indent << "- and " << left << " more\n";
  }
  if (counts.error == 0) return;
  if (shown < counts.error) {
    out << "\nand " << counted(counts.error - shown, "image") << " with other messages\n";
  }
  out << "\nall of them, a line each: " << line_to_type(context, "errors", job, {"--list"})
      << "\nto make them pending again: " << line_to_type(context, "retry", job) << '\n';
}

void write_groups_document(std::ostream& out, const std::string& job, const StatusCounts& counts,
                           const std::vector<ErrorSample>& groups) {
  ordered_json document = new_document();
  document["job"] = job;
  add_counts(document, counts);
  ordered_json& list = document["groups"] = ordered_json::array();
  for (const ErrorSample& sample : groups) {
    ordered_json& entry = list.emplace_back();
    entry["message"] = sample.group.message;
    entry["count"] = sample.group.count;
    ordered_json& examples = entry["examples"] = ordered_json::array();
    for (const auto& example : examples_of(sample)) add_path(examples.emplace_back(), example);
  }
  out << text_of(document) << '\n';
}

void write_list(std::ostream& out, Tracker& tracker, JobId job) {
  for_each_image(tracker, job, Status::kError, [&](const ImageRecord& record) {
    out << display(record.image.path.native()) << ": " << shown_message(record.error_message)
        << '\n';
    return !out.fail();
  });
}

void write_list_document(std::ostream& out, Tracker& tracker, JobId job, const std::string& name) {
  ordered_json head = new_document();
  head["job"] = name;
  add_counts(head, counts_of(tracker, job));
  JsonListDocument document(out, head, "errors");
  for_each_image(tracker, job, Status::kError, [&](const ImageRecord& record) {
    document.add(image_object(record));
    return !out.fail();
  });
  document.finish();
}

}  // namespace

int errors_command(const ErrorsSettings& settings, const Context& context) {
  const auto tracker = open_tracker(context.database(), Access::kRead);
  const JobId job = require_job(*tracker, context, settings.job);
  std::ostream& out = context.streams.out;
  if (settings.list && settings.json) {
    write_list_document(out, *tracker, job, settings.job);
  } else if (settings.list) {
    write_list(out, *tracker, job);
  } else {
    const std::vector<ErrorSample> groups = read_groups(*tracker, job);
    const StatusCounts counts = counts_of(*tracker, job);
    if (settings.json) {
      write_groups_document(out, settings.job, counts, groups);
    } else {
      write_groups(context, settings.job, counts, groups);
    }
  }
  return kExitOk;
}

}  // namespace progress_tracker::cli

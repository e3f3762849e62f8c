#include "cli/explain_command.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/database.h"
#include "cli/exit_code.h"
#include "cli/job_figures.h"
#include "cli/json_support.h"
#include "cli/output.h"
#include "cli/time_text.h"

namespace progress_tracker::cli {
namespace {

namespace fs = std::filesystem;

// What `run` will make of an image, and why.
struct Prospect {
  bool will_run;
  std::string why;  // a sentence without its full stop
};

Prospect prospect_of(const ImageRecord& record, const HeldImages& held, const std::string& retry) {
  switch (record.status) {
    case Status::kPending:
      if (record.deaths > 0) {
        return {true,
                "a worker died while it was in work, so it comes after all others, and alone"};
      }
      if (record.attempts > 0) {
        return {true, "it was given back, or made pending again after an error"};
      }
      return {true, "no work on it has been started yet"};
    case Status::kProcessing:
      if (held.by_dead == 0) return {false, "it is in work"};
      if (held.by_living > 0) {
        return {false, "it is in work; if its worker has died, the next run takes it back"};
      }
      return {true, "it was in work when its worker died: the next run takes it back"};
    case Status::kCompleted:
      return {false, "it is completed, which is final"};
    case Status::kError:
      break;
  }
  return {false, "it is in error, and stays so until it is made pending: " + retry};
}

bool is_there(const fs::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0;
}

void write_line(std::ostream& out, const std::string& label, const std::string& text) {
  out << label << std::string(10 - label.size(), ' ') << text << '\n';
}

void write_story(std::ostream& out, const std::string& job, const ImageRecord& record,
                 const Prospect& prospect) {
  write_line(out, "image", display(record.image.path.native()));
  write_line(out, "job", display(job));
  write_line(out, "split", record.image.split.empty() ? "(none)" : display(record.image.split));
  write_line(out, "status", std::string(to_string(record.status)));
  if (!record.error_message.empty()) {
    write_line(
        out, "message",
        display_lines(record.error_message, std::string(10, ' '), record.error_message.size() + 1));
  }
  write_line(
      out, "attempts",
      std::to_string(record.attempts) +
          (record.deaths > 0 ? ", its worker died in " + std::to_string(record.deaths) + " of them"
                             : ""));
  if (record.started_at) write_line(out, "started", utc_for_people(*record.started_at));
  if (record.finished_at) {
    std::string when = utc_for_people(*record.finished_at);
    if (record.started_at && *record.finished_at >= *record.started_at) {
      when += ", after " + format_duration(*record.finished_at - *record.started_at);
    }
    write_line(out, "finished", when);
  }
  write_line(out, "file", is_there(record.image.path) ? "there" : "not found from here");
  write_line(out, "run",
             (prospect.will_run ? "will work on it: " : "will not work on it: ") + prospect.why);
}

void write_story_document(std::ostream& out, const std::string& job, const ImageRecord& record,
                          const Prospect& prospect) {
  ordered_json document = new_document();
  document["job"] = job;
  document.update(image_object(record));
  document["file_exists"] = is_there(record.image.path);
  document["will_run"] = prospect.will_run;
  document["why"] = prospect.why;
  out << text_of(document) << '\n';
}

// Other ways to write the same path, of which the job may have one.
std::vector<fs::path> ways_to_write(const fs::path& path) {
  std::vector<fs::path> ways{path.lexically_normal(), "./" / path};
  std::error_code error;
  const fs::path here = fs::current_path(error);
  if (!error) {
    ways.push_back((here / path).lexically_normal());
    ways.push_back(path.lexically_proximate(here));
    ways.push_back("./" / path.lexically_proximate(here));
  }
  return ways;
}

// Throws NotFound: what is known about an image that the job does not have.
[[noreturn]] void refuse(Tracker& tracker, JobId id, const ExplainSettings& settings) {
  std::string message =
      "explain: job " + display(settings.job) + " has no image " + display(settings.path);
  for (const fs::path& way : ways_to_write(settings.path)) {
    if (way.empty() || !tracker.get_image_id(id, way)) continue;
    throw NotFound(message + ": did you mean " + display(way.native()) + "?");
  }
  for (const Job& job : tracker.list_jobs()) {
    if (job.id != id || !job.upstream) continue;
    const auto before = tracker.get_image_id(*job.upstream, settings.path);
    const auto record = before ? tracker.get_image(*before) : std::nullopt;
    if (record) {
      message +=
          " yet: it comes once it is completed in the job that feeds this one, where it is " +
          std::string(to_string(record->status));
    }
  }
  throw NotFound(message);
}

}  // namespace

int explain_command(const ExplainSettings& settings, const Context& context) {
  if (settings.path.empty()) throw UsageError("explain: the path is empty");
  const auto tracker = open_tracker(context.database(), Access::kRead);
  const JobId job = require_job(*tracker, context, settings.job);
  const auto id = tracker->get_image_id(job, settings.path);
  const auto record = id ? tracker->get_image(*id) : std::nullopt;
  if (!record) refuse(*tracker, job, settings);
  const Prospect prospect =
      prospect_of(*record, count_held(*tracker), line_to_type(context, "retry", settings.job));
  if (settings.json) {
    write_story_document(context.streams.out, settings.job, *record, prospect);
  } else {
    write_story(context.streams.out, settings.job, *record, prospect);
  }
  return kExitOk;
}

}  // namespace progress_tracker::cli

#include "cli/json_output.h"

#include <utility>

#include "cli/json_support.h"
#include "cli/time_text.h"

namespace progress_tracker::cli {
namespace {

ordered_json new_event(std::string_view name) {
  ordered_json event;
  event["event"] = name;
  return event;
}

ordered_json differences_array(const Examination& found) {
  ordered_json list = ordered_json::array();
  for (const CountDifference& difference : found.count_differences) {
    const auto job = found.jobs.find(difference.job_id);
    ordered_json& entry = list.emplace_back();
    entry["job_id"] = static_cast<std::int64_t>(difference.job_id);
    entry["job"] = job == found.jobs.end() ? std::string() : job->second;
    entry["split"] = difference.split;
    entry["stored"] = counts_object(difference.stored);
    entry["counted"] = counts_object(difference.counted);
  }
  return list;
}

ordered_json workers_array(std::span<const Worker> workers) {
  ordered_json list = ordered_json::array();
  for (const Worker& worker : workers) {
    ordered_json& entry = list.emplace_back();
    entry["id"] = static_cast<std::int64_t>(worker.id);
    entry["host"] = worker.host;
    entry["pid"] = worker.pid;
    entry["alive"] = worker.alive;
    entry["processing"] = worker.processing;
    entry["started_at"] = utc_text(worker.started_at, "%FT%TZ");
  }
  return list;
}

ordered_json leftovers_array(std::span<const Leftover> leftovers) {
  ordered_json list = ordered_json::array();
  for (const Leftover& leftover : leftovers) {
    ordered_json& entry = list.emplace_back();
    entry["job_id"] = static_cast<std::int64_t>(leftover.job_id);
    entry["images"] = leftover.images;
  }
  return list;
}

ordered_json treatment_object(const Treatment& treatment) {
  const Repair& repaired = treatment.repaired;
  ordered_json object;
  object["refused"] = treatment.is_refused();
  object["refusal"] = treatment.is_refused() ? ordered_json(treatment.refusal) : ordered_json();
  object["done"] = repaired.done;
  object["counts_corrected"] = repaired.corrected.size();
  object["images_given_back"] = treatment.images_given_back;
  object["workers_forgotten"] = repaired.workers_forgotten;
  object["leftovers_cleared"] = repaired.leftovers_cleared;
  return object;
}

void add_time_left(ordered_json& document, const TimeLeft& left) {
  document["eta_s"] = rounded(left.expected);
  document["eta_low_s"] = rounded(left.least);
  document["eta_high_s"] = rounded(left.most);
}

// How a run ended.
void add_end(ordered_json& document, const StatusCounts& counts, const RunSummary& summary,
             Seconds elapsed, int exit_code, const std::optional<std::string>& resume) {
  add_counts(document, counts);
  ordered_json& run = document["run"];
  run["completed"] = summary.completed;
  run["error"] = summary.errors;
  run["released"] = summary.released;
  document["stopped"] = summary.stopped;
  document["elapsed_s"] = rounded(elapsed);
  document["exit_code"] = exit_code;
  if (resume) document["resume"] = *resume;
}

}  // namespace

std::string status_document(const JobFigures& figures) {
  ordered_json by_split = ordered_json::object();
  for (const auto& [split, counts] : figures.splits) by_split[split] = counts_object(counts);
  ordered_json document = new_document();
  document["job"] = figures.job;
  add_counts(document, figures.total);
  document["splits"] = std::move(by_split);
  document["live_workers"] = figures.live_workers;
  document["images_per_s"] = figures.rate ? ordered_json(figures.rate->per_second) : ordered_json();
  for (const char* name : {"eta_s", "eta_low_s", "eta_high_s"}) document[name] = ordered_json();
  if (const auto left = figures.time_left()) add_time_left(document, *left);
  return text_of(document);
}

std::string jobs_document(std::span<const Job> jobs, std::int64_t live_workers) {
  ordered_json list = ordered_json::array();
  for (const Job& job : jobs) {
    ordered_json& entry = list.emplace_back();
    entry["job"] = job.name;
    add_counts(entry, job.counts);
    entry["after"] = ordered_json();
    for (const Job& other : jobs) {
      if (job.upstream == other.id) entry["after"] = other.name;
    }
    entry["created_at"] = time_value(job.created_at);
    entry["updated_at"] = time_value(job.updated_at);
  }
  ordered_json document = new_document();
  document["jobs"] = std::move(list);
  document["live_workers"] = live_workers;
  return text_of(document);
}

std::string doctor_document(const Examination& found, const std::optional<Treatment>& treatment) {
  ordered_json document = new_document();
  add_path(document, found.path);
  document["healthy"] = found.healthy();
  document["problems"] = found.problems;
  document["repairable_problems"] = found.mendable;
  document["notes"] = found.notes;
  document["sqlite_version"] = found.sqlite_version;
  document["has_wal_reset_fix"] = found.has_wal_reset_fix;
  document["filesystem"] = found.filesystem;
  document["pragmas"] = found.pragmas;
  document["application_id"] = found.application_id;
  document["database_schema_version"] = found.schema_version;
  document["database_bytes"] = found.database_bytes;
  document["wal_bytes"] = found.wal_bytes;
  document["damage"] = found.damage;
  const bool is_read = found.damage.empty();
  const auto if_read = [is_read](ordered_json value) {
    return is_read ? std::move(value) : ordered_json();
  };
  document["jobs"] = if_read(found.jobs.size());
  document["total_images"] = if_read(found.images);
  document["count_differences"] = if_read(differences_array(found));
  document["dangling_references"] = if_read(found.dangling_references);
  document["workers"] = if_read(workers_array(found.workers));
  document["leftovers"] = if_read(leftovers_array(found.leftovers));
  if (treatment) document["repair"] = treatment_object(*treatment);
  return text_of(document);
}

std::string run_document(const std::string& job, const StatusCounts& counts,
                         const RunSummary& summary, Seconds elapsed, int exit_code,
                         const std::optional<std::string>& resume) {
  ordered_json document = new_document();
  document["job"] = job;
  add_end(document, counts, summary, elapsed, exit_code, resume);
  return text_of(document);
}

std::string start_event(const std::string& job, const StatusCounts& counts, std::size_t workers) {
  ordered_json document = new_event("start");
  document["schema_version"] = kSchemaVersion;
  document["job"] = job;
  add_counts(document, counts);
  document["workers"] = workers;
  return text_of(document);
}

std::string progress_event(const ProgressFigures& figures) {
  ordered_json document = new_event("progress");
  add_counts(document, figures.counts);
  document["running"] = figures.running;
  document["elapsed_s"] = rounded(figures.elapsed);
  if (figures.rate) document["images_per_s"] = figures.rate->per_second;
  if (const auto left = figures.time_left()) add_time_left(document, *left);
  return text_of(document);
}

std::string error_event(const std::filesystem::path& path, std::string_view message) {
  ordered_json document = new_event("error");
  add_path(document, path);
  document["message"] = message;
  return text_of(document);
}

std::string note_event(std::string_view message) {
  ordered_json document = new_event("note");
  document["message"] = message;
  return text_of(document);
}

std::string output_event(std::string_view lines) {
  ordered_json document = new_event("output");
  document["text"] = lines;
  return text_of(document);
}

std::string end_event(const StatusCounts& counts, const RunSummary& summary, Seconds elapsed,
                      int exit_code, const std::optional<std::string>& resume) {
  ordered_json document = new_event("end");
  add_end(document, counts, summary, elapsed, exit_code, resume);
  return text_of(document);
}

std::string failed_event(std::string_view message, const char* advice, int exit_code) {
  ordered_json document = new_event("failed");
  document["message"] = message;
  if (advice != nullptr) document["advice"] = advice;
  document["exit_code"] = exit_code;
  return text_of(document);
}

}  // namespace progress_tracker::cli

#include "cli/change_commands.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/database.h"
#include "cli/exit_code.h"
#include "cli/image_pages.h"
#include "cli/json_support.h"
#include "cli/output.h"
#include "progress_tracker/error.h"
#include "progress_tracker/rules.h"

namespace progress_tracker::cli {
namespace {

// What was done to how many images of which job: a sentence, or a document.
int say_done(const Context& context, bool as_json, const std::string& job, std::int64_t images,
             const std::string& sentence) {
  if (as_json) {
    ordered_json document = new_document();
    document["job"] = job;
    document["images"] = images;
    context.streams.out << text_of(document) << '\n';
  } else {
    context.streams.out << sentence << '\n';
  }
  return kExitOk;
}

std::string pending_again(std::int64_t images) {
  return counted(images, "image") + (images == 1 ? " is" : " are") + " pending again";
}

// Whether `text` is `pattern`, in which * stands for any text.
bool matches(std::string_view text, std::string_view pattern) {
  std::size_t at = 0;
  std::size_t in_pattern = 0;
  std::size_t star = std::string_view::npos;  // the last * met, and where in the text it was
  std::size_t star_at = 0;
  while (at < text.size()) {
    if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
      star = in_pattern++;
      star_at = at;
    } else if (in_pattern < pattern.size() && pattern[in_pattern] == text[at]) {
      ++in_pattern;
      ++at;
    } else if (star != std::string_view::npos) {
      in_pattern = star + 1;
      at = ++star_at;
    } else {
      return false;
    }
  }
  while (in_pattern < pattern.size() && pattern[in_pattern] == '*') ++in_pattern;
  return in_pattern == pattern.size();
}

// In any form: as it is, or as the tool shows it, whole or the beginning.
bool has_message(const ImageRecord& record, const std::string& wanted) {
  return matches(record.error_message, wanted) || matches(display(record.error_message), wanted) ||
         matches(shown_message(record.error_message), wanted);
}

std::size_t retry_with_message(Tracker& tracker, JobId job, const std::string& wanted) {
  constexpr std::size_t kAtATime = 5000;
  std::size_t retried = 0;
  std::vector<ImageId> found;
  const auto retry = [&] {
    retried += tracker.retry_images(found);
    found.clear();
  };
  for_each_image(tracker, job, Status::kError, [&](const ImageRecord& record) {
    if (has_message(record, wanted)) found.push_back(record.image.id);
    if (found.size() == kAtATime) retry();
    return true;
  });
  retry();
  tracker.checkpoint(job);
  return retried;
}

void refuse_if_chained_to(Tracker& tracker, JobId job, const std::string& name) {
  for (const Job& each : tracker.list_jobs()) {
    if (each.upstream != job) continue;
    throw UsageError("job " + display(name) + ": job " + display(each.name) +
                     " is fed by it: remove that one first");
  }
}

JobId chain(Tracker& tracker, const ChainSettings& settings, JobId upstream) {
  try {
    return tracker.chain_job(settings.job, upstream);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    throw UsageError("job " + display(settings.job) + " is there already, and is not fed by " +
                     display(settings.upstream));
  }
}

}  // namespace

int retry_command(const RetrySettings& settings, const Context& context) {
  const auto tracker = open_tracker(context.database(), Access::kChange);
  const JobId job = require_job(*tracker, context, settings.job);
  const std::size_t retried = settings.message
                                  ? retry_with_message(*tracker, job, *settings.message)
                                  : tracker->reset_error_images(job);
  const auto images = static_cast<std::int64_t>(retried);
  if (images == 0 && settings.message) {
    complain(context.streams.err, "no image in error has this message: " +
                                      line_to_type(context, "errors", settings.job) +
                                      " shows those there are");
  }
  return say_done(context, settings.json, settings.job, images, pending_again(images));
}

int reset_command(const ResetSettings& settings, const Context& context) {
  const auto tracker = open_tracker(context.database(), Access::kChange);
  const JobId job = require_job(*tracker, context, settings.job);
  const auto images = static_cast<std::int64_t>(tracker->reset_stuck_images(job));
  return say_done(context, settings.json, settings.job, images, pending_again(images));
}

int remove_command(const RemoveSettings& settings, const Context& context) {
  const auto tracker = open_tracker(context.database(), Access::kChange);
  const JobId job = require_job(*tracker, context, settings.job);
  const StatusCounts counts = tracker->get_status_counts(job).value_or(StatusCounts{});
  refuse_if_chained_to(*tracker, job, settings.job);
  try {
    tracker->remove_job(job);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidTransition) throw;
    throw UsageError("job " + display(settings.job) +
                     ": a run is at work on it: stop it first (nothing was removed)");
  }
  return say_done(context, settings.json, settings.job, counts.total(),
                  "job " + display(settings.job) + " is removed from the record, with " +
                      counted(counts.total(), "image"));
}

int chain_command(const ChainSettings& settings, const Context& context) {
  const auto tracker = open_tracker(context.database(), Access::kChange);
  const JobId upstream = require_job(*tracker, context, settings.upstream);
  check_job_name("chain", settings.job);
  const JobId job = chain(*tracker, settings, upstream);
  const StatusCounts counts = tracker->get_status_counts(job).value_or(StatusCounts{});
  return say_done(context, settings.json, settings.job, counts.total(),
                  "job " + display(settings.job) + " gets what is completed in " +
                      display(settings.upstream) + ": " + counted(counts.total(), "image") +
                      " so far");
}

}  // namespace progress_tracker::cli

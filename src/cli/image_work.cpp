#include "cli/image_work.h"

#include <stdexcept>
#include <system_error>
#include <utility>

#include "cli/image_source.h"
#include "progress_tracker/rules.h"

namespace progress_tracker::cli {

ImageWork::ImageWork(const RunSettings& settings, ChildProcesses& children,
                     Interruption& interruption, ProgressReport& report,
                     std::function<void()> on_finished)
    : settings_(settings),
      words_(settings.command),
      children_(children),
      interruption_(interruption),
      report_(report),
      on_finished_(std::move(on_finished)) {}

void ImageWork::operator()(const Image& image) {
  std::optional<std::string> failure;
  try {
    failure = run_one(image);
  } catch (const CannotStart& error) {
    int none = 0;
    start_error_.compare_exchange_strong(none, error.error());
    interruption_.request_stop();
    throw;
  }
  if (!failure) {
    forget_failures(image);
    finished();
    return;
  }
  if (!interruption_.stop_token().stop_requested() && is_last_try(image)) {
    report_.image_failed(image.path, *failure);
    finished();
  }
  throw std::runtime_error(*failure);
}

// Returns why it failed, or nothing.
std::optional<std::string> ImageWork::run_one(const Image& image) {
  if (interruption_.stop_token().stop_requested()) return "interrupted";
  if (!settings_.images.empty() && is_gone(image.path)) return "no such file";
  report_.command_started();
  struct AtEnd {
    ProgressReport& report;
    ~AtEnd() { report.command_ended(); }
  } const at_end{report_};
  try {
    const ChildResult result = children_.run(words_.expand(image.path.native()), settings_.timeout);
    if (result.succeeded()) return std::nullopt;
    return clean_message(
        describe_failure(result));  // as it is stored, so that it can be looked for
  } catch (const std::system_error& error) {
    return error.what();
  }
}

// run_job() does not say which try this is.
bool ImageWork::is_last_try(const Image& image) {
  if (settings_.retries == 0) return true;
  const std::scoped_lock lock(mutex_);
  if (++failures_[static_cast<std::int64_t>(image.id)] <= settings_.retries) return false;
  failures_.erase(static_cast<std::int64_t>(image.id));
  return true;
}

void ImageWork::forget_failures(const Image& image) {
  if (settings_.retries == 0) return;
  const std::scoped_lock lock(mutex_);
  failures_.erase(static_cast<std::int64_t>(image.id));
}

void ImageWork::finished() {
  report_.image_finished();
  on_finished_();
}

}  // namespace progress_tracker::cli

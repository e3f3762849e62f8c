#include "cli/progress_report.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "cli/json_output.h"
#include "cli/output.h"

namespace progress_tracker::cli {
namespace {

using std::chrono::milliseconds;

// A plain line comes after this time or this part of the job, whichever is later.
constexpr Seconds kPlainInterval{30};
constexpr int kPlainPercent = 5;

// Some terminals go to the next line once the last column is written, and all of them write ^C and
// ^Z where the cursor is: a bar that was pushed up by that could not be cleared any more.
constexpr std::size_t kFreeColumns = 3;

milliseconds tick_interval(ProgressMode mode) {
  return mode == ProgressMode::kBar ? milliseconds(100) : milliseconds(1000);
}

}  // namespace

ProgressMode choose_progress_mode(ProgressMode asked, bool is_terminal, const char* term,
                                  const char* ci) {
  if (asked != ProgressMode::kAuto) return asked;
  const bool is_dumb = term != nullptr && std::string_view(term) == "dumb";
  const bool is_ci = ci != nullptr && *ci != '\0';
  return is_terminal && !is_dumb && !is_ci ? ProgressMode::kBar : ProgressMode::kPlain;
}

ProgressReport::ProgressReport(std::ostream& err, const PausableClock& clock, Setup setup)
    : err_(err), clock_(clock), setup_(std::move(setup)), start_(clock.now()) {}

ProgressReport::~ProgressReport() {
  stop_ticking();
  const std::scoped_lock lock(mutex_);
  clear_bar();
}

void ProgressReport::scanning(std::size_t found) {
  if (setup_.mode != ProgressMode::kBar) return;
  const std::scoped_lock lock(mutex_);
  clear_bar();
  bar_ = "scanning… " + std::to_string(found) + " found";
  err_ << bar_ << std::flush;
}

void ProgressReport::start(const StatusCounts& counts) {
  const std::scoped_lock lock(mutex_);
  start_ = clock_.now();
  counts_ = last_counts_ = counts;
  last_percent_ = figures().percent();
  clear_bar();
  if (setup_.mode == ProgressMode::kJson) {
    write_line(start_event(setup_.job, counts, setup_.workers));
  } else if (setup_.mode == ProgressMode::kPlain) {
    complain(err_, "job " + display(setup_.job) + ": " + counted(counts.total(), "image") + ", " +
                       std::to_string(counts.completed) + " completed, " +
                       counted(counts.error, "error") + ", " +
                       std::to_string(counts.pending + counts.processing) + " to do, " +
                       counted(static_cast<long long>(setup_.workers), "worker"));
  }
  if (setup_.mode == ProgressMode::kNone) return;
  ticking_ = true;
  thread_ = std::thread([this] { tick(); });
}

void ProgressReport::update(const StatusCounts& counts) {
  const std::scoped_lock lock(mutex_);
  counts_ = counts;
}

void ProgressReport::command_started() {
  const std::scoped_lock lock(mutex_);
  ++running_;
}

void ProgressReport::command_ended() {
  const std::scoped_lock lock(mutex_);
  --running_;
}

void ProgressReport::image_finished() {
  const std::scoped_lock lock(mutex_);
  ++finished_;
}

void ProgressReport::image_failed(const std::filesystem::path& path, std::string_view message) {
  const std::scoped_lock lock(mutex_);
  if (setup_.mode == ProgressMode::kNone) return;
  if (setup_.mode == ProgressMode::kJson) {
    write_line(error_event(path, message));
    return;
  }
  clear_bar();
  complain(err_, "error: " + display(path.native()) + ": " + shown_message(message));
}

void ProgressReport::pass_on(std::ostream& out, std::string_view lines) {
  const std::scoped_lock lock(mutex_);
  if (setup_.mode == ProgressMode::kJson) {
    write_line(output_event(lines));
    return;
  }
  clear_bar();
  err_ << std::flush;
  out << lines << std::flush;
  out.clear();  // a terminal that is gone is no reason to stop, nor an error of ours
}

void ProgressReport::note(std::string_view message) {
  const std::scoped_lock lock(mutex_);
  if (setup_.mode == ProgressMode::kJson) {
    write_line(note_event(message));
    return;
  }
  clear_bar();
  complain(err_, message);
}

void ProgressReport::show_now() {
  const std::scoped_lock lock(mutex_);
  if (setup_.mode == ProgressMode::kJson) {
    write_line(progress_event(figures()));
    return;
  }
  clear_bar();
  complain(err_, format_plain(figures()));
}

void ProgressReport::show_what_is_due() {
  const std::scoped_lock lock(mutex_);
  show_what_is_due_locked();
}

void ProgressReport::finish(const StatusCounts& counts, const RunSummary& summary, int exit_code,
                            const NextSteps& next) {
  stop_ticking();
  const std::scoped_lock lock(mutex_);
  clear_bar();
  const Seconds elapsed = clock_.now() - start_;
  if (setup_.mode == ProgressMode::kJson) {
    write_line(end_event(counts, summary, elapsed, exit_code, next.to_go_on));
    return;
  }
  if (setup_.mode != ProgressMode::kNone) {
    complain(err_, "job " + display(setup_.job) + ": " + std::to_string(counts.completed) + " of " +
                       counted(counts.total(), "image") + " completed, " +
                       counted(counts.error, "error") + ", " +
                       std::to_string(counts.pending + counts.processing) + " left" +
                       (counts.processing > 0
                            ? " (" + std::to_string(counts.processing) + " in work elsewhere)"
                            : "") +
                       "; this run: " + std::to_string(summary.completed) + " completed, " +
                       counted(summary.errors, "error") + ", " + std::to_string(summary.released) +
                       " given back, in " + format_duration(elapsed));
    if (next.what_failed) complain(err_, "what failed: " + *next.what_failed);
  }
  if (next.to_go_on) complain(err_, "to go on: " + *next.to_go_on);
}

ProgressFigures ProgressReport::figures_now() {
  const std::scoped_lock lock(mutex_);
  return figures();
}

void ProgressReport::tick() {
  std::unique_lock lock(mutex_);
  while (ticking_) {
    show_what_is_due_locked();
    wake_.wait_for(lock, tick_interval(setup_.mode), [this] { return !ticking_; });
  }
}

void ProgressReport::show_what_is_due_locked() {
  const ProgressFigures now = figures();
  if (setup_.mode == ProgressMode::kBar) {
    draw_bar();
  } else if (setup_.mode == ProgressMode::kJson) {
    if (now.counts != last_counts_) write_line(progress_event(now));
    last_counts_ = now.counts;
  } else if (setup_.mode == ProgressMode::kPlain && now.elapsed - last_shown_ >= kPlainInterval &&
             now.percent() >= last_percent_ + kPlainPercent) {
    complain(err_, format_plain(now));
    last_shown_ = now.elapsed;
    last_percent_ = now.percent();
  }
}

void ProgressReport::stop_ticking() {
  {
    const std::scoped_lock lock(mutex_);
    ticking_ = false;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

ProgressFigures ProgressReport::figures() {
  ProgressFigures now;
  now.elapsed = clock_.now() - start_;
  rate_.update(now.elapsed, finished_);
  now.counts = counts_;
  now.to_do = counts_.pending + counts_.processing;
  if (setup_.limit > 0) {
    now.to_do = std::clamp<std::int64_t>(setup_.limit - finished_, 0, now.to_do);
  }
  now.running = running_;
  now.rate = rate_.rate();
  now.is_stalled = rate_.is_stalled();
  return now;
}

void ProgressReport::write_line(std::string_view line) {
  err_ << std::string(line).append("\n") << std::flush;
}

void ProgressReport::draw_bar() {
  const std::size_t columns = setup_.columns ? setup_.columns() : 80;
  std::string bar = format_bar(figures(), columns - std::min(columns, kFreeColumns));
  if (bar == bar_) return;
  // Over the old one, then the rest of the line away: cleared first, it would flicker.
  err_ << ((bar_.empty() ? "" : "\r") + bar + "\x1b[K") << std::flush;
  bar_ = std::move(bar);
}

void ProgressReport::clear_bar() {
  if (!bar_.empty()) err_ << "\r\x1b[K";
  bar_.clear();
}

}  // namespace progress_tracker::cli

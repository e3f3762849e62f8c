#include "cli/status_command.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cli/database.h"
#include "cli/exit_code.h"
#include "cli/frames.h"
#include "cli/job_figures.h"
#include "cli/json_output.h"
#include "cli/metrics.h"
#include "cli/table.h"
#include "cli/time_text.h"

namespace progress_tracker::cli {
namespace {

using Align = Table::Align;
using std::chrono::steady_clock;
using std::chrono::system_clock;

std::vector<Table::Column> counts_columns(std::string name) {
  return {{std::move(name)},
          {"pending", Align::kRight},
          {"processing", Align::kRight},
          {"completed", Align::kRight},
          {"error", Align::kRight},
          {"total", Align::kRight}};
}

void add_counts(Table& table, const std::string& name, const StatusCounts& counts) {
  const auto in = [](std::int64_t count, Color color) {
    return Table::Cell(std::to_string(count), count > 0 ? std::optional(color) : std::nullopt);
  };
  table.add({display(name), std::to_string(counts.pending), std::to_string(counts.processing),
             in(counts.completed, Color::kGreen), in(counts.error, Color::kRed),
             std::to_string(counts.total())});
}

void write_live_workers(std::ostream& out, std::int64_t live) {
  out << "live workers of this database: " << live << '\n';
}

// How it goes on, and what can be done about it.
void write_outlook(std::ostream& out, const Context& context, const JobFigures& figures,
                   bool is_measuring) {
  const StatusCounts& total = figures.total;
  if (const std::int64_t abandoned = figures.most_abandoned(); abandoned > 0) {
    out << (figures.held.by_living > 0 ? "up to " : "") << counted(abandoned, "image")
        << " in work when the worker died: the next run takes them back\n";
  }
  if (figures.rate) {
    out << "speed: " << format_rate(figures.rate->per_second) << " lately";
    if (const auto left = figures.time_left()) out << ", " << format_time_left(*left) << " left";
    out << '\n';
  } else if (total.processing > figures.most_abandoned()) {
    out << (is_measuring ? "speed: measuring\n" : "speed: too little finished lately to tell\n");
  }
  if (total.error > 0) {
    out << "what failed: " << line_to_type(context, "errors", figures.job) << '\n';
  }
}

void write_status(std::ostream& out, const Context& context, const JobFigures& figures,
                  bool is_colored, bool is_measuring) {
  out << "job " << display(figures.job) << ": " << figures.total.completed << " of "
      << counted(figures.total.total(), "image") << " completed\n\n";
  Table table(counts_columns("split"), is_colored);
  for (const auto& [split, counts] : figures.splits) {
    add_counts(table, split.empty() ? "(none)" : split, counts);
  }
  add_counts(table, "all", figures.total);
  table.write(out);
  out << '\n';
  write_live_workers(out, figures.live_workers);
  write_outlook(out, context, figures, is_measuring);
}

void write_all_jobs(std::ostream& out, const std::vector<Job>& jobs, std::int64_t live,
                    bool is_colored) {
  Table table(counts_columns("job"), is_colored);
  for (const Job& job : jobs) add_counts(table, job.name, job.counts);
  table.write(out);
  out << '\n';
  write_live_workers(out, live);
}

// One reading after another of one job, or of all.
class Status {
 public:
  Status(const StatusSettings& settings, const Context& context)
      : settings_(settings),
        context_(context),
        tracker_(open_tracker(context.database(), Access::kRead)) {
    if (settings.job) job_ = require_job(*tracker_, context, *settings.job);
  }

  void show_once() {
    if (job_) {
      read_job();
      // What the dead did lately says nothing about what comes.
      if (figures_.held.by_living > 0) {
        figures_.rate = recent_rate(*tracker_, *job_, system_clock::now());
      }
    }
    write(context_.streams.out, context_.out.is_colored);
  }

  // Returns once nothing is left to do.
  void watch() {
    const char* term = std::getenv("TERM");
    const bool is_drawn = settings_.format == StatusFormat::kText && context_.out.is_there &&
                          term != nullptr && std::string_view(term) != "dumb";
    const auto start = steady_clock::now();
    std::optional<std::int64_t> done_before;
    Frames frames(context_.streams.out);
    for (auto next = start;; std::this_thread::sleep_until(next)) {
      if (job_) {
        // Asked for first: what a job above completes after it is seen here.
        is_fed_ = is_fed(*tracker_, *job_);
        read_job();
        const std::int64_t done = figures_.total.completed + figures_.total.error;
        if (!done_before) done_before = done;
        elapsed_ = steady_clock::now() - start;
        // An image that is tried again is taken back from what is done.
        most_done_ = std::max(most_done_, done - *done_before);
        rate_.update(elapsed_, most_done_);
        figures_.rate = rate_.rate();
      }
      std::ostringstream frame;
      if (is_drawn) {
        write(frame, context_.out.is_colored);
      } else {
        write_line();
      }
      const bool is_last = !is_anything_left();
      if (is_drawn) {
        // What stays is whole, also where it scrolls.
        const std::size_t rows = is_last ? SIZE_MAX : context_.out.rows();
        frames.draw(frame.str(), context_.out.columns(), rows);
      }
      if (!context_.streams.out || is_last) return;
      next += settings_.interval;
      next = std::max(next, steady_clock::now());  // after a pause of the whole tool: no hurry
    }
  }

 private:
  // Throws NotFound if the job was removed meanwhile.
  void read_job() {
    figures_ = read_figures(*tracker_, *job_, *settings_.job);
    if (figures_.splits.empty()) {
      job_ = require_job(*tracker_, context_, *settings_.job);
    }
  }

  void write(std::ostream& out, bool is_colored) {
    if (!job_) {
      write_jobs(out, is_colored);
      return;
    }
    switch (settings_.format) {
      case StatusFormat::kJson:
        out << status_document(figures_) << '\n';
        break;
      case StatusFormat::kPrometheus:
        write_metrics(out, {&figures_, 1});
        break;
      case StatusFormat::kText:
        write_status(out, context_, figures_, is_colored, settings_.watch);
    }
  }

  void write_jobs(std::ostream& out, bool is_colored) {
    jobs_ = tracker_->list_jobs();
    const std::int64_t live = count_live_workers(*tracker_);
    switch (settings_.format) {
      case StatusFormat::kJson:
        out << jobs_document(jobs_, live) << '\n';
        break;
      case StatusFormat::kPrometheus: {
        std::vector<JobFigures> all;
        for (const Job& job : jobs_) all.push_back(read_figures(*tracker_, job.id, job.name));
        write_metrics(out, all);
        break;
      }
      case StatusFormat::kText:
        write_all_jobs(out, jobs_, live, is_colored);
    }
  }

  // A watch that goes to a file or to another program: a line when something has changed, or of all
  // jobs their table. In the other formats each reading.
  void write_line() {
    std::ostringstream reading;
    if (settings_.format != StatusFormat::kText || !job_) {
      write(reading, false);
      if (settings_.format == StatusFormat::kText && reading.str() == last_table_) return;
      last_table_ = reading.str();
    } else {
      ProgressFigures figures;
      figures.counts = figures_.total;
      figures.to_do = figures_.total.pending + figures_.total.processing;
      figures.running = figures_.total.processing;
      figures.elapsed = elapsed_;
      figures.rate = figures_.rate;
      figures.is_stalled = rate_.is_stalled();
      if (figures.counts == last_counts_) return;
      last_counts_ = figures.counts;
      reading << utc_text(system_clock::now(), "%FT%TZ") << ' ' << format_plain(figures) << '\n';
    }
    context_.streams.out << reading.str() << std::flush;
  }

  bool is_anything_left() const {
    if (job_) return is_fed_ || figures_.total.pending + figures_.total.processing > 0;
    return std::any_of(jobs_.begin(), jobs_.end(), [](const Job& job) {
      return job.counts.pending + job.counts.processing > 0;
    });
  }

  const StatusSettings& settings_;
  const Context& context_;
  std::unique_ptr<Tracker> tracker_;
  std::optional<JobId> job_;
  JobFigures figures_;     // the last reading of a job,
  std::vector<Job> jobs_;  // or of all
  RateMeter rate_;         // of a watch,
  std::int64_t most_done_ = 0;
  Seconds elapsed_{0};
  bool is_fed_ = false;
  std::optional<StatusCounts> last_counts_;  // what its last line said,
  std::string last_table_;                   // or its last table
};

}  // namespace

int status_command(const StatusSettings& settings, const Context& context) {
  Status status(settings, context);
  if (settings.watch) {
    status.watch();
  } else {
    status.show_once();
  }
  return kExitOk;
}

int jobs_command(const JobsSettings& settings, const Context& context) {
  const auto tracker = open_tracker(context.database(), Access::kRead);
  const std::vector<Job> jobs = tracker->list_jobs();
  std::ostream& out = context.streams.out;
  if (settings.json) {
    out << jobs_document(jobs, count_live_workers(*tracker)) << '\n';
    return kExitOk;
  }
  Table table({{"job"},
               {"images", Align::kRight},
               {"completed", Align::kRight},
               {"error", Align::kRight},
               {"left", Align::kRight},
               {"after"},
               {"created"},
               {"last checkpoint"}},
              context.out.is_colored);
  for (const Job& job : jobs) {
    std::string upstream;
    for (const Job& other : jobs) {
      if (job.upstream == other.id) upstream = display(other.name);
    }
    table.add({display(job.name),
               std::to_string(job.counts.total()),
               std::to_string(job.counts.completed),
               {std::to_string(job.counts.error),
                job.counts.error > 0 ? std::optional(Color::kRed) : std::nullopt},
               std::to_string(job.counts.pending + job.counts.processing),
               upstream,
               utc_for_people(job.created_at),
               utc_for_people(job.updated_at)});
  }
  table.write(out);
  return kExitOk;
}

}  // namespace progress_tracker::cli

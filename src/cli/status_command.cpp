#include "cli/status_command.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "cli/exit_code.h"
#include "cli/json_output.h"
#include "progress_tracker/progress_tracker.h"

namespace progress_tracker::cli {
namespace {

// Rows of a name and five figures, in aligned columns.
class CountsTable {
 public:
  explicit CountsTable(std::string name) {
    rows_.push_back({std::move(name), "pending", "processing", "completed", "error", "total"});
  }

  void add(const std::string& name, const StatusCounts& counts) {
    rows_.push_back({display(name), std::to_string(counts.pending),
                     std::to_string(counts.processing), std::to_string(counts.completed),
                     std::to_string(counts.error), std::to_string(counts.total())});
  }

  void write(std::ostream& out) const {
    std::array<std::size_t, kColumns> widths{};
    for (const Row& row : rows_) {
      for (std::size_t i = 0; i < kColumns; ++i)
        widths[i] = std::max(widths[i], display_width(row[i]));
    }
    for (const Row& row : rows_) {
      std::string line = row[0] + std::string(widths[0] - display_width(row[0]), ' ');
      for (std::size_t i = 1; i < kColumns; ++i) {
        line += "  " + std::string(widths[i] - display_width(row[i]), ' ') + row[i];
      }
      out << line << '\n';
    }
  }

 private:
  static constexpr std::size_t kColumns = 6;
  using Row = std::array<std::string, kColumns>;

  std::vector<Row> rows_;
};

StatusCounts sum(const std::map<std::string, StatusCounts>& splits) {
  StatusCounts total;
  for (const auto& [split, counts] : splits) {
    total.pending += counts.pending;
    total.processing += counts.processing;
    total.completed += counts.completed;
    total.error += counts.error;
  }
  return total;
}

std::int64_t count_live_workers(Tracker& tracker) {
  const std::vector<Worker> workers = tracker.list_workers();
  return std::count_if(workers.begin(), workers.end(),
                       [](const Worker& worker) { return worker.alive; });
}

void write_live_workers(std::ostream& out, std::int64_t live) {
  out << "live workers of this database: " << live << '\n';
}

void write_status(std::ostream& out, const std::string& job, const StatusCounts& total,
                  const std::map<std::string, StatusCounts>& splits) {
  out << "job " << display(job) << ": " << total.completed << " of "
      << counted(total.total(), "image") << " completed\n\n";
  CountsTable table("split");
  for (const auto& [split, counts] : splits) table.add(split.empty() ? "(none)" : split, counts);
  table.add("all", total);
  table.write(out);
  out << '\n';
}

}  // namespace

int status_command(const StatusSettings& settings, const std::string& database,
                   const Streams& streams) {
  Options options;
  options.read_only = true;
  ProgressTracker tracker(database, options);

  if (!settings.job) {
    const std::vector<Job> jobs = tracker.list_jobs();
    const std::int64_t live = count_live_workers(tracker);
    if (settings.json) {
      streams.out << jobs_document(jobs, live) << '\n';
      return kExitOk;
    }
    CountsTable table("job");
    for (const Job& job : jobs) table.add(job.name, job.counts);
    table.write(streams.out);
    streams.out << '\n';
    write_live_workers(streams.out, live);
    return kExitOk;
  }

  const std::optional<JobId> job = tracker.get_job_id(*settings.job);
  if (!job) {
    complain(streams.err, display(database) + ": no job called " + display(*settings.job) +
                              ": `progress-tracker status` lists those there are");
    return kExitNotFound;
  }
  // All figures from one reading, so that they agree.
  const auto splits = tracker.get_progress_by_split(*job);
  const StatusCounts total = sum(splits);
  const std::int64_t live = count_live_workers(tracker);
  if (settings.json) {
    streams.out << status_document(*settings.job, total, splits, live) << '\n';
    return kExitOk;
  }
  write_status(streams.out, *settings.job, total, splits);
  write_live_workers(streams.out, live);
  return kExitOk;
}

}  // namespace progress_tracker::cli

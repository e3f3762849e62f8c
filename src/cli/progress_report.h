// Tells the user how a run is doing: a bar on a terminal, a line now and then in a log, one JSON
// object a line, or nothing.
#ifndef PROGRESS_TRACKER_CLI_PROGRESS_REPORT_H_
#define PROGRESS_TRACKER_CLI_PROGRESS_REPORT_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>

#include "cli/pausable_clock.h"
#include "cli/progress_line.h"
#include "progress_tracker/run_job.h"
#include "progress_tracker/types.h"

namespace progress_tracker::cli {

enum class ProgressMode { kAuto, kBar, kPlain, kJson, kNone };

// What kAuto means for a stream: kBar on a terminal that can move its cursor, kPlain elsewhere and
// on build servers. `term` and `ci` are those environment variables, or nullptr.
ProgressMode choose_progress_mode(ProgressMode asked, bool is_terminal, const char* term,
                                  const char* ci);

// What can be typed next.
struct NextSteps {
  std::optional<std::string> to_go_on{};     // where images are left
  std::optional<std::string> what_failed{};  // where there are errors
};

// Any thread may call any function at any time. Nothing is written before the first call, and
// nothing after finish().
class ProgressReport {
 public:
  struct Setup {
    ProgressMode mode = ProgressMode::kPlain;  // not kAuto
    std::string job;
    std::size_t workers = 1;
    std::int64_t limit = 0;                // RunOptions::limit
    std::function<std::size_t()> columns;  // of the terminal, for kBar
  };

  ProgressReport(std::ostream& err, const PausableClock& clock, Setup setup);
  ProgressReport(const ProgressReport&) = delete;
  ProgressReport& operator=(const ProgressReport&) = delete;
  ~ProgressReport();

  // How many images have been found so far.
  void scanning(std::size_t found);

  // The work begins; from here on the report shows itself in its own time.
  void start(const StatusCounts& counts);
  void update(const StatusCounts& counts);

  void command_started();
  void command_ended();
  // An image reached its outcome: completed, or in error as image_failed() tells.
  void image_finished();
  void image_failed(const std::filesystem::path& path, std::string_view message);

  // Writes what a command has written, whole lines, to `out`, which shares its terminal with us.
  void pass_on(std::ostream& out, std::string_view lines);

  // A line that the user should see in any mode. Foreign parts must have gone through display().
  void note(std::string_view message);

  void show_now();

  // Shows what is due by the clock. The report does it by itself all the time.
  void show_what_is_due();

  void finish(const StatusCounts& counts, const RunSummary& summary, int exit_code,
              const NextSteps& next = {});

  // The figures of the whole run, and of this moment.
  ProgressFigures figures_now();

 private:
  void tick();
  void show_what_is_due_locked();
  void stop_ticking();
  ProgressFigures figures();
  void write_line(std::string_view line);
  void draw_bar();
  void clear_bar();

  std::ostream& err_;
  const PausableClock& clock_;
  const Setup setup_;

  // Guarded by mutex_, as is err_.
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ticking_ = false;
  PausableClock::TimePoint start_;
  StatusCounts counts_;
  std::int64_t running_ = 0;
  std::int64_t finished_ = 0;
  RateMeter rate_;
  std::string bar_;           // what stands on the terminal's last line
  Seconds last_shown_{0};     // when a plain line was last written,
  int last_percent_ = 0;      // and what it said
  StatusCounts last_counts_;  // what the last JSON line said
  std::thread thread_;
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_PROGRESS_REPORT_H_

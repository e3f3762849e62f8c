// Runs commands, each in a process group of its own, and ends them when told to.
//
// A command gets /dev/null as its standard input, our standard output as its own if Program does
// not say otherwise, and a pipe as its standard error, whose last part is kept. No signal is
// blocked in it, and SIGPIPE, SIGINT and SIGTERM act as in a fresh process. When it ends, what it
// left running in its group is killed: a command is over when it says so.
//
// No command outlives the tool: the watchdog knows every group from before the command itself
// starts, and a parent-death signal covers the moment until then. A process that leaves its group,
// as setsid and timeout do, is out of reach.
#ifndef PROGRESS_TRACKER_CLI_CHILD_PROCESSES_H_
#define PROGRESS_TRACKER_CLI_CHILD_PROCESSES_H_

#include <sys/resource.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "cli/pausable_clock.h"
#include "cli/watchdog.h"

namespace progress_tracker::cli {

// What is run.
struct Program {
  std::string path;

  // The kernel does not know what it is, so /bin/sh reads it: as execvp() and every shell do with a
  // script that has no "#!" line.
  bool for_shell = false;

  // The limit on open files that it starts with, if that is not ours. See open_files.h.
  std::optional<rlimit> open_files{};

  // Its standard output goes to our standard error, since ours is for something else.
  bool output_to_error = false;

  // If there is one: gets what it writes to standard output, whole lines, from the thread that runs
  // it. A last line without its end gets one, and one that never ends is handed on in pieces.
  std::function<void(std::string_view lines)> take_output{};
};

// The command itself cannot be started, whatever the image: no reason to go on.
class CannotStart : public std::runtime_error {
 public:
  explicit CannotStart(int error);
  int error() const { return error_; }  // as errno

 private:
  int error_;
};

struct ChildResult {
  int exit_status{0};  // as the command gave it, if no signal ended it
  int signal{0};       // the signal that ended it, or 0
  std::optional<std::chrono::milliseconds> timed_out;  // the limit that it exceeded
  std::string error_output;  // the last part of its standard error, see kErrorOutputBytes

  bool succeeded() const { return exit_status == 0 && signal == 0 && !timed_out; }
};

inline constexpr std::size_t kErrorOutputBytes = 8192;

// "exit status 3: <the last part of its error output>", "killed by signal 9",
// "timed out after 1.5 s".
std::string describe_failure(const ChildResult& result);

class ChildProcesses {
 public:
  using Milliseconds = std::chrono::milliseconds;

  // At most as many commands at a time as `watchdog` has groups.
  // A command that exceeds its time gets SIGTERM, and SIGKILL `timeout_grace` later.
  ChildProcesses(Watchdog& watchdog, const PausableClock& clock, Program program,
                 Milliseconds timeout_grace = std::chrono::seconds(5));
  ChildProcesses(const ChildProcesses&) = delete;
  ChildProcesses& operator=(const ChildProcesses&) = delete;
  ~ChildProcesses();

  // Runs one command to its end. Any thread, any number at a time; the thread must live until this
  // returns. Throws CannotStart, and std::system_error if only this one could not be started.
  ChildResult run(const std::vector<std::string>& words,
                  std::optional<Milliseconds> timeout = std::nullopt);

  // Sends `signal` to the group of every running command. Those that start later get it at once.
  void terminate(int signal);

  // Stops every running command, starts none, and calls `meanwhile`; then they go on.
  void pause_while(const std::function<void()>& meanwhile);

  // Sends `signal` to the group of every running command.
  void send(int signal);

 private:
  class Running;

  void send_locked(int signal);

  Watchdog& watchdog_;
  const PausableClock& clock_;
  const Program program_;
  const Milliseconds timeout_grace_;
  int null_input_;

  // Guarded by mutex_: a group is signalled only while its leader has not been collected, so that
  // its number cannot belong to somebody else yet.
  std::mutex mutex_;
  std::vector<bool> taken_;
  int terminate_with_ = 0;
  bool is_paused_ = false;
  std::size_t starting_ = 0;  // commands between getting their place and running
  std::condition_variable changed_;
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_CHILD_PROCESSES_H_

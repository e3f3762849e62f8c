// Real processes for tests: this program, started again as an actor.
//
// An actor is a function of the test program that runs in a process of its own, begun from nothing
// (posix_spawn of this very file), so that it shares no memory, no descriptor and no lock with the
// test. It reads lines from its standard input and writes lines to its standard output. The test
// holds the other ends and decides when the actor is killed, stopped or let go on.
//
// An actor's line is an acknowledgement: what it says has happened, because it is written after
// the call returned, and what is in a pipe survives the writer's death.
#ifndef PROGRESS_TRACKER_TESTS_PROCESSES_PROCESS_H_
#define PROGRESS_TRACKER_TESTS_PROCESSES_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "temp_directory.h"

namespace progress_tracker::processes {

// No call in these tests takes that long unless it hangs.
inline constexpr std::chrono::seconds kPatience{60};

// ---- In the test -------------------------------------------------------------------------------

class Process {
 public:
  // Starts the actor. Its first line is whatever it says first: nothing is read here.
  Process(std::string_view actor, const std::vector<std::string>& arguments);
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  // Kills what still runs.
  ~Process();

  pid_t pid() const { return pid_; }

  void send(const std::string& line) const;
  void close_input();

  // The next line; nullopt once the actor has closed its output or died. Throws if nothing comes
  // for kPatience: then it hangs.
  std::optional<std::string> receive();
  // The same without waiting: nullopt if there is none yet.
  std::optional<std::string> receive_if_there();
  // Whether it has closed its output or died, and all of it was received.
  bool has_ended() const { return ended_; }
  // All that is left, up to its end.
  std::vector<std::string> receive_rest();

  // SIGKILL; returns when the process is gone.
  void kill();
  // SIGSTOP; returns when the process stands.
  void stop();
  void go_on() const;

  // Closes its input and returns its exit status; -1 if a signal ended it.
  int wait();

 private:
  void signal(int number) const;
  std::optional<std::string> next_line();
  bool read_more(std::chrono::milliseconds patience);

  pid_t pid_{-1};
  int input_{-1};
  int output_{-1};
  bool ended_{false};  // the output
  int status_{0};
  std::string buffer_;
  std::size_t begin_{0};  // of what is not yet taken from the buffer
};

using TemporaryDirectory = test::TempDirectory;

// The seed of a test that draws numbers: from PROGRESS_TRACKER_TEST_SEED if it is set, else new at
// every run. A failing test prints it.
unsigned test_seed();

using Random = std::mt19937;

// From `low` to `high`, both included.
int draw(Random& random, int low, int high);

// How often a test repeats itself: `usual`, times PROGRESS_TRACKER_TEST_SCALE if it is set.
int scaled(int usual);

// The exit status of a child that was forked; -1 if it hung and was killed, or died of a signal.
int end_of(pid_t child);

// ---- In the actor ------------------------------------------------------------------------------

using Arguments = std::vector<std::string>;

// A number, or that of an id, as the test and its actors tell it each other.
template <typename Number>
std::string text(Number number) {
  return std::to_string(static_cast<std::int64_t>(number));
}

// Makes a function known under its name: `const RegisterActor kEater{"eater", eat};`
struct RegisterActor {
  RegisterActor(const char* name, int (*function)(const Arguments&));
};

// Writes one line. When it returns, the test will read it whatever becomes of this process.
void say(const std::string& line);

// The next line the test sent; nullopt once it sends no more.
std::optional<std::string> hear();

// For main(): runs the actor and returns its exit status, or nullopt if this is no actor's process.
std::optional<int> run_if_actor(int argc, char** argv);

}  // namespace progress_tracker::processes

#endif  // PROGRESS_TRACKER_TESTS_PROCESSES_PROCESS_H_

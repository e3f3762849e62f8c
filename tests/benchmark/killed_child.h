// Work of a process that is killed with SIGKILL when it has done it.
#ifndef PROGRESS_TRACKER_TESTS_BENCHMARK_KILLED_CHILD_H_
#define PROGRESS_TRACKER_TESTS_BENCHMARK_KILLED_CHILD_H_

#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <type_traits>

namespace benchmark {

// Runs `work(done)` in a child process, which is killed as soon as it has called `done(result)`, in
// the middle of whatever the work holds. Returns the result. No database may be open in this
// process: it would not outlive a fork.
template <typename Result, typename Work>
Result run_and_kill(const Work& work) {
  static_assert(std::is_trivially_copyable_v<Result>);
  int ends[2];
  if (pipe(ends) != 0) {
    throw std::runtime_error("cannot make a pipe");
  }
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const auto done = [&](const Result& result) {
      while (write(ends[1], &result, sizeof result) == sizeof result) {
        pause();
      }
    };
    try {
      work(done);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "the process to be killed: %s\n", error.what());
    }
    _exit(1);
  }
  close(ends[1]);
  Result result{};
  const bool good = child > 0 && read(ends[0], &result, sizeof result) == sizeof result;
  close(ends[0]);
  if (child > 0) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  if (!good) {
    throw std::runtime_error("the process to be killed could not be made, or failed");
  }
  return result;
}

}  // namespace benchmark

#endif  // PROGRESS_TRACKER_TESTS_BENCHMARK_KILLED_CHILD_H_

// What a measurement observes while it runs: the size of the write-ahead log, how long the write
// lock is held, how much it computes, how much memory it takes.
#ifndef PROGRESS_TRACKER_TESTS_BENCHMARK_WATCH_H_
#define PROGRESS_TRACKER_TESTS_BENCHMARK_WATCH_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <thread>
#include <vector>

#include "plain_sqlite.h"

namespace benchmark {

// Looks at the size of the write-ahead log every two milliseconds.
class WalWatch {
 public:
  explicit WalWatch(const std::filesystem::path& database);
  ~WalWatch();

  // Half of the time the log was no larger than the first, never than the second. Ends the watch.
  std::uintmax_t median();
  std::uintmax_t largest();

 private:
  void watch();
  void stop();

  const std::filesystem::path log_;
  std::atomic<bool> stop_{false};
  std::vector<double> sizes_;  // the thread's until it has ended
  std::thread thread_;
};

// Tries to begin a transaction again and again, on a connection of its own. It slows down what it
// watches, so its measurement is one of its own too.
class LockWatch {
 public:
  explicit LockWatch(const std::filesystem::path& database);
  ~LockWatch();

  // The longest time, in milliseconds, from a refusal to the next success. 0: never refused.
  double stop();

 private:
  void watch();

  Database database_;
  std::atomic<bool> stop_{false};
  double longest_ms_{0};  // the thread's until it has ended
  std::thread thread_;
};

// How long the process has computed from the making of this on, all its threads together. Where
// others work too, this says more than the time.
class CpuWatch {
 public:
  double seconds() const { return now() - start_; }

 private:
  static double now();

  double start_ = now();
};

// How much the process takes at most from the making of this on, beyond what it had then. One at a
// time.
class MemoryWatch {
 public:
  MemoryWatch();

  double peak_kib() const;         // all of it
  double sqlite_peak_kib() const;  // of that, what SQLite has allocated: mostly its page cache

 private:
  double resident_kib_;
  std::int64_t sqlite_bytes_;
};

}  // namespace benchmark

#endif  // PROGRESS_TRACKER_TESTS_BENCHMARK_WATCH_H_

#include "watch.h"

#include <malloc.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

#include "driver.h"

namespace benchmark {
namespace {

using std::chrono::microseconds;

// Samples, which must not take a core from what they watch.
constexpr microseconds kLogPause{2'000};
// Short while refused, to see the end of it; long after a success, to leave the others alone.
constexpr microseconds kRefusedPause{200};
constexpr microseconds kFreePause{5'000};

double status_kib(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string name; status >> name;) {
    if (name == field + ":") {
      double kib = 0;
      status >> kib;
      return kib;
    }
    std::getline(status, name);
  }
  throw std::runtime_error("/proc/self/status has no " + field);
}

}  // namespace

WalWatch::WalWatch(const std::filesystem::path& database)
    : log_(database.native() + "-wal"), thread_(&WalWatch::watch, this) {}

WalWatch::~WalWatch() { stop(); }

std::uintmax_t WalWatch::median() {
  stop();
  return static_cast<std::uintmax_t>(percentile(sizes_, 0.5));
}

std::uintmax_t WalWatch::largest() {
  stop();
  return static_cast<std::uintmax_t>(percentile(sizes_, 1));
}

void WalWatch::stop() {
  stop_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
}

void WalWatch::watch() {
  for (bool last = false; !last;) {
    last = stop_;
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(log_, error);
    sizes_.push_back(error ? 0 : static_cast<double>(size));
    std::this_thread::sleep_for(kLogPause);  // the rate of sampling
  }
}

LockWatch::LockWatch(const std::filesystem::path& database)
    : database_(database, ""), thread_(&LockWatch::watch, this) {}

LockWatch::~LockWatch() { stop(); }

double LockWatch::stop() {
  stop_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
  return longest_ms_;
}

void LockWatch::watch() {
  std::optional<Stopwatch> refused;
  while (!stop_) {
    if (database_.try_execute("BEGIN IMMEDIATE; ROLLBACK")) {
      if (refused.has_value()) {
        longest_ms_ = std::max(longest_ms_, refused->milliseconds());
        refused.reset();
      }
      std::this_thread::sleep_for(kFreePause);  // so that what is watched gets the lock
    } else {
      if (!refused.has_value()) {
        refused.emplace();
      }
      std::this_thread::sleep_for(kRefusedPause);  // the precision of the measurement
    }
  }
}

double CpuWatch::now() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

MemoryWatch::MemoryWatch() {
  // What was freed before would otherwise be used again without being seen.
  malloc_trim(0);
  // Begins the high-water mark anew: see clear_refs in proc(5).
  std::ofstream("/proc/self/clear_refs") << 5;
  resident_kib_ = status_kib("VmRSS");
  sqlite_bytes_ = sqlite3_memory_used();
  sqlite3_memory_highwater(1);
}

double MemoryWatch::peak_kib() const { return status_kib("VmHWM") - resident_kib_; }

double MemoryWatch::sqlite_peak_kib() const {
  return static_cast<double>(sqlite3_memory_highwater(0) - sqlite_bytes_) / 1024;
}

}  // namespace benchmark

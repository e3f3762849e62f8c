// The whole public interface, called on a file that may be anything.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_HOSTILE_CALLS_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_HOSTILE_CALLS_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace progress_tracker::reliability {

using Random = std::mt19937;

// What came of the calls so far. Whatever a file holds, a call returns, or throws Error or
// std::bad_alloc; anything else is wrong. So are counts that cannot be: below zero, more than there
// can be, or parts that are not the whole.
struct Answers {
  std::int64_t calls{0};
  std::int64_t returned{0};
  std::int64_t counts{0};                      // that were looked at
  std::map<std::string, std::int64_t> errors;  // by code; "bad_alloc"
  std::vector<std::string> wrong;              // each names its call

  // "12 of 40 calls returned; corrupt 20, not_found 8"
  std::string summary() const;
};

// A few calls through a tracker that is opened for it, and now and then those of maintenance.h.
// The same `random` makes the same calls, so that a failure can be had again from its seed.
void call_some(const std::filesystem::path& database, Random& random, Answers& answers);

// Every call of a Tracker and all of maintenance.h, once or twice each; snapshot() only if wanted.
void call_all(const std::filesystem::path& database, Random& random, Answers& answers,
              bool with_snapshot = true);

// The names of what the calls may leave in the database's directory begin with that of the
// database, or with this.
inline constexpr const char* kCopyPrefix = "copy-of-";

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_HOSTILE_CALLS_H_

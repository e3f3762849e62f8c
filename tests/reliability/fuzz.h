// The two functions that a fuzzer drives. Each is also called by fuzz_test.cpp with bytes drawn
// from a seed, in every run of the tests.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_FUZZ_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>

#include "mutation.h"

namespace progress_tracker::reliability {

using Bytes = std::span<const std::uint8_t>;

// What was not as it should be; a fuzzer takes any exception for a finding.
class Wrong : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The bytes of a file, and perhaps of its log; then calls of all of the public interface.
void fuzz_database(Bytes input);

// Such an input: 4 bytes seed of the calls, 4 bytes length of the log, the file, the log.
std::string fuzz_database_input(const Files& files, std::uint32_t seed);
Files files_of_input(Bytes input);
std::uint32_t seed_of_input(Bytes input);

// The bytes of calls, made through two trackers on one file and through two of InMemoryTracker:
// both must answer alike, and the file must stay sound.
void fuzz_calls(Bytes input);

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_FUZZ_H_

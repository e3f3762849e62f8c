// How large the reliability tests are, and what they report.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_CAMPAIGN_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_CAMPAIGN_H_

#include <cstdint>
#include <string>

namespace progress_tracker::reliability {

// `fast` in every run of the tests; `release` where PROGRESS_TRACKER_TEST_SIZE is "release", as
// `cmake/bootstrap.sh soak` sets it.
std::int64_t sized(std::int64_t fast, std::int64_t release);

// A sanitizer's memory is its own: it neither keeps to a limit nor gives back what was freed.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// One line of the table that `cmake/bootstrap.sh soak` prints: of what goal, what was tried, how
// often, and how often it went wrong. Appended to the file that PROGRESS_TRACKER_TEST_REPORT names
// (nothing is written without it), and said on standard output.
void report(const std::string& goal, const std::string& tried, std::int64_t count,
            std::int64_t wrong, const std::string& remark = {});

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_CAMPAIGN_H_

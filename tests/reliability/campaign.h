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

// One thread's calls tell ThreadSanitizer nothing, and take it many times as long.
#if defined(__SANITIZE_THREAD__)
inline constexpr std::int64_t kThinning = 20;
#else
inline constexpr std::int64_t kThinning = 1;
#endif

// One line of the table that `cmake/bootstrap.sh soak` prints: of what goal, what was tried, how
// often, and how often it went wrong: at least once in a test that has failed. Appended to the file
// that PROGRESS_TRACKER_TEST_REPORT names (nothing is written without it), and said on standard
// output.
void report(const std::string& goal, const std::string& tried, std::int64_t count,
            std::int64_t wrong, const std::string& remark = {});

// Such a line that cannot be missing: it is written when its scope is left, also by an assertion or
// an exception.
class Row {
 public:
  Row(std::string goal, std::string tried);
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;
  ~Row();

  std::int64_t count{0};
  std::int64_t wrong{0};
  std::string remark;

 private:
  const std::string goal_;
  const std::string tried_;
  const int exceptions_;  // that were on their way at the beginning
};

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_CAMPAIGN_H_

#include "campaign.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <string_view>
#include <utility>

namespace progress_tracker::reliability {

std::int64_t sized(std::int64_t fast, std::int64_t release) {
  const char* size = std::getenv("PROGRESS_TRACKER_TEST_SIZE");
  return size != nullptr && std::string_view(size) == "release" ? release : fast;
}

void report(const std::string& goal, const std::string& tried, std::int64_t count,
            std::int64_t wrong, const std::string& remark) {
  wrong = std::max<std::int64_t>(wrong, testing::Test::HasFailure() ? 1 : 0);
  std::cout << goal << ": " << tried << ": " << count << ", wrong: " << wrong
            << (remark.empty() ? "" : "; ") << remark << '\n';
  if (const char* name = std::getenv("PROGRESS_TRACKER_TEST_REPORT")) {
    std::ofstream(name, std::ios::app)
        << goal << '\t' << tried << '\t' << count << '\t' << wrong << '\t' << remark << '\n';
  }
}

Row::Row(std::string goal, std::string tried)
    : goal_(std::move(goal)), tried_(std::move(tried)), exceptions_(std::uncaught_exceptions()) {}

Row::~Row() {
  // GoogleTest makes a failure of an exception only when it has left the test.
  const bool thrown = std::uncaught_exceptions() > exceptions_;
  report(goal_, tried_, count, std::max<std::int64_t>(wrong, thrown ? 1 : 0), remark);
}

}  // namespace progress_tracker::reliability

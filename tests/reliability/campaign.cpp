#include "campaign.h"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string_view>

namespace progress_tracker::reliability {

std::int64_t sized(std::int64_t fast, std::int64_t release) {
  const char* size = std::getenv("PROGRESS_TRACKER_TEST_SIZE");
  return size != nullptr && std::string_view(size) == "release" ? release : fast;
}

void report(const std::string& goal, const std::string& tried, std::int64_t count,
            std::int64_t wrong, const std::string& remark) {
  std::cout << goal << ": " << tried << ": " << count << ", wrong: " << wrong
            << (remark.empty() ? "" : "; ") << remark << '\n';
  if (const char* name = std::getenv("PROGRESS_TRACKER_TEST_REPORT")) {
    std::ofstream(name, std::ios::app)
        << goal << '\t' << tried << '\t' << count << '\t' << wrong << '\t' << remark << '\n';
  }
}

}  // namespace progress_tracker::reliability

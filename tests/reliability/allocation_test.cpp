// Every allocation fails, SQLite's and C++'s, once or from then on: std::bad_alloc or a typed
// error, nothing done by the call that says so, nothing lost, and all works again afterwards.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <tuple>

#include "campaign.h"
#include "failing_memory.h"
#include "faulty_play.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "progress_tracker/log.h"
#include "script.h"

namespace progress_tracker::reliability {
namespace {

// A base, so that it comes before anything uses SQLite.
struct InstalledFirst {
  InstalledFirst() { install_failing_memory(); }
};

std::string name_of(Memory memory) {
  switch (memory) {
    case Memory::kSqlite:
      return "sqlite";
    case Memory::kCpp:
      return "cpp";
    case Memory::kBoth:
      break;
  }
  return "either";
}

// What a tracker may say of it, besides std::bad_alloc.
bool fits(const Error& error) { return error.code() == ErrorCode::kOutcomeUnknown; }

class AllocationTest : public testing::TestWithParam<std::tuple<Scenario, Memory>>,
                       private InstalledFirst {
 protected:
  AllocationTest() {
    set_log_level(LogLevel::kOff);
    scenario_.options.retry_delay = std::chrono::milliseconds(1);
    scenario_.options.busy_timeout = std::chrono::seconds(10);
  }
  ~AllocationTest() override {
    memory_is_back();
    set_log_level(LogLevel::kWarn);
  }

  // False: there were fewer allocations.
  bool try_point(std::int64_t n, bool for_ever) {
    SCOPED_TRACE(scenario_.name + ", failing at allocation " + std::to_string(n) +
                 (for_ever ? " and ever after" : ""));
    fail_allocation(std::get<1>(GetParam()), n, for_ever);
    play_with_fault(scenario_, prepared_, directory_,
                    {.was_met = an_allocation_failed,
                     .lift = memory_is_back,
                     .fits = fits,
                     .may_be_bad_alloc = true});
    return an_allocation_failed();
  }

  Scenario scenario_{std::get<0>(GetParam())};
  const Prepared prepared_{scenario_};
  const ScratchDirectory directory_;
  const unsigned seed_ = processes::test_seed();
  processes::Random random_{seed_};
};

TEST_P(AllocationTest, ThatFailsIsAnErrorAndNothingMore) {
  SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_));
  const Memory memory = std::get<1>(GetParam());
  const bool is_sampled = scenario_.extent == Extent::kLengthy || memory == Memory::kBoth;
  const std::int64_t step =
      kThinning * sized(scenario_.extent == Extent::kBasic ? 7 : 97, is_sampled ? 7 : 1);
  std::int64_t points = 0;
  for (const bool for_ever : {false, true}) {
    if (memory == Memory::kBoth && !for_ever) {
      continue;  // a single one is of the one or the other
    }
    const std::int64_t before = points;
    int n = processes::draw(random_, 1, static_cast<int>(step));
    while (!HasFailure()) {
      if (try_point(n, for_ever)) {
        ++points;
        n += static_cast<int>(step);
      } else if (points == before && n > 1) {
        n = processes::draw(random_, 1, n - 1);  // there are fewer than would be passed over
      } else {
        break;
      }
    }
    EXPECT_TRUE(HasFailure() || points > before) << "no allocation failed";
  }
  report("G5",
         "an allocation fails, once or for ever: " + name_of(memory) + (step > 1 ? " (some)" : "") +
             ", " + scenario_.name,
         points, HasFailure() ? 1 : 0);
}

INSTANTIATE_TEST_SUITE_P(Scenarios, AllocationTest,
                         testing::Combine(testing::ValuesIn(scenarios()),
                                          testing::Values(Memory::kSqlite, Memory::kCpp,
                                                          Memory::kBoth)),
                         [](const auto& each) {
                           return std::get<0>(each.param).name + "_" +
                                  name_of(std::get<1>(each.param));
                         });

}  // namespace
}  // namespace progress_tracker::reliability

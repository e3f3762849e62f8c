// Every call that SQLite makes to the operating system fails, once or from then on: a typed error,
// nothing acknowledged that is not kept, nothing half done, and all works again without the fault.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <chrono>
#include <random>
#include <string>
#include <utility>

#include "campaign.h"
#include "fault_vfs.h"
#include "faulty_play.h"
#include "process.h"
#include "progress_tracker/log.h"
#include "script.h"

namespace progress_tracker::reliability {
namespace {

enum class Kind { kIoError, kDiskFull };

// How a call fails; SQLITE_OK: this kind does not meet it.
int failure_of(VfsCall call, Kind kind) {
  if (kind == Kind::kDiskFull) {
    return call == VfsCall::kWrite ? SQLITE_FULL : SQLITE_OK;
  }
  switch (call) {
    case VfsCall::kOpen:
      return SQLITE_CANTOPEN;
    case VfsCall::kClose:
      return SQLITE_IOERR_CLOSE;
    case VfsCall::kDelete:
      return SQLITE_IOERR_DELETE;
    case VfsCall::kAccess:
      return SQLITE_IOERR_ACCESS;
    case VfsCall::kRead:
      return SQLITE_IOERR_READ;
    case VfsCall::kWrite:
      return SQLITE_IOERR_WRITE;
    case VfsCall::kTruncate:
      return SQLITE_IOERR_TRUNCATE;
    case VfsCall::kSync:
      return SQLITE_IOERR_FSYNC;
    case VfsCall::kFileSize:
      return SQLITE_IOERR_FSTAT;
    case VfsCall::kLock:
      return SQLITE_IOERR_LOCK;
    case VfsCall::kUnlock:
      return SQLITE_IOERR_UNLOCK;
    case VfsCall::kCheckReservedLock:
      return SQLITE_IOERR_CHECKRESERVEDLOCK;
    case VfsCall::kShmMap:
      return SQLITE_IOERR_SHMMAP;
    case VfsCall::kShmLock:
      return SQLITE_IOERR_SHMLOCK;
    case VfsCall::kShmUnmap:
    case VfsCall::kFetch:
    case VfsCall::kUnfetch:
      break;  // whose answers SQLite does not look at
  }
  return SQLITE_OK;
}

class IoFailureTest : public testing::TestWithParam<Scenario> {
 protected:
  IoFailureTest() {
    install_fault_vfs();
    set_log_level(LogLevel::kOff);
    scenario_.options.retry_delay = std::chrono::milliseconds(1);
    scenario_.options.busy_timeout = std::chrono::seconds(10);
  }
  ~IoFailureTest() override { set_log_level(LogLevel::kWarn); }

  // The n-th call that can fail so fails. False: there were fewer.
  bool try_point(int n, Kind kind, bool for_ever) {
    int calls = 0;
    bool lifted = false;
    VfsCall met{};
    const ScopedVfsHook hook([&](const VfsEvent& event) {
      const int code = failure_of(event.call, kind);
      if (code == SQLITE_OK || lifted || ++calls < n) {
        return SQLITE_OK;
      }
      if (calls == n) {
        met = event.call;
      }
      return calls == n || (for_ever && event.call == met) ? code : SQLITE_OK;
    });
    SCOPED_TRACE(scenario_.name + ", failing at call " + std::to_string(n) +
                 (kind == Kind::kDiskFull ? " for want of room" : "") +
                 (for_ever ? " and ever after" : ""));
    play_with_fault(scenario_, prepared_, directory_,
                    {.was_met = [&] { return calls >= n; }, .lift = [&] { lifted = true; }});
    if (HasFailure()) {
      ADD_FAILURE() << "the call that failed: " << to_string(met);
    }
    return calls >= n;
  }

  Scenario scenario_{GetParam()};
  const Prepared prepared_{GetParam()};
  const ScratchDirectory directory_;
  const unsigned seed_ = processes::test_seed();
  std::mt19937 random_{seed_};
};

TEST_P(IoFailureTest, IsAnErrorAndNothingMore) {
  SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_));
  const int step = scenario_.extent == Extent::kBasic ? 1 : static_cast<int>(sized(23, 1));
  int points = 0;
  for (const Kind kind : {Kind::kIoError, Kind::kDiskFull}) {
    for (const bool for_ever : {false, true}) {
      int n = 1 + static_cast<int>(random_() % static_cast<unsigned>(step));
      for (; !HasFailure() && try_point(n, kind, for_ever); n += step) {
        ++points;
      }
    }
  }
  EXPECT_GT(points, 0);
  report("G4", "a call of SQLite fails, once or for ever, " + scenario_.name, points,
         HasFailure() ? 1 : 0);
}

INSTANTIATE_TEST_SUITE_P(Scenarios, IoFailureTest, testing::ValuesIn(scenarios()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace progress_tracker::reliability

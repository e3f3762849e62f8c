// Every call that SQLite makes to the operating system fails, once or from then on: a typed error,
// nothing acknowledged that is not kept, nothing half done, and all works again without the fault.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "campaign.h"
#include "fault_vfs.h"
#include "faulty_play.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "progress_tracker/log.h"
#include "script.h"

namespace progress_tracker::reliability {
namespace {

enum class Kind {
  kIoError,
  kDiskFull,
  kShortRead,  // the file ends there, and SQLite is promised zeros for what is missing
};

std::string name_of(Kind kind) {
  switch (kind) {
    case Kind::kDiskFull:
      return "a write finds no room";
    case Kind::kShortRead:
      return "a read finds the end of the file";
    case Kind::kIoError:
      break;
  }
  return "a call of SQLite fails";
}

bool is_of_opening(const Error& error) {
  return std::string_view(error.what()).starts_with("open: ");
}

// What the tracker may make of it.
bool fits(Kind kind, const Error& error) {
  const ErrorCode code = error.code();
  const int sqlite_code = error.sqlite_code() & 0xff;
  switch (kind) {
    case Kind::kDiskFull:
      return code == ErrorCode::kFull && sqlite_code == SQLITE_FULL;
    case Kind::kShortRead:
      // SQLite takes a page of zeros for a damaged one; we, at the door, a first page of zeros for
      // a file of somebody else. In the log, whose size SQLite has asked for, nothing can be
      // missing.
      return code == ErrorCode::kCorrupt ||
             (code == ErrorCode::kNotADatabase && is_of_opening(error)) ||
             (code == ErrorCode::kIo && error.sqlite_code() == SQLITE_IOERR_SHORT_READ);
    case Kind::kIoError:
      break;
  }
  // 0: where our own code asks the system, or says it of an earlier commit. Codes of SQLite that
  // nothing else claims become kIo too, and have no place here.
  return (code == ErrorCode::kIo || code == ErrorCode::kOutcomeUnknown) &&
         (sqlite_code == SQLITE_IOERR || sqlite_code == SQLITE_CANTOPEN || sqlite_code == 0);
}

// How a call fails; SQLITE_OK: this kind does not meet it.
int failure_of(VfsCall call, Kind kind) {
  if (kind == Kind::kDiskFull) {
    return call == VfsCall::kWrite ? SQLITE_FULL : SQLITE_OK;
  }
  if (kind == Kind::kShortRead) {
    return call == VfsCall::kRead ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
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

  // The n-th call that can fail so fails. Returns how many there were.
  int play(int n, Kind kind, bool for_ever) {
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
    SCOPED_TRACE(scenario_.name + ", " + name_of(kind) + ": number " + std::to_string(n) +
                 (for_ever ? " and all after it" : ""));
    play_with_fault(scenario_, prepared_, directory_,
                    {.was_met = [&] { return calls >= n; },
                     .lift = [&] { lifted = true; },
                     .fits = [&](const Error& error) { return fits(kind, error); }});
    if (HasFailure()) {
      ADD_FAILURE() << "the call that failed: " << to_string(met);
    }
    return calls;
  }

  Scenario scenario_{GetParam()};
  const Prepared prepared_{GetParam()};
  const ScratchDirectory directory_;
  const unsigned seed_ = processes::test_seed();
  processes::Random random_{seed_};
};

TEST_P(IoFailureTest, IsAnErrorAndNothingMore) {
  SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_));
  const bool is_lengthy = scenario_.extent == Extent::kLengthy;
  const std::int64_t fast = scenario_.extent == Extent::kBasic ? 1 : is_lengthy ? 46 : 23;
  const int usual_step = static_cast<int>(kThinning * sized(fast, 1));
  for (const Kind kind : {Kind::kIoError, Kind::kDiskFull, Kind::kShortRead}) {
    // Most of a lengthy one's reads are those of one log, page by page.
    const int step = kind == Kind::kShortRead && is_lengthy ? 10 * usual_step : usual_step;
    if (HasFailure()) {
      return;
    }
    const int calls = play(std::numeric_limits<int>::max(), kind, false);
    std::int64_t points = 0;
    for (const bool for_ever : {false, true}) {
      const std::int64_t before = points;
      // Also where there are fewer calls than would be passed over; how many a load needs differs a
      // little with the time that it takes.
      int n = processes::draw(random_, 1, std::clamp(calls / 2, 1, step));
      for (; !HasFailure() && play(n, kind, for_ever) >= n; n += step) {
        ++points;
      }
      ASSERT_TRUE(HasFailure() || points > before) << name_of(kind) << ": never";
    }
    report("G4", name_of(kind) + ", once or for ever, " + scenario_.name, points,
           HasFailure() ? 1 : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Scenarios, IoFailureTest, testing::ValuesIn(scenarios()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace progress_tracker::reliability

// The interleaving by which SQLite before 3.51.3 loses commits (sqlite.org/wal.html, "WAL-reset
// bug"), forced: while a checkpoint has read the log's state and not yet acted on it, somebody
// commits and begins the log anew. Our checkpoints are clean; a plain one, as a control, is not.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "armed.h"
#include "campaign.h"
#include "fault_vfs.h"
#include "script.h"
#include "sqlite/checkpoint_guard.h"
#include "sqlite/connection.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

using sqlite::CheckpointGuard;
using sqlite::Connection;
using sqlite::OpenMode;
using sqlite::Query;
using test::Outsider;

// Versions whose number proves the fix: 3.51.3, and what it was carried back to.
bool number_proves_fix() {
  const int version = sqlite3_libversion_number();
  return version >= 3'051'003 || (version >= 3'050'007 && version < 3'051'000) ||
         (version >= 3'044'006 && version < 3'045'000);
}

// One round: a log of many pages that is all copied; then a checkpoint that somebody's commit comes
// into; then so much more that the log is as long as it was, copied again, and begun anew.
class WalResetTest : public testing::Test {
 protected:
  WalResetTest() { install_fault_vfs(); }

  // Pages in the log: above where our guard begins to checkpoint.
  static constexpr int kPages = CheckpointGuard::kTryPages + 50;

  struct Round {
    bool came_between{false};  // the commit, into the checkpoint
    bool kept_out{false};      // it tried
    bool intact{false};
    std::string what;
  };

  // `checkpoint(connection)` is the one that is tried, on a connection that has not seen the last
  // commits. With `holds_lock` the other writer is inside its transaction when it begins.
  template <typename Checkpoint>
  Round play(bool holds_lock, const Checkpoint& checkpoint) {
    const ScratchDirectory directory;
    Outsider other(directory.database());
    other.run(
        "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF;"
        "CREATE TABLE row (id INTEGER PRIMARY KEY, filling BLOB)");
    Outsider first(directory.database());
    first.run("PRAGMA wal_autocheckpoint = 0");
    int rows = 0;
    const auto insert = [&](int pages) {
      other.run("INSERT INTO row VALUES (" + std::to_string(++rows) + ", zeroblob(" +
                std::to_string(pages * 4'000) + "))");
    };
    {
      Tried tried(directory.database().native());
      insert(kPages);
      tried.see();
      first.run("PRAGMA wal_checkpoint(PASSIVE)");
      if (holds_lock) {
        other.run("BEGIN IMMEDIATE");
        insert(1);
      }
      Round round;
      bool inside = false;
      const ScopedVfsHook hook([&](const VfsEvent& event) {
        if (event.call == VfsCall::kUnfetch && !inside && !round.came_between) {
          inside = true;
          try {
            holds_lock ? static_cast<void>(other.run("COMMIT")) : insert(1);
            round.came_between = true;
          } catch (const std::runtime_error&) {
            --rows;
            round.kept_out = true;
          }
          inside = false;
        }
        return SQLITE_OK;
      });
      {
        const Armed armed;
        checkpoint(tried);
      }
      if (holds_lock && sqlite3_get_autocommit(other.handle()) == 0) {
        other.run("COMMIT");
      }
      for (int i = 0; i < 4; ++i) {
        insert(kPages / 3);
      }
      first.run("PRAGMA wal_checkpoint(PASSIVE)");
      insert(1);
      first.run("PRAGMA wal_checkpoint(PASSIVE)");
      insert(1);
      round.what = look(directory.database(), rows);
      round.intact = round.what == "ok";
      return round;
    }
  }

  // The connections of the checkpoint that is tried.
  struct Tried {
    explicit Tried(const std::string& path)
        : writer(path, OpenMode::kReadWrite), checkpointer(path, OpenMode::kReadWrite) {
      writer.configure({});
      checkpointer.configure({});
      Query(checkpointer, "SELECT count(*) FROM row").run();
    }
    // A commit of its own, after which it has reason to checkpoint.
    void see() {
      Query(writer, "INSERT INTO row VALUES (-1, 'seen')").run();
      Query(writer, "DELETE FROM row WHERE id = -1").run();
    }

    Connection writer;
    Connection checkpointer;
  };

  static std::string look(const std::filesystem::path& database, int rows) {
    try {
      Outsider reader(database);
      const std::string verdict = reader.value("PRAGMA integrity_check");
      const auto found = reader.number("SELECT count(*) FROM row NOT INDEXED");
      return verdict != "ok" ? "integrity_check: " + verdict
             : found != rows ? std::to_string(found) + " of " + std::to_string(rows) + " rows"
                             : "ok";
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  }
};

TEST_F(WalResetTest, OurCheckpointIsClean) {
  const auto runs = sized(50, 1'000);
  Row checkpointed("G6", "forced WAL-reset interleaving, our checkpoint");
  Row locked("G6", "our checkpoint while the other writer has the lock");
  std::int64_t kept_out = 0;
  for (std::int64_t run = 0; run < runs + runs / 3; ++run) {
    const bool holds_lock = run % 4 == 3;
    const Round round = play(holds_lock, [](Tried& tried) {
      test::FakeClock clock;
      CheckpointGuard guard(tried.checkpointer, clock);
      EXPECT_EQ(guard.after_commit(tried.writer), "");
    });
    EXPECT_TRUE(round.intact) << round.what;
    EXPECT_FALSE(round.came_between);
    EXPECT_EQ(round.kept_out, !holds_lock);  // where the lock is held, there is no checkpoint
    Row& row = holds_lock ? locked : checkpointed;
    ++row.count;
    row.wrong += round.intact && !round.came_between && round.kept_out == !holds_lock ? 0 : 1;
    kept_out += round.kept_out ? 1 : 0;
  }
  checkpointed.remark = "the other writer was kept out " + std::to_string(kept_out) + " times";
  locked.remark = "there was none";
}

// Without it nobody knows that the test above tries anything.
class PlainCheckpoint : public WalResetTest, public testing::WithParamInterface<int> {};

TEST_P(PlainCheckpoint, LosesCommits) {
  if (number_proves_fix()) {
    GTEST_SKIP() << "this SQLite has the fix, so that there is nothing to show";
  }
  const auto runs = sized(5, 100);
  Row row("G6", "control: a plain checkpoint, mode " + std::to_string(GetParam()));
  std::int64_t damaged = 0;
  std::string how;
  for (std::int64_t run = 0; run < runs; ++run) {
    // FULL and TRUNCATE that do not get the write lock in time go on as PASSIVE.
    const Round round = play(GetParam() != SQLITE_CHECKPOINT_PASSIVE, [](Tried& tried) {
      sqlite3_wal_checkpoint_v2(tried.checkpointer.handle(), "main", GetParam(), nullptr, nullptr);
    });
    EXPECT_TRUE(round.came_between);
    ++row.count;
    damaged += round.intact ? 0 : 1;
    how = round.intact ? how : round.what;
    row.wrong += round.came_between && !round.intact ? 0 : 1;
    row.remark = "damaged the database " + std::to_string(damaged) + " times: " + how.substr(0, 80);
  }
  if (damaged == 0) {
    row.wrong = 0;
    GTEST_SKIP() << "this SQLite has the fix, whatever its number says";
  }
  EXPECT_EQ(damaged, runs) << "the interleaving is not always the one any more";
}

INSTANTIATE_TEST_SUITE_P(Modes, PlainCheckpoint,
                         testing::Values(SQLITE_CHECKPOINT_PASSIVE, SQLITE_CHECKPOINT_FULL,
                                         SQLITE_CHECKPOINT_TRUNCATE));

}  // namespace
}  // namespace progress_tracker::reliability

// What a connection knows of the write-ahead log without asking SQLite.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "progress_tracker/options.h"
#include "sqlite/connection.h"
#include "support.h"

namespace progress_tracker::sqlite {
namespace {

using test::Outsider;

class LogStateTest : public testing::Test {
 protected:
  LogStateTest() {
    Outsider(path).run("PRAGMA journal_mode = WAL; CREATE TABLE t (x)");
    connection.emplace(path, OpenMode::kReadWrite);
    connection->configure({});
    write();
  }

  void write() { connection->execute("INSERT INTO t VALUES (1)"); }

  test::TempDirectory directory;
  const std::filesystem::path path = directory / "t.db";
  std::optional<Connection> connection;
};

TEST_F(LogStateTest, ChangesWithEachCommitOfAnybodyAndWithNothingElse) {
  Outsider other(path);
  const auto first = connection->log_state();
  ASSERT_TRUE(first.has_value());
  connection->execute("SELECT * FROM t");
  other.run("SELECT * FROM t; BEGIN IMMEDIATE; INSERT INTO t VALUES (2); ROLLBACK");
  EXPECT_EQ(connection->log_state(), first);

  other.run("INSERT INTO t VALUES (2)");
  const auto second = connection->log_state();
  EXPECT_EQ(second->commits, first->commits + 1);
  write();
  EXPECT_EQ(connection->log_state()->commits, first->commits + 2);

  other.run("PRAGMA wal_checkpoint");
  write();  // begins the log anew
  EXPECT_EQ(connection->log_state()->commits, first->commits + 3);
  EXPECT_EQ(connection->log_state()->frames, 1U);
  EXPECT_NE(connection->log_state()->salt, first->salt);
}

TEST_F(LogStateTest, IsKnownToHoldWhereNobodyElseCommittedBetween) {
  Outsider other(path);
  struct Case {
    bool we_write;
    bool other_writes;
  };
  for (const auto& [we_write, other_writes] :
       {Case{false, false}, Case{true, false}, Case{false, true}, Case{true, true}}) {
    connection->note_beginning();
    EXPECT_FALSE(connection->known_state().has_value()) << "not before the end";
    if (we_write) {
      write();
    }
    if (other_writes) {
      other.run("INSERT INTO t VALUES (3)");
    }
    connection->note_end();

    EXPECT_EQ(connection->known_state(), other_writes ? std::nullopt : connection->log_state())
        << we_write << other_writes;
  }
}

TEST_F(LogStateTest, HasNoValueWhileItIsWrittenDown) {
  constexpr std::streamoff kSaltOfTheSecondCopy = 48 + 32;
  std::fstream index(path.string() + "-shm", std::ios::in | std::ios::out | std::ios::binary);
  char byte = 0;
  index.seekg(kSaltOfTheSecondCopy).get(byte);
  const auto put = [&](char value) { index.seekp(kSaltOfTheSecondCopy).put(value).flush(); };

  put(static_cast<char>(byte + 1));
  EXPECT_EQ(connection->log_state(), std::nullopt);
  put(byte);
  EXPECT_TRUE(connection->log_state().has_value());
}

TEST_F(LogStateTest, IsNotAskedForBeforeTheFirstWrite) {
  Connection reader(path, OpenMode::kReadOnly);
  EXPECT_EQ(reader.log_state(), std::nullopt);

  const auto rollback = directory / "rollback.db";
  Outsider(rollback).run("CREATE TABLE t (x)");
  Connection other(rollback, OpenMode::kReadWrite);
  other.execute("INSERT INTO t VALUES (1)");
  EXPECT_EQ(other.log_state(), std::nullopt);
  EXPECT_FALSE(std::filesystem::exists(directory / "rollback.db-shm"));
}

}  // namespace
}  // namespace progress_tracker::sqlite

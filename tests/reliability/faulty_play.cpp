#include "faulty_play.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <new>
#include <string>
#include <system_error>
#include <utility>

namespace progress_tracker::reliability {
namespace {

class Play {
 public:
  Play(const Scenario& scenario, const Prepared& prepared, const ScratchDirectory& directory,
       const Fault& fault)
      : database_(directory.database()),
        fault_(fault),
        worlds_(prepared.record()),
        player_(database_, scenario.options),
        buffered_(scenario.options.mark_buffer > 0) {}

  void perform(const Operation& operation) {
    SCOPED_TRACE(to_string(operation));
    if (try_once(operation)) {
      return;
    }
    const std::string first_error = last_error_;
    // While it goes on failing, who asks is told the truth or nothing.
    if (operation.size() > 1 && operation[0] != "create" && operation[0] != "chain") {
      try_to_read({"counts", operation[1]});
    }
    if (!buffered_) {
      expect_right();
      expect_right_after_a_crash();
    }
    if (std::exchange(saw_damage_, false)) {
      give_up_tracker();  // it goes on believing what it has read
    }
    fault_.lift();
    EXPECT_TRUE(try_once(operation))
        << "not even without the fault: " << last_error_ << "; before: " << first_error;
  }

  void end() {
    fault_.lift();
    player_.drop();
    expect_right();
  }

 private:
  // False: it failed, as it may.
  bool try_once(const Operation& operation) {
    const bool before = fault_.was_met();
    try {
      const std::string answer = player_.carry_out(operation);
      if (operation[0] == "reopen" && fault_.was_met() && !before) {
        worlds_.worker_ended();  // that it cannot say its farewell does not keep it from closing
      }
      EXPECT_EQ(worlds_.done(operation, answer), "");
      if (!operation[0].starts_with("mark")) {
        earlier_ = worlds_;
      } else if (buffered_) {
        earlier_.perhaps(worlds_);
      }
      return true;
    } catch (const Error& error) {
      judge(error);
      if (error.code() == ErrorCode::kOutcomeUnknown) {
        worlds_.perhaps_done(operation);
        if (buffered_) {
          worlds_.perhaps(earlier_);  // what was held is lost with it
        }
        player_.drop();
        worlds_.worker_died();
      } else if (operation[0] == "sync") {
        give_up_tracker();  // the disk has refused: only close() is left
      }
    } catch (const std::bad_alloc& error) {
      judge(error);
    }
    if (operation[0] == "reopen") {
      worlds_.worker_ended();
    }
    if (buffered_ && operation[0].starts_with("mark")) {
      worlds_.perhaps_done(operation);  // the mark stays in the buffer
    }
    return false;
  }

  void try_to_read(const Operation& operation) {
    if (!player_.is_open()) {
      return;
    }
    try {
      const std::string answer = player_.carry_out(operation);
      EXPECT_EQ(worlds_.done(operation, answer), "");
    } catch (const Error& error) {
      judge(error);
    } catch (const std::bad_alloc& error) {
      judge(error);
    }
  }

  void judge(const Error& error) {
    last_error_ = error.what();
    EXPECT_TRUE(fault_.was_met()) << error.what();
    EXPECT_TRUE(fault_.fits(error)) << "an error that does not fit: " << to_string(error.code())
                                    << " (" << error.sqlite_code() << "): " << error.what();
    saw_damage_ = saw_damage_ || error.code() == ErrorCode::kCorrupt ||
                  error.code() == ErrorCode::kNotADatabase;
  }

  void judge(const std::bad_alloc& error) {
    last_error_ = error.what();
    EXPECT_TRUE(fault_.was_met());
    EXPECT_TRUE(fault_.may_be_bad_alloc) << "bad_alloc, and there was memory";
  }

  // Of a tracker that may not, or need not, be able to take its leave.
  void give_up_tracker() {
    if (buffered_) {
      worlds_.perhaps(earlier_);  // what is held may be lost with it
    }
    player_.drop();
    worlds_.worker_ended();
  }

  void expect_right() { EXPECT_EQ(worlds_.compare(picture_of_file(database_)), ""); }

  // What SQLite hides in the log's shared index, recovery of the log would bring to light.
  void expect_right_after_a_crash() {
    const ScratchDirectory crashed;
    for (const char* suffix : {"", "-wal", "-journal"}) {
      std::error_code ignored;
      std::filesystem::copy_file(database_.native() + suffix, crashed.database().native() + suffix,
                                 ignored);
    }
    EXPECT_EQ(worlds_.compare(picture_of_file(crashed.database())), "") << "after a crash";
  }

  const std::filesystem::path database_;
  const Fault& fault_;
  Worlds worlds_;
  Worlds earlier_{worlds_};  // before and between the marks that may still be held in memory
  Player player_;
  const bool buffered_;
  std::string last_error_;
  bool saw_damage_{false};  // in what it read under the fault
};

}  // namespace

void play_with_fault(const Scenario& scenario, const Prepared& prepared,
                     const ScratchDirectory& directory, const Fault& fault) {
  prepared.copy_to(directory);
  Play play(scenario, prepared, directory, fault);
  for (const Operation& operation : scenario.script) {
    play.perform(operation);
    if (testing::Test::HasFailure()) {
      break;
    }
  }
  play.end();
}

}  // namespace progress_tracker::reliability

// What the library lets SQLite do, whatever a file's schema says: every statement that any of its
// connections prepares is put before an authorizer, which knows all that is needed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <set>
#include <string>
#include <vector>

#include "campaign.h"
#include "hostile_calls.h"
#include "mutation.h"
#include "process.h"
#include "progress_tracker/log.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

using testing::IsEmpty;

std::string text(const char* value) { return value == nullptr ? std::string() : value; }

// Of all connections that are opened while it exists. One at a time, on one thread.
class Authorizer {
 public:
  Authorizer() {
    current() = this;
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(&attach));
  }
  Authorizer(const Authorizer&) = delete;
  Authorizer& operator=(const Authorizer&) = delete;
  ~Authorizer() {
    sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(&attach));
    current() = nullptr;
  }

  const std::set<std::string>& strange() const { return strange_; }
  std::int64_t asked() const { return asked_; }

 private:
  static Authorizer*& current() {
    static Authorizer* authorizer = nullptr;
    return authorizer;
  }
  static int attach(sqlite3* db, char** /*error*/, const void* /*api*/) {
    return sqlite3_set_authorizer(db, &ask, nullptr);
  }
  static int ask(void* /*unused*/, int action, const char* first, const char* second,
                 const char* /*schema*/, const char* inside) {
    if (current() != nullptr) current()->note(action, text(first), text(second), text(inside));
    return SQLITE_OK;
  }

  void note(int action, const std::string& first, const std::string& second,
            const std::string& inside) {
    ++asked_;
    if (!is_known(action, first, second) || !inside.empty()) {
      strange_.insert("action " + std::to_string(action) + " of '" + first + "', '" + second +
                      "', inside '" + inside + "'");
    }
  }

  static bool is_known(int action, const std::string& first, const std::string& second) {
    static const std::set<std::string> kTables{"property",      "job",          "split",
                                               "directory",     "image",        "path",
                                               "state",         "failure",      "worker",
                                               "batch",         "batch_image",  "late_completion",
                                               "chain_backlog", "image_before", "sqlite_sequence"};
    static const std::set<std::string> kSchemaTables{"sqlite_master", "sqlite_schema",
                                                     "sqlite_temp_master"};
    static const std::set<std::string> kViews{"jobs", "images", "progress", "batches"};
    static const std::set<std::string> kIndexes{"job_upstream",     "job_unfinished",
                                                "state_processing", "state_error",
                                                "state_returned",   "batch_image_batch"};
    static const std::set<std::string> kPragmasAsked{
        "application_id", "auto_vacuum",        "cache_size",     "cell_size_check",
        "encoding",       "foreign_keys",       "journal_mode",   "mmap_size",
        "page_size",      "quick_check",        "synchronous",    "temp_store",
        "user_version",   "wal_autocheckpoint", "trusted_schema", "foreign_key_check"};
    static const std::set<std::string> kPragmasSet{"journal_size_limit=16777216",
                                                   "application_id=1347711595",
                                                   "cache_size=-64000",
                                                   "cell_size_check=ON",
                                                   "foreign_keys=ON",
                                                   "foreign_keys=OFF",
                                                   "journal_mode=WAL",
                                                   "legacy_alter_table=ON",
                                                   "mmap_size=0",
                                                   "quick_check=100",
                                                   "synchronous=NORMAL",
                                                   "temp_store=MEMORY",
                                                   "user_version=2"};
    // Tables that stand for a pragma.
    static const std::set<std::string> kPragmaTables{"pragma_application_id",
                                                     "pragma_user_version"};
    // Some of them are SQLite's own, for ALTER TABLE and VACUUM.
    static const std::set<std::string> kFunctions{"coalesce",
                                                  "quote",
                                                  "count",
                                                  "max",
                                                  "min",
                                                  "sum",
                                                  "typeof",
                                                  "strftime",
                                                  "like",
                                                  "substr",
                                                  "sqlite_rename_table",
                                                  "sqlite_rename_test",
                                                  "sqlite_rename_column"};
    switch (action) {
      case SQLITE_SELECT:
      case SQLITE_TRANSACTION:
        return true;
      case SQLITE_READ:
        return kTables.contains(first) || kSchemaTables.contains(first) ||
               kPragmaTables.contains(first) || first.empty();
      case SQLITE_INSERT:
      case SQLITE_UPDATE:
      case SQLITE_DELETE:
        return kTables.contains(first) || kSchemaTables.contains(first) || kViews.contains(first);
      case SQLITE_CREATE_TABLE:
        return kTables.contains(first);
      case SQLITE_CREATE_VIEW:
      case SQLITE_DROP_VIEW:
        return kViews.contains(first);
      case SQLITE_CREATE_INDEX:
        return kIndexes.contains(first) || first.starts_with("sqlite_autoindex_");
      case SQLITE_REINDEX:
        return kIndexes.contains(first) || first.starts_with("sqlite_autoindex_");
      case SQLITE_DROP_TABLE:
        return first == "image_before";
      case SQLITE_ALTER_TABLE:
        return second == "image";
      case SQLITE_PRAGMA:
        return second.empty() ? kPragmasAsked.contains(first)
                              : kPragmasSet.contains(first + "=" + second);
      case SQLITE_FUNCTION:
        return kFunctions.contains(second);
      case SQLITE_ATTACH:  // of the copy, by VACUUM INTO
        return first.empty() || std::string_view(first).find(kCopyPrefix) != std::string_view::npos;
      default:
        return false;
    }
  }

  std::set<std::string> strange_;
  std::int64_t asked_{0};
};

class AuthorizerTest : public testing::Test {
 protected:
  void SetUp() override {
    set_log_handler([](LogLevel, std::string_view) {});
  }
  void TearDown() override { set_log_handler({}); }

  // All calls on these files, watched.
  void call_all_on(const Files& files, const std::string& name, bool with_snapshot = true) {
    const auto database = directory_.path() / "jobs.db";
    put(files, database);
    const Authorizer authorizer;
    for (int i = 0; i < 2; ++i) call_all(database, random_, answers_, with_snapshot);
    asked_ += authorizer.asked();
    wrong_ += static_cast<std::int64_t>(authorizer.strange().size());
    EXPECT_THAT(authorizer.strange(), IsEmpty())
        << name << ", PROGRESS_TRACKER_TEST_SEED=" << seed_;
    EXPECT_THAT(answers_.wrong, IsEmpty()) << name << ", PROGRESS_TRACKER_TEST_SEED=" << seed_;
  }

  const unsigned seed_ = processes::test_seed();
  Random random_{seed_};
  const MemoryDirectory directory_;
  Answers answers_;
  std::int64_t asked_{0};
  std::int64_t wrong_{0};
};

TEST_F(AuthorizerTest, NothingIsDoneButWhatIsKnown) {
  for (int i = 0; i < sized(3, 100); ++i) call_all_on({}, "a new file");
  for (const std::string& name : specimen_names()) {
    for (int i = 0; i < sized(3, 100); ++i) call_all_on(make_specimen(name).files, name);
  }
  EXPECT_GT(asked_, 1'000);
  report("G11", "statements put before an authorizer", asked_, wrong_, answers_.summary());
}

// But for snapshot(), which copies whatever there is.
TEST_F(AuthorizerTest, NothingElseIsDoneForTheSchemaOfSomebodyElse) {
  for (const char* name : {"whole", "version_1"}) {
    for (const Specimen& smuggled :
         damaged_by_sql(make_specimen(name), sized(20, 1), static_cast<std::int64_t>(seed_ % 20))) {
      call_all_on(smuggled.files, smuggled.name, false);
    }
  }
  EXPECT_GT(asked_, 1'000);
  report("G11", "statements on tampered files put before an authorizer", asked_, wrong_,
         answers_.summary());
}

}  // namespace
}  // namespace progress_tracker::reliability

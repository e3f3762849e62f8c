// The databases that are damaged, made by the library itself and by other programs in SQL.
#include <sqlite3.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <utility>

#include "mutation.h"
#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

using test::contents_of;
using test::in_child;
using test::Outsider;
using test::require;

std::vector<std::string> splits_of(std::size_t count) {
  std::vector<std::string> splits;
  for (std::size_t i = 0; i < count; ++i) splits.emplace_back(i % 3 == 0 ? "valid" : "train");
  return splits;
}

// Leaves nothing out. `images` is the length of the longest job.
void work(ProgressTracker& tracker, std::size_t images) {
  auto paths = test::image_paths(images, "in/a directory/");
  paths.emplace_back("\xff\xfe/not UTF-8 \x80");
  const JobId first = tracker.create_job("first", paths, splits_of(paths.size()));
  tracker.chain_job("fed", first);
  tracker.create_job("empty", {}, {});
  tracker.create_job("doomed", test::image_paths(6, "doomed/"), {});
  const JobId cut = tracker.create_job("cut off", test::image_paths(8), {});

  std::vector<Outcome> outcomes;
  for (const Image& image : tracker.claim_images(first, images / 2)) {
    outcomes.push_back({image.id, image.attempt, {}});
    if (outcomes.size() % 5 == 0) outcomes.back().error = "broken " + image.path.native();
  }
  tracker.mark_outcomes(outcomes);
  tracker.create_batch_of(first, 1, test::ids_of(tracker.get_unbatched_images(first, 3)));
  const auto next = test::ids_of(tracker.get_unbatched_images(first, 2));
  tracker.mark_batch_uploaded(tracker.create_batch_of(first, 2, next));
  tracker.mark_batch_error(tracker.create_batch(first, 3, 7), "no such bucket");
  tracker.create_batch(cut, 1, 0);
  tracker.retry_images(test::ids_of({tracker.get_images(first, Status::kError, 1)[0].image}));
  const auto held = tracker.claim_images(first, 4);
  tracker.release_images({&held[0], 1});
  tracker.checkpoint(first);
}

// Runs `work` in a process that then dies with all its trackers open.
void die_after(const std::filesystem::path& database,
               const std::function<void(ProgressTracker&)>& work) {
  const int status = in_child([&] {
    auto tracker = std::make_unique<ProgressTracker>(database);
    work(*tracker.release());
  });
  require(status == 0, "the work that was to be left was done");
}

void add_leftovers(const std::filesystem::path& database) {
  Outsider(database).run(
      "UPDATE job SET published = published - 2, loader = 0 WHERE name = 'cut off';"
      "UPDATE split SET total = total - 2 WHERE job_id = "
      "(SELECT id FROM job WHERE name = 'cut off');"
      "UPDATE job SET name = NULL WHERE name = 'doomed';");
}

void work_more(ProgressTracker& tracker) {
  const JobId first = tracker.get_job_id("first").value();
  const JobId fed = tracker.get_job_id("fed").value();
  tracker.claim_images(first, 3);
  std::vector<Outcome> outcomes;
  for (const Image& image : tracker.claim_images(fed, 3)) {
    outcomes.push_back({image.id, image.attempt, {}});
  }
  tracker.mark_outcomes(outcomes);
}

// What SQLite itself does not let happen, whatever it is told: a value of the wrong kind in a
// column, which it looks at in every STRICT table and in every id, and what is done to a table
// that the file does not have.
bool is_refused(Outsider& outsider, const std::string& specimen) {
  switch (sqlite3_extended_errcode(outsider.handle())) {
    case SQLITE_CONSTRAINT_DATATYPE:
    case SQLITE_CONSTRAINT_NOTNULL:
    case SQLITE_MISMATCH:
      return true;
    default:
      return specimen == "version_1" &&
             std::string_view(sqlite3_errmsg(outsider.handle())) == "no such table: path";
  }
}

// All in the file, no log.
void fold(const std::filesystem::path& database) {
  Outsider(database).run("PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace

Files files_at(const std::filesystem::path& database) {
  return {contents_of(database), contents_of(database.native() + "-wal"),
          contents_of(database.native() + "-shm")};
}

std::vector<std::string> specimen_names() {
  return {"whole", "logged", "unfolded", "version_1", "copied", "fine", "large"};
}

Specimen make_specimen(const std::string& name) {
  const MemoryDirectory directory;
  const auto database = directory.path() / "jobs.db";
  const std::size_t images = name == "fine" ? 100 : name == "large" ? 900 : 24;
  die_after(database, [&](ProgressTracker& tracker) { work(tracker, images); });
  if (name == "unfolded") {
    Files files = files_at(database);
    files.index.clear();
    return {name, files};
  }
  add_leftovers(database);
  fold(database);
  if (name == "version_1") {
    test::make_version_1_of(database);
    fold(database);
  } else if (name == "fine") {
    Outsider(database).run(
        "PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM; PRAGMA journal_mode = WAL");
  } else if (name == "logged") {
    die_after(database, work_more);
    return {name, files_at(database)};
  } else if (name == "copied") {
    snapshot(database, directory.path() / "copy.db");
    return {name, files_at(directory.path() / "copy.db")};
  }
  Files files = files_at(database);
  files.log.clear();
  files.index.clear();
  return {name, files};
}

std::vector<Specimen> damaged_by_sql(const Specimen& specimen, std::int64_t step,
                                     std::int64_t first) {
  struct Damage {
    const char* name;
    const char* sql;
  };
  // All columns whose kind or range the library relies on, and then the schema itself.
  constexpr const char* kHuge = "9223372036854775807";
  std::vector<std::pair<std::string, std::string>> damages;
  for (const char* column : {"job.upstream",
                             "job.ready",
                             "job.loader",
                             "job.published",
                             "job.started",
                             "job.batched",
                             "job.scanned",
                             "job.processed_count",
                             "job.error_count",
                             "job.created_at",
                             "job.updated_at",
                             "job.name",
                             "split.job_id",
                             "split.total",
                             "split.processing",
                             "split.completed",
                             "split.error",
                             "split.name",
                             "directory.job_id",
                             "directory.path",
                             "image.id",
                             "image.directory",
                             "image.name",
                             "image.split",
                             "path.image_id",
                             "state.id",
                             "state.status",
                             "state.split",
                             "state.attempts",
                             "state.deaths",
                             "state.worker",
                             "state.started_at",
                             "state.changed_at",
                             "failure.message",
                             "worker.id",
                             "worker.host",
                             "worker.pid",
                             "worker.started_at",
                             "worker.farewell",
                             "batch.job_id",
                             "batch.batch_num",
                             "batch.status",
                             "batch.image_count",
                             "batch.created_at",
                             "batch.uploaded_at",
                             "batch.upload_error",
                             "batch_image.batch_id",
                             "chain_backlog.image_id"}) {
    const std::string name(column);
    const auto dot = name.find('.');
    const std::string update =
        "UPDATE OR REPLACE " + name.substr(0, dot) + " SET " + name.substr(dot + 1) + " = ";
    const std::string some = " WHERE rowid % 2 = 0";
    for (const std::string& value :
         {std::string("NULL"), std::string("'text'"), std::string("x'ff00'"), std::string("2.5"),
          std::string("-1"), std::string("0"), std::string(kHuge), std::string("4294967295"),
          std::string("-9223372036854775807 - 1"), std::string("zeroblob(100000)")}) {
      damages.emplace_back(name + " = " + value, update + value);
      if (name != "path.image_id" && name != "chain_backlog.image_id") {
        damages.emplace_back("some " + name + " = " + value, update + value + some);
      }
    }
  }
  std::vector<std::pair<std::string, std::string>> chosen;
  for (auto i = static_cast<std::size_t>(first % step); i < damages.size();
       i += static_cast<std::size_t>(step)) {
    chosen.push_back(damages[i]);
  }
  constexpr Damage kDamages[] = {
      {"jobs that feed each other",
       "UPDATE job SET upstream = (SELECT max(id) FROM job WHERE name IS NOT NULL) "
       "WHERE name = 'first'; UPDATE job SET upstream = 1 WHERE id > 1"},
      {"a job that feeds itself", "UPDATE job SET upstream = id"},
      {"counts doubled", "UPDATE split SET total = total * 2, completed = completed * 2"},
      {"images gone", "DELETE FROM image WHERE id % 3 = 0"},
      {"directories gone", "DELETE FROM directory"},
      {"splits gone", "DELETE FROM split"},
      {"states gone", "DELETE FROM state WHERE id % 2 = 0"},
      {"messages gone", "DELETE FROM failure"},
      {"workers gone", "DELETE FROM worker"},
      {"jobs gone", "DELETE FROM job"},
      {"paths gone", "DELETE FROM path"},
      {"trigger on state",
       "CREATE TRIGGER smuggled AFTER UPDATE ON state BEGIN DELETE FROM image; END"},
      {"trigger that calls itself",
       "CREATE TRIGGER smuggled AFTER UPDATE ON job BEGIN UPDATE job SET updated_at = 1; END"},
      {"another view", "DROP VIEW jobs; CREATE VIEW jobs AS SELECT 1"},
      {"table for a view", "DROP VIEW progress; CREATE TABLE progress (job_id)"},
      {"view for a table",
       "ALTER TABLE worker RENAME TO hidden; CREATE VIEW worker AS SELECT * FROM hidden"},
      {"endless view for a table",
       "ALTER TABLE state RENAME TO hidden; CREATE VIEW state AS WITH RECURSIVE n(id) AS "
       "(SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id, 2 AS status, 1 AS split, 1 AS "
       "attempts, 0 AS deaths, NULL AS worker, 0 AS started_at, 0 AS changed_at FROM n"},
      {"endless view of jobs",
       "ALTER TABLE job RENAME TO hidden; CREATE VIEW job AS WITH RECURSIVE n(id) AS "
       "(SELECT 1 UNION ALL SELECT id FROM n) SELECT id, 'x' AS name, 1 AS ready, 0 AS loader, "
       "1 AS published, 1 AS started, 0 AS batched, NULL AS upstream, 0 AS created_at, "
       "0 AS updated_at, 0 AS scanned, 0 AS processed_count, 0 AS error_count FROM n"},
      {"loose table",
       "ALTER TABLE job RENAME TO hidden; CREATE TABLE job AS SELECT * FROM hidden; "
       "INSERT INTO job SELECT * FROM hidden"},
      {"generated column", "ALTER TABLE job ADD COLUMN more BLOB AS (zeroblob(100000000))"},
      {"check of its own",
       "ALTER TABLE worker ADD COLUMN more INTEGER DEFAULT 1 CHECK (length(host) < 3)"},
      {"index by an expression", "CREATE INDEX smuggled ON state (abs(-9223372036854775807 - id))"},
      {"unique index", "CREATE UNIQUE INDEX smuggled ON batch (image_count)"},
      {"extra tables", "CREATE TABLE image_before (a); CREATE TABLE kept (a)"},
      {"no index", "DROP INDEX state_error; DROP INDEX state_returned; DROP INDEX job_unfinished"},
      {"another index",
       "DROP INDEX state_error; CREATE INDEX state_error ON state (changed_at) WHERE status = 3"},
      {"index without its condition",
       "DROP INDEX job_unfinished; CREATE INDEX job_unfinished ON job (ready)"},
      {"indexes that lie",
       "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'WHERE', "
       "'WHERE 1 OR') WHERE type = 'index'"},
      {"indexes that hold everything",
       "DROP INDEX job_unfinished; CREATE INDEX job_unfinished ON job (ready) WHERE id > 0; "
       "DROP INDEX state_returned; CREATE INDEX state_returned ON state (deaths) WHERE id > 0; "
       "DROP INDEX state_error; CREATE INDEX state_error ON state (status) WHERE id > 0; "
       "DROP INDEX state_processing; CREATE INDEX state_processing ON state (split) WHERE id > 0;"
       "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = CASE name "
       "WHEN 'job_unfinished' THEN 'CREATE INDEX job_unfinished ON job (ready) "
       "WHERE name IS NULL OR loader IS NOT NULL' "
       "WHEN 'state_returned' THEN 'CREATE INDEX state_returned ON state (deaths) "
       "WHERE status = 0' "
       "WHEN 'state_error' THEN 'CREATE INDEX state_error ON state (status) WHERE status = 3' "
       "WHEN 'state_processing' THEN 'CREATE INDEX state_processing ON state (worker) "
       "WHERE status = 1' ELSE sql END"},
      {"one root for two tables",
       "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = "
       "(SELECT rootpage FROM sqlite_schema WHERE name = 'image') WHERE name = 'state'"},
      {"no root", "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 0"},
      {"schema gone",
       "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE type = 'table'"},
      {"schema twice",
       "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM sqlite_schema"},
      {"schema of nothing", "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = NULL"},
      {"sequence of text", "UPDATE sqlite_sequence SET seq = 'x'"},
      {"sequence at its end", "UPDATE sqlite_sequence SET seq = 9223372036854775807"},
      {"other version", "PRAGMA user_version = 1"},
      {"in UTF-16", "PRAGMA encoding = 'UTF-16'"},
  };
  for (const Damage& damage : kDamages) chosen.emplace_back(damage.name, damage.sql);

  std::vector<Specimen> damaged;
  const MemoryDirectory directory;
  const auto database = directory.path() / "damaged.db";
  for (const auto& [name, sql] : chosen) {
    put(specimen.files, database);
    {
      Outsider outsider(database);
      sqlite3_db_config(outsider.handle(), SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
      try {
        outsider.run(
            "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; "
            "PRAGMA legacy_alter_table = ON; PRAGMA synchronous = OFF;" +
            sql);
      } catch (const std::runtime_error&) {
        if (!is_refused(outsider, specimen.name)) throw;
        continue;
      }
    }
    damaged.push_back({name, files_at(database)});
    damaged.back().files.index.clear();
  }
  return damaged;
}

}  // namespace progress_tracker::reliability

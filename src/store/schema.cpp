#include "store/schema.h"

#include <map>
#include <string>
#include <string_view>

namespace progress_tracker::store {
namespace {

using sqlite::Connection;
using sqlite::Query;

// The CHECKs on `state` and `image` run for every row of every mark and load, so they are written
// for speed: BETWEEN, because SQLite builds a table for each IN of three values or more; and
// >= '', which TEXT and BLOB are and NULL and numbers are not.
constexpr char kCreateImageTablesSql[] = R"sql(
CREATE TABLE image (
  id INTEGER PRIMARY KEY,
  directory INTEGER NOT NULL,
  name ANY NOT NULL CHECK (name >= ''),
  split INTEGER NOT NULL
) STRICT;

CREATE TABLE path (
  directory INTEGER NOT NULL REFERENCES directory (id),
  name ANY NOT NULL,
  image_id INTEGER NOT NULL,
  PRIMARY KEY (directory, name)
) STRICT, WITHOUT ROWID;
)sql";

constexpr char kCreateTablesSql[] = R"sql(
CREATE TABLE property (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE job (
  id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id BETWEEN 1 AND 0x7fffffff),
  name TEXT UNIQUE CHECK (name <> ''),
  upstream INTEGER REFERENCES job (id) CHECK (upstream <> id),
  ready INTEGER NOT NULL CHECK (ready BETWEEN 0 AND 1),
  loader INTEGER,
  published INTEGER NOT NULL DEFAULT 0 CHECK (published BETWEEN 0 AND 0xffffffff),
  started INTEGER NOT NULL DEFAULT 0 CHECK (started BETWEEN 0 AND published),
  batched INTEGER NOT NULL DEFAULT 0 CHECK (batched BETWEEN 0 AND published),
  scanned INTEGER NOT NULL DEFAULT 0,
  processed_count INTEGER NOT NULL DEFAULT 0 CHECK (processed_count >= 0),
  error_count INTEGER NOT NULL DEFAULT 0 CHECK (error_count >= 0),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  CHECK (processed_count + error_count <= published)
) STRICT;
CREATE INDEX job_upstream ON job (upstream) WHERE upstream IS NOT NULL;
CREATE INDEX job_unfinished ON job (ready) WHERE name IS NULL OR loader IS NOT NULL;

CREATE TABLE split (
  id INTEGER PRIMARY KEY,
  job_id INTEGER NOT NULL REFERENCES job (id),
  name TEXT NOT NULL,
  total INTEGER NOT NULL DEFAULT 0,
  processing INTEGER NOT NULL DEFAULT 0 CHECK (processing >= 0),
  completed INTEGER NOT NULL DEFAULT 0 CHECK (completed >= 0),
  error INTEGER NOT NULL DEFAULT 0 CHECK (error >= 0),
  UNIQUE (job_id, name),
  CHECK (processing + completed + error <= total)
) STRICT;

CREATE TABLE directory (
  id INTEGER PRIMARY KEY,
  job_id INTEGER NOT NULL REFERENCES job (id),
  path ANY NOT NULL CHECK (path >= ''),
  UNIQUE (job_id, path)
) STRICT;

CREATE TABLE state (
  id INTEGER PRIMARY KEY REFERENCES image (id),
  status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 3),
  split INTEGER NOT NULL,
  attempts INTEGER NOT NULL CHECK (attempts > 0),
  deaths INTEGER NOT NULL CHECK (deaths BETWEEN 0 AND attempts),
  worker INTEGER,
  started_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  CHECK ((status = 1) = (worker IS NOT NULL))
) STRICT;
CREATE INDEX state_processing ON state (worker) WHERE status = 1;
CREATE INDEX state_error ON state (status) WHERE status = 3;
CREATE INDEX state_returned ON state (deaths) WHERE status = 0;

CREATE TABLE failure (
  image_id INTEGER PRIMARY KEY REFERENCES state (id),
  message TEXT NOT NULL
) STRICT;

CREATE TABLE worker (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  farewell INTEGER NOT NULL DEFAULT 0 CHECK (farewell BETWEEN 0 AND 1)
) STRICT;

CREATE TABLE batch (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id INTEGER NOT NULL REFERENCES job (id),
  batch_num INTEGER NOT NULL,
  status INTEGER NOT NULL DEFAULT 0 CHECK (status BETWEEN 0 AND 2),
  image_count INTEGER NOT NULL CHECK (image_count >= 0),
  created_at INTEGER NOT NULL,
  uploaded_at INTEGER,
  upload_error TEXT,
  UNIQUE (job_id, batch_num),
  CHECK ((status = 1) = (uploaded_at IS NOT NULL)),
  CHECK ((status = 2) = (upload_error IS NOT NULL))
) STRICT;

CREATE TABLE batch_image (
  image_id INTEGER PRIMARY KEY REFERENCES state (id),
  batch_id INTEGER NOT NULL REFERENCES batch (id)
) STRICT;
CREATE INDEX batch_image_batch ON batch_image (batch_id);

CREATE TABLE late_completion (
  image_id INTEGER PRIMARY KEY REFERENCES state (id)
) STRICT;

CREATE TABLE chain_backlog (
  job_id INTEGER NOT NULL REFERENCES job (id),
  position INTEGER NOT NULL,
  image_id INTEGER NOT NULL,
  PRIMARY KEY (job_id, position)
) STRICT, WITHOUT ROWID;
)sql";

// In `images`, the range of ids lets SQLite go from a job straight to its rows, and the shift from
// an image straight to its job: it needs both, whichever it begins with.
// A path is put together as bytes where one of its parts is a BLOB: || alone would call it TEXT.
constexpr char kCreateViewsSql[] = R"sql(
CREATE VIEW jobs (id, name, total_images, processed_count, error_count, created_at, updated_at) AS
SELECT id, name,
       (SELECT coalesce(sum(split.total), 0) FROM split WHERE split.job_id = job.id),
       processed_count, error_count,
       strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000.0, 'unixepoch'),
       strftime('%Y-%m-%dT%H:%M:%fZ', updated_at / 1000.0, 'unixepoch')
FROM job
WHERE name IS NOT NULL AND ready = 1;

CREATE VIEW images (id, job_id, path, split, status, attempts, deaths, started_at, processed_at,
                    error_message) AS
SELECT image.id, job.id,
       CASE WHEN typeof(directory.path) = 'text' AND typeof(image.name) = 'text'
            THEN directory.path || image.name
            ELSE CAST(directory.path || image.name AS BLOB) END,
       split.name,
       CASE coalesce(state.status, 0) WHEN 0 THEN 'pending' WHEN 1 THEN 'processing'
            WHEN 2 THEN 'completed' ELSE 'error' END,
       coalesce(state.attempts, 0), coalesce(state.deaths, 0),
       strftime('%Y-%m-%dT%H:%M:%fZ', state.started_at / 1000.0, 'unixepoch'),
       CASE WHEN state.status IN (2, 3)
            THEN strftime('%Y-%m-%dT%H:%M:%fZ', state.changed_at / 1000.0, 'unixepoch') END,
       failure.message
FROM job
JOIN image ON image.id BETWEEN (job.id << 32) + 1 AND (job.id << 32) + job.published
          AND job.id = image.id >> 32
JOIN directory ON directory.id = image.directory
JOIN split ON split.id = image.split
LEFT JOIN state ON state.id = image.id
LEFT JOIN failure ON failure.image_id = image.id
WHERE job.name IS NOT NULL AND job.ready = 1;

CREATE VIEW progress (job_id, name, split, pending, processing, completed, error) AS
SELECT job.id, job.name, split.name,
       split.total - split.processing - split.completed - split.error,
       split.processing, split.completed, split.error
FROM job JOIN split ON split.job_id = job.id
WHERE job.name IS NOT NULL AND job.ready = 1 AND split.total > 0;

CREATE VIEW batches (id, job_id, batch_num, status, image_count, created_at, uploaded_at,
                     upload_error) AS
SELECT batch.id, batch.job_id, batch.batch_num,
       CASE batch.status WHEN 0 THEN 'pending' WHEN 1 THEN 'uploaded' ELSE 'error' END,
       batch.image_count,
       strftime('%Y-%m-%dT%H:%M:%fZ', batch.created_at / 1000.0, 'unixepoch'),
       strftime('%Y-%m-%dT%H:%M:%fZ', batch.uploaded_at / 1000.0, 'unixepoch'),
       batch.upload_error
FROM batch JOIN job ON job.id = batch.job_id
WHERE job.name IS NOT NULL AND job.ready = 1;
)sql";

// What 0.1.0 made of the tables that have got more CHECKs since; files that it made keep theirs.
constexpr char kTablesOf010Sql[] = R"sql(
CREATE TABLE job (
  id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id BETWEEN 1 AND 0x7fffffff),
  name TEXT UNIQUE,
  upstream INTEGER REFERENCES job (id) CHECK (upstream <> id),
  ready INTEGER NOT NULL CHECK (ready BETWEEN 0 AND 1),
  loader INTEGER,
  published INTEGER NOT NULL DEFAULT 0 CHECK (published BETWEEN 0 AND 0xffffffff),
  started INTEGER NOT NULL DEFAULT 0 CHECK (started BETWEEN 0 AND published),
  batched INTEGER NOT NULL DEFAULT 0 CHECK (batched BETWEEN 0 AND published),
  scanned INTEGER NOT NULL DEFAULT 0,
  processed_count INTEGER NOT NULL DEFAULT 0 CHECK (processed_count >= 0),
  error_count INTEGER NOT NULL DEFAULT 0 CHECK (error_count >= 0),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE state (
  id INTEGER PRIMARY KEY REFERENCES image (id),
  status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 3),
  split INTEGER NOT NULL,
  attempts INTEGER NOT NULL CHECK (attempts > 0),
  deaths INTEGER NOT NULL CHECK (deaths >= 0),
  worker INTEGER,
  started_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  CHECK ((status = 1) = (worker IS NOT NULL))
) STRICT;
)sql";

// As sqlite.org/lang_altertable.html has it for what ALTER TABLE cannot do. `state` and the others
// refer to `image` by its name.
constexpr char kRenameImageSql[] = R"sql(
DROP VIEW IF EXISTS jobs;
DROP VIEW IF EXISTS images;
DROP VIEW IF EXISTS progress;
DROP VIEW IF EXISTS batches;
ALTER TABLE image RENAME TO image_before;
)sql";
constexpr char kCopyImagesSql[] = R"sql(
INSERT INTO image (id, directory, name, split)
SELECT id, directory, name, split FROM image_before ORDER BY id;
INSERT INTO path (directory, name, image_id)
SELECT directory, name, id FROM image_before ORDER BY directory, name;
DROP TABLE image_before;
)sql";

// Worker ids begin at 2: SQLite stores 0 and 1 without a byte of their own, and a row of `state`
// that loses its worker when it completes gains that byte for its status.
constexpr char kSeedWorkerIdsSql[] = "INSERT INTO sqlite_sequence (name, seq) VALUES ('worker', 1)";

std::uint32_t ask(Connection& connection, const char* sql) {
  Query query(connection, sql);
  return query.next() ? static_cast<std::uint32_t>(query.integer(0)) : 0;
}

// What SQLite keeps of each CREATE in `sql`, all of it but the semicolon, by what it makes: "table
// job", "index job_upstream". Of our own constants: there is no other kind of CREATE in them, and
// no semicolon inside a statement.
std::map<std::string, std::string_view> statements_in(std::string_view sql) {
  constexpr std::string_view kTable = "CREATE TABLE ";
  constexpr std::string_view kIndex = "CREATE INDEX ";
  static_assert(kTable.size() == kIndex.size());
  std::map<std::string, std::string_view> statements;
  for (auto at = sql.find("CREATE "); at != std::string_view::npos; at = sql.find("CREATE ", at)) {
    const std::string_view statement = sql.substr(at, sql.find(';', at) - at);
    const std::string_view name =
        statement.substr(kTable.size(), statement.find(' ', kTable.size()) - kTable.size());
    const char* kind = statement.starts_with(kTable) ? "table " : "index ";
    statements.emplace(std::string(kind).append(name), statement);
    at += statement.size();
  }
  return statements;
}

void set_version(Connection& connection) {
  connection.execute(("PRAGMA user_version = " + std::to_string(kSchemaVersion)).c_str());
}

}  // namespace

FileKind kind_of(std::uint32_t application_id, std::uint32_t user_version) {
  if (application_id != kApplicationId) {
    return FileKind::kForeign;
  }
  if (user_version > kSchemaVersion) {
    return FileKind::kTooNew;
  }
  if (user_version == 0) {
    return FileKind::kTooOld;
  }
  return user_version == kSchemaVersion ? FileKind::kOurs : FileKind::kOutdated;
}

FileKind kind_of(Connection& connection) {
  const std::uint32_t application_id = ask(connection, "PRAGMA application_id");
  const std::uint32_t user_version = ask(connection, "PRAGMA user_version");
  const bool blank = application_id == 0 && user_version == 0 &&
                     ask(connection, "SELECT count(*) FROM sqlite_schema") == 0;
  return blank ? FileKind::kNew : kind_of(application_id, user_version);
}

std::string schema_change(Connection& connection) {
  std::map<std::string, std::string> found;
  Query query(connection,
              "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL");
  while (query.next()) {
    found.emplace(query.text(0), query.text(1));
  }
  const auto earlier = statements_in(kTablesOf010Sql);
  for (const char* sql : {kCreateImageTablesSql, kCreateTablesSql}) {
    for (const auto& [name, statement] : statements_in(sql)) {
      const auto its = found.find(name);
      if (its == found.end()) {
        return name + " is missing";
      }
      const auto before = earlier.find(name);
      if (its->second != statement && (before == earlier.end() || its->second != before->second)) {
        return name + " is not as it was made";
      }
    }
  }
  return {};
}

void create_schema(Connection& connection) {
  connection.execute(kCreateImageTablesSql);
  connection.execute(kCreateTablesSql);
  connection.execute(kCreateViewsSql);
  connection.execute(kSeedWorkerIdsSql);
  connection.execute(("PRAGMA application_id = " + std::to_string(kApplicationId)).c_str());
  set_version(connection);
}

void migrate(Connection& connection) {
  // Or the references of other tables would follow the old table to its new name.
  connection.execute("PRAGMA legacy_alter_table = ON");
  connection.execute(kRenameImageSql);
  connection.execute(kCreateImageTablesSql);
  connection.execute(kCopyImagesSql);
  connection.execute(kCreateViewsSql);
  set_version(connection);
}

}  // namespace progress_tracker::store

// The schema as release 0.1.0 made it, word for word: its files have to be opened for ever.
#ifndef PROGRESS_TRACKER_TESTS_SCHEMA_OF_0_1_0_H_
#define PROGRESS_TRACKER_TESTS_SCHEMA_OF_0_1_0_H_

namespace progress_tracker::test {

inline constexpr char kSchemaOf010[] = R"sql(
CREATE TABLE property (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

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

CREATE TABLE image (
  id INTEGER PRIMARY KEY,
  directory INTEGER NOT NULL REFERENCES directory (id),
  name ANY NOT NULL CHECK (name >= ''),
  split INTEGER NOT NULL,
  UNIQUE (directory, name)
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

INSERT INTO sqlite_sequence (name, seq) VALUES ('worker', 1);
PRAGMA application_id = 0x5054726b;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
)sql";

}  // namespace progress_tracker::test

#endif  // PROGRESS_TRACKER_TESTS_SCHEMA_OF_0_1_0_H_

// Databases that other programs keep: what a path given by mistake may lead to.
//
// Each is the heart of a real program's schema, shortened, with a row in it; together they have
// every kind of table, index, trigger and setting that changes how SQLite opens a file.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_FOREIGN_SCHEMAS_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_FOREIGN_SCHEMAS_H_

#include <array>

namespace progress_tracker::reliability {

struct ForeignSchema {
  const char* program;
  const char* setup;  // pragmas that hold for a new file only
  const char* sql;
};

inline constexpr auto kForeignSchemas = std::to_array<ForeignSchema>({
    // Pipelines, and what keeps their books.
    {"the Python progress tracker", "",
     "CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, total_images "
     "INTEGER, processed_count INTEGER DEFAULT 0, error_count INTEGER DEFAULT 0);"
     "CREATE TABLE images (id INTEGER PRIMARY KEY AUTOINCREMENT, job_id INTEGER REFERENCES jobs "
     "(id), path TEXT, split TEXT, status TEXT DEFAULT 'pending', UNIQUE (job_id, path));"
     "CREATE INDEX idx_images_status ON images (job_id, status);"
     "INSERT INTO jobs (name, total_images) VALUES ('batch_001', 1);"
     "INSERT INTO images (job_id, path, split) VALUES (1, 'a.png', 'train')"},
    {"one with the names of our tables", "",
     "CREATE TABLE job (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE image (id INTEGER PRIMARY "
     "KEY, directory INTEGER, name ANY, split INTEGER); CREATE TABLE state (id INTEGER PRIMARY "
     "KEY, status INTEGER); CREATE TABLE property (name TEXT, value ANY);"
     "INSERT INTO job VALUES (1, 'x')"},
    {"one with the version of our schema", "",
     "PRAGMA user_version = 2; CREATE TABLE t (x); INSERT INTO t VALUES (1)"},
    {"Airflow", "",
     "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY); CREATE TABLE "
     "dag_run (id INTEGER PRIMARY KEY, dag_id VARCHAR(250), state VARCHAR(50), conf BLOB);"
     "INSERT INTO alembic_version VALUES ('937cbd173ca1')"},
    {"MLflow", "",
     "CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name VARCHAR(256) UNIQUE, "
     "lifecycle_stage VARCHAR(32) CHECK (lifecycle_stage IN ('active', 'deleted')));"
     "INSERT INTO experiments VALUES (0, 'Default', 'active')"},
    {"Optuna", "",
     "CREATE TABLE studies (study_id INTEGER PRIMARY KEY, study_name VARCHAR(512) NOT NULL);"
     "CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);"
     "INSERT INTO studies VALUES (1, 'lr')"},
    {"Luigi", "",
     "CREATE TABLE tasks (id INTEGER PRIMARY KEY, task_id VARCHAR(200), name VARCHAR(128), host "
     "VARCHAR(128)); INSERT INTO tasks VALUES (1, 'a', 'b', 'c')"},
    {"huey", "",
     "CREATE TABLE task (id INTEGER NOT NULL PRIMARY KEY, queue TEXT, data BLOB, priority REAL);"
     "CREATE INDEX task_priority_id ON task (priority DESC, id ASC);"
     "INSERT INTO task VALUES (1, 'q', x'80049500', 0.5)"},
    {"Jupyter's notary", "",
     "CREATE TABLE nbsignatures (id INTEGER PRIMARY KEY AUTOINCREMENT, algorithm TEXT, signature "
     "TEXT, path TEXT, last_seen TIMESTAMP); INSERT INTO nbsignatures (path) VALUES ('n.ipynb')"},
    {"DVC's state", "",
     "CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, value BLOB);"
     "CREATE TRIGGER Settings_count_insert AFTER INSERT ON Cache FOR EACH ROW BEGIN UPDATE Cache "
     "SET raw = raw; END; INSERT INTO Cache VALUES (1, 'k', 1, 'v')"},
    {"SQLAlchemy tutorial", "",
     "CREATE TABLE user_account (id INTEGER NOT NULL, name VARCHAR(30) NOT NULL, PRIMARY KEY (id));"
     "INSERT INTO user_account VALUES (1, 'sandy')"},
    // Images and media.
    {"digiKam", "",
     "CREATE TABLE Images (id INTEGER PRIMARY KEY, album INTEGER, name TEXT NOT NULL, status "
     "INTEGER NOT NULL, uniqueHash TEXT, UNIQUE (album, name)); CREATE TRIGGER delete_image DELETE "
     "ON Images BEGIN DELETE FROM Images WHERE album = OLD.id; END;"
     "INSERT INTO Images VALUES (1, 1, 'a.jpg', 1, 'h')"},
    {"Lightroom", "PRAGMA page_size = 1024",
     "CREATE TABLE Adobe_images (id_local INTEGER PRIMARY KEY, id_global UNIQUE NOT NULL, "
     "captureTime); INSERT INTO Adobe_images VALUES (1, 'g', '2020')"},
    {"darktable", "",
     "CREATE TABLE film_rolls (id INTEGER PRIMARY KEY, folder VARCHAR(1024) NOT NULL); CREATE "
     "TABLE "
     "images (id INTEGER PRIMARY KEY AUTOINCREMENT, film_id INTEGER, filename VARCHAR, FOREIGN KEY "
     "(film_id) REFERENCES film_rolls (id) ON DELETE CASCADE);"
     "INSERT INTO film_rolls VALUES (1, '/p'); INSERT INTO images VALUES (1, 1, 'x.nef')"},
    {"Photos", "PRAGMA auto_vacuum = INCREMENTAL",
     "CREATE TABLE ZASSET (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, ZUUID VARCHAR);"
     "CREATE TABLE Z_METADATA (Z_VERSION INTEGER PRIMARY KEY, Z_PLIST BLOB);"
     "INSERT INTO ZASSET VALUES (1, 2, 'u')"},
    {"Kodi", "PRAGMA page_size = 4096",
     "CREATE TABLE version (idVersion INTEGER, iCompressCount INTEGER); CREATE VIEW movie_view AS "
     "SELECT * FROM version; INSERT INTO version VALUES (121, 0)"},
    {"Plex", "",
     "CREATE TABLE metadata_items (id INTEGER PRIMARY KEY, title VARCHAR(255), guid VARCHAR(255));"
     "CREATE VIRTUAL TABLE fts4_titles USING fts4 (title, tokenize=unicode61);"
     "INSERT INTO fts4_titles VALUES ('A film')"},
    {"Calibre", "",
     "CREATE TABLE books (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL DEFAULT "
     "'Unknown' COLLATE NOCASE, path TEXT NOT NULL DEFAULT ''); CREATE VIEW meta AS SELECT id, "
     "title FROM books; PRAGMA user_version = 26; INSERT INTO books (title) VALUES ('T')"},
    {"a COCO index", "",
     "CREATE TABLE annotation (id INTEGER PRIMARY KEY, image_id INTEGER, bbox TEXT CHECK "
     "(json_valid(bbox))); INSERT INTO annotation VALUES (1, 1, '[0, 0, 1, 1]')"},
    // Maps, with an application_id of their own.
    {"GeoPackage", "",
     "PRAGMA application_id = 1196444487; PRAGMA user_version = 10300; CREATE TABLE "
     "gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY);"
     "INSERT INTO gpkg_spatial_ref_sys VALUES ('WGS 84', 4326)"},
    {"MBTiles", "",
     "PRAGMA application_id = 1297105496; CREATE TABLE tiles (zoom_level INTEGER, tile_column "
     "INTEGER, tile_row INTEGER, tile_data BLOB); CREATE UNIQUE INDEX tile_index ON tiles "
     "(zoom_level, tile_column, tile_row); INSERT INTO tiles VALUES (0, 0, 0, x'89504E47')"},
    {"SpatiaLite", "",
     "CREATE TABLE places (id INTEGER PRIMARY KEY, geom BLOB); CREATE VIRTUAL TABLE idx_places "
     "USING rtree (pkid, xmin, xmax, ymin, ymax); INSERT INTO idx_places VALUES (1, 0, 1, 0, 1)"},
    {"Fossil", "",
     "PRAGMA application_id = 252006673; CREATE TABLE blob (rid INTEGER PRIMARY KEY, rcvid "
     "INTEGER, "
     "size INTEGER, uuid TEXT UNIQUE NOT NULL, content BLOB, CHECK (length(uuid) >= 40));"
     "INSERT INTO blob VALUES (1, 1, 0, hex(zeroblob(20)), NULL)"},
    {"Bentley iModel", "",
     "PRAGMA application_id = 1113927011; CREATE TABLE be_Prop (Namespace CHAR, Name CHAR, Id INT, "
     "PRIMARY KEY (Namespace, Name, Id)); INSERT INTO be_Prop VALUES ('a', 'b', 1)"},
    // Browsers, mail and messages.
    {"Firefox's places", "PRAGMA page_size = 32768",
     "CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url LONGVARCHAR, rev_host LONGVARCHAR, "
     "frecency INTEGER DEFAULT -1 NOT NULL); CREATE INDEX moz_places_hostindex ON moz_places "
     "(rev_host); PRAGMA user_version = 74; INSERT INTO moz_places (url) VALUES ('about:blank')"},
    {"Firefox's cookies", "PRAGMA page_size = 512",
     "CREATE TABLE moz_cookies (id INTEGER PRIMARY KEY, name TEXT, value TEXT, host TEXT, UNIQUE "
     "(name, host)); INSERT INTO moz_cookies VALUES (1, 'a', 'b', 'c')"},
    {"Chromium's history", "",
     "CREATE TABLE meta (key LONGVARCHAR NOT NULL UNIQUE PRIMARY KEY, value LONGVARCHAR); CREATE "
     "TABLE urls (id INTEGER PRIMARY KEY AUTOINCREMENT, url LONGVARCHAR, hidden INTEGER DEFAULT 0);"
     "INSERT INTO meta VALUES ('version', '62')"},
    {"Thunderbird", "",
     "CREATE TABLE messages (id INTEGER PRIMARY KEY, folderID INTEGER, jsonAttributes TEXT);"
     "CREATE VIRTUAL TABLE messagesText USING fts3 (subject, body);"
     "INSERT INTO messagesText VALUES ('s', 'b')"},
    {"iMessage", "",
     "CREATE TABLE message (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL, "
     "text TEXT, attributedBody BLOB); CREATE TRIGGER after_insert AFTER INSERT ON message BEGIN "
     "SELECT 1; END; INSERT INTO message (guid) VALUES ('g')"},
    {"WhatsApp", "",
     "CREATE TABLE jid (_id INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, raw_string "
     "TEXT);"
     "CREATE TABLE android_metadata (locale TEXT); INSERT INTO android_metadata VALUES ('en_US')"},
    {"Android's contacts", "",
     "CREATE TABLE raw_contacts (_id INTEGER PRIMARY KEY, display_name TEXT COLLATE NOCASE, "
     "deleted "
     "INTEGER NOT NULL DEFAULT 0); CREATE VIEW view_contacts AS SELECT _id FROM raw_contacts WHERE "
     "deleted = 0; INSERT INTO raw_contacts (display_name) VALUES ('A')"},
    {"Signal's attachments", "",
     "CREATE TABLE attachments (id TEXT PRIMARY KEY, path TEXT) WITHOUT ROWID;"
     "INSERT INTO attachments VALUES ('a', 'b')"},
    {"Anki", "",
     "CREATE TABLE col (id INTEGER PRIMARY KEY, crt INTEGER NOT NULL, models TEXT NOT NULL); "
     "CREATE "
     "TABLE notes (id INTEGER PRIMARY KEY, guid TEXT NOT NULL, flds TEXT NOT NULL);"
     "INSERT INTO col VALUES (1, 2, '{}')"},
    {"Zotero", "",
     "CREATE TABLE items (itemID INTEGER PRIMARY KEY, key TEXT NOT NULL, UNIQUE (key)); CREATE "
     "TRIGGER fki_items BEFORE INSERT ON items FOR EACH ROW BEGIN SELECT RAISE(IGNORE) WHERE "
     "NEW.key "
     "IS NULL; END; INSERT INTO items VALUES (1, 'K')"},
    // Servers and devices.
    {"Home Assistant", "",
     "CREATE TABLE states (state_id INTEGER PRIMARY KEY, state VARCHAR(255), last_updated_ts "
     "FLOAT, "
     "context_id_bin BLOB); CREATE INDEX ix_states ON states (last_updated_ts) WHERE state IS NOT "
     "NULL; INSERT INTO states VALUES (1, 'on', 1.5, NULL)"},
    {"Grafana", "",
     "CREATE TABLE `dashboard` (`id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `slug` TEXT, "
     "`data` "
     "TEXT); CREATE TABLE `migration_log` (`id` INTEGER PRIMARY KEY, `sql` TEXT);"
     "INSERT INTO `dashboard` (`slug`) VALUES ('d')"},
    {"Gitea", "",
     "CREATE TABLE `repository` (`id` INTEGER PRIMARY KEY AUTOINCREMENT, `name` TEXT, `is_private` "
     "INTEGER); INSERT INTO `repository` (`name`) VALUES ('r')"},
    {"Vaultwarden", "",
     "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on "
     "TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);"
     "INSERT INTO __diesel_schema_migrations (version) VALUES ('20180114171611')"},
    {"Nextcloud's client", "",
     "CREATE TABLE metadata (phash INTEGER(8), path VARCHAR(4096), inode INTEGER, PRIMARY KEY "
     "(phash)); INSERT INTO metadata VALUES (1, 'p', 2)"},
    {"Django", "",
     "CREATE TABLE \"django_migrations\" (\"id\" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "
     "\"app\" "
     "varchar(255) NOT NULL, \"applied\" datetime NOT NULL);"
     "INSERT INTO \"django_migrations\" (\"app\", \"applied\") VALUES ('auth', '2024-01-01')"},
    {"Rails", "",
     "CREATE TABLE \"schema_migrations\" (\"version\" varchar NOT NULL PRIMARY KEY);"
     "CREATE TABLE \"ar_internal_metadata\" (\"key\" varchar NOT NULL PRIMARY KEY, \"value\" "
     "varchar); INSERT INTO \"schema_migrations\" VALUES ('20240101000000')"},
    {"PocketBase", "",
     "CREATE TABLE `_collections` (`id` TEXT PRIMARY KEY DEFAULT ('r' || "
     "lower(hex(randomblob(7)))) "
     "NOT NULL, `schema` JSON DEFAULT '[]' NOT NULL); INSERT INTO `_collections` (`id`) VALUES "
     "('a')"},
    {"rpm", "PRAGMA auto_vacuum = FULL",
     "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);"
     "CREATE TABLE 'Name' (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL, FOREIGN "
     "KEY (hnum) REFERENCES 'Packages' (hnum)); INSERT INTO 'Packages' (blob) VALUES (x'00')"},
    {"Subversion's working copy", "",
     "CREATE TABLE NODES (wc_id INTEGER NOT NULL, local_relpath TEXT NOT NULL, op_depth INTEGER "
     "NOT "
     "NULL, presence TEXT NOT NULL, PRIMARY KEY (wc_id, local_relpath, op_depth)) WITHOUT ROWID;"
     "PRAGMA user_version = 31; INSERT INTO NODES VALUES (1, '', 0, 'normal')"},
    // What SQLite can do besides.
    {"full text search", "",
     "CREATE VIRTUAL TABLE documents USING fts5 (title, body, tokenize = 'porter');"
     "INSERT INTO documents VALUES ('a', 'b')"},
    {"text in UTF-16", "PRAGMA encoding = 'UTF-16le'",
     "CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('grüße')"},
    {"text in UTF-16, the other way", "PRAGMA encoding = 'UTF-16be'; PRAGMA page_size = 65536",
     "CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('grüße')"},
    {"generated columns", "",
     "CREATE TABLE t (a INTEGER, b INTEGER GENERATED ALWAYS AS (a * 2) STORED, c TEXT AS (a || "
     "'x')); CREATE INDEX t_c ON t (c); INSERT INTO t (a) VALUES (1)"},
    {"strict tables", "PRAGMA page_size = 8192",
     "CREATE TABLE t (a INTEGER PRIMARY KEY, b ANY, c REAL) STRICT;"
     "CREATE INDEX t_b ON t (lower(b)) WHERE c > 0; INSERT INTO t VALUES (1, 'b', 1.0)"},
    {"statistics", "",
     "CREATE TABLE t (a, b); CREATE INDEX t_ab ON t (a, b); INSERT INTO t VALUES (1, 2); ANALYZE"},
    {"names that are hostile", "",
     "CREATE TABLE \"a\"\"b; DROP TABLE x\" (\"select\" TEXT DEFAULT 'it''s', \"\" BLOB);"
     "CREATE VIEW \"v w\" AS SELECT * FROM \"a\"\"b; DROP TABLE x\";"
     "INSERT INTO \"a\"\"b; DROP TABLE x\" (\"select\") VALUES ('y')"},
    {"an emptied database", "",
     "CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(50000)); DROP TABLE t"},
});

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_FOREIGN_SCHEMAS_H_

#include "floor.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>

namespace benchmark::floor {
namespace {

// Columns, CHECKs, references and indexes are those of src/store/schema.cpp, and enforced as there,
// so that the rows cost the same.
constexpr char kSchemaSql[] = R"sql(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -64000;
PRAGMA foreign_keys = ON;
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
)sql";

constexpr std::size_t kPiece = 20'000;
constexpr std::int64_t kWorker = 2;

std::int64_t now() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

// The id of a job's image number `sequence`.
std::int64_t image_id(std::int64_t job, std::int64_t sequence) { return (job << 32) + sequence; }

std::int64_t number(const Image& image) { return static_cast<std::int64_t>(image.id); }

}  // namespace

Tracker::Tracker(const std::filesystem::path& database, bool full_sync)
    : database_(database, kSchemaSql),
      begin_(database_.prepare("BEGIN IMMEDIATE")),
      commit_(database_.prepare("COMMIT")),
      insert_job_(database_.prepare("INSERT INTO job (name, ready, created_at, updated_at) "
                                    "VALUES (?1, 1, ?2, ?2)")),
      select_job_(database_.prepare("SELECT published, started FROM job WHERE id = ?")),
      publish_(database_.prepare("UPDATE job SET published = ? WHERE id = ?")),
      insert_split_(database_.prepare("INSERT INTO split (job_id, name) VALUES (?, ?)")),
      insert_directory_(database_.prepare("INSERT INTO directory (job_id, path) VALUES (?, ?) "
                                          "ON CONFLICT (job_id, path) DO NOTHING")),
      select_directory_(
          database_.prepare("SELECT id FROM directory WHERE job_id = ? AND path = ?")),
      insert_image_(
          database_.prepare("INSERT INTO image (id, directory, name, split) VALUES (?, ?, ?, ?)")),
      insert_path_(
          database_.prepare("INSERT INTO path (directory, name, image_id) VALUES (?, ?, ?)")),
      select_images_(database_.prepare("SELECT id, directory, name, split FROM image "
                                       "WHERE id > ? AND id <= ? ORDER BY id LIMIT ?")),
      select_directory_path_(database_.prepare("SELECT path FROM directory WHERE id = ?")),
      insert_states_(database_.prepare(
          "INSERT INTO state (id, status, split, attempts, deaths, worker, started_at, changed_at) "
          "SELECT id, 1, split, 1, 0, ?1, ?2, ?2 FROM image WHERE id BETWEEN ?3 AND ?4")),
      set_started_(database_.prepare("UPDATE job SET started = started + ? WHERE id = ?")),
      complete_run_(database_.prepare("UPDATE state SET status = 2, worker = NULL, changed_at = ? "
                                      "WHERE id BETWEEN ? AND ? AND attempts = ? AND status = 1")),
      count_added_(database_.prepare("UPDATE split SET total = total + ? WHERE id = ?")),
      count_claimed_(database_.prepare("UPDATE split SET processing = processing + ? "
                                       "WHERE id = ?")),
      count_completed_(database_.prepare("UPDATE split SET processing = processing - ?1, "
                                         "completed = completed + ?1 WHERE id = ?2")),
      checkpoint_(database_.prepare(
          "UPDATE job SET (processed_count, error_count) = "
          "(SELECT sum(completed), sum(error) FROM split WHERE job_id = ?1), updated_at = ?2 "
          "WHERE id = ?1")),
      count_rows_(database_.prepare(
          "SELECT (SELECT count(*) FROM image WHERE id BETWEEN ?1 AND ?2), "
          "count(*) FILTER (WHERE status = 1), count(*) FILTER (WHERE status = 2) "
          "FROM state WHERE id BETWEEN ?1 AND ?2")) {
  if (full_sync) {
    database_.execute("PRAGMA synchronous = FULL");
  }
}

std::int64_t Tracker::create_job(const std::string& name,
                                 std::span<const std::filesystem::path> paths,
                                 std::span<const std::string> splits) {
  insert_job_.bind(name, now()).run();
  const std::int64_t job = database_.last_id();
  add_images(job, paths, splits);
  return job;
}

void Tracker::add_images(std::int64_t job, std::span<const std::filesystem::path> paths,
                         std::span<const std::string> splits) {
  select_job_.bind(job).step();
  const std::int64_t published = select_job_.integer(0);
  select_job_.reset();
  std::int64_t next = published + 1;
  for (std::size_t i = 0; i < paths.size(); i += kPiece) {
    const std::size_t length = std::min(kPiece, paths.size() - i);
    begin_.run();
    load_piece(job, image_id(job, next), paths.subspan(i, length), splits.subspan(i, length));
    next += static_cast<std::int64_t>(length);
    if (i + length == paths.size()) {
      write_counts(count_added_);
      publish_.bind(next - 1, job).run();
    }
    commit_.run();
  }
}

void Tracker::load_piece(std::int64_t job, std::int64_t first_id,
                         std::span<const std::filesystem::path> paths,
                         std::span<const std::string> splits) {
  DirectoryIds directories;
  std::int64_t id = first_id;
  for (std::size_t i = 0; i < paths.size(); ++i, ++id) {
    const std::string_view path = paths[i].native();
    const std::size_t cut = path.rfind('/') + 1;
    Split& split = split_called(job, splits[i]);
    ++split.changed;
    const std::int64_t directory = directory_id(directories, job, path.substr(0, cut));
    insert_image_.bind(id, directory, path.substr(cut), split.id).run();
    insert_path_.bind(directory, path.substr(cut), id).run();
  }
}

std::vector<Image> Tracker::claim_images(std::int64_t job, std::size_t limit) {
  std::vector<Image> images;
  images.reserve(limit);
  begin_.run();
  select_job_.bind(job).step();
  select_images_.bind(image_id(job, select_job_.integer(1)), image_id(job, select_job_.integer(0)),
                      static_cast<std::int64_t>(limit));
  select_job_.reset();
  while (select_images_.step()) {
    const std::string& directory = directory_path(select_images_.integer(1));
    const std::string_view name = select_images_.text(2);
    std::string path;
    path.reserve(directory.size() + name.size());
    path.append(directory).append(name);
    const std::int64_t split_id = select_images_.integer(3);
    const auto split = std::find_if(splits_.begin(), splits_.end(),
                                    [&](const Split& each) { return each.id == split_id; });
    ++split->changed;
    images.push_back({.id = progress_tracker::ImageId{select_images_.integer(0)},
                      .path = std::move(path),
                      .split = split->name,
                      .attempt = 1});
  }
  select_images_.reset();
  if (!images.empty()) {
    insert_states_.bind(kWorker, now(), number(images.front()), number(images.back())).run();
    write_counts(count_claimed_);
    set_started_.bind(static_cast<std::int64_t>(images.size()), job).run();
  }
  commit_.run();
  return images;
}

void Tracker::complete(std::int64_t job, std::span<const Image> images) {
  begin_.run();
  while (!images.empty()) {
    std::size_t length = 0;
    while (length < images.size() && images[length].attempt == images.front().attempt &&
           number(images[length]) - number(images.front()) == static_cast<std::int64_t>(length)) {
      ++split_called(job, images[length].split).changed;
      ++length;
    }
    const std::int64_t first = number(images.front());
    complete_run_
        .bind(now(), first, number(images[length - 1]), std::int64_t{images.front().attempt})
        .run();
    if (database_.changes() != static_cast<std::int64_t>(length)) {
      throw std::runtime_error("complete: an image is not processing under this attempt");
    }
    images = images.subspan(length);
  }
  write_counts(count_completed_);
  commit_.run();
}

void Tracker::checkpoint(std::int64_t job) { checkpoint_.bind(job, now()).run(); }

StatusCounts Tracker::get_status_counts(std::int64_t job) {
  count_rows_.bind(image_id(job, 1), image_id(job + 1, 0)).step();
  StatusCounts counts;
  counts.processing = count_rows_.integer(1);
  counts.completed = count_rows_.integer(2);
  counts.pending = count_rows_.integer(0) - counts.processing - counts.completed;
  count_rows_.reset();
  return counts;
}

std::int64_t Tracker::directory_id(DirectoryIds& known, std::int64_t job, std::string_view path) {
  const auto [place, is_new] = known.try_emplace(path, 0);
  if (is_new) {
    insert_directory_.bind(job, path).run();
    if (database_.changes() > 0) {
      place->second = database_.last_id();
    } else {
      select_directory_.bind(job, path).step();
      place->second = select_directory_.integer(0);
      select_directory_.reset();
    }
  }
  return place->second;
}

Tracker::Split& Tracker::split_called(std::int64_t job, std::string_view name) {
  const auto found = std::find_if(splits_.begin(), splits_.end(),
                                  [&](const Split& each) { return each.name == name; });
  if (found != splits_.end()) {
    return *found;
  }
  insert_split_.bind(job, name).run();
  return splits_.emplace_back(Split{.id = database_.last_id(), .name = std::string(name)});
}

const std::string& Tracker::directory_path(std::int64_t id) {
  if (id != directory_) {
    select_directory_path_.bind(id).step();
    directory_path_ = select_directory_path_.text(0);
    directory_ = id;
    select_directory_path_.reset();
  }
  return directory_path_;
}

void Tracker::write_counts(Statement& change) {
  for (Split& split : splits_) {
    if (split.changed > 0) {
      change.bind(split.changed, split.id).run();
      split.changed = 0;
    }
  }
}

}  // namespace benchmark::floor

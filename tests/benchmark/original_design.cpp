#include "original_design.h"

#include <ctime>

namespace original_design {
namespace {

constexpr char kSchemaSql[] = R"sql(
PRAGMA busy_timeout = 300000;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -64000;
CREATE TABLE IF NOT EXISTS jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE NOT NULL,
  status TEXT NOT NULL DEFAULT 'running',
  total_images INTEGER NOT NULL DEFAULT 0,
  processed_count INTEGER NOT NULL DEFAULT 0,
  error_count INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at TEXT
);
CREATE TABLE IF NOT EXISTS images (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id INTEGER NOT NULL REFERENCES jobs (id),
  path TEXT NOT NULL,
  split TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending',
  error_message TEXT,
  processed_at TEXT,
  UNIQUE (job_id, path)
);
CREATE INDEX IF NOT EXISTS idx_images_job ON images (job_id);
CREATE INDEX IF NOT EXISTS idx_images_status ON images (status);
CREATE INDEX IF NOT EXISTS idx_images_job_status ON images (job_id, status);
)sql";

// How many rows the original inserts before it commits.
constexpr std::size_t kSlice = 5'000;

// Local time with a resolution of seconds: what costs here is the text.
std::string now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts)};
}

std::int64_t& count_of(StatusCounts& counts, std::string_view status) {
  if (status == "pending") {
    return counts.pending;
  }
  if (status == "processing") {
    return counts.processing;
  }
  return status == "completed" ? counts.completed : counts.error;
}

}  // namespace

Tracker::Tracker(const std::filesystem::path& database, Options options)
    : options_(options),
      database_(database, kSchemaSql),
      insert_job_(database_.prepare("INSERT INTO jobs (name) VALUES (?)")),
      insert_image_(
          database_.prepare("INSERT OR IGNORE INTO images (job_id, path, split) VALUES (?, ?, ?)")),
      add_to_total_(
          database_.prepare("UPDATE jobs SET total_images = total_images + ? WHERE id = ?")),
      select_pending_(database_.prepare("SELECT id, path, split FROM images "
                                        "WHERE job_id = ? AND status = 'pending' LIMIT ?")),
      mark_processing_(database_.prepare("UPDATE images SET status = 'processing' WHERE id = ?")),
      mark_completed_(database_.prepare(
          "UPDATE images SET status = 'completed', processed_at = ? WHERE id = ?")),
      mark_error_(database_.prepare("UPDATE images SET status = 'error', error_message = ?, "
                                    "processed_at = ? WHERE id = ?")),
      select_standing_(database_.prepare("SELECT job_id, status FROM images WHERE id = ?")),
      count_mark_(database_.prepare("UPDATE jobs SET processed_count = processed_count + ?, "
                                    "error_count = error_count + ? WHERE id = ?")),
      reset_(database_.prepare("UPDATE images SET status = 'pending' "
                               "WHERE job_id = ? AND status = 'processing'")),
      count_(database_.prepare("SELECT count(*) FROM images WHERE job_id = ? AND status = ?")),
      count_by_split_(database_.prepare("SELECT split, status, count(*) FROM images "
                                        "WHERE job_id = ? GROUP BY split, status")),
      checkpoint_(database_.prepare("UPDATE jobs SET processed_count = ?, error_count = ?, "
                                    "updated_at = ? WHERE id = ?")),
      touch_(database_.prepare("UPDATE jobs SET updated_at = ? WHERE id = ?")),
      select_progress_(database_.prepare("SELECT total_images, processed_count, error_count "
                                         "FROM jobs WHERE id = ?")) {
  if (options_.full_sync) {
    database_.execute("PRAGMA synchronous = FULL");
  }
}

std::int64_t Tracker::create_job(const std::string& name,
                                 std::span<const std::filesystem::path> paths,
                                 std::span<const std::string> splits) {
  begin_if_needed();
  insert_job_.bind(name).run();
  const std::int64_t job = database_.last_id();
  add_images(job, paths, splits);
  return job;
}

void Tracker::add_images(std::int64_t job, std::span<const std::filesystem::path> paths,
                         std::span<const std::string> splits) {
  begin_if_needed();
  add_to_total_.bind(static_cast<std::int64_t>(paths.size()), job).run();
  commit();
  for (std::size_t i = 0; i < paths.size(); ++i) {
    begin_if_needed();
    insert_image_.bind(job, paths[i].native(), splits[i]).run();
    if ((i + 1) % kSlice == 0) {
      commit();
    }
  }
  commit();
}

std::vector<Image> Tracker::get_pending_images(std::int64_t job, std::size_t limit) {
  std::vector<Image> images;
  select_pending_.bind(job, static_cast<std::int64_t>(limit));
  while (select_pending_.step()) {
    images.push_back({select_pending_.integer(0), select_pending_.text(1),
                      std::string(select_pending_.text(2))});
  }
  select_pending_.reset();
  return images;
}

void Tracker::mark_processing(const std::vector<Image>& images) {
  begin_if_needed();
  for (const Image& image : images) {
    mark_processing_.bind(image.id).run();
  }
}

void Tracker::mark_completed(std::int64_t image) {
  begin_if_needed();
  if (options_.keep_counters) {
    count_mark(image, "completed");
  }
  const std::string time = now();
  mark_completed_.bind(time, image).run();
}

void Tracker::mark_error(std::int64_t image, std::string_view message) {
  begin_if_needed();
  if (options_.keep_counters) {
    count_mark(image, "error");
  }
  const std::string time = now();
  mark_error_.bind(message, time, image).run();
}

std::size_t Tracker::reset_stuck_images(std::int64_t job) {
  begin_if_needed();
  reset_.bind(job).run();
  const auto images = static_cast<std::size_t>(database_.changes());
  commit();
  return images;
}

void Tracker::checkpoint(std::int64_t job) {
  const std::string time = now();
  if (options_.keep_counters) {
    begin_if_needed();
    touch_.bind(time, job).run();
  } else {
    const std::int64_t completed = count(job, "completed");
    const std::int64_t errors = count(job, "error");
    begin_if_needed();
    checkpoint_.bind(completed, errors, time, job).run();
  }
  commit();
}

Progress Tracker::get_progress(std::int64_t job) {
  Progress progress;
  select_progress_.bind(job).step();
  progress.total_images = select_progress_.integer(0);
  progress.processed_count = select_progress_.integer(1);
  progress.error_count = select_progress_.integer(2);
  progress.pending_count = progress.total_images - progress.processed_count - progress.error_count;
  select_progress_.reset();
  return progress;
}

StatusCounts Tracker::get_status_counts(std::int64_t job) {
  return {count(job, "pending"), count(job, "processing"), count(job, "completed"),
          count(job, "error")};
}

std::map<std::string, StatusCounts> Tracker::get_progress_by_split(std::int64_t job) {
  std::map<std::string, StatusCounts> counts;
  count_by_split_.bind(job);
  while (count_by_split_.step()) {
    count_of(counts[std::string(count_by_split_.text(0))], count_by_split_.text(1)) =
        count_by_split_.integer(2);
  }
  count_by_split_.reset();
  return counts;
}

void Tracker::begin_if_needed() {
  if (!database_.in_transaction()) {
    database_.execute("BEGIN");
  }
}

void Tracker::commit() {
  if (database_.in_transaction()) {
    database_.execute("COMMIT");
  }
}

// Before the image gets `status`: what it had is what the counters lose.
void Tracker::count_mark(std::int64_t image, std::string_view status) {
  select_standing_.bind(image).step();
  const std::int64_t job = select_standing_.integer(0);
  const std::string_view before = select_standing_.text(1);
  const std::int64_t completed = (status == "completed") - (before == "completed");
  const std::int64_t errors = (status == "error") - (before == "error");
  select_standing_.reset();
  count_mark_.bind(completed, errors, job).run();
}

std::int64_t Tracker::count(std::int64_t job, std::string_view status) {
  count_.bind(job, status).step();
  const std::int64_t images = count_.integer(0);
  count_.reset();
  return images;
}

}  // namespace original_design

#include "store/images.h"

#include <algorithm>

#include "store/state.h"

namespace progress_tracker::store {
namespace {

using sqlite::Bytes;
using sqlite::Connection;
using sqlite::Query;

// Params: id.
constexpr char kSelectDirectoryPathSql[] = "SELECT path FROM directory WHERE id = ?";
constexpr char kSelectSplitNameSql[] = "SELECT name FROM split WHERE id = ?";

// Params: job, directory, name, last published id.
constexpr char kSelectIdByPathSql[] =
    "SELECT path.image_id FROM directory JOIN path ON path.directory = directory.id "
    "WHERE directory.job_id = ? AND directory.path = ? AND path.name = ? AND path.image_id <= ?";

// Params: id.
constexpr char kSelectRecordSql[] =
    "SELECT image.id, image.directory, image.name, image.split, "
    "coalesce(state.status, 0), coalesce(state.attempts, 0), coalesce(state.deaths, 0), "
    "state.started_at, state.changed_at, failure.message "
    "FROM image LEFT JOIN state ON state.id = image.id "
    "LEFT JOIN failure ON failure.image_id = image.id WHERE image.id = ?";

// Pages of ids. Params: after, last, limit.
constexpr char kPageOfAllSql[] =
    "SELECT id FROM image WHERE id > ? AND id <= ? ORDER BY id LIMIT ?";
constexpr char kPageOfReturnedSql[] =
    "SELECT id FROM state WHERE status = 0 AND deaths = 0 AND id > ?1 AND id <= ?2 "
    "UNION ALL "
    "SELECT id FROM state INDEXED BY state_returned "
    "WHERE status = 0 AND deaths > 0 AND id > ?1 AND id <= ?2 "
    "ORDER BY id LIMIT ?3";
constexpr char kPageOfUnstartedSql[] =
    "SELECT image.id FROM image LEFT JOIN state ON state.id = image.id "
    "WHERE image.id > ? AND image.id <= ? AND (state.id IS NULL OR state.status = 0) "
    "ORDER BY image.id LIMIT ?";
constexpr char kPageOfProcessingSql[] =
    "SELECT id FROM state INDEXED BY state_processing "
    "WHERE status = 1 AND id > ? AND id <= ? ORDER BY id LIMIT ?";
constexpr char kPageOfCompletedSql[] =
    "SELECT id FROM state WHERE status = 2 AND id > ? AND id <= ? ORDER BY id LIMIT ?";
constexpr char kPageOfErrorsSql[] =
    "SELECT id FROM state INDEXED BY state_error "
    "WHERE status = 3 AND id > ? AND id <= ? ORDER BY id LIMIT ?";

// Params: first id, last id, limit.
constexpr char kSummarizeErrorsSql[] =
    "SELECT message, count(*), min(image_id) FROM failure WHERE image_id BETWEEN ? AND ? "
    "GROUP BY message ORDER BY count(*) DESC, message LIMIT ?";

// Params: id.
constexpr char kSelectImageSql[] = "SELECT id, directory, name, split FROM image WHERE id = ?";

void append_ids(Connection& connection, const char* sql, std::int64_t after, std::int64_t last,
                std::int64_t limit, std::vector<std::int64_t>& ids) {
  Query query(connection, sql, after, last, limit);
  while (query.next()) {
    ids.push_back(query.integer(0));
  }
}

std::vector<std::int64_t> pending_page(Connection& connection, const JobRow& job,
                                       std::int64_t after, std::int64_t limit) {
  std::vector<std::int64_t> ids;
  append_ids(connection, kPageOfReturnedSql, after, job.last_started_id(), limit, ids);
  append_ids(connection, kPageOfUnstartedSql, std::max(after, job.last_started_id()), job.last_id(),
             limit - static_cast<std::int64_t>(ids.size()), ids);
  return ids;
}

const char* page_sql(std::optional<Status> status) {
  if (!status.has_value()) {
    return kPageOfAllSql;
  }
  switch (*status) {
    case Status::kProcessing:
      return kPageOfProcessingSql;
    case Status::kCompleted:
      return kPageOfCompletedSql;
    case Status::kError:
      return kPageOfErrorsSql;
    default:
      return nullptr;
  }
}

std::vector<std::int64_t> page(Connection& connection, const JobRow& job,
                               std::optional<Status> status, std::int64_t after,
                               std::int64_t limit) {
  if (status == Status::kPending) {
    return pending_page(connection, job, after, limit);
  }
  std::vector<std::int64_t> ids;
  const char* sql = page_sql(status);
  if (sql == nullptr) {
    return ids;  // not a status
  }
  append_ids(connection, sql, after, job.last_id(), limit, ids);
  return ids;
}

ImageRecord record_of(Connection& connection, ImageReader& reader, ImageId id) {
  Query query(connection, kSelectRecordSql, id);
  query.require_row();
  ImageRecord record;
  record.image = reader.read(query);
  record.job_id = job_of(record.image.id);
  record.status = status_in(query, 4, id);
  record.attempts = times_in(query, 5, id);
  record.deaths = times_in(query, 6, id);
  if (record.deaths > record.attempts) {
    sqlite::fail_corrupt(describe(id) + " has more deaths than attempts");
  }
  if (!query.is_null(7)) {
    record.started_at = to_time(query.integer(7));
  }
  if (record.status == Status::kCompleted || record.status == Status::kError) {
    record.finished_at = to_time(query.integer(8));
  }
  record.error_message = query.text(9);
  return record;
}

}  // namespace

std::pair<std::string_view, std::string_view> cut_path(std::string_view path) {
  const auto slash = path.rfind('/');
  const std::size_t cut = slash == std::string_view::npos ? 0 : slash + 1;
  return {path.substr(0, cut), path.substr(cut)};
}

Image ImageReader::read(const Query& query) {
  const std::int64_t directory = query.integer(1);
  if (directory != directory_) {
    Query path(connection_, kSelectDirectoryPathSql, directory);
    path.require_row();
    directory_path_ = path.text(0);
    directory_ = directory;
  }
  const std::string_view name = query.bytes(2);
  std::string path;
  path.reserve(directory_path_.size() + name.size());
  path.append(directory_path_).append(name);
  return {.id = ImageId{query.integer(0)},
          .path = std::filesystem::path(std::move(path)),
          .split = split_name(query.integer(3)),
          .attempt = 0};
}

const std::string& ImageReader::split_name(std::int64_t split) {
  if (split_name_ == nullptr || split != split_) {
    const auto [place, is_new] = splits_.try_emplace(split);
    if (is_new) {
      Query name(connection_, kSelectSplitNameSql, split);
      name.require_row();
      place->second = name.text(0);
    }
    split_ = split;
    split_name_ = &place->second;
  }
  return *split_name_;
}

std::optional<ImageId> find_image(Connection& connection, const JobRow& job,
                                  std::string_view path) {
  const auto [directory, name] = cut_path(path);
  Query query(connection, kSelectIdByPathSql, job.id, Bytes{directory}, Bytes{name}, job.last_id());
  if (!query.next()) {
    return std::nullopt;
  }
  return ImageId{query.integer(0)};
}

std::optional<ImageRecord> image_record(Connection& connection, ImageId image) {
  const auto job = find_job(connection, job_of(image));
  const std::int64_t sequence = sequence_of(image);
  if (!job.has_value() || sequence < 1 || sequence > job->published) {
    return std::nullopt;
  }
  ImageReader reader(connection);
  return record_of(connection, reader, image);
}

std::vector<ImageRecord> image_records(Connection& connection, const JobRow& job,
                                       std::optional<Status> status, std::int64_t limit,
                                       std::optional<ImageId> after) {
  const std::int64_t begin =
      std::max(image_id(job.id, 0), static_cast<std::int64_t>(after.value_or(ImageId{0})));
  std::vector<ImageRecord> records;
  ImageReader reader(connection);
  for (const std::int64_t id : page(connection, job, status, begin, limit)) {
    records.push_back(record_of(connection, reader, ImageId{id}));
  }
  return records;
}

std::vector<ErrorGroup> error_summary(Connection& connection, const JobRow& job,
                                      std::int64_t limit) {
  std::vector<ErrorGroup> groups;
  ImageReader reader(connection);
  Query query(connection, kSummarizeErrorsSql, job.first_id(), job.last_id(), limit);
  while (query.next()) {
    Query example(connection, kSelectImageSql, query.integer(2));
    example.require_row();
    groups.push_back({query.text(0), query.integer(1), reader.read(example).path});
  }
  return groups;
}

}  // namespace progress_tracker::store

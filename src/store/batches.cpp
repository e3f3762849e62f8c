#include "store/batches.h"

#include <algorithm>
#include <string>

#include "progress_tracker/error.h"
#include "store/images.h"
#include "store/work.h"

namespace progress_tracker::store {
namespace {

using sqlite::Connection;
using sqlite::Query;

// Params: image.
constexpr char kInsertLateSql[] = "INSERT INTO late_completion (image_id) VALUES (?)";
constexpr char kDeleteLateSql[] = "DELETE FROM late_completion WHERE image_id = ?";

// Params: job, batch_num.
constexpr char kSelectBatchIdSql[] = "SELECT id FROM batch WHERE job_id = ? AND batch_num = ?";
// Params: job, batch_num, image_count, now.
constexpr char kInsertBatchSql[] =
    "INSERT INTO batch (job_id, batch_num, image_count, created_at) VALUES (?, ?, ?, ?)";

// Params: image, batch.
constexpr char kInsertMemberSql[] = "INSERT INTO batch_image (image_id, batch_id) VALUES (?, ?)";
// Params: image.
constexpr char kSelectMemberSql[] = "SELECT batch_id FROM batch_image WHERE image_id = ?";
// Params: batch.
constexpr char kSelectMembersSql[] =
    "SELECT image.id, image.directory, image.name, image.split "
    "FROM batch_image JOIN image ON image.id = batch_image.image_id "
    "WHERE batch_image.batch_id = ? ORDER BY image.id";

// Completed and in no batch; each with id, directory, name, split. Params: after, last, limit.
constexpr char kSelectLateSql[] =
    "SELECT image.id, image.directory, image.name, image.split "
    "FROM late_completion JOIN image ON image.id = late_completion.image_id "
    "WHERE late_completion.image_id > ? AND late_completion.image_id <= ? "
    "ORDER BY late_completion.image_id LIMIT ?";
constexpr char kSelectUnbatchedSql[] =
    "SELECT image.id, image.directory, image.name, image.split "
    "FROM state JOIN image ON image.id = state.id "
    "WHERE state.id > ? AND state.id <= ? AND state.status = 2 "
    "AND NOT EXISTS (SELECT 1 FROM batch_image WHERE batch_image.image_id = state.id) "
    "ORDER BY state.id LIMIT ?";

// The first completed image that is in no batch. Params: after, last.
constexpr char kFirstUnbatchedSql[] =
    "SELECT state.id FROM state WHERE state.id > ? AND state.id <= ? AND state.status = 2 "
    "AND NOT EXISTS (SELECT 1 FROM batch_image WHERE batch_image.image_id = state.id) "
    "ORDER BY state.id LIMIT 1";
// Params: batched, job.
constexpr char kSetBatchedSql[] = "UPDATE job SET batched = ? WHERE id = ?";

// Params: id.
constexpr char kSelectBatchStatusSql[] =
    "SELECT batch.status FROM batch JOIN job ON job.id = batch.job_id "
    "WHERE batch.id = ? AND job.name IS NOT NULL AND job.ready = 1";
// Params: now, id.
constexpr char kUploadedSql[] =
    "UPDATE batch SET status = 1, uploaded_at = ?, upload_error = NULL WHERE id = ?";
// Params: message, id.
constexpr char kBatchErrorSql[] = "UPDATE batch SET status = 2, upload_error = ? WHERE id = ?";

// Params: job, uploaded.
constexpr char kSelectBatchesSql[] =
    "SELECT id, batch_num, status, image_count, created_at, uploaded_at, upload_error "
    "FROM batch WHERE job_id = ? AND (status = 1) = ? ORDER BY batch_num";

[[noreturn]] void refuse(ErrorCode code, int batch_num, const std::string& cause) {
  throw Error(code, "create_batch_of: batch number " + std::to_string(batch_num) + ": " + cause);
}

std::optional<BatchId> find_batch(Connection& connection, JobId job, int batch_num) {
  Query query(connection, kSelectBatchIdSql, job, std::int64_t{batch_num});
  if (!query.next()) {
    return std::nullopt;
  }
  return BatchId{query.integer(0)};
}

std::vector<ImageId> sorted_members(Connection& connection, BatchId batch) {
  std::vector<ImageId> members;
  Query query(connection, kSelectMembersSql, batch);
  while (query.next()) {
    members.push_back(ImageId{query.integer(0)});
  }
  return members;
}

void check_can_join(Connection& connection, const JobRow& job, int batch_num, ImageId image) {
  if (job_of(image) != job.id) {
    refuse(ErrorCode::kInvalidArgument, batch_num, describe(image) + " is of another job");
  }
  if (standing_of(connection, image).status != Status::kCompleted) {
    refuse(ErrorCode::kInvalidArgument, batch_num, describe(image) + " is not completed");
  }
  if (Query(connection, kSelectMemberSql, image).next()) {
    refuse(ErrorCode::kInvalidArgument, batch_num, describe(image) + " is in another batch");
  }
}

// Moves the mark up to the next image that still has to be batched, but not past `last`, the
// greatest number just batched: what is above it has not been looked at.
void advance_batched(Connection& connection, const JobRow& job, std::int64_t last) {
  if (last <= job.batched) {
    return;
  }
  Query query(connection, kFirstUnbatchedSql, job.last_batched_id(), image_id(job.id, last));
  const std::int64_t batched = query.next() ? sequence_of(ImageId{query.integer(0)}) - 1 : last;
  if (batched > job.batched) {
    Query(connection, kSetBatchedSql, batched, job.id).run();
  }
}

BatchStatus status_in(const Query& query, int column, BatchId batch) {
  const std::int64_t status = query.integer(column);
  if (status < static_cast<int>(BatchStatus::kPending) ||
      status > static_cast<int>(BatchStatus::kError)) {
    sqlite::fail_corrupt(describe(batch) + " cannot have status " + std::to_string(status));
  }
  return static_cast<BatchStatus>(status);
}

BatchStatus require_batch(Connection& connection, std::string_view operation, BatchId batch) {
  Query query(connection, kSelectBatchStatusSql, batch);
  if (!query.next()) {
    throw Error(ErrorCode::kNotFound, std::string(operation) + ": no such " + describe(batch));
  }
  return status_in(query, 0, batch);
}

void append_images(Connection& connection, const char* sql, std::int64_t after, std::int64_t last,
                   std::int64_t limit, std::vector<Image>& images) {
  ImageReader reader(connection);
  Query query(connection, sql, after, last, limit - static_cast<std::int64_t>(images.size()));
  while (query.next()) {
    images.push_back(reader.read(query));
  }
}

}  // namespace

void note_late_completion(Connection& connection, ImageId image) {
  Query(connection, kInsertLateSql, image).run();
}

BatchId create_batch(Connection& connection, JobId job, int batch_num, std::int64_t image_count,
                     std::int64_t now) {
  if (const auto batch = find_batch(connection, job, batch_num)) {
    return *batch;
  }
  Query(connection, kInsertBatchSql, job, std::int64_t{batch_num}, image_count, now).run();
  return BatchId{connection.last_insert_rowid()};
}

BatchId create_batch_of(Connection& connection, const JobRow& job, int batch_num,
                        std::span<const ImageId> images, std::int64_t now) {
  std::vector<ImageId> members(images.begin(), images.end());
  std::sort(members.begin(), members.end());
  members.erase(std::unique(members.begin(), members.end()), members.end());
  for (const ImageId image : members) {
    if (!standing_of(connection, image).exists) {
      refuse(ErrorCode::kNotFound, batch_num, "no such " + describe(image));
    }
  }
  if (const auto batch = find_batch(connection, job.id, batch_num)) {
    if (sorted_members(connection, *batch) != members) {
      refuse(ErrorCode::kInvalidArgument, batch_num, "exists with other images");
    }
    return *batch;
  }
  for (const ImageId image : members) {
    check_can_join(connection, job, batch_num, image);
  }
  const BatchId batch =
      create_batch(connection, job.id, batch_num, static_cast<std::int64_t>(members.size()), now);
  for (const ImageId image : members) {
    Query(connection, kInsertMemberSql, image, batch).run();
    if (sequence_of(image) <= job.batched) {
      Query(connection, kDeleteLateSql, image).run();
    }
  }
  advance_batched(connection, job, sequence_of(members.back()));
  return batch;
}

std::vector<Image> unbatched_images(Connection& connection, const JobRow& job, std::int64_t limit) {
  std::vector<Image> images;
  append_images(connection, kSelectLateSql, image_id(job.id, 0), job.last_batched_id(), limit,
                images);
  append_images(connection, kSelectUnbatchedSql, job.last_batched_id(), job.last_id(), limit,
                images);
  return images;
}

void mark_batch_uploaded(Connection& connection, BatchId batch, std::int64_t now) {
  if (require_batch(connection, "mark_batch_uploaded", batch) != BatchStatus::kUploaded) {
    Query(connection, kUploadedSql, now, batch).run();
  }
}

void mark_batch_error(Connection& connection, BatchId batch, std::string_view message) {
  if (require_batch(connection, "mark_batch_error", batch) == BatchStatus::kUploaded) {
    throw Error(ErrorCode::kInvalidTransition,
                "mark_batch_error: " + describe(batch) + ": uploaded batches stay uploaded");
  }
  Query(connection, kBatchErrorSql, message, batch).run();
}

std::vector<Batch> list_batches(Connection& connection, JobId job, bool uploaded) {
  std::vector<Batch> batches;
  Query query(connection, kSelectBatchesSql, job, std::int64_t{uploaded ? 1 : 0});
  while (query.next()) {
    Batch& batch = batches.emplace_back();
    batch.id = BatchId{query.integer(0)};
    batch.job_id = job;
    const std::int64_t batch_num = query.integer(1);
    batch.batch_num = static_cast<int>(batch_num);
    batch.status = status_in(query, 2, batch.id);
    batch.image_count = query.integer(3);
    if (batch.batch_num != batch_num || batch.image_count < 0) {
      sqlite::fail_corrupt(describe(batch.id) + " cannot be number " + std::to_string(batch_num) +
                           ", of " + std::to_string(batch.image_count) + " images");
    }
    batch.created_at = to_time(query.integer(4));
    if (!query.is_null(5)) {
      batch.uploaded_at = to_time(query.integer(5));
    }
    batch.upload_error = query.text(6);
  }
  return batches;
}

std::vector<Image> batch_images(Connection& connection, BatchId batch) {
  std::vector<Image> images;
  if (!Query(connection, kSelectBatchStatusSql, batch).next()) {
    return images;
  }
  ImageReader reader(connection);
  Query query(connection, kSelectMembersSql, batch);
  while (query.next()) {
    images.push_back(reader.read(query));
  }
  return images;
}

}  // namespace progress_tracker::store

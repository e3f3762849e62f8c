#include "original_database.h"

#include <algorithm>
#include <array>
#include <new>
#include <span>
#include <string_view>
#include <system_error>

#include "clock.h"
#include "log_internal.h"
#include "progress_tracker/error.h"
#include "sqlite/after_fork.h"
#include "sqlite/file_identity.h"
#include "sqlite/transaction.h"
#include "store/schema.h"

namespace progress_tracker {
namespace {

using sqlite::Connection;
using sqlite::Failure;
using sqlite::OpenMode;
using sqlite::Query;

// Not a view, nor a virtual table, nor a column that is computed: they run code. Each with: table.
constexpr char kFindTableSql[] =
    "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND lower(name) = ? AND rootpage > 0";
constexpr char kSelectColumnsSql[] =
    "SELECT lower(name) FROM pragma_table_xinfo(?) WHERE hidden = 0";

// That `id` is the table's rowid: any other primary key has an index. With: table, table.
constexpr char kFindIdSql[] =
    "SELECT 1 FROM pragma_table_xinfo(?) WHERE lower(name) = 'id' AND pk = 1 "
    "AND NOT EXISTS (SELECT 1 FROM pragma_index_list(?) WHERE origin = 'pk')";

constexpr char kSelectJobsSql[] =
    "SELECT id, name, CASE WHEN typeof(total_images) = 'integer' THEN total_images END "
    "FROM jobs NOT INDEXED ORDER BY id";
constexpr char kSelectImagesSql[] =
    "SELECT id, CASE WHEN typeof(job_id) = 'integer' THEN job_id END, path, status, split, "
    "error_message "
    "FROM images NOT INDEXED ORDER BY id";
constexpr char kSelectBatchesSql[] =
    "SELECT id, CASE WHEN typeof(job_id) = 'integer' THEN job_id END, "
    "CASE WHEN typeof(batch_num) = 'integer' THEN batch_num END, status, "
    "CASE WHEN typeof(image_count) = 'integer' THEN image_count END, upload_error "
    "FROM batches NOT INDEXED ORDER BY id";

struct Table {
  std::string_view name;
  std::span<const std::string_view> columns;
};
constexpr std::array<std::string_view, 3> kJobColumns{"id", "name", "total_images"};
constexpr std::array<std::string_view, 6> kImageColumns{"id",     "job_id", "path",
                                                        "status", "split",  "error_message"};
constexpr std::array<std::string_view, 6> kBatchColumns{"id",     "job_id",      "batch_num",
                                                        "status", "image_count", "upload_error"};
constexpr std::array<Table, 3> kTables{{
    {.name = "jobs", .columns = kJobColumns},
    {.name = "images", .columns = kImageColumns},
    {.name = "batches", .columns = kBatchColumns},
}};

// All that is read is read once, so a large page cache would serve nobody.
constexpr std::int64_t kCacheKib = 8'000;

Options options_for(std::string_view operation, std::chrono::milliseconds busy_timeout) {
  if (busy_timeout.count() < 0) {
    throw Error(ErrorCode::kInvalidArgument,
                std::string(operation).append(": busy_timeout is negative"));
  }
  constexpr std::chrono::milliseconds kForEver = std::chrono::hours(24 * 365 * 10);
  Options options;
  options.read_only = true;
  options.busy_timeout = std::min(busy_timeout, kForEver);
  options.cache_size_kib = kCacheKib;
  return options;
}

bool exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) || error;
}

bool is_empty_or_missing(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? error == std::errc::no_such_file_or_directory : size == 0;
}

std::optional<std::int64_t> integer_in(const Query& query, int column) {
  return query.is_null(column) ? std::nullopt : std::optional(query.integer(column));
}

}  // namespace

OriginalDatabase::OriginalDatabase(const char* operation, const Options& options)
    : operation_(operation), options_(options), budget_(Clock::system(), options.busy_timeout) {}

// As it delegates, the destructor tidies up also after a file that is refused.
OriginalDatabase::OriginalDatabase(const char* operation, const std::filesystem::path& path,
                                   std::chrono::milliseconds busy_timeout)
    : OriginalDatabase(operation, options_for(operation, busy_timeout)) {
  sqlite::prepare_for_forks();
  path_ = sqlite::canonical_path(path);
  if (!exists(path_)) {
    throw Error(ErrorCode::kNotFound, std::string(operation_) + ": " + path_ + ": no such file");
  }
  if (const std::string warning = sqlite::check_place(path_); !warning.empty()) {
    internal::log(LogLevel::kWarn, warning);
  }
  const auto header = sqlite::read_header(path_);
  if (!header.has_value()) {
    refuse_foreign("is empty");
  }
  if (header->application_id == store::kApplicationId) {
    refuse_foreign("is a database of progress_tracker already: open it as it is");
  }
  // Closing the last connection to a file in WAL mode removes its side files, but only a connection
  // that may write can do that. Nothing is written through it: there is no log to be copied into
  // the file, and no journal to be rolled back.
  leaves_no_log_ = header->is_wal && !exists(path_ + "-wal") && !exists(path_ + "-journal");
  open();
  check_tables();
}

OriginalDatabase::~OriginalDatabase() { close(); }

void OriginalDatabase::close() {
  if (connection_ != nullptr && leaves_no_log_ && is_empty_or_missing(path_ + "-wal")) {
    connection_->leave_log_at_close(false);
  }
  connection_.reset();
}

void OriginalDatabase::open() {
  sqlite::retry(operation_, path_, options_, budget_, [&] {
    try {
      connection_ = std::make_unique<Connection>(
          path_, leaves_no_log_ ? OpenMode::kReadWrite : OpenMode::kReadOnly);
      connection_->leave_log_at_close(true);
      // Or SQLite refuses a file for what somebody has added to it. We run nothing of its schema.
      sqlite3_db_config(connection_->handle(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, nullptr);
      connection_->set_budget(&budget_);
      connection_->configure(options_);
      connection_->execute("PRAGMA query_only = ON");
      Query(*connection_, "BEGIN").run();
      Query(*connection_, "SELECT count(*) FROM sqlite_schema").run();
    } catch (const Failure& failure) {
      close();
      if (failure.primary() == SQLITE_READONLY || failure.primary() == SQLITE_CANTOPEN) {
        const bool has_journal = exists(path_ + "-journal");
        throw Error(
            ErrorCode::kIo,
            std::string(operation_) + ": " + path_ +
                (has_journal ? ": a program died while it wrote to it, and what it left has to be "
                               "rolled back first: open it once with the sqlite3 shell"
                             : ": is in WAL mode, and SQLite cannot make its -wal and -shm beside "
                               "it, or use them: copy it, with its -wal, to a directory that you "
                               "may write") +
                " (" + failure.what() + ")",
            failure.code());
      }
      throw;
    }
  });
}

void OriginalDatabase::check_tables() {
  sqlite::retry(operation_, path_, options_, budget_, [&] {
    if (store::kind_of(*connection_) == store::FileKind::kOurs) {
      refuse_foreign("is a database of progress_tracker already: open it as it is");
    }
    // Paths are bytes, and would come out as others.
    Query encoding(*connection_, "PRAGMA encoding");
    encoding.require_row();
    if (encoding.bytes(0) != "UTF-8") {
      refuse_foreign("not a database of the Python original: its text is not in UTF-8");
    }
    for (const Table& table : kTables) {
      const std::string name(table.name);
      if (!Query(*connection_, kFindTableSql, table.name).next()) {
        refuse_foreign("not a database of the Python original: it has no table " + name);
      }
      std::vector<std::string> columns;
      for (Query query(*connection_, kSelectColumnsSql, table.name); query.next();) {
        columns.push_back(query.text(0));
      }
      for (const std::string_view column : table.columns) {
        if (std::find(columns.begin(), columns.end(), column) == columns.end()) {
          refuse_foreign("not a database of the Python original: its table " + name +
                         " has no column " + std::string(column));
        }
      }
      if (!Query(*connection_, kFindIdSql, table.name, table.name).next()) {
        refuse_foreign("not a database of the Python original: its table " + name +
                       " is not as that makes it: its id is no INTEGER PRIMARY KEY");
      }
    }
  });
}

std::vector<OriginalJob> OriginalDatabase::jobs() {
  std::vector<OriginalJob> jobs;
  for_each_row(kSelectJobsSql, "jobs", [&](const Query& query) {
    jobs.push_back({query.integer(0), query.text(1), integer_in(query, 2)});
  });
  return jobs;
}

void OriginalDatabase::for_each_image(const std::function<void(OriginalImage&)>& take) {
  for_each_row(kSelectImagesSql, "images", [&](const Query& query) {
    OriginalImage image{.id = query.integer(0),
                        .job = integer_in(query, 1),
                        .path = query.text(2),
                        .status = query.text(3),
                        .split = query.text(4),
                        .error_message = query.text(5)};
    take(image);
  });
}

void OriginalDatabase::for_each_batch(const std::function<void(OriginalBatch&)>& take) {
  for_each_row(kSelectBatchesSql, "batches", [&](const Query& query) {
    OriginalBatch batch{.id = query.integer(0),
                        .job = integer_in(query, 1),
                        .number = integer_in(query, 2),
                        .status = query.text(3),
                        .image_count = integer_in(query, 4),
                        .upload_error = query.text(5)};
    take(batch);
  });
}

// SQLite takes for granted that each row's id is greater than the one before; damage can differ,
// and lead to the same rows again and again.
template <typename Read>
void OriginalDatabase::for_each_row(const char* sql, const char* table, const Read& read) {
  try {
    std::optional<std::int64_t> last;
    for (Query query(*connection_, sql); query.next();) {
      const std::int64_t id = query.integer(0);
      if (last.has_value() && id <= *last) {
        sqlite::fail_corrupt(std::string("the rows of ") + table + " are not in their order");
      }
      last = id;
      read(query);
    }
  } catch (const Failure& failure) {
    if (failure.code() == SQLITE_IOERR_NOMEM) {
      throw std::bad_alloc();
    }
    throw sqlite::to_error(operation_, path_, failure);
  }
}

void OriginalDatabase::refuse_foreign(const std::string& cause) const {
  throw Error(ErrorCode::kForeignDatabase, std::string(operation_) + ": " + path_ + ": " + cause);
}

}  // namespace progress_tracker

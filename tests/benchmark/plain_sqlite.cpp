#include "plain_sqlite.h"

#include <stdexcept>
#include <string>

namespace benchmark {
namespace {

[[noreturn]] void fail(sqlite3* database, const char* what) {
  throw std::runtime_error(std::string(what) + ": " + sqlite3_errmsg(database));
}

}  // namespace

Statement::Statement(sqlite3* database, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) !=
      SQLITE_OK) {
    fail(database, sql);
  }
  statement_.reset(statement);
}

bool Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code != SQLITE_ROW && code != SQLITE_DONE) {
    fail(sqlite3_db_handle(statement_.get()), sqlite3_sql(statement_.get()));
  }
  return code == SQLITE_ROW;
}

void Statement::run() {
  step();
  reset();
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view Statement::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

void Statement::bind_at(int index, std::string_view value) {
  sqlite3_bind_text64(statement_.get(), index, value.data(), value.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
}

Database::Database(const std::filesystem::path& path, const char* sql) {
  sqlite3* opened = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &opened,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  database_.reset(opened);
  if (code != SQLITE_OK) {
    fail(opened, "open");
  }
  execute(sql);
}

void Database::execute(const char* sql) {
  if (!try_execute(sql)) {
    fail(database_.get(), sql);
  }
}

bool Database::try_execute(const char* sql) {
  const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK && code != SQLITE_BUSY) {
    fail(database_.get(), sql);
  }
  return code == SQLITE_OK;
}

}  // namespace benchmark

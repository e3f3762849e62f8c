// New rows of `image` and `path`, many with one statement.
#ifndef PROGRESS_TRACKER_SRC_STORE_INSERTER_H_
#define PROGRESS_TRACKER_SRC_STORE_INSERTER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>

#include "sqlite/connection.h"

namespace progress_tracker::store {

// Rows that go into a table with one statement. Opening the table and stepping are then paid once
// for all of them: 64 take 0.6 of the time of 64 statements, and more gain nothing.
inline constexpr std::size_t kRowsAtOnce = 64;

// A statement that inserts one row, and one that inserts kRowsAtOnce.
struct InsertSql {
  const char* one;
  const char* many;
};

// Gathers rows; what bytes they refer to must stay until they are inserted.
template <typename... Columns>
class Inserter {
 public:
  Inserter(sqlite::Connection& connection, InsertSql sql) : connection_(connection), sql_(sql) {}

  void add(const Columns&... columns) {
    rows_[count_++] = {columns...};
    if (count_ == kRowsAtOnce) {
      sqlite::Query insert(connection_, sql_.many);
      for (std::size_t i = 0; i < kRowsAtOnce; ++i) {
        bind(insert, i * sizeof...(Columns), rows_[i]);
      }
      insert.run();
      count_ = 0;
    }
  }

  // Inserts what is left.
  void finish() {
    sqlite::Query insert(connection_, sql_.one);
    for (std::size_t i = 0; i < count_; ++i) {
      bind(insert, 0, rows_[i]);
      insert.run_again();
    }
    count_ = 0;
  }

 private:
  using Row = std::tuple<Columns...>;

  static void bind(sqlite::Query& insert, std::size_t before, const Row& row) {
    int index = static_cast<int>(before);
    std::apply([&](const auto&... columns) { (insert.bind(++index, columns), ...); }, row);
  }

  sqlite::Connection& connection_;
  const InsertSql sql_;
  std::array<Row, kRowsAtOnce> rows_;
  std::size_t count_{0};
};

// id, directory, name, split
class ImageInserter : public Inserter<std::int64_t, std::int64_t, sqlite::Bytes, std::int64_t> {
 public:
  explicit ImageInserter(sqlite::Connection& connection);
};

// directory, name, image
class PathInserter : public Inserter<std::int64_t, sqlite::Bytes, std::int64_t> {
 public:
  explicit PathInserter(sqlite::Connection& connection);
};

}  // namespace progress_tracker::store

#endif  // PROGRESS_TRACKER_SRC_STORE_INSERTER_H_

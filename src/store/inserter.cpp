#include "store/inserter.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace progress_tracker::store {
namespace {

// With its end.
constexpr std::size_t text_size(std::size_t insert, std::size_t row, std::size_t rows) {
  return insert + rows * row + (rows - 1) * 2 + 1;
}

// Made by the compiler: see undestroyed.h for what is wrong with a static object of a function.
template <std::size_t kInsert, std::size_t kRow>
class InsertText {
 public:
  // `insert` as "INSERT INTO t (a, b) VALUES ", `row` as "(?, ?)".
  consteval InsertText(const char (&insert)[kInsert], const char (&row)[kRow]) {
    write(one_.data(), insert, row, 1);
    write(many_.data(), insert, row, kRowsAtOnce);
  }

  constexpr InsertSql sql() const { return {one_.data(), many_.data()}; }

 private:
  static consteval void write(char* to, const char* insert, const char* row, std::size_t rows) {
    to = std::copy_n(insert, kInsert - 1, to);
    for (std::size_t i = 0; i < rows; ++i) {
      if (i > 0) {
        to = std::copy_n(", ", 2, to);
      }
      to = std::copy_n(row, kRow - 1, to);
    }
  }

  std::array<char, text_size(kInsert - 1, kRow - 1, 1)> one_{};
  std::array<char, text_size(kInsert - 1, kRow - 1, kRowsAtOnce)> many_{};
};

constexpr InsertText kImages("INSERT INTO image (id, directory, name, split) VALUES ",
                             "(?, ?, ?, ?)");
constexpr InsertText kPaths("INSERT INTO path (directory, name, image_id) VALUES ", "(?, ?, ?)");

}  // namespace

ImageInserter::ImageInserter(sqlite::Connection& connection)
    : Inserter(connection, kImages.sql()) {}

PathInserter::PathInserter(sqlite::Connection& connection) : Inserter(connection, kPaths.sql()) {}

}  // namespace progress_tracker::store

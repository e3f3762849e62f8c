#include "store/inserter.h"

namespace progress_tracker::store {

InsertSql::InsertSql(const std::string& insert, const std::string& row)
    : one(insert + " VALUES " + row), many(one) {
  for (std::size_t i = 1; i < kRowsAtOnce; ++i) {
    many.append(", ").append(row);
  }
}

// Never destroyed: a thread may still load while the program exits.
const InsertSql& ImageInserter::sql() {
  static const InsertSql& kSql =
      *new InsertSql("INSERT INTO image (id, directory, name, split)", "(?, ?, ?, ?)");
  return kSql;
}

const InsertSql& PathInserter::sql() {
  static const InsertSql& kSql =
      *new InsertSql("INSERT INTO path (directory, name, image_id)", "(?, ?, ?)");
  return kSql;
}

}  // namespace progress_tracker::store

// What the number of an SQLite version tells.
#ifndef PROGRESS_TRACKER_SRC_SQLITE_VERSION_H_
#define PROGRESS_TRACKER_SRC_SQLITE_VERSION_H_

namespace progress_tracker::sqlite {

// Whether SQLite of this number (sqlite3_libversion_number(), 3040001 for 3.40.1) has the fix of
// the WAL-reset bug: 3.51.3 and later, 3.50.7 and later within 3.50, 3.44.6 and later within 3.44.
// The number can only prove that: a distribution that applies the fix itself keeps the old one.
constexpr bool has_wal_reset_fix(int version) {
  return version >= 3'051'003 || (version >= 3'050'007 && version < 3'051'000) ||
         (version >= 3'044'006 && version < 3'045'000);
}

}  // namespace progress_tracker::sqlite

#endif  // PROGRESS_TRACKER_SRC_SQLITE_VERSION_H_

// The one exception type of this library.
#ifndef PROGRESS_TRACKER_ERROR_H_
#define PROGRESS_TRACKER_ERROR_H_

#include <stdexcept>
#include <string>
#include <string_view>

namespace progress_tracker {

// Chosen by what the caller can do next. Unless a code says otherwise, the call that threw changed
// nothing.
enum class ErrorCode {
  kInvalidArgument,    // the call is wrong: correct it
  kNotFound,           // no such job, image, batch, or (read-only) no such file
  kInvalidTransition,  // the state of the job, image or batch does not allow it
  kBusy,               // others held the database for all of Options::busy_timeout: try again
  kClosed,             // the tracker was closed
  kReadOnly,           // a writing call on a read-only tracker, or a file we may not write
  kFull,               // the disk or a quota is full: make room, then repeat the call
  kIo,                 // the operating system refused to read, write or open
  kOutcomeUnknown,     // I/O error or no memory while committing, or the disk refused to sync: done
                       // or not, nobody knows. The tracker accepts only close(), and says the same
                       // of all later calls, which do nothing; reopen and repeat the call, which
                       // does no harm
  kCorrupt,            // the file is damaged, or another program changed its tables: stop writing,
                       // keep it and its side files
  kNotADatabase,       // not a regular file, or not an SQLite file; left untouched
  kForeignDatabase,    // somebody else's SQLite file; left untouched
  kSchemaTooNew,       // written by a newer version of this library; left untouched
  kSchemaTooOld,       // needs a migration, which a read-only tracker cannot do; left untouched
  kUnsupportedFilesystem,  // locks are not shared there, so several users would destroy the file
  kDatabaseMoved,          // the file was deleted, renamed or replaced while open: reopen
  kForked,                 // the tracker belongs to the parent process: open a new one
};

// The enumerator without its k, in lower case with underscores: "invalid_argument", "busy", ...
std::string_view to_string(ErrorCode code);

// what() names the operation, the thing and the cause:
//   "mark_error: image 4294967297: completed images stay completed"
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message, int sqlite_code = 0);
  Error(const Error&) = default;
  Error& operator=(const Error&) = default;
  ~Error() override;

  ErrorCode code() const noexcept;

  // SQLite's extended result code where it caused the error, else 0. SQLITE_FULL also for a quota
  // that is used up, which SQLite does not tell from other errors of writing.
  int sqlite_code() const noexcept;

 private:
  ErrorCode code_;
  int sqlite_code_;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_ERROR_H_

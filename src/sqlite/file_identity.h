// What a database file is, found out without changing one byte of it.
#ifndef PROGRESS_TRACKER_SRC_SQLITE_FILE_IDENTITY_H_
#define PROGRESS_TRACKER_SRC_SQLITE_FILE_IDENTITY_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace progress_tracker::sqlite {

// `path` made absolute, with its symbolic links followed: the one name under which the file and
// its side files are used. The file need not exist. Throws Error kInvalidArgument for an empty
// path and for ":memory:", kIo if the system refuses.
std::string canonical_path(const std::filesystem::path& path);

// Which file a path leads to; nullopt: none.
struct FileId {
  std::uint64_t device{0};
  std::uint64_t inode{0};
  bool operator==(const FileId&) const = default;
};
std::optional<FileId> file_id(const std::string& path);

// The directory that the file is in, or, if that is still to be made, the nearest one above it that
// is there or cannot be examined.
std::filesystem::path nearest_directory(const std::string& path);

// Refuses a place where SQLite's locks or shared memory would not be shared by all who use the
// file. For a file: not a regular one (kNotADatabase), several hard links, a mount point of its
// own; for both, a network file system (kUnsupportedFilesystem). Where the file's directory is not
// there, the nearest one decides, below which it will be made. Returns a warning, or "".
std::string check_place(const std::string& path);

// Whether the file is what a death or a power loss has left of the very first transaction in it:
// beside it lies a rollback journal that says that there was nothing before. SQLite makes the file
// empty at the first read, whatever is in it. Reads the journal only.
bool creation_was_cut_off(const std::string& path);

// What the first 100 bytes of an SQLite file say.
struct Header {
  std::uint32_t application_id{0};
  std::uint32_t user_version{0};
  bool is_wal{false};  // in WAL mode
};

// Reads the header through SQLite, because opening and closing the file ourselves would drop the
// locks that SQLite holds in this process. nullopt: the file is empty. Throws Error kNotADatabase,
// kIo.
std::optional<Header> read_header(const std::string& path);

}  // namespace progress_tracker::sqlite

#endif  // PROGRESS_TRACKER_SRC_SQLITE_FILE_IDENTITY_H_

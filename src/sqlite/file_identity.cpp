#include "sqlite/file_identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>

#include "progress_tracker/error.h"
#include "sqlite/connection.h"
#include "sqlite/transaction.h"

namespace progress_tracker::sqlite {
namespace {

constexpr std::size_t kHeaderBytes = 100;
constexpr std::string_view kMagic{"SQLite format 3\0", 16};

[[noreturn]] void refuse(ErrorCode code, const std::string& path, const std::string& cause) {
  throw Error(code, "open: " + path + ": " + cause);
}

struct FilesystemName {
  std::uint32_t magic;
  std::string_view name;
};

// File systems whose locks or shared memory other machines do not share, by the f_type of
// statfs(2); the numbers are from linux/magic.h and the file systems' own sources.
constexpr auto kNetworkFilesystems = std::to_array<FilesystemName>({
    {0x6969, "NFS"},
    {0x517B, "SMB"},
    {0xFF534D42, "CIFS"},
    {0xFE534D42, "SMB2"},
    {0x01021997, "9p"},
    {0x5346414F, "AFS"},
    {0x6B414653, "AFS"},
    {0x73757245, "Coda"},
    {0x00C36400, "Ceph"},
    {0x0BD00BD0, "Lustre"},
    {0x47504653, "GPFS"},
    {0x19830326, "BeeGFS"},
    {0xAAD7AAEA, "PanFS"},
    {0x564C, "NCP"},
    {0x786F4256, "vboxsf"},
    {0xBACBACBC, "vmhgfs"},
});
constexpr std::uint32_t kFuse = 0x65735546;

// FUSE says its name only in mountinfo. These keep their locks on one machine.
constexpr auto kLocalFuse =
    std::to_array<std::string_view>({"fuseblk", "fuse.ntfs-3g", "fuse.fuse-overlayfs",
                                     "fuse.gocryptfs", "fuse.encfs", "fuse.bindfs"});
constexpr auto kNetworkFuse = std::to_array<std::string_view>(
    {"virtiofs",         "fuse.sshfs",    "fuse.s3fs",      "fuse.gcsfuse",  "fuse.rclone",
     "fuse.glusterfs",   "fuse.ceph",     "fuse.ceph-fuse", "fuse.juicefs",  "fuse.JuiceFS",
     "fuse.davfs2",      "fuse.cifs",     "fuse.moosefs",   "fuse.mfs",      "fuse.lizardfs",
     "fuse.goofys",      "fuse.blobfuse", "fuse.blobfuse2", "fuse.grpcfuse", "fuse.osxfs",
     "fuse.vmhgfs-fuse", "fuse.prl_fs"});

// The type that mountinfo (proc(5)) gives for a device; "" if it has none.
std::string mounted_type(dev_t device) {
  std::ifstream mounts("/proc/self/mountinfo");
  const std::string wanted = std::to_string(major(device)) + ":" + std::to_string(minor(device));
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string mount_id;
    std::string parent;
    std::string numbers;
    fields >> mount_id >> parent >> numbers;
    const auto separator = line.find(" - ");
    if (numbers == wanted && separator != std::string::npos) {
      std::istringstream rest(line.substr(separator + 3));
      std::string type;
      rest >> type;
      return type;
    }
  }
  return {};
}

std::string check_filesystem(const std::string& path, const std::string& directory) {
  struct statfs info {};
  if (::statfs(directory.c_str(), &info) != 0) {
    refuse(ErrorCode::kIo, path,
           std::string("cannot examine its file system: ") + std::strerror(errno));
  }
  const auto magic = static_cast<std::uint32_t>(info.f_type);
  const auto* const network = std::find_if(kNetworkFilesystems.begin(), kNetworkFilesystems.end(),
                                           [&](const auto& each) { return each.magic == magic; });
  if (network != kNetworkFilesystems.end()) {
    refuse(ErrorCode::kUnsupportedFilesystem, path,
           std::string(network->name) + " does not share locks: use a local disk");
  }
  if (magic != kFuse) {
    return {};
  }
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) {
    refuse(ErrorCode::kIo, path, std::strerror(errno));
  }
  const std::string type = mounted_type(status.st_dev);
  const auto is_type = [&](std::string_view each) { return each == type; };
  if (std::any_of(kNetworkFuse.begin(), kNetworkFuse.end(), is_type)) {
    refuse(ErrorCode::kUnsupportedFilesystem, path,
           type + " does not share locks: use a local disk");
  }
  if (std::any_of(kLocalFuse.begin(), kLocalFuse.end(), is_type)) {
    return {};
  }
  return "open: " + path + ": on a FUSE file system of unknown kind (" +
         (type.empty() ? "unnamed" : type) + "): if its locks are not shared, data will be lost";
}

std::uint32_t big_endian(const std::array<unsigned char, kHeaderBytes>& header, std::size_t at) {
  return (std::uint32_t{header.at(at)} << 24U) | (std::uint32_t{header.at(at + 1)} << 16U) |
         (std::uint32_t{header.at(at + 2)} << 8U) | std::uint32_t{header.at(at + 3)};
}

}  // namespace

std::string canonical_path(const std::filesystem::path& path) {
  if (path.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "open: the path of the database is empty");
  }
  if (path == ":memory:") {
    throw Error(ErrorCode::kInvalidArgument,
                "open: :memory: would be another database in each thread; use InMemoryTracker");
  }
  if (path.native().find('\0') != std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument, "open: the path of the database contains a NUL");
  }
  if (!path.has_filename()) {
    throw Error(ErrorCode::kNotADatabase, "open: " + path.native() + ": is a directory");
  }
  std::error_code error;
  auto canonical = std::filesystem::absolute(path, error);
  // A link whose target does not exist yet is followed too: SQLite would make the target.
  constexpr int kMostLinks = 40;  // as the kernel
  for (int links = 0; !error; ++links) {
    // Follows links in whatever part of it exists.
    canonical = std::filesystem::weakly_canonical(canonical, error);
    if (error || !std::filesystem::is_symlink(std::filesystem::symlink_status(canonical, error))) {
      break;
    }
    if (links == kMostLinks) {
      error = std::make_error_code(std::errc::too_many_symbolic_link_levels);
      break;
    }
    canonical = canonical.parent_path() / std::filesystem::read_symlink(canonical, error);
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    refuse(ErrorCode::kIo, path.native(), error.message());
  }
  return canonical.native();
}

std::optional<FileId> file_id(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return std::nullopt;
  }
  return FileId{.device = info.st_dev, .inode = info.st_ino};
}

std::filesystem::path nearest_directory(const std::string& path) {
  auto directory = std::filesystem::path(path).parent_path();
  std::error_code error;
  while (!std::filesystem::exists(directory, error) && !error) {
    directory = directory.parent_path();
  }
  return directory;
}

std::string check_place(const std::string& path) {
  struct statx info {};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_TYPE | STATX_NLINK, &info) == 0) {
    if (!S_ISREG(info.stx_mode)) {
      refuse(ErrorCode::kNotADatabase, path, "not a regular file");
    }
    if (info.stx_nlink > 1) {
      refuse(ErrorCode::kUnsupportedFilesystem, path,
             "has several hard links, and under each name SQLite would use other side files");
    }
    if ((info.stx_attributes_mask & info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0) {
      refuse(
          ErrorCode::kUnsupportedFilesystem, path,
          "is a mount point by itself, so its side files would not be shared: mount its directory");
    }
  } else if (errno != ENOENT) {
    refuse(ErrorCode::kIo, path, std::strerror(errno));
  }
  return check_filesystem(path, nearest_directory(path).native());
}

bool creation_was_cut_off(const std::string& path) {
  // The journal's format: sqlite.org/fileformat2.html, "The Rollback Journal".
  constexpr std::array<char, 8> kMagic{'\xd9', '\xd5', '\x05', '\xf9',
                                       '\x20', '\xa1', '\x63', '\xd7'};
  constexpr std::size_t kPagesBeforeAt = 16;
  const std::string journal = path + "-journal";
  struct stat info {};
  if (::stat(journal.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return false;
  }
  std::array<char, kPagesBeforeAt + 4> header{};
  std::ifstream(journal, std::ios::binary).read(header.data(), header.size());
  const auto* const pages_before = header.cbegin() + kPagesBeforeAt;
  return std::equal(kMagic.begin(), kMagic.end(), header.begin()) &&
         std::all_of(pages_before, header.cend(), [](char byte) { return byte == 0; });
}

std::optional<Header> read_header(const std::string& path) {
  // Not SQLite's xFileSize, which takes a file of one byte for an empty one.
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    refuse(ErrorCode::kIo, path, std::strerror(errno));
  }
  if (info.st_size == 0) {
    return std::nullopt;
  }
  constexpr off_t kSmallestPage = 512;
  if (info.st_size < kSmallestPage) {
    refuse(ErrorCode::kNotADatabase, path, "not an SQLite file");
  }
  try {
    const Connection connection(path, OpenMode::kReadOnly);
    sqlite3_file* file = nullptr;
    sqlite3_file_control(connection.handle(), "main", SQLITE_FCNTL_FILE_POINTER,
                         static_cast<void*>(&file));
    const bool is_open = file != nullptr && file->pMethods != nullptr;
    std::array<unsigned char, kHeaderBytes> header{};
    const int code =
        is_open ? file->pMethods->xRead(file, header.data(), kHeaderBytes, 0) : SQLITE_CANTOPEN;
    if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) {
      refuse(ErrorCode::kIo, path, sqlite3_errstr(code));
    }
    if (!std::equal(kMagic.begin(), kMagic.end(), header.begin(),
                    [](char a, unsigned char b) { return static_cast<unsigned char>(a) == b; })) {
      refuse(ErrorCode::kNotADatabase, path, "not an SQLite file");
    }
    constexpr std::size_t kReadVersionAt = 19;
    constexpr unsigned char kWal = 2;
    return Header{.application_id = big_endian(header, 68),
                  .user_version = big_endian(header, 60),
                  .is_wal = header.at(kReadVersionAt) == kWal};
  } catch (const Failure& failure) {
    throw to_error("open", path, failure);
  }
}

}  // namespace progress_tracker::sqlite

#include "cli/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <random>
#include <streambuf>
#include <string_view>
#include <system_error>

#include "cli/descriptor.h"
#include "cli/output.h"

namespace progress_tracker::cli {
namespace {

namespace fs = std::filesystem;

// Writes to a descriptor, and remembers why it could not.
class DescriptorBuffer : public std::streambuf {
 public:
  explicit DescriptorBuffer(int descriptor) : descriptor_(descriptor) {
    setp(buffer_.data(), buffer_.data() + buffer_.size());
  }
  int error() const { return error_; }

 protected:
  int_type overflow(int_type c) override {
    if (sync() != 0) return traits_type::eof();
    if (!traits_type::eq_int_type(c, traits_type::eof())) {
      *pptr() = traits_type::to_char_type(c);
      pbump(1);
    }
    return traits_type::not_eof(c);
  }
  int sync() override {
    for (const char* at = pbase(); at != pptr();) {
      const ssize_t count = ::write(descriptor_, at, static_cast<std::size_t>(pptr() - at));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) {
        error_ = errno;
        return -1;
      }
      at += count;
    }
    setp(buffer_.data(), buffer_.data() + buffer_.size());
    return 0;
  }

 private:
  const int descriptor_;
  int error_ = 0;
  std::array<char, 1 << 16> buffer_{};
};

[[noreturn]] void fail(const fs::path& path, int error) {
  throw std::system_error(error, std::generic_category(), display(path.native()));
}

std::string new_name() {
  std::random_device random;
  return ".progress-tracker-" + std::to_string(random()) + std::to_string(random());
}

// A new file beside `target`, which it will replace. `path`: as it is called in messages.
class NewFile {
 public:
  NewFile(const fs::path& path, const fs::path& target)
      : path_(path), target_(target), name_(target.parent_path() / new_name()) {
    if (!target.has_filename()) fail(path_, ENOENT);
    // As any program would make it, or no more open than the file that is replaced. Not by way of
    // umask(), which would change it for the commands that are started meanwhile.
    struct stat replaced {};
    is_replacing_ = stat(target_.c_str(), &replaced) == 0;
    mode_ = is_replacing_ ? replaced.st_mode & 0777U : 0666U;
    descriptor_ = Descriptor(open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_));
    if (descriptor_.get() < 0) fail(path_, errno);
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    if (!is_named_) unlink(name_.c_str());
  }

  int descriptor() const { return descriptor_.get(); }

  void take_the_name() {
    if (is_replacing_ && fchmod(descriptor_.get(), mode_) != 0) fail(path_, errno);
    if (fsync(descriptor_.get()) != 0) fail(path_, errno);  // before its name is a promise
    if (rename(name_.c_str(), target_.c_str()) != 0) fail(path_, errno);
    is_named_ = true;
  }

 private:
  const fs::path& path_;
  const fs::path& target_;
  const fs::path name_;
  Descriptor descriptor_;
  bool is_replacing_ = false;
  mode_t mode_ = 0;
  bool is_named_ = false;
};

// Throws std::system_error if not all of it can be written.
void fill(int descriptor, const fs::path& path, const std::function<void(std::ostream&)>& write) {
  DescriptorBuffer buffer(descriptor);
  std::ostream out(&buffer);
  write(out);
  out.flush();
  if (!out) fail(path, buffer.error() != 0 ? buffer.error() : EIO);
}

// Where a link leads, also if nothing is there yet, so that the file is replaced and not the link.
fs::path target_of(const fs::path& path) {
  constexpr int kMostLinks = 40;  // as many as Linux follows
  fs::path target = path;
  std::error_code error;
  for (int links = 0; fs::is_symlink(target, error); ++links) {
    if (links == kMostLinks) fail(path, ELOOP);
    target = target.parent_path() / fs::read_symlink(target, error);
  }
  return target;
}

// The descriptor that a name such as /dev/fd/3 stands for: behind it may be a file that is appended
// to, which must not be replaced.
std::optional<int> descriptor_named(std::string_view path) {
  if (path == "/dev/stderr") return STDERR_FILENO;
  for (const std::string_view directory : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!path.starts_with(directory)) continue;
    int number = -1;
    const char* end = path.data() + path.size();
    const auto [stopped, error] = std::from_chars(path.data() + directory.size(), end, number);
    if (error == std::errc() && stopped == end) return number;
  }
  return std::nullopt;
}

}  // namespace

void write_file_atomically(const fs::path& path, const std::function<void(std::ostream&)>& write) {
  const fs::path target = target_of(path);
  std::error_code unknown;
  const fs::file_status status = fs::status(target, unknown);
  if (fs::is_directory(status)) fail(path, EISDIR);
  // Who may do anything would put a file in place of a device.
  if (fs::is_other(status)) {
    throw std::system_error(ENOTSUP, std::generic_category(),
                            display(path.native()) + ": not a regular file");
  }
  NewFile file(path, target);
  fill(file.descriptor(), path, write);
  file.take_the_name();
}

void write_output(const std::string& option, const std::string& path, std::ostream& standard_output,
                  const std::function<void(std::ostream&)>& write) {
  if (path == "-" || path == "/dev/stdout") {
    write(standard_output);
    return;
  }
  std::error_code unknown;
  try {
    if (const auto open_already = descriptor_named(path)) {
      const Descriptor copy(fcntl(*open_already, F_DUPFD_CLOEXEC, 0));
      if (copy.get() < 0) fail(path, errno);
      fill(copy.get(), path, write);
      return;
    }
    // A device or a pipe is written to, and not replaced.
    if (fs::is_other(fs::status(path, unknown))) {
      const Descriptor device(open(path.c_str(), O_WRONLY | O_CLOEXEC));
      if (device.get() < 0) fail(path, errno);
      fill(device.get(), path, write);
    } else {
      write_file_atomically(path, write);
    }
  } catch (const std::system_error& error) {
    throw UsageError(option + ' ' + error.what());
  }
}

}  // namespace progress_tracker::cli

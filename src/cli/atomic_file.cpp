#include "cli/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <streambuf>
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

// A new file beside the one that it will replace.
class NewFile {
 public:
  explicit NewFile(const fs::path& path) : path_(path), name_(path.native() + ".XXXXXX") {
    descriptor_ = Descriptor(mkostemp(name_.data(), O_CLOEXEC));
    if (descriptor_.get() < 0) fail(path_, errno);
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    if (!is_named_) unlink(name_.c_str());
  }

  int descriptor() const { return descriptor_.get(); }

  void take_the_name() {
    // As open() would have made it, or as the file was that is replaced.
    struct stat replaced {};
    const mode_t mask = umask(0);
    umask(mask);
    const mode_t mode =
        stat(path_.c_str(), &replaced) == 0 ? replaced.st_mode & 0777U : 0666U & ~mask;
    if (fchmod(descriptor_.get(), mode) != 0) fail(path_, errno);
    if (rename(name_.c_str(), path_.c_str()) != 0) fail(path_, errno);
    is_named_ = true;
  }

 private:
  const fs::path& path_;
  std::string name_;
  Descriptor descriptor_;
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

// Where a link leads, so that the file is replaced and not the link.
fs::path target_of(const fs::path& path) {
  std::error_code error;
  fs::path target = fs::canonical(path, error);
  return error ? path : target;
}

}  // namespace

void write_file_atomically(const fs::path& path, const std::function<void(std::ostream&)>& write) {
  const fs::path target = target_of(path);
  std::error_code unknown;
  if (fs::is_directory(target, unknown)) fail(path, EISDIR);
  NewFile file(target);
  fill(file.descriptor(), path, write);
  file.take_the_name();
}

void write_output(const std::string& option, const std::string& path, std::ostream& standard_output,
                  const std::function<void(std::ostream&)>& write) {
  if (path == "-") {
    write(standard_output);
    return;
  }
  std::error_code unknown;
  // A device or a pipe is written to, and not replaced.
  const auto type = fs::status(path, unknown).type();
  const bool is_special = type == fs::file_type::character || type == fs::file_type::fifo;
  try {
    if (is_special) {
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

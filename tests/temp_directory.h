// Directories of a test's own.
#ifndef PROGRESS_TRACKER_TESTS_TEMP_DIRECTORY_H_
#define PROGRESS_TRACKER_TESTS_TEMP_DIRECTORY_H_

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace progress_tracker::test {

// A new directory, removed with all that is in it.
class TempDirectory {
 public:
  TempDirectory() : TempDirectory(std::filesystem::temp_directory_path()) {}
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }
  std::filesystem::path database() const { return path_ / "jobs.db"; }

 protected:
  explicit TempDirectory(const std::filesystem::path& parent) {
    std::string name = parent / "progress_tracker_XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), "mkdtemp");
    }
    path_ = std::filesystem::canonical(name);
  }

 private:
  std::filesystem::path path_;
};

// In memory where the machine has a place for that, as some tests write a million files; else
// where temporary files are.
class MemoryDirectory : public TempDirectory {
 public:
  MemoryDirectory() : TempDirectory(place()) {}

 private:
  static std::filesystem::path place() {
    const std::filesystem::path memory = "/dev/shm";
    const bool usable = ::access(memory.c_str(), W_OK | X_OK) == 0;
    return usable ? memory : std::filesystem::temp_directory_path();
  }
};

}  // namespace progress_tracker::test

#endif  // PROGRESS_TRACKER_TESTS_TEMP_DIRECTORY_H_

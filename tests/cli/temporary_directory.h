// A directory of a test's own, gone with it.
#ifndef PROGRESS_TRACKER_TESTS_CLI_TEMPORARY_DIRECTORY_H_
#define PROGRESS_TRACKER_TESTS_CLI_TEMPORARY_DIRECTORY_H_

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace progress_tracker::cli {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name =
        (std::filesystem::temp_directory_path() / "progress-tracker-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

  // Makes a file, and the directories it needs.
  std::filesystem::path make_file(const std::filesystem::path& name, const std::string& text = {}) {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_TESTS_CLI_TEMPORARY_DIRECTORY_H_

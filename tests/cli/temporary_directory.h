// A directory of a test's own, with files for it.
#ifndef PROGRESS_TRACKER_TESTS_CLI_TEMPORARY_DIRECTORY_H_
#define PROGRESS_TRACKER_TESTS_CLI_TEMPORARY_DIRECTORY_H_

#include <filesystem>
#include <fstream>
#include <string>

#include "temp_directory.h"

namespace progress_tracker::cli {

class TemporaryDirectory : public test::TempDirectory {
 public:
  // Makes a file, and the directories it needs.
  std::filesystem::path make_file(const std::filesystem::path& name, const std::string& text = {}) {
    const std::filesystem::path file = path() / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_TESTS_CLI_TEMPORARY_DIRECTORY_H_

// Where a run's images come from, as the command line has it.
#ifndef PROGRESS_TRACKER_CLI_IMAGE_SOURCE_H_
#define PROGRESS_TRACKER_CLI_IMAGE_SOURCE_H_

#include <filesystem>
#include <fstream>
#include <functional>
#include <istream>
#include <string>

#include "cli/image_list.h"
#include "cli/settings.h"

namespace progress_tracker::cli {

class ImageSource {
 public:
  using Note = std::function<void(const std::string&)>;

  // Throws UsageError if the directory or the list cannot be opened.
  ImageSource(const RunSettings& settings, std::istream& standard_input);

  // Whether there is one: if not, the images are those that the job has.
  bool is_given() const { return !name().empty(); }

  // Whether one path can come twice.
  bool may_repeat() const { return settings_.images.empty(); }

  // As it was typed.
  const std::string& name() const {
    return settings_.images.empty() ? settings_.from : settings_.images;
  }

  // Hands the images on as scan_images() and read_image_list() do. Call it once. `note` gets what
  // the user should know about what was left out.
  void read(const PieceSink& sink, const Note& note);

 private:
  const RunSettings& settings_;
  std::istream& standard_input_;
  std::ifstream list_;
};

// Whether an image of a directory is in error by itself, without its command: its file is gone.
bool is_gone(const std::filesystem::path& path);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_IMAGE_SOURCE_H_

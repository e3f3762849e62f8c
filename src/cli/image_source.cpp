#include "cli/image_source.h"

#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "cli/output.h"

namespace progress_tracker::cli {
namespace {

SplitOf split_rule(const RunSettings& settings) {
  if (settings.split_pattern) {
    return [&settings](std::string_view path) {
      return split_of_pattern(*settings.split_pattern, path);
    };
  }
  return settings.images.empty() ? SplitOf() : split_of_first_folder;
}

}  // namespace

ImageSource::ImageSource(const RunSettings& settings, std::istream& standard_input)
    : settings_(settings), standard_input_(standard_input) {
  if (!settings.images.empty()) check_directory(settings.images);
  if (settings.from.empty() || settings.from == "-") return;
  list_.open(settings.from, std::ios::binary);
  std::error_code unknown;
  if (!list_ || std::filesystem::is_directory(settings.from, unknown)) {
    const int error = list_ ? EISDIR : errno;
    throw UsageError("--from " + display(settings.from) + ": " +
                     std::generic_category().message(error));
  }
}

void ImageSource::read(const PieceSink& sink, const Note& note) {
  const SplitOf split_of = split_rule(settings_);
  std::size_t found = 0;
  const PieceSink counting = [&](const ImagePiece& piece) {
    found += piece.paths.size();
    sink(piece);
  };
  if (!settings_.images.empty()) {
    const std::size_t unreadable =
        scan_images(settings_.images, settings_.extensions, split_of, counting, note);
    if (unreadable > 0) {
      note(counted(static_cast<long long>(unreadable), "directory", "directories") +
           " left out: what they hold is not part of the job");
    }
  } else {
    read_image_list(list_.is_open() ? list_ : standard_input_, settings_.from, settings_.separator,
                    split_of, counting);
    list_.close();  // or the commands would have it too
  }
  if (found == 0) {
    note("no image found in " + display(name()) + ": going on with those the job has");
  }
}

bool is_gone(const std::filesystem::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

}  // namespace progress_tracker::cli

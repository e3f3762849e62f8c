// Where the images of a run come from: a directory, or a list of paths. Either is handed on in
// pieces, so that its length does not matter.
#ifndef PROGRESS_TRACKER_CLI_IMAGE_LIST_H_
#define PROGRESS_TRACKER_CLI_IMAGE_LIST_H_

#include <cstddef>
#include <filesystem>
#include <functional>
#include <istream>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace progress_tracker::cli {

struct ImagePiece {
  std::vector<std::filesystem::path> paths;
  std::vector<std::string> splits;  // one for each path, or none
};

inline constexpr std::size_t kImagesPerPiece = 20'000;

// Called for each piece, and at least once: with an empty piece if there is no image.
using PieceSink = std::function<void(const ImagePiece&)>;

// The image extensions looked for unless --ext says otherwise: lower case, without the dot.
const std::vector<std::string>& default_extensions();

// "jpg, .PNG" as {"jpg", "png"}. Throws UsageError if the list or one entry is empty.
std::vector<std::string> parse_extensions(std::string_view list);

// The split of an image, from its path below the directory or as it is in the list; escaped where
// the library would not take the name.
using SplitOf = std::function<std::string(std::string_view path)>;

// The first folder level.
std::string split_of_first_folder(std::string_view path);

// What `pattern` finds first: its first group, or all of it if it has none. Empty if it finds
// nothing. Throws UsageError if the pattern is too much for the path, or the path longer than
// PATH_MAX.
std::string split_of_pattern(const std::regex& pattern, std::string_view path);

// Throws UsageError if the directory cannot be read.
void check_directory(const std::filesystem::path& directory);

// The files below `directory` that have one of the extensions, in any case, in byte order of their
// paths. A path is `directory`, its trailing slashes apart, joined with what is below.
//
// A link to a file counts as a file, also when it leads nowhere. A link to a directory is followed
// if it leads out of `directory`; no directory is entered twice, so a loop ends. A directory that
// cannot be read is told to `complain` and left out; returns how many those were.
//
// Throws UsageError as check_directory() does.
std::size_t scan_images(const std::filesystem::path& directory,
                        const std::vector<std::string>& extensions, const SplitOf& split_of,
                        const PieceSink& sink,
                        const std::function<void(const std::string&)>& complain,
                        std::size_t piece_size = kImagesPerPiece);

// The paths in `list`, each ended by `separator` (the last one's may be missing). Empty entries
// are skipped; all else is taken as it is, byte for byte. Without `split_of` no split is given.
//
// Throws UsageError if the list cannot be read, or holds a NUL where lines were expected. `name` is
// what the list is called in the message.
void read_image_list(std::istream& list, const std::string& name, char separator,
                     const SplitOf& split_of, const PieceSink& sink,
                     std::size_t piece_size = kImagesPerPiece);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_IMAGE_LIST_H_

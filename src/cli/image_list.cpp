#include "cli/image_list.h"

#include <sys/stat.h>

#include <algorithm>
#include <climits>
#include <set>
#include <system_error>
#include <utility>

#include "cli/output.h"
#include "progress_tracker/rules.h"

namespace progress_tracker::cli {
namespace {

namespace fs = std::filesystem;

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = to_lower(c);
  return lower;
}

[[noreturn]] void refuse_directory(const fs::path& directory, std::error_code error) {
  throw UsageError("--images " + display(directory.native()) + ": " + error.message());
}

// Collects images and hands them on a piece at a time.
class Pieces {
 public:
  Pieces(const PieceSink& sink, std::size_t size) : sink_(sink), size_(size) {}

  void add(fs::path path) {
    piece_.paths.push_back(std::move(path));
    if (piece_.paths.size() >= size_) flush();
  }

  void add(fs::path path, const std::string& split) {
    piece_.splits.push_back(split);
    add(std::move(path));
  }

  void finish() {
    if (!piece_.paths.empty() || !flushed_) flush();
  }

 private:
  void flush() {
    sink_(piece_);
    piece_.paths.clear();
    piece_.splits.clear();
    flushed_ = true;
  }

  const PieceSink& sink_;
  std::size_t size_;
  ImagePiece piece_;
  bool flushed_ = false;
};

class Scan {
 public:
  Scan(const fs::path& root, const std::vector<std::string>& extensions, const SplitOf& split_of,
       Pieces& pieces, const std::function<void(const std::string&)>& complain)
      : root_(root),
        extensions_(extensions),
        split_of_(split_of),
        pieces_(pieces),
        complain_(complain) {}

  std::size_t run() {
    std::error_code error;
    canonical_root_ = fs::canonical(root_, error);
    std::vector<Entry> entries;
    if (!error) entries = read_directory(root_, error);
    if (error) refuse_directory(root_, error);
    remember(root_);
    for (const Entry& entry : entries) visit(root_ / entry.name(), entry);
    return unreadable_;
  }

 private:
  // Sorting directories as if their names ended in '/' puts whole paths into byte order.
  struct Entry {
    std::string key;
    bool is_link;

    bool is_directory() const { return key.back() == '/'; }
    std::string_view name() const {
      return std::string_view(key).substr(0, key.size() - (is_directory() ? 1 : 0));
    }
  };

  std::vector<Entry> read_directory(const fs::path& directory, std::error_code& error) const {
    std::vector<Entry> entries;
    fs::directory_iterator each(directory, error);
    for (; !error && each != fs::directory_iterator(); each.increment(error)) {
      std::string name = each->path().filename().native();
      std::error_code unknown;  // a status that cannot be had is none
      const bool is_link = each->is_symlink(unknown);
      if (each->is_directory(unknown)) {
        entries.push_back({name + '/', is_link});
      } else if (has_wanted_extension(name) && (is_link || each->is_regular_file(unknown))) {
        entries.push_back({std::move(name), is_link});
      }
    }
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.key < b.key; });
    return entries;
  }

  bool has_wanted_extension(std::string_view name) const {
    const std::string lower = to_lower(name);
    return std::any_of(extensions_.begin(), extensions_.end(), [&](const std::string& extension) {
      return lower.size() > extension.size() + 1 && lower.ends_with('.' + extension);
    });
  }

  void visit(const fs::path& path, const Entry& entry) {
    if (!entry.is_directory()) {
      pieces_.add(path, split_of_(below_root(path)));
      return;
    }
    if (!enter(path, entry.is_link)) return;
    std::error_code error;
    const std::vector<Entry> entries = read_directory(path, error);
    if (error) {
      ++unreadable_;
      complain_(display(path.native()) + ": cannot be read and is left out: " + error.message());
      return;
    }
    for (const Entry& each : entries) visit(path / each.name(), each);
  }

  std::string_view below_root(const fs::path& path) const {
    const std::string& root = root_.native();
    return std::string_view(path.native()).substr(root.size() + (root.back() == '/' ? 0 : 1));
  }

  // Whether the directory is to be read: by its own name inside the root, and once outside of it.
  bool enter(const fs::path& path, bool is_link) {
    if (is_link) {
      std::error_code error;
      const fs::path target = fs::canonical(path, error);
      if (error || is_within_root(target)) return false;
      outside_ = true;
    }
    return !outside_ || remember(path);
  }

  // False: it was entered before.
  bool remember(const fs::path& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return true;  // reading it will tell why
    return entered_.emplace(status.st_dev, status.st_ino).second;
  }

  bool is_within_root(const fs::path& target) const {
    const auto [end, unused] =
        std::mismatch(canonical_root_.begin(), canonical_root_.end(), target.begin(), target.end());
    return end == canonical_root_.end();
  }

  const fs::path& root_;
  const std::vector<std::string>& extensions_;
  const SplitOf& split_of_;
  Pieces& pieces_;
  const std::function<void(const std::string&)>& complain_;
  fs::path canonical_root_;
  bool outside_ = false;  // a link was followed: from now on remember what is entered
  std::set<std::pair<dev_t, ino_t>> entered_;
  std::size_t unreadable_ = 0;
};

}  // namespace

const std::vector<std::string>& default_extensions() {
  static const std::vector<std::string> extensions{"jpg",  "jpeg", "png", "tif",
                                                   "tiff", "webp", "bmp", "gif"};
  return extensions;
}

std::vector<std::string> parse_extensions(std::string_view list) {
  std::vector<std::string> extensions;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    std::string_view entry = list.substr(begin, end - begin);
    while (!entry.empty() && entry.front() == ' ') entry.remove_prefix(1);
    while (!entry.empty() && entry.back() == ' ') entry.remove_suffix(1);
    if (!entry.empty() && entry.front() == '.') entry.remove_prefix(1);
    if (entry.empty()) throw UsageError("--ext: an extension is missing: say --ext jpg,png");
    extensions.push_back(to_lower(entry));
    begin = end + 1;
  }
  return extensions;
}

std::string split_of_first_folder(std::string_view path) {
  const std::size_t end = path.find('/');
  return end == std::string_view::npos ? std::string() : escape_for_display(path.substr(0, end));
}

std::string split_of_pattern(const std::regex& pattern, std::string_view path) {
  constexpr std::size_t kShownBytes = 200;
  const auto refuse = [&](const std::string& why) {
    throw UsageError("--split-pattern: " + display_cut(path, kShownBytes) + ": " + why);
  };
  // The search takes stack for each byte.
  if (path.size() > PATH_MAX) refuse("the path is too long for a pattern");
  std::cmatch found;
  try {
    if (!std::regex_search(path.data(), path.data() + path.size(), found, pattern)) return {};
  } catch (const std::regex_error& error) {
    refuse(error.what());
  }
  return escape_for_display((found.size() > 1 ? found[1] : found[0]).str());
}

void check_directory(const fs::path& directory) {
  std::error_code error;
  const fs::directory_iterator unused(directory, error);
  if (error) refuse_directory(directory, error);
}

std::size_t scan_images(const fs::path& directory, const std::vector<std::string>& extensions,
                        const SplitOf& split_of, const PieceSink& sink,
                        const std::function<void(const std::string&)>& complain,
                        std::size_t piece_size) {
  std::string root = directory.native();
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  const fs::path root_path(std::move(root));
  Pieces pieces(sink, piece_size);
  const std::size_t unreadable = Scan(root_path, extensions, split_of, pieces, complain).run();
  pieces.finish();
  return unreadable;
}

void read_image_list(std::istream& list, const std::string& name, char separator,
                     const SplitOf& split_of, const PieceSink& sink, std::size_t piece_size) {
  Pieces pieces(sink, piece_size);
  std::string entry;
  while (std::getline(list, entry, separator)) {
    if (entry.empty()) continue;
    if (entry.find('\0') != std::string::npos) {
      throw UsageError("--from " + display(name) +
                       ": a NUL where lines were expected: give -0 if NULs end the paths");
    }
    if (split_of) {
      pieces.add(fs::path(entry), split_of(entry));
    } else {
      pieces.add(fs::path(entry));
    }
  }
  if (list.bad()) throw UsageError("--from " + display(name) + ": cannot be read");
  pieces.finish();
}

}  // namespace progress_tracker::cli

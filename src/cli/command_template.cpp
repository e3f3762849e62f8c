#include "cli/command_template.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace progress_tracker::cli {
namespace {

std::string_view base_name(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// Cuts the last dot of the last component and what follows it, if something does.
std::string_view without_extension(std::string_view path) {
  const auto dot = path.rfind('.');
  const auto slash = path.rfind('/');
  if (dot == std::string_view::npos || dot + 1 == path.size()) return path;
  if (slash != std::string_view::npos && dot < slash) return path;
  return path.substr(0, dot);
}

std::string_view without_trailing_slashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

std::string_view directory_name(std::string_view path) {
  path = without_trailing_slashes(path);
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return without_trailing_slashes(path.substr(0, slash + 1));
}

std::string_view whole_path(std::string_view path) { return path; }

std::string_view bare_name(std::string_view path) { return without_extension(base_name(path)); }

struct Replacement {
  std::string_view mark;
  std::string_view (*part_of)(std::string_view path);
};

constexpr std::array<Replacement, 5> kReplacements{{
    {"{}", whole_path},
    {"{.}", without_extension},
    {"{/}", base_name},
    {"{/.}", bare_name},
    {"{//}", directory_name},
}};

const Replacement* replacement_at(std::string_view text) {
  const auto* found =
      std::find_if(kReplacements.begin(), kReplacements.end(),
                   [&](const Replacement& each) { return text.starts_with(each.mark); });
  return found == kReplacements.end() ? nullptr : found;
}

bool has_replacement(std::string_view word) {
  for (auto at = word.find('{'); at != std::string_view::npos; at = word.find('{', at + 1)) {
    if (replacement_at(word.substr(at)) != nullptr) return true;
  }
  return false;
}

std::string expand_word(std::string_view word, std::string_view path) {
  std::string expanded;
  while (!word.empty()) {
    if (const Replacement* replacement = replacement_at(word)) {
      expanded += replacement->part_of(path);
      word.remove_prefix(replacement->mark.size());
    } else {
      expanded += word.front();
      word.remove_prefix(1);
    }
  }
  return expanded;
}

// 0, or what stands against running the file.
int why_not_executable(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  if (faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) != 0) return errno;
  return 0;
}

// The first bytes of a file, as many as the kernel looks at; "" if we may run it and not read it.
std::string first_bytes(const std::string& path) {
  std::array<char, 256> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return {};
  const ssize_t count = read(file, bytes.data(), bytes.size());
  close(file);
  return {bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
}

// What will happen to an executable file.
FoundCommand look_into(const std::string& path) {
  const std::string begin = first_bytes(path);
  if (!begin.starts_with("#!")) {
    return {.path = path,
            .for_shell = !begin.empty() && !begin.starts_with("\x7f"
                                                              "ELF")};
  }
  const auto first = begin.find_first_not_of(" \t", 2);
  if (first == std::string::npos || begin[first] == '\n') return {.path = path};
  const std::string interpreter = begin.substr(first, begin.find_first_of(" \t\n", first) - first);
  if (const int error = why_not_executable(interpreter); error != 0) {
    return {.error = error, .missing_interpreter = interpreter};
  }
  return {.path = path};
}

bool is_absent(int error) { return error == ENOENT || error == ENOTDIR; }

std::string default_search_path() {
  std::string path(confstr(_CS_PATH, nullptr, 0), '\0');
  confstr(_CS_PATH, path.data(), path.size());
  if (!path.empty()) path.pop_back();
  return path;
}

}  // namespace

CommandTemplate::CommandTemplate(std::vector<std::string> words)
    : words_(std::move(words)),
      append_path_(std::none_of(words_.begin() + 1, words_.end(), has_replacement)) {}

std::vector<std::string> CommandTemplate::expand(std::string_view path) const {
  std::vector<std::string> expanded{words_.front()};
  expanded.reserve(words_.size() + 1);
  for (auto word = words_.begin() + 1; word != words_.end(); ++word) {
    expanded.push_back(expand_word(*word, path));
  }
  if (append_path_) expanded.emplace_back(path);
  return expanded;
}

FoundCommand find_command(const std::string& command, const char* search_path) {
  if (command.empty()) return {.error = ENOENT};
  if (command.find('/') != std::string::npos) {
    const int error = why_not_executable(command);
    if (error != 0) return {.error = is_absent(error) ? ENOENT : error};
    return look_into(command);
  }

  const std::string search = search_path != nullptr ? search_path : default_search_path();
  int error = ENOENT;
  for (std::size_t begin = 0; begin <= search.size();) {
    const std::size_t end = std::min(search.find(':', begin), search.size());
    const std::string directory = search.substr(begin, end - begin);
    // An empty entry of PATH means the working directory.
    const std::string candidate = (directory.empty() ? "." : directory) + '/' + command;
    const int why_not = why_not_executable(candidate);
    if (why_not == 0) return look_into(candidate);
    // As the shell does, go on past what cannot be run, but remember it. A directory of that name
    // is not a command.
    if (!is_absent(why_not) && why_not != EISDIR) error = why_not;
    begin = end + 1;
  }
  return {.error = error};
}

}  // namespace progress_tracker::cli

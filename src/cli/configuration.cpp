#include "cli/configuration.h"

#include <fcntl.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/descriptor.h"
#include "cli/option_values.h"
#include "progress_tracker/rules.h"

namespace progress_tracker::cli {
namespace {

constexpr Choices<LogLevel, 5> kLogLevels{{{"debug", LogLevel::kDebug},
                                           {"info", LogLevel::kInfo},
                                           {"warn", LogLevel::kWarn},
                                           {"error", LogLevel::kError},
                                           {"off", LogLevel::kOff}}};

constexpr Choices<ProgressMode, 5> kProgressModes{{{"auto", ProgressMode::kAuto},
                                                   {"bar", ProgressMode::kBar},
                                                   {"plain", ProgressMode::kPlain},
                                                   {"json", ProgressMode::kJson},
                                                   {"none", ProgressMode::kNone}}};

constexpr Choices<ColorChoice, 3> kColorChoices{{{"auto", ColorChoice::kAuto},
                                                 {"always", ColorChoice::kAlways},
                                                 {"never", ColorChoice::kNever}}};

template <typename Value, std::size_t N>
const char* name_in(const Choices<Value, N>& choices, Value wanted) {
  for (const auto& [name, value] : choices) {
    if (value == wanted) return name;
  }
  return "";
}

// A value as it was written, and where.
struct Given {
  std::string text;
  std::string origin;
};

// What the file says, by key.
struct FileSettings {
  std::optional<Given> db_path;
  std::optional<Given> checkpoint_interval;
  std::optional<Given> log_file;
  std::optional<Given> log_level;
};

class ConfigFile {
 public:
  explicit ConfigFile(const std::string& path) : path_(path) {}

  FileSettings read() const {
    FileSettings settings;
    const YAML::Node root = load();
    if (root.IsNull()) return settings;
    if (!root.IsMap()) refuse(root.Mark(), "sections were expected, such as `progress:`");
    const YAML::Node progress = section(root);
    for (const auto& entry : progress) take(entry.first, entry.second, settings);
    return settings;
  }

 private:
  YAML::Node load() const {
    const std::string text = read_text();
    // Else yaml-cpp would replace what is not UTF-8, and end at certain control characters.
    if (!is_valid_utf8(text)) refuse("it is not UTF-8");
    if (std::any_of(text.begin(), text.end(), is_control)) refuse("it holds control characters");
    try {
      const std::vector<YAML::Node> documents = YAML::LoadAll(text);
      if (documents.size() > 1) {
        refuse("one document was expected: there are " + std::to_string(documents.size()));
      }
      return documents.empty() ? YAML::Node() : documents.front();
    } catch (const YAML::Exception& error) {
      refuse(error.mark, display(error.msg));
    }
  }

  std::string read_text() const {
    // Not a stream, which takes a directory for an empty file.
    const Descriptor file(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) refuse_file(errno);
    std::string text;
    std::array<char, 1 << 16> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    for (;;) {
      const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
      if (count == 0) return text;
      if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
      if (count < 0 && errno != EINTR) refuse_file(errno);
    }
  }

  [[noreturn]] void refuse_file(int error) const {
    throw UsageError("--config " + display(path_) + ": " + std::generic_category().message(error));
  }

  static bool is_control(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7f;
  }

  YAML::Node section(const YAML::Node& root) const {
    YAML::Node found(YAML::NodeType::Map);
    bool is_found = false;
    for (const auto& entry : root) {
      const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
      // Written like this it would be another key, and be passed over with the other sections.
      if (name.starts_with("progress.")) {
        refuse(entry.first.Mark(),
               "write " + display(name) + " as `progress:` with the rest below it");
      }
      if (name != "progress") continue;
      if (is_found) refuse(entry.first.Mark(), "progress is there twice");
      is_found = true;
      if (entry.second.IsNull()) continue;
      if (!entry.second.IsMap())
        refuse(entry.second.Mark(), "progress: keys were expected below it");
      found = entry.second;
    }
    return found;
  }

  void take(const YAML::Node& key, const YAML::Node& value, FileSettings& settings) const {
    const std::string name = key.IsScalar() ? key.Scalar() : "";
    const std::array<std::pair<const char*, std::optional<Given>*>, 4> known{
        {{"db_path", &settings.db_path},
         {"checkpoint_interval", &settings.checkpoint_interval},
         {"log_file", &settings.log_file},
         {"log_level", &settings.log_level}}};
    for (const auto& [known_name, target] : known) {
      if (name != known_name) continue;
      if (*target) refuse(key.Mark(), "progress." + name + " is there twice");
      if (value.IsSequence() || value.IsMap()) {
        refuse(key.Mark(), "progress." + name + ": one value was expected, not a list or keys");
      }
      if (!value.IsScalar() || value.Scalar().empty()) {
        refuse(key.Mark(), "progress." + name + ": a value is missing");
      }
      *target = Given{value.Scalar(), place(key.Mark())};
      return;
    }
    refuse(key.Mark(), "progress." + display(name) +
                           ": no such key: there are db_path, checkpoint_interval, log_file and "
                           "log_level");
  }

  std::string place(const YAML::Mark& mark) const {
    return mark.is_null() ? display(path_) : display(path_) + ':' + std::to_string(mark.line + 1);
  }

  [[noreturn]] void refuse(const std::string& why) const { refuse(YAML::Mark::null_mark(), why); }

  [[noreturn]] void refuse(const YAML::Mark& mark, const std::string& why) const {
    throw UsageError(place(mark) + ": " + why);
  }

  const std::string& path_;
};

// The first of these that was given.
std::optional<Given> first_of(const std::optional<std::string>& flag, const char* flag_name,
                              const Environment& environment, const char* variable,
                              const std::optional<Given>& in_file) {
  if (flag) return Given{*flag, flag_name};
  if (auto value = environment(variable)) return Given{*std::move(value), variable};
  return in_file;
}

constexpr char kDefault[] = "default";

}  // namespace

std::optional<std::string> process_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

LogLevel parse_log_level(const std::string& origin, const std::string& text) {
  std::string name;
  for (const char c : text) name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (name == "warning") return LogLevel::kWarn;
  if (name == "critical") return LogLevel::kError;
  for (const auto& [known, level] : kLogLevels) {
    if (name == known) return level;
  }
  refuse_value(origin, text, "one of " + names_of(kLogLevels));
}

bool wants_json_progress(const Flags& flags, const Environment& environment) {
  const auto given =
      first_of(flags.progress, "--progress", environment, "PROGRESS_TRACKER_PROGRESS", {});
  return given && given->text == name_of(ProgressMode::kJson);
}

const char* name_of(LogLevel level) { return name_in(kLogLevels, level); }

const char* name_of(ProgressMode mode) { return name_in(kProgressModes, mode); }

const char* name_of(ColorChoice choice) { return name_in(kColorChoices, choice); }

Configuration resolve_configuration(const Flags& flags, const Environment& environment) {
  const FileSettings file =
      flags.config_file ? ConfigFile(*flags.config_file).read() : FileSettings{};
  Configuration found{.database = {"progress.db", kDefault},
                      .checkpoint_interval = {std::nullopt, kDefault},
                      .log_file = {"", kDefault},
                      .log_level = {LogLevel::kWarn, kDefault},
                      .progress = {ProgressMode::kAuto, kDefault},
                      .color = {ColorChoice::kAuto, kDefault}};

  if (auto given =
          first_of(flags.database, "--db", environment, "PROGRESS_TRACKER_DB", file.db_path)) {
    found.database = {std::move(given->text), std::move(given->origin)};
  }
  if (const auto given =
          first_of(flags.checkpoint_interval, "--checkpoint-interval", environment,
                   "PROGRESS_TRACKER_CHECKPOINT_INTERVAL", file.checkpoint_interval)) {
    found.checkpoint_interval = {
        parse_whole_number(given->origin, given->text, 1, std::numeric_limits<std::int64_t>::max()),
        given->origin};
  }
  if (auto given = first_of(flags.log_file, "--log-file", environment, "PROGRESS_TRACKER_LOG_FILE",
                            file.log_file)) {
    found.log_file = {std::move(given->text), std::move(given->origin)};
  }
  if (const auto given = first_of(flags.log_level, "--log-level", environment,
                                  "PROGRESS_TRACKER_LOG_LEVEL", file.log_level)) {
    found.log_level = {parse_log_level(given->origin, given->text), given->origin};
  }
  if (const auto given = first_of(flags.progress, "--progress", environment,
                                  "PROGRESS_TRACKER_PROGRESS", std::nullopt)) {
    found.progress = {parse_choice(given->origin, given->text, kProgressModes), given->origin};
  }
  if (flags.color) found.color = {parse_choice("--color", *flags.color, kColorChoices), "--color"};
  return found;
}

}  // namespace progress_tracker::cli

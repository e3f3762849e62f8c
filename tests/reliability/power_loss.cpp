#include "power_loss.h"

#include <sqlite3.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "disk_sync.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

namespace fs = std::filesystem;
using Kind = DiskEvent::Kind;

bool draw(std::mt19937& random) { return (random() & 1U) != 0; }

void put(std::string& contents, std::size_t offset, std::string_view data) {
  contents.resize(std::max(contents.size(), offset + data.size()));
  contents.replace(offset, data.size(), data);
}

void apply(std::string& contents, const DiskEvent& event) {
  const auto offset = static_cast<std::size_t>(event.offset);
  if (event.kind == Kind::kTruncate) {
    contents.resize(offset);
  } else {
    put(contents, offset, event.data);
  }
}

// Some sectors of a write; with `garbage`, what does not arrive beyond the end of the file leaves
// the file longer all the same, and anything in it.
void apply_in_part(std::string& contents, const DiskEvent& event, std::size_t sector, bool garbage,
                   std::mt19937& random) {
  if (event.kind == Kind::kTruncate) {
    if (draw(random)) {
      apply(contents, event);
    }
    return;
  }
  const std::size_t old_size = contents.size();
  auto offset = static_cast<std::size_t>(event.offset);
  for (std::string_view rest = event.data; !rest.empty();) {
    const std::size_t length = std::min(rest.size(), sector - offset % sector);
    if (draw(random)) {
      put(contents, offset, rest.substr(0, length));
    } else if (garbage && offset + length > old_size) {
      std::string anything(length, '\0');
      if (draw(random)) {
        std::generate(anything.begin(), anything.end(),
                      [&] { return static_cast<char>(random()); });
      }
      const std::size_t kept = offset < old_size ? old_size - offset : 0;
      put(contents, offset + kept, std::string_view(anything).substr(kept));
    }
    offset += length;
    rest.remove_prefix(length);
  }
}

// How what is uncertain in one file comes out.
enum class Manner { kNone, kAll, kSome, kBeginning, kReordered, kTorn512, kTorn4096, kGarbage };
constexpr const char* kMannerNames[] = {"nothing",   "all",      "some",      "a beginning",
                                        "reordered", "torn 512", "torn 4096", "garbage"};

std::string outcome(const std::string& certain, std::vector<DiskEvent> uncertain, Manner manner,
                    std::mt19937& random) {
  std::string contents = certain;
  switch (manner) {
    case Manner::kNone:
      return contents;
    case Manner::kAll:
      break;
    case Manner::kSome:
    case Manner::kReordered:
      std::erase_if(uncertain, [&](const DiskEvent&) { return draw(random); });
      if (manner == Manner::kReordered) {
        std::shuffle(uncertain.begin(), uncertain.end(), random);
      }
      break;
    case Manner::kBeginning:
      uncertain.resize(random() % (uncertain.size() + 1));
      break;
    case Manner::kTorn512:
    case Manner::kTorn4096:
    case Manner::kGarbage:
      for (const DiskEvent& event : uncertain) {
        apply_in_part(contents, event, manner == Manner::kTorn4096 ? 4'096 : 512,
                      manner == Manner::kGarbage, random);
      }
      return contents;
  }
  for (const DiskEvent& event : uncertain) {
    apply(contents, event);
  }
  return contents;
}

}  // namespace

// ---- The recording -----------------------------------------------------------------------------

Recording::Recording(fs::path directory, DuringSync during_sync)
    : directory_(std::move(directory)), during_sync_(std::move(during_sync)) {
  set_vfs_hook([this](const VfsEvent& event) { return note(event); });
  set_sync_hook([this](const std::string& name) { return note_sync(name); });
}

Recording::~Recording() { stop(); }

void Recording::stop() {
  set_vfs_hook({});
  set_sync_hook({});
}

void Recording::add(DiskEvent event) {
  const std::lock_guard lock(mutex_);
  event.number = events_.size();
  events_.push_back(std::move(event));
}

void Recording::acknowledge(const std::string& what) {
  add({.kind = Kind::kAcknowledged, .name = what});
}

int Recording::note(const VfsEvent& event) {
  const std::string name(event.file);
  if (!name.starts_with(directory_.native())) {
    return SQLITE_OK;
  }
  switch (event.call) {
    case VfsCall::kOpen:
      if ((event.flags & SQLITE_OPEN_CREATE) != 0 && !fs::exists(name)) {
        add({.kind = Kind::kMake, .name = name});
      }
      break;
    case VfsCall::kDelete:
      if (fs::exists(name)) {
        add({.kind = Kind::kRemove, .name = name});
      }
      break;
    case VfsCall::kWrite:
      add({.kind = Kind::kWrite,
           .name = name,
           .offset = event.offset,
           .data = std::string(event.data)});
      break;
    case VfsCall::kTruncate:
      add({.kind = Kind::kTruncate, .name = name, .offset = event.offset});
      break;
    default:
      break;
  }
  return SQLITE_OK;
}

bool Recording::note_sync(const std::string& name) {
  const std::size_t began = [&] {
    const std::lock_guard lock(mutex_);
    return events_.size();
  }();
  if (during_sync_) {
    during_sync_(name);
  }
  add({.kind = Kind::kSync, .name = name, .began = began});
  return true;
}

// ---- The disk ----------------------------------------------------------------------------------

Disk::Disk(const fs::path& directory) : directory_(directory) {
  for (const auto& entry : fs::directory_iterator(directory)) {
    names_[entry.path()] = files_.size();
    files_.push_back({.certain = test::contents_of(entry.path()), .uncertain = {}});
  }
  certain_names_ = names_;
}

void Disk::change(Names& names, const DiskEvent& event, std::size_t file) {
  if (event.kind == Kind::kMake) {
    names[event.name] = file;
  } else {
    names.erase(event.name);
  }
}

void Disk::carry_out(const DiskEvent& event) {
  switch (event.kind) {
    case Kind::kMake:
      files_.emplace_back();
      [[fallthrough]];
    case Kind::kRemove:
      uncertain_names_.emplace_back(event, files_.size() - 1);
      change(names_, event, files_.size() - 1);
      break;
    case Kind::kWrite:
    case Kind::kTruncate:
      files_.at(names_.at(event.name)).uncertain.push_back(event);
      break;
    case Kind::kSync:
      if (event.name == directory_) {
        auto each = uncertain_names_.cbegin();
        for (; each != uncertain_names_.cend() && each->first.number < event.began; ++each) {
          change(certain_names_, each->first, each->second);
        }
        uncertain_names_.erase(uncertain_names_.cbegin(), each);
      } else if (const auto found = names_.find(event.name); found != names_.end()) {
        File& file = files_.at(found->second);
        auto write = file.uncertain.cbegin();
        for (; write != file.uncertain.cend() && write->number < event.began; ++write) {
          apply(file.certain, *write);
        }
        file.uncertain.erase(file.uncertain.cbegin(), write);
      }
      break;
    case Kind::kAcknowledged:
      break;
  }
}

// Each name that was changed as it was, or as it is.
Disk::Names Disk::draw_names(std::mt19937& random) const {
  Names drawn = certain_names_;
  const auto choose = [&](const std::string& name) {
    if (draw(random)) {
      const auto now = names_.find(name);
      if (now == names_.end()) {
        drawn.erase(name);
      } else {
        drawn[name] = now->second;
      }
    }
  };
  for (const auto& [name, file] : certain_names_) {
    choose(name);
  }
  for (const auto& [name, file] : names_) {
    if (!certain_names_.contains(name)) {
      choose(name);
    }
  }
  return drawn;
}

std::string Disk::write_image(const fs::path& directory, std::size_t number,
                              std::mt19937& random) const {
  const bool drawn = number > 3;
  const Names names = drawn                        ? draw_names(random)
                      : number == 0 || number == 2 ? certain_names_
                                                   : names_;
  std::string description = drawn                        ? "names by chance"
                            : number == 0 || number == 2 ? "names lost"
                                                         : "names kept";
  for (const auto& [name, index] : names) {
    const File& file = files_.at(index);
    const Manner manner = drawn                        ? static_cast<Manner>(random() % 8)
                          : number == 0 || number == 3 ? Manner::kNone
                                                       : Manner::kAll;
    const std::string contents = outcome(file.certain, file.uncertain, manner, random);
    const fs::path path = fs::path(name).filename();
    test::write_file(directory / path, contents);
    description += ", " + path.string() + ": " + kMannerNames[static_cast<int>(manner)] + " of " +
                   std::to_string(file.uncertain.size());
  }
  return description;
}

}  // namespace progress_tracker::reliability

#include "ledger.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "process.h"

namespace progress_tracker::reliability {
namespace {

std::filesystem::path made(const std::filesystem::path& file, std::size_t bytes) {
  std::ofstream{file};
  std::filesystem::resize_file(file, bytes);  // all of it 0
  return file;
}

}  // namespace

Ledger::Ledger(const std::filesystem::path& file, std::size_t images)
    : Ledger(made(file, sizeof(Head) + images * sizeof(Entry))) {}

Ledger::Ledger(const std::filesystem::path& file) : bytes_(std::filesystem::file_size(file)) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd >= 0) {
    memory_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
  }
  if (fd < 0 || memory_ == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "a ledger");
  }
}

Ledger::~Ledger() { ::munmap(memory_, bytes_); }

Ledger::Entry& Ledger::entry(std::size_t image) const {
  if (sizeof(Head) + (image + 1) * sizeof(Entry) > bytes_) {
    throw std::out_of_range("no such image in the ledger");
  }
  return reinterpret_cast<Entry*>(static_cast<char*>(memory_) + sizeof(Head))[image];
}

std::string Ledger::claimed(std::size_t image, int attempt, int owner) {
  Entry& its = entry(image);
  head().claims.fetch_add(1, std::memory_order_relaxed);
  // One fault ends it for all: what follows from it says nothing more.
  const auto wrong = [&](const std::string& what) {
    head().over.store(true);
    return "image " + std::to_string(image) + ", attempt " + std::to_string(attempt) + ", owner " +
           std::to_string(owner) + ": " + what;
  };
  if (const int before = its.owner.exchange(owner);
      before != 0 && (before == owner || !head().doomed[before].load())) {
    return wrong("also held by " + std::to_string(before) + ", who lives");
  }
  if (const int before = its.attempt.exchange(attempt); before >= attempt) {
    return wrong("attempt " + std::to_string(before) + " was given already");
  }
  return its.completed.load() ? wrong("is completed") : "";
}

void Ledger::lets_go(std::size_t image) { entry(image).owner.store(0); }

void Ledger::completed(std::size_t image) { entry(image).completed.store(true); }

void Ledger::failed(std::size_t image, int attempt) {
  std::atomic<int>& latest = entry(image).failed;
  for (int before = latest.load(); before < attempt;) {
    if (latest.compare_exchange_weak(before, attempt)) {
      break;
    }
  }
}

std::string Ledger::compare(std::size_t image, const std::string& status, int attempts,
                            bool all_told) const {
  const Entry& its = entry(image);
  std::string wrong;
  if (its.completed.load() && status != "completed") {
    wrong += ", was acknowledged as completed";
  }
  if (its.failed.load() == attempts && attempts > 0 && status != "error" && status != "pending") {
    wrong += ", was acknowledged as failed";
  }
  if (its.attempt.load() > attempts || (all_told && its.attempt.load() != attempts)) {
    wrong += ", was given under attempt " + std::to_string(its.attempt.load());
  }
  if (all_told && status == "processing" && its.owner.load() == 0) {
    wrong += ", is held by nobody";
  }
  return wrong.empty() ? ""
                       : "image " + std::to_string(image) + " is " + status + " with attempts " +
                             std::to_string(attempts) + wrong;
}

void complain(const std::string& what) {
  if (!what.empty()) {
    processes::say("wrong: " + what);
  }
}

}  // namespace progress_tracker::reliability

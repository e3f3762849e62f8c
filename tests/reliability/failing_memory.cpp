#include "failing_memory.h"

#include <sqlite3.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <stdexcept>

#include "armed.h"

namespace progress_tracker::reliability {
namespace {

constinit std::atomic<Memory> failing{Memory::kSqlite};
constinit std::atomic<std::int64_t> until_failure{0};  // 0: none will fail
constinit std::atomic<void (*)()> instead{nullptr};    // of failing
constinit std::atomic<bool> goes_on{false};
constinit std::atomic<bool> has_failed{false};

bool fails(Memory memory) {
  const bool counts = failing.load() == memory || failing.load() == Memory::kBoth;
  if (!Armed::here() || !counts || until_failure.load() == 0) {
    return false;
  }
  if (until_failure.load() > 1) {
    --until_failure;
    return false;
  }
  if (!goes_on) {
    until_failure = 0;
  }
  if (const auto then = instead.load()) {
    then();
    return false;
  }
  has_failed = true;
  return true;
}

sqlite3_mem_methods system_memory;

void* allocate(int size) { return fails(Memory::kSqlite) ? nullptr : system_memory.xMalloc(size); }

void* reallocate(void* old, int size) {
  return fails(Memory::kSqlite) ? nullptr : system_memory.xRealloc(old, size);
}

}  // namespace

void install_failing_memory() {
  static const bool installed = [] {
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &system_memory);
    sqlite3_mem_methods layer = system_memory;
    layer.xMalloc = allocate;
    layer.xRealloc = reallocate;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &layer) == SQLITE_OK;
  }();
  if (!installed) {
    throw std::logic_error("SQLite was used before");
  }
}

void fail_allocation(Memory memory, std::int64_t n, bool for_ever) {
  failing = memory;
  instead = nullptr;
  goes_on = for_ever;
  has_failed = false;
  until_failure = n;
}

void at_allocation(Memory memory, std::int64_t n, void (*then)()) {
  failing = memory;
  instead = then;
  goes_on = false;
  until_failure = n;
}

void memory_is_back() { until_failure = 0; }

bool an_allocation_failed() { return has_failed; }

namespace {

void* new_memory(std::size_t size) {
  void* memory = fails(Memory::kCpp) ? nullptr : std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}

}  // namespace
}  // namespace progress_tracker::reliability

// The other forms of these operators come down to them.
void* operator new(std::size_t size) { return progress_tracker::reliability::new_memory(size); }
void* operator new[](std::size_t size) { return progress_tracker::reliability::new_memory(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t /*size*/) noexcept { std::free(memory); }

#include "sqlite/thread_connections.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "fork_generation.h"

namespace progress_tracker::sqlite {

struct ThreadConnections::Pool {
  Factory open;                               // constant after construction
  std::uint64_t process = fork_generation();  // constant after construction

  std::mutex mutex;
  std::vector<std::unique_ptr<Connection>> connections;  // guarded by mutex

  Connection* add() {
    auto connection = open();
    const std::lock_guard lock(mutex);
    connections.push_back(std::move(connection));
    return connections.back().get();
  }

  // Closes one connection under the mutex, so that after close_all() none is still being closed.
  void close(const Connection* connection) {
    const std::lock_guard lock(mutex);
    std::erase_if(connections, [&](const auto& each) { return each.get() == connection; });
  }

  void close_all() {
    const std::lock_guard lock(mutex);
    connections.clear();
  }
};

namespace {

// Whether this thread's slots were destroyed. What has no destructor can still be asked then.
constinit thread_local bool slots_are_gone = false;

}  // namespace

// What one thread has open, in any tracker. Destroyed when the thread ends.
struct ThreadConnections::ThreadSlots {
  struct Slot {
    const Pool* key;
    std::weak_ptr<Pool> pool;  // keeps the address in `key` from being used again
    Connection* connection;
  };
  std::vector<Slot> slots;

  ~ThreadSlots() {
    slots_are_gone = true;
    for (const Slot& slot : slots) {
      const auto pool = slot.pool.lock();
      // In a forked child the connections are the parent's: neither used nor closed here.
      if (pool != nullptr && pool->process == fork_generation()) {
        pool->close(slot.connection);
      }
    }
  }
};

ThreadConnections::ThreadSlots& ThreadConnections::slots_of_this_thread() {
  if (!slots_are_gone) {
    thread_local ThreadSlots slots;
    return slots;
  }
  // At exit the main thread's are gone before static objects are destroyed, and a tracker can be
  // one of those. What is opened now stays open until its tracker is closed.
  thread_local auto* late_slots = new ThreadSlots;
  return *late_slots;
}

ThreadConnections::ThreadConnections(Factory open) : pool_(std::make_shared<Pool>()) {
  pool_->open = std::move(open);
}

ThreadConnections::~ThreadConnections() { close_all(); }

Connection& ThreadConnections::mine() {
  auto& slots = slots_of_this_thread().slots;
  for (const auto& slot : slots) {
    if (slot.key == pool_.get()) {
      return *slot.connection;
    }
  }
  std::erase_if(slots, [](const auto& slot) { return slot.pool.expired(); });
  slots.reserve(slots.size() + 1);  // so that nothing can fail once the connection is there
  slots.push_back({pool_.get(), pool_, pool_->add()});
  return *slots.back().connection;
}

void ThreadConnections::close_all() { pool_->close_all(); }

}  // namespace progress_tracker::sqlite

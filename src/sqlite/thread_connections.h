// One connection for each thread that uses a tracker.
#ifndef PROGRESS_TRACKER_SRC_SQLITE_THREAD_CONNECTIONS_H_
#define PROGRESS_TRACKER_SRC_SQLITE_THREAD_CONNECTIONS_H_

#include <functional>
#include <memory>

#include "sqlite/connection.h"

namespace progress_tracker::sqlite {

// The connections belong to this object; thread-local state is only a way to find one's own. A
// connection is closed when its thread ends or by close_all(), whichever comes first.
class ThreadConnections {
 public:
  using Factory = std::function<std::unique_ptr<Connection>()>;

  explicit ThreadConnections(Factory open);
  ThreadConnections(const ThreadConnections&) = delete;
  ThreadConnections& operator=(const ThreadConnections&) = delete;
  ~ThreadConnections();

  // The calling thread's connection, opened at its first call. Throws what the factory throws.
  Connection& mine();

  // Closes all connections. No thread may be using one, and none may ask for one afterwards.
  void close_all();

 private:
  struct Pool;
  struct ThreadSlots;

  static ThreadSlots& slots_of_this_thread();

  std::shared_ptr<Pool> pool_;
};

}  // namespace progress_tracker::sqlite

#endif  // PROGRESS_TRACKER_SRC_SQLITE_THREAD_CONNECTIONS_H_

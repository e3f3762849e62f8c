#include "sqlite/shared_sync.h"

#include "sqlite/durable.h"

namespace progress_tracker::sqlite {

void SharedSync::wait(const Connection& connection) {
  const auto mine = connection.log_state();
  std::unique_lock lock(mutex_);
  while (!covers(mine)) {
    if (refused_) {
      throw Failure(SQLITE_IOERR_FSYNC, "the disk has refused to sync the write-ahead log");
    }
    if (!running_) {
      run(connection, lock);
      return;
    }
    ended_.wait(lock);
  }
}

// A log that has begun anew since has been synced too, but nothing here shows that.
bool SharedSync::covers(const std::optional<LogState>& state) const {
  return state.has_value() && synced_.has_value() && state->salt == synced_->salt &&
         state->frames <= synced_->frames;
}

void SharedSync::run(const Connection& connection, std::unique_lock<std::mutex>& lock) {
  running_ = true;
  const auto state = connection.log_state();  // what is in the log by now, the sync will cover
  lock.unlock();
  bool done = false;
  const auto end = [&] {
    lock.lock();
    running_ = false;
    refused_ = !done;
    if (done) {
      synced_ = state;
    }
    ended_.notify_all();
  };
  try {
    sync(connection);
    done = true;
  } catch (...) {
    end();
    throw;
  }
  end();
}

void SharedSync::sync(const Connection& connection) {
  sync_log(connection);
  if (directory_synced_) {
    return;
  }
  // The log's name. It stays as long as this tracker has a connection open.
  try {
    sync_directory(directory_);
    directory_synced_ = true;
  } catch (const Failure& failure) {
    // One that we may not open is passed over, as by SQLite, which asked the disk too when it first
    // synced the log.
    if (failure.primary() != SQLITE_CANTOPEN) {
      throw;
    }
  }
}

}  // namespace progress_tracker::sqlite

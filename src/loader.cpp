#include "loader.h"

#include <algorithm>
#include <chrono>

#include "log_internal.h"
#include "progress_tracker/error.h"
#include "store/chain.h"
#include "store/counts.h"
#include "store/jobs.h"
#include "store/workers.h"

namespace progress_tracker {
namespace {

using sqlite::Connection;
using store::ListLoad;
using store::LoadTarget;

// A list up to this length is loaded in one transaction: some milliseconds.
constexpr std::size_t kShortList = 2'000;

// How long one piece of a longer list may hold the write lock. Promised are 100 ms; the commit
// itself comes on top, and a machine may stumble.
constexpr std::chrono::milliseconds kPieceTime{40};

// Completed images that one piece of a chained job's load takes over.
constexpr std::int64_t kChainPiece = 5'000;

constexpr std::chrono::milliseconds kLookAgain{10};

void check_takes_images(std::string_view operation, const LoadTarget& target) {
  if (target.upstream.has_value()) {
    throw Error(ErrorCode::kInvalidArgument,
                std::string(operation) + ": " + store::describe(target.job) +
                    " is fed by another job (chain_job), and takes no images of its own");
  }
}

}  // namespace

// A job as one that this thread loads. Whatever ends the scope before done() was called gives the
// load up.
class Loader::Claim {
 public:
  Claim(Loader& loader, std::string_view operation) : loader_(loader), operation_(operation) {}
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  ~Claim() {
    if (!job_.has_value()) {
      return;
    }
    if (!done_) {
      try {
        loader_.transactions_.write(operation_, [&](Connection& db) {
          store::abandon_load(db, *job_, loader_.worker_.self());
        });
      } catch (const std::exception& error) {
        // The error that ended the load is on its way to the caller. Others will see a load given
        // up once this tracker is closed.
        internal::log_if_possible(LogLevel::kWarn, [&] {
          return std::string(operation_) + ": cannot give up the load of " +
                 store::describe(*job_) + ": " + error.what();
        });
      }
    }
    let_go();
  }

  // To be called inside the transaction that writes the loader into the job's row, so that no
  // thread of this tracker can take it for a leftover.
  void take(JobId job) {
    let_go();
    const std::lock_guard lock(loader_.mutex_);
    loader_.loading_.insert(job);
    job_ = job;
    done_ = true;  // until the transaction is committed there is nothing to give up
  }
  void committed() { done_ = false; }
  void done() { done_ = true; }

 private:
  void let_go() {
    if (job_.has_value()) {
      const std::lock_guard lock(loader_.mutex_);
      loader_.loading_.erase(loader_.loading_.find(*job_));
      job_.reset();
    }
  }

  Loader& loader_;
  std::string_view operation_;
  std::optional<JobId> job_;
  bool done_{false};
};

store::IsLoading Loader::is_loading() {
  return [this](WorkerId worker, JobId job) {
    if (worker == worker_.self()) {
      const std::lock_guard lock(mutex_);
      return loading_.contains(job);
    }
    return worker_.is_alive(worker);
  };
}

void Loader::clear_leftovers(std::string_view operation) {
  const auto step = [&](Connection& db) { return store::clear_leftovers_piece(db, is_loading()); };
  while (transactions_.write(operation, step)) {
    transactions_.make_way();
  }
}

void Loader::register_if(std::string_view operation,
                         const std::function<void(Connection&)>& check) {
  if (worker_.self() == WorkerId{0}) {
    transactions_.read(operation, check);
  }
  worker_.ensure();
}

void Loader::check_still_loading(std::string_view operation, Connection& connection, JobId job) {
  if (store::loader_of(connection, job) != worker_.self()) {
    throw Error(ErrorCode::kBusy,
                std::string(operation) + ": " + store::describe(job) +
                    ": the file of the workers' locks was replaced during the load, and the load "
                    "taken for a dead worker's: call again");
  }
}

void Loader::when_free(std::string_view operation,
                       const std::function<LoadTarget::Kind()>& attempt) {
  sqlite::WaitBudget budget(clock_, options_.busy_timeout);
  for (;;) {
    switch (attempt()) {
      case LoadTarget::Kind::kMissing:
      case LoadTarget::Kind::kFree:
        return;
      case LoadTarget::Kind::kLeftover:
        clear_leftovers(operation);
        break;
      case LoadTarget::Kind::kLoading:
        if (!budget.sleep(kLookAgain)) {
          throw Error(ErrorCode::kBusy, std::string(operation) +
                                            ": somebody else is loading this job (waited " +
                                            std::to_string(options_.busy_timeout.count()) + " ms)");
        }
        break;
    }
  }
}

Loader::Result Loader::create_job(std::string_view name,
                                  std::span<const std::filesystem::path> paths,
                                  std::span<const std::string> splits) {
  constexpr std::string_view kOperation = "create_job";
  clear_leftovers(kOperation);
  return load(
      kOperation, [&](Connection& db) { return store::load_target(db, name, is_loading()); }, name,
      paths, splits);
}

Loader::Result Loader::add_images(JobId job, std::span<const std::filesystem::path> paths,
                                  std::span<const std::string> splits) {
  constexpr std::string_view kOperation = "add_images";
  clear_leftovers(kOperation);
  return load(
      kOperation,
      [&](Connection& db) {
        const LoadTarget target = store::load_target(db, job, is_loading());
        if (target.kind == LoadTarget::Kind::kMissing) {
          throw Error(ErrorCode::kNotFound, "add_images: no such " + store::describe(job));
        }
        return target;
      },
      {}, paths, splits);
}

Loader::Result Loader::load(std::string_view operation, const FindTarget& find,
                            std::string_view new_name, std::span<const std::filesystem::path> paths,
                            std::span<const std::string> splits) {
  const bool short_list = paths.size() <= kShortList;
  if (!paths.empty()) {
    register_if(operation, [&](Connection& db) { check_takes_images(operation, find(db)); });
  }
  Claim claim(*this, operation);
  ListLoad list(paths, splits);
  struct Step {
    LoadTarget::Kind kind{LoadTarget::Kind::kFree};
    ListLoad::Position load;
    bool finished{false};
  };
  Step step;
  list.prepare(step.load);

  // One piece of the list, and with the last one the publication, in the caller's transaction.
  const auto piece = [&](Connection& db, Step next) {
    const auto end = clock_.now() + kPieceTime;
    next.finished =
        list.load_piece(db, next.load, [&] { return !short_list && clock_.now() >= end; });
    if (next.finished) {
      store::publish(db, next.load);
    }
    return next;
  };

  when_free(operation, [&] {
    step = transactions_.write(operation, [&](Connection& db) {
      const LoadTarget target = find(db);
      Step first{.kind = target.kind, .load = {}, .finished = false};
      if (target.kind == LoadTarget::Kind::kLoading || target.kind == LoadTarget::Kind::kLeftover) {
        return first;
      }
      check_takes_images(operation, target);
      first.load.job = target.job;
      first.load.published = first.load.last = target.published;
      if (target.kind == LoadTarget::Kind::kMissing) {
        const auto loader = short_list ? std::nullopt : std::optional(worker_.self());
        first.load.job = store::insert_job(db, new_name, std::nullopt, loader, clock_.wall_ms());
      } else if (!short_list) {
        store::set_loader(db, target.job, worker_.self());
      }
      claim.take(first.load.job);
      return piece(db, std::move(first));
    });
    return step.kind;
  });
  claim.committed();
  while (!step.finished) {
    transactions_.make_way();
    list.prepare(step.load);
    worker_.ensure();
    step = transactions_.write(operation, [&](Connection& db) {
      check_still_loading(operation, db, step.load.job);
      return piece(db, step);
    });
  }
  claim.done();
  return {step.load.job, step.load.added_total(), step.load.differing};
}

JobId Loader::chain_job(std::string_view name, JobId upstream) {
  constexpr std::string_view kOperation = "chain_job";
  clear_leftovers(kOperation);
  register_if(kOperation, [&](Connection& db) { store::require_job(db, kOperation, upstream); });
  Claim claim(*this, kOperation);
  JobId job{};
  bool finished = false;

  const auto piece = [&](Connection& db) {
    store::ChainFeed feed = store::feed_being_loaded(db, job);
    const store::JobRow source = store::require_job(db, kOperation, upstream);
    const bool more = store::load_chain_piece(db, source, feed, kChainPiece);
    if (!more) {
      store::publish_chained(db, job);
    }
    return !more;
  };

  when_free(kOperation, [&] {
    return transactions_.write(kOperation, [&](Connection& db) {
      store::require_job(db, kOperation, upstream);
      const LoadTarget target = store::load_target(db, name, is_loading());
      if (target.kind == LoadTarget::Kind::kLoading || target.kind == LoadTarget::Kind::kLeftover) {
        return target.kind;
      }
      if (target.kind == LoadTarget::Kind::kFree) {
        if (target.upstream != upstream) {
          throw Error(ErrorCode::kInvalidArgument, "chain_job: " + store::describe(target.job) +
                                                       " has this name, and is not fed by " +
                                                       store::describe(upstream));
        }
        job = target.job;
        finished = true;
        return target.kind;
      }
      job = store::insert_job(db, name, upstream, worker_.self(), clock_.wall_ms());
      claim.take(job);
      finished = piece(db);
      return target.kind;
    });
  });
  claim.committed();
  while (!finished) {
    transactions_.make_way();
    worker_.ensure();
    finished = transactions_.write(kOperation, [&](Connection& db) {
      check_still_loading(kOperation, db, job);
      return piece(db);
    });
  }
  claim.done();
  return job;
}

void Loader::remove_job(JobId job) {
  constexpr std::string_view kOperation = "remove_job";
  const auto refuse = [&](const char* cause) {
    throw Error(ErrorCode::kInvalidTransition, "remove_job: " + store::describe(job) + cause);
  };
  clear_leftovers(kOperation);
  transactions_.write(kOperation, [&](Connection& db) {
    const store::JobRow row = store::require_job(db, kOperation, job);
    const LoadTarget target = store::load_target(db, job, is_loading());
    if (target.kind == LoadTarget::Kind::kLoading) {
      refuse(": images are being loaded into it");
    }
    if (store::held_by_other(db, row, worker_.self(),
                             [&](WorkerId worker) { return worker_.is_alive(worker); })) {
      refuse(": another worker holds images of it");
    }
    if (store::has_chained_jobs(db, job)) {
      refuse(": another job is chained to it");
    }
    store::hide_job(db, job);
  });
  // It is removed, whatever becomes of the rest.
  try {
    clear_leftovers(kOperation);
  } catch (const std::exception& error) {
    internal::log_if_possible(LogLevel::kWarn, [&] {
      return "remove_job: " + store::describe(job) +
             " is removed, but its rows are still there, for the next call that adds or removes "
             "images to clear away: " +
             error.what();
    });
  }
}

}  // namespace progress_tracker

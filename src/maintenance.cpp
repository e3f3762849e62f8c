#include "progress_tracker/maintenance.h"

#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "clock.h"
#include "filesystem_name.h"
#include "liveness.h"
#include "open_database.h"
#include "progress_tracker/error.h"
#include "progress_tracker/rules.h"
#include "progress_tracker/trace.h"
#include "snapshot_file.h"
#include "sqlite/checkpoint_guard.h"
#include "sqlite/file_identity.h"
#include "sqlite/thread_connections.h"
#include "sqlite/transaction.h"
#include "sqlite/version.h"
#include "store/inspection.h"
#include "store/jobs.h"
#include "store/recount.h"

namespace progress_tracker {
namespace {

using sqlite::Connection;
using store::Recount;

// A log above this did not begin anew for long: trackers keep it near 4 MiB.
constexpr std::int64_t kLargeWal = std::int64_t{64} << 20U;

Options options_for(bool read_only, std::chrono::milliseconds busy_timeout) {
  if (busy_timeout.count() < 0) {
    throw Error(ErrorCode::kInvalidArgument, "maintenance: busy_timeout is negative");
  }
  constexpr std::chrono::milliseconds kForEver = std::chrono::hours(24 * 365 * 10);
  Options options;
  options.read_only = read_only;
  options.busy_timeout = std::min(busy_timeout, kForEver);
  return options;
}

// The database as a tracker has it open, for one call.
class Session {
 public:
  Session(const std::filesystem::path& given, bool read_only,
          std::chrono::milliseconds busy_timeout)
      : options_(options_for(read_only, busy_timeout)),
        database_(open_database(given, options_, Clock::system())),
        guard_(*database_.connection, Clock::system()),
        connections_([this] { return open_connection(database_.path, options_, Clock::system()); }),
        transactions_(database_.path, options_, Clock::system(), connections_, guard_),
        locks_(database_.path) {}

  const std::string& path() const { return database_.path; }
  sqlite::Transactions& transactions() { return transactions_; }
  store::IsAlive is_alive() {
    return [this](WorkerId worker) { return locks_.is_alive(worker); };
  }
  // We load nothing, so whoever does is another worker; 0 is a load given up.
  store::IsLoading is_loading() {
    return
        [this](WorkerId worker, JobId) { return worker != WorkerId{0} && locks_.is_alive(worker); };
  }

  // Copies the database into a file that is empty.
  void copy_to(SnapshotFile& file) {
    sqlite::WaitBudget budget(Clock::system(), options_.busy_timeout);
    sqlite::retry("snapshot", database_.path, options_, budget, [&] {
      file.clear();
      Connection& connection = connections_.mine();
      connection.set_budget(&budget);
      sqlite::Query(connection, "VACUUM INTO ?", std::string_view(file.partial())).run();
      connection.set_budget(nullptr);
    });
  }

 private:
  const Options options_;
  const Database database_;
  sqlite::CheckpointGuard guard_;
  sqlite::ThreadConnections connections_;
  sqlite::Transactions transactions_;
  WorkerLocks locks_;
};

std::int64_t size_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_size : 0;
}

std::string number(std::int64_t value) { return std::to_string(value); }

std::string counted(std::int64_t count, std::string_view singular, std::string_view plural) {
  return number(count) + " " + std::string(count == 1 ? singular : plural);
}

std::string mebibytes(std::int64_t bytes) { return number(bytes >> 20U) + " MiB"; }

std::string images(std::int64_t count) { return counted(count, "image", "images"); }

std::string in_words(const StatusCounts& counts) {
  return number(counts.pending) + " pending, " + number(counts.processing) + " processing, " +
         number(counts.completed) + " completed, " + number(counts.error) + " error";
}

std::string quoted(const std::string& name) { return '"' + escape_for_display(name) + '"'; }

std::string name_of(const Recount& found) {
  return store::describe(found.job) + " " + quoted(found.name);
}

std::string name_of(const Recount& found, const std::string& split) {
  return name_of(found) + (split.empty() ? ", no split" : ", split " + quoted(split));
}

std::vector<CountDifference> differences_in(const Recount& found) {
  std::vector<CountDifference> differences;
  for (const Recount::Split& split : found.differing) {
    differences.push_back({found.job, split.name, split.stored, split.counted});
  }
  return differences;
}

// What reading the tables showed, in sentences.
class Findings {
 public:
  explicit Findings(Examination& examination) : examination_(examination) {}

  void add(const Recount& found) {
    const std::string job = name_of(found);
    examination_.jobs[found.job] = found.name;
    examination_.images += found.images;
    for (CountDifference& difference : differences_in(found)) {
      mendable_problem(name_of(found, difference.split) + ": the counts say " +
                       in_words(difference.stored) + "; its images are " +
                       in_words(difference.counted) + ": a repair corrects the counts");
      examination_.count_differences.push_back(std::move(difference));
    }
    if (!found.mark_is_sound()) {
      mendable_problem(job + ": images after number " + number(found.all_started) +
                       " were never started and would never be claimed: a repair corrects that");
    }
    if (found.images != found.published) {
      problem(job + " should have " + images(found.published) + " and has " + number(found.images) +
              ": some were removed from outside");
    }
    if (found.without_split > 0) {
      problem(job + ": " + images(found.without_split) + " of a split that is not there");
    }
  }

  // Those that are gone and hold nothing are no news: every worker that ends leaves its row until
  // the next one starts.
  void add(const std::vector<Worker>& workers) {
    std::int64_t holding = 0;
    std::int64_t held = 0;
    for (const Worker& worker : workers) {
      if (!worker.alive && worker.processing > 0) {
        ++holding;
        held += worker.processing;
      }
    }
    if (holding > 0) {
      note(counted(holding, "worker that is gone holds", "workers that are gone hold") + " " +
           images(held) +
           ": a claim that finds nothing else pending, or a reset, takes back what " +
           "its job has of them");
    }
    examination_.workers = workers;
  }

  void add(const std::vector<store::UnfinishedJob>& jobs) {
    for (const store::UnfinishedJob& job : jobs) {
      if (job.loader.has_value()) {
        note(store::describe(job.job) + " is being loaded by worker " +
             number(static_cast<std::int64_t>(*job.loader)));
        continue;
      }
      examination_.leftovers.push_back({job.job, job.unseen});
      note(store::describe(job.job) + ": a load or a removal was cut off and left " +
           images(job.unseen) +
           " that nobody sees: the next load of any job, or a repair, clears them away");
    }
  }

  void mendable_problem(std::string sentence) {
    problem(std::move(sentence));
    ++examination_.mendable;
  }
  void problem(std::string sentence) { examination_.problems.push_back(std::move(sentence)); }
  void note(std::string sentence) { examination_.notes.push_back(std::move(sentence)); }

 private:
  Examination& examination_;
};

// What can be known without reading the tables.
void examine_surroundings(Examination& found, const std::string& path) {
  Findings findings(found);
  found.path = path;
  found.sqlite_version = sqlite3_libversion();
  found.has_wal_reset_fix = sqlite::has_wal_reset_fix(sqlite3_libversion_number());
  if (!found.has_wal_reset_fix) {
    findings.note("SQLite " + found.sqlite_version +
                  " may have the WAL-reset bug (sqlite.org/wal.html). progress_tracker cannot "
                  "trigger it; another program that writes to the file can");
  }
  found.filesystem = filesystem_name(path);
  if (found.filesystem == "tmpfs" || found.filesystem == "ramfs") {
    findings.note("the file is in memory (" + found.filesystem + "): it is lost with the power");
  }
  if (std::string warning = sqlite::check_place(path); !warning.empty()) {
    findings.note(escape_for_display(warning));
  }
  found.database_bytes = size_of(path);
  found.wal_bytes = size_of(path + "-wal");
}

void examine_content(Examination& found, Connection& connection, Session& session) {
  Findings findings(found);
  found.pragmas = store::pragmas_in_force(connection);
  const store::Identity identity = store::identity(connection);
  found.application_id = identity.application_id;
  found.schema_version = identity.schema_version;
  if (found.pragmas["journal_mode"] != "wal") {
    findings.note("journal_mode is " + found.pragmas["journal_mode"] +
                  ": the next worker that opens the file changes it to wal");
  }

  found.damage = store::damage(connection);
  if (!found.damage.empty()) {
    findings.problem(
        "the file is damaged: stop writing to it, keep it and its side files as they "
        "are, and restore a copy; its counts and workers were not looked at");
    return;
  }
  if (found.wal_bytes > kLargeWal) {
    findings.mendable_problem(
        "the write-ahead log has grown to " + mebibytes(found.wal_bytes) +
        ": some program has the file open in a transaction that does not end, or had it open, and "
        "nobody has committed since: a repair empties it once no program has the file open "
        "(`fuser -v` on the file shows which have it open)");
  }
  found.dangling_references = store::dangling_references(connection);
  for (const std::string& line : found.dangling_references) {
    findings.problem(escape_for_display(line) + ": rows were removed from outside");
  }
  for (const JobId job : store::countable_jobs(connection)) {
    findings.add(store::recount(connection, job));
  }
  findings.add(store::all_workers(connection, session.is_alive()));
  findings.add(store::unfinished_jobs(connection, session.is_loading()));
}

void check_sound(const std::filesystem::path& path, std::chrono::milliseconds busy_timeout) {
  Session session(path, /*read_only=*/true, busy_timeout);
  const auto damage = session.transactions().read("repair", store::damage);
  if (!damage.empty()) {
    throw Error(ErrorCode::kCorrupt,
                "repair: " + session.path() + ": the file is damaged: " + damage.front());
  }
}

void correct_counts(Session& session, Repair& report) {
  const auto jobs = session.transactions().read("repair", store::countable_jobs);
  for (const JobId job : jobs) {
    const auto count = [&](Connection& db) { return store::recount(db, job); };
    if (!session.transactions().read("repair", count).can_be_corrected()) {
      continue;
    }
    const Recount found = session.transactions().write("repair", [&](Connection& db) {
      Recount again = count(db);
      if (again.can_be_corrected()) {
        store::correct(db, again, Clock::system().wall_ms());
      }
      return again;
    });
    for (CountDifference& difference : differences_in(found)) {
      report.done.push_back(name_of(found, difference.split) + ": the counts said " +
                            in_words(difference.stored) + " and say " +
                            in_words(difference.counted) + " now");
      report.corrected.push_back(std::move(difference));
    }
    if (!found.mark_is_sound()) {
      report.done.push_back(name_of(found) + ": images after number " + number(found.all_started) +
                            " can be claimed again");
    }
  }
}

void forget_workers(Session& session, Repair& report) {
  const auto forgotten = session.transactions().write("repair", [&](Connection& db) {
    const auto before = store::all_workers(db, session.is_alive()).size();
    store::forget_dead_workers(db, WorkerId{0}, session.is_alive());
    const auto after = store::all_workers(db, session.is_alive()).size();
    return static_cast<std::int64_t>(before - after);
  });
  if (forgotten > 0) {
    report.workers_forgotten += forgotten;
    report.done.push_back("forgot " +
                          counted(forgotten, "worker that is gone", "workers that are gone") +
                          " and held nothing");
  }
}

void clear_leftovers(Session& session, Repair& report) {
  const auto unfinished = session.transactions().read(
      "repair", [&](Connection& db) { return store::unfinished_jobs(db, session.is_loading()); });
  const auto clear_piece = [&](Connection& db) {
    return store::clear_leftovers_piece(db, session.is_loading());
  };
  bool is_begun = false;
  try {
    while (session.transactions().write("repair", clear_piece)) {
      is_begun = true;
    }
  } catch (...) {
    if (is_begun) {
      report.done.emplace_back("cleared away a part of what cut-off loads or removals had left");
    }
    throw;
  }
  for (const store::UnfinishedJob& job : unfinished) {
    if (!job.loader.has_value()) {
      ++report.leftovers_cleared;
      report.done.push_back(store::describe(job.job) + ": cleared away " + images(job.unseen) +
                            " that a cut-off load or removal had left");
    }
  }
}

}  // namespace

bool Examination::healthy() const { return problems.empty(); }

Examination examine(const std::filesystem::path& path, std::chrono::milliseconds busy_timeout) {
  PROGRESS_TRACKER_TRACE("examine");
  Session session(path, /*read_only=*/true, busy_timeout);
  return session.transactions().read("examine", [&](Connection& db) {
    Examination found;
    examine_surroundings(found, session.path());
    examine_content(found, db, session);
    return found;
  });
}

Repair repair(const std::filesystem::path& path, std::chrono::milliseconds busy_timeout) {
  Repair report;
  repair(path, report, busy_timeout);
  return report;
}

void repair(const std::filesystem::path& path, Repair& report,
            std::chrono::milliseconds busy_timeout) {
  PROGRESS_TRACKER_TRACE("repair");
  const std::string log = sqlite::canonical_path(path) + "-wal";
  const std::int64_t log_before = size_of(log);
  try {
    check_sound(path, busy_timeout);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kSchemaTooOld) {
      throw;
    }
    // Opening it for writing brings it up to date.
    { const Session migrating(path, /*read_only=*/false, busy_timeout); }
    report.done.emplace_back("the file was of an older version and is up to date now");
    check_sound(path, busy_timeout);
  }
  {
    Session session(path, /*read_only=*/false, busy_timeout);
    correct_counts(session, report);
    // In this order: a dead worker's row stays as long as a load bears its name.
    clear_leftovers(session, report);
    forget_workers(session, report);
  }
  // Closing the file has emptied its log, if nobody else has the file open: SQLite makes sure of
  // that by an exclusive lock, and so no writer can be beside that checkpoint (checkpoint_guard.h).
  const std::int64_t log_after = size_of(log);
  if (log_before > kLargeWal && log_after <= kLargeWal) {
    report.done.push_back("the write-ahead log had " + mebibytes(log_before) + " and " +
                          (log_after == 0 ? "is empty" : "has " + mebibytes(log_after)) + " now");
  }
}

void snapshot(const std::filesystem::path& path, const std::filesystem::path& out,
              std::chrono::milliseconds busy_timeout) {
  PROGRESS_TRACKER_TRACE("snapshot");
  const std::string target = SnapshotFile::checked(out);
  Session session(path, /*read_only=*/true, busy_timeout);
  SnapshotFile::check_not_beside(target, session.path());
  struct stat info {};
  const bool known = ::stat(session.path().c_str(), &info) == 0;
  SnapshotFile file(target, known ? info.st_mode & 0777U : 0644U);
  session.copy_to(file);
  file.publish();
}

}  // namespace progress_tracker

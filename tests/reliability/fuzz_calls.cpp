// Two workers on one SQLite file against two on one InMemoryTracker.
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <optional>
#include <sstream>
#include <vector>

#include "fuzz.h"
#include "progress_tracker/error.h"
#include "progress_tracker/log.h"
#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"
#include "two_sides.h"

namespace progress_tracker::reliability {
namespace {

using test::record_of;
using test::result_of;
using test::Side;
using test::write;

constexpr std::size_t kWorkers = 2;
constexpr int kMaxDeaths = 2;

// Choices out of bytes; 0 when there are no more.
class Choices {
 public:
  explicit Choices(Bytes input) : left_(input) {}

  bool over() const { return left_.empty(); }
  std::size_t below(std::size_t bound) {
    if (left_.empty()) return 0;
    const std::uint8_t byte = left_.front();
    left_ = left_.subspan(1);
    return byte % bound;
  }
  // As they come, at most 255.
  std::string bytes() {
    const std::size_t wanted = below(256);
    const std::size_t size = std::min(wanted, left_.size());  // of what is left after that choice
    std::string taken(left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(size));
    left_ = left_.subspan(size);
    return taken;
  }

 private:
  Bytes left_;
};

class FileSide final : public test::SqliteSide {
 public:
  FileSide() : SqliteSide(database(), kMaxDeaths) {
    // An empty database, made once: making the tables takes longest.
    static const Files kEmpty = [] {
      const MemoryDirectory directory;
      { const ProgressTracker tracker(directory.path() / "jobs.db"); }
      return files_at(directory.path() / "jobs.db");
    }();
    put(kEmpty, database());
  }

  void check() const {
    const Examination found = examine(database());
    if (!found.healthy()) throw Wrong("examine(): " + found.problems.front());
    check_from_outside();
  }

 private:
  static std::filesystem::path database() {
    static const MemoryDirectory kDirectory;
    return kDirectory.path() / "jobs.db";
  }

  // The counts kept against the images, through the views, without the library.
  static void check_from_outside() {
    constexpr const char* kChecks =
        "SELECT 1 FROM pragma_integrity_check WHERE integrity_check <> 'ok' "
        "UNION ALL SELECT 1 FROM pragma_foreign_key_check "
        "UNION ALL SELECT 1 FROM (SELECT job_id, split, sum(status = 'pending'), "
        "sum(status = 'processing'), sum(status = 'completed'), sum(status = 'error') FROM images "
        "GROUP BY job_id, split EXCEPT SELECT job_id, split, pending, processing, completed, "
        "error FROM progress) "
        "UNION ALL SELECT 1 FROM jobs WHERE total_images <> "
        "(SELECT count(*) FROM images WHERE images.job_id = jobs.id) "
        "UNION ALL SELECT 1 FROM (SELECT 1 FROM images GROUP BY job_id, path HAVING count(*) > 1)";
    sqlite3* db = nullptr;
    int wrong = 0;
    const auto count = [](void* counter, int, char**, char**) {
      ++*static_cast<int*>(counter);
      return 0;
    };
    int code = sqlite3_open_v2(database().c_str(), &db, SQLITE_OPEN_READWRITE, nullptr);
    sqlite3_wal_autocheckpoint(db, 0);
    if (code == SQLITE_OK) code = sqlite3_exec(db, kChecks, count, &wrong, nullptr);
    sqlite3_close_v2(db);
    if (code != SQLITE_OK || wrong != 0) throw Wrong("the counts are not those of the images");
  }
};

// ---- Calls out of bytes -------------------------------------------------------------------------

using Step = std::function<std::string(Side&)>;

class Script {
 public:
  explicit Script(Bytes input) : choose_(input) {}

  bool over() const { return choose_.over(); }

  // The next call, with everything about it chosen, to be made on both sides.
  Step next(std::size_t claimed) {
    // Always chosen, and in this order, whatever the call makes of it.
    const std::size_t call = choose_.below(24);
    const std::size_t worker = choose_.below(kWorkers);
    const std::string name = job_name();
    const std::int64_t odd = odd_id();
    switch (call) {
      case 0:
      case 1:
        return load(worker, name, {});
      case 2:
        return load(worker, name, odd);
      case 3: {
        const std::string upstream = job_name();
        return [=](Side& side) {
          side.workers[worker]->chain_job(name, side.job(upstream, odd));
          return std::string();
        };
      }
      case 4:
        return on_job(worker, name, odd, [rare = choose_.below(4)](Tracker& tracker, JobId job) {
          rare == 0 ? tracker.remove_job(job) : tracker.checkpoint(job);
          return std::size_t{0};
        });
      case 5:
        return on_job(worker, name, odd,
                      [](Tracker& tracker, JobId job) { return tracker.reset_stuck_images(job); });
      case 6:
        return on_job(worker, name, odd,
                      [](Tracker& tracker, JobId job) { return tracker.reset_error_images(job); });
      case 7:
      case 8:
      case 9:
      case 10:
        return claim(worker, name, odd);
      case 11:
        return on_images(worker, name, odd, [](Tracker& tracker, const auto& images) {
          tracker.mark_processing(images);
          return std::size_t{0};
        });
      case 12:
        return on_images(worker, name, odd, [](Tracker& tracker, const auto& images) {
          return tracker.retry_images(images);
        });
      case 13:
        return on_images(worker, name, odd,
                         [message = choose_.bytes(), error = choose_.below(2) == 0](
                             Tracker& tracker, const auto& images) {
                           for (const ImageId image : images) {
                             error ? tracker.mark_error(image, message)
                                   : tracker.mark_completed(image);
                           }
                           return images.size();
                         });
      case 14:
      case 15:
      case 16:
        return outcomes(worker, claimed);
      case 17:
        return release(worker, claimed);
      case 18:
        return create_batch(worker, name, odd);
      case 19:
      case 20:
        return batch_of(worker, name, odd);
      case 21:
        return mark_batch(worker, name, odd);
      case 22:
        return read_pages(worker, name, odd);
      default:
        return end(worker);
    }
  }

 private:
  Step load(std::size_t worker, const std::string& name, std::optional<std::int64_t> odd) {
    std::vector<std::filesystem::path> paths;
    std::vector<std::string> splits;
    const bool with_splits = choose_.below(2) == 0;
    for (std::size_t left = choose_.below(8); left > 0; --left) {
      paths.emplace_back(path());
      if (with_splits) splits.push_back(choose_.below(16) == 0 ? choose_.bytes() : split());
    }
    if (choose_.below(32) == 0) splits.emplace_back("one too many");
    return [=](Side& side) {
      if (odd) {
        return std::to_string(
            side.workers[worker]->add_images(side.job(name, *odd), paths, splits));
      }
      side.workers[worker]->create_job(name, paths, splits);
      return std::string();
    };
  }

  template <typename Call>
  static Step on_job(std::size_t worker, const std::string& name, std::int64_t odd, Call call) {
    return [=](Side& side) {
      return std::to_string(call(*side.workers[worker], side.job(name, odd)));
    };
  }

  template <typename Call>
  Step on_images(std::size_t worker, const std::string& name, std::int64_t odd, Call call) {
    const auto paths = some_paths();
    return [=](Side& side) {
      return std::to_string(
          call(*side.workers[worker], side.images(side.job(name, odd), paths, odd)));
    };
  }

  Step claim(std::size_t worker, const std::string& name, std::int64_t odd) {
    const std::size_t count = limit();
    return [=](Side& side) { return test::claim(side, worker, side.job(name, odd), count); };
  }

  Step outcomes(std::size_t worker, std::size_t claimed) {
    const auto chosen = some_claims(claimed);
    const int fence = any_fence();
    std::vector<std::optional<std::string>> errors(chosen.size());
    for (auto& error : errors) {
      if (choose_.below(3) == 0) error = choose_.bytes();
    }
    return [=](Side& side) {
      std::vector<Outcome> outcomes;
      for (std::size_t i = 0; i < chosen.size(); ++i) {
        const Image& image = side.claimed[chosen[i]];
        outcomes.push_back({image.id, fence < 0 ? image.attempt : fence, errors[i]});
      }
      return std::to_string(side.workers[worker]->mark_outcomes(outcomes));
    };
  }

  Step release(std::size_t worker, std::size_t claimed) {
    const auto chosen = some_claims(claimed);
    const int fence = any_fence();
    return [=](Side& side) {
      std::vector<Image> images;
      for (const std::size_t i : chosen) {
        images.push_back(side.claimed[i]);
        if (fence >= 0) images.back().attempt = fence;
      }
      return std::to_string(side.workers[worker]->release_images(images));
    };
  }

  Step create_batch(std::size_t worker, const std::string& name, std::int64_t odd) {
    const int number = batch_number();
    const std::int64_t count = choose_.below(8) == 0 ? odd : 10;
    return [=](Side& side) {
      side.workers[worker]->create_batch(side.job(name, odd), number, count);
      return std::string();
    };
  }

  // Of any images, or of those that no batch has yet.
  Step batch_of(std::size_t worker, const std::string& name, std::int64_t odd) {
    const int number = batch_number();
    const auto paths = some_paths();
    const std::size_t unbatched = choose_.below(4);
    return [=](Side& side) {
      Tracker& tracker = *side.workers[worker];
      const JobId job = side.job(name, odd);
      auto chosen = side.images(job, paths, odd);
      if (unbatched > 0) {
        chosen.clear();
        for (const Image& image : tracker.get_unbatched_images(job, unbatched)) {
          chosen.push_back(image.id);
        }
      }
      tracker.create_batch_of(job, number, chosen);
      return std::string();
    };
  }

  Step mark_batch(std::size_t worker, const std::string& name, std::int64_t odd) {
    const int number = batch_number();
    const bool uploaded = choose_.below(2) == 0;
    const std::string message = choose_.bytes();
    return [=](Side& side) {
      Tracker& tracker = *side.workers[worker];
      const BatchId batch = side.batch(side.job(name, odd), number, odd);
      uploaded ? tracker.mark_batch_uploaded(batch) : tracker.mark_batch_error(batch, message);
      return std::string();
    };
  }

  Step read_pages(std::size_t worker, const std::string& name, std::int64_t odd) {
    const std::size_t size = limit();
    const std::string after = path();
    const auto status = static_cast<Status>(choose_.below(4));
    return [=](Side& side) {
      Tracker& tracker = *side.workers[worker];
      const JobId job = side.job(name, odd);
      std::ostringstream out;
      write(out, tracker.get_pending_images(job, size));
      write(out, tracker.get_unbatched_images(job, size));
      out << tracker.get_error_summary(job, size).size();
      const auto last = tracker.get_image_id(job, after);
      for (const ImageRecord& record : tracker.get_images(job, status, size, last)) {
        out << ' ' << record.image.path.native();
      }
      return out.str();
    };
  }

  // Its worker dies, or ends in order, and a new one takes its place.
  Step end(std::size_t worker) {
    const bool dies = choose_.below(2) == 0;
    return [=](Side& side) {
      side.replace(worker, dies);
      return std::string();
    };
  }

  // ---- Choices ----------------------------------------------------------------------------------

  std::string job_name() {
    const std::size_t which = choose_.below(33);
    return which == 32 ? choose_.bytes() : std::string(1, static_cast<char>('A' + which % 4));
  }
  std::string path() {
    const std::size_t which = choose_.below(33);
    return which == 32
               ? choose_.bytes()
               : (which < 16 ? "in/" : "") + std::string(1, static_cast<char>('a' + which % 10));
  }
  std::string split() { return choose_.below(2) == 0 ? "train" : "valid"; }
  int batch_number() {
    constexpr std::array<int, 6> kNumbers{1, 2, 3, 0, -1, std::numeric_limits<int>::max()};
    return kNumbers.at(choose_.below(kNumbers.size()));
  }
  std::size_t limit() {
    constexpr std::array<std::size_t, 6> kLimits{1,
                                                 2,
                                                 5,
                                                 0,
                                                 std::numeric_limits<std::int64_t>::max(),
                                                 std::numeric_limits<std::size_t>::max()};
    return kLimits.at(choose_.below(kLimits.size()));
  }
  std::int64_t odd_id() {
    constexpr std::array<std::int64_t, 6> kOdd{987'654'321,
                                               0,
                                               -1,
                                               std::numeric_limits<std::int64_t>::max(),
                                               std::numeric_limits<std::int64_t>::min(),
                                               std::int64_t{987'654'321} << 32};
    return kOdd.at(choose_.below(kOdd.size()));
  }
  // -1: the claim's own attempt.
  int any_fence() { return choose_.below(4) > 0 ? -1 : static_cast<int>(choose_.below(3)); }

  std::vector<std::string> some_paths() {
    std::vector<std::string> paths;
    for (std::size_t left = choose_.below(4); left > 0; --left) paths.push_back(path());
    return paths;
  }
  // Mostly of the latest ones, which are still held.
  std::vector<std::size_t> some_claims(std::size_t claimed) {
    std::vector<std::size_t> chosen;
    for (std::size_t left = claimed == 0 ? 0 : choose_.below(6); left > 0; --left) {
      chosen.push_back(claimed - 1 - choose_.below(std::min<std::size_t>(claimed, 200)));
    }
    return chosen;
  }

  Choices choose_;
};

void compare(const std::string& what, const std::string& sqlite, const std::string& model) {
  if (sqlite != model) {
    throw Wrong(what + ": SQLite says\n" + sqlite + "\nand the model\n" + model);
  }
}

}  // namespace

void fuzz_calls(Bytes input) {
  constexpr int kMostCalls = 200;
  constexpr int kLookAtAll = 8;
  set_log_handler([](LogLevel, std::string_view) {});
  test::ModelSide model(kMaxDeaths);
  FileSide sqlite;
  model.start(kWorkers);
  sqlite.start(kWorkers);
  Script script(input);
  for (int i = 1; i <= kMostCalls && !script.over(); ++i) {
    const Step step = script.next(model.claimed.size());
    const std::string expected = result_of(step, model);
    compare("call " + std::to_string(i), result_of(step, sqlite), expected);
    if (i % kLookAtAll == 0) {
      compare("after call " + std::to_string(i), record_of(*sqlite.workers[1]),
              record_of(*model.workers[1]));
    }
  }
  compare("at the end", record_of(*sqlite.workers[0]), record_of(*model.workers[0]));
  sqlite.check();
}

}  // namespace progress_tracker::reliability

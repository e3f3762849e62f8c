// A database that is taken away at any moment, under threads that mark: no call that began after it
// is acknowledged, and what was acknowledged before is where the file went.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "audit.h"
#include "campaign.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "progress_tracker/progress_tracker.h"
#include "remote_tracker.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

namespace fs = std::filesystem;

constexpr int kThreads = 3;
constexpr int kImages = 1'500;

struct Place {
  fs::path database;  // in a directory of its own
  fs::path directory() const { return database.parent_path(); }
  fs::path old_directory() const { return directory().native() + ".old"; }
  fs::path other() const { return directory().parent_path() / "other/jobs.db"; }
  fs::path aside() const { return directory() / "aside.db"; }
};

struct Move {
  std::string name;
  std::function<void(const Place&)> happen;
  // Puts everything together again where what was acknowledged has to be; empty: it is lost, and
  // that was the wish of whoever did it.
  std::function<void(const Place&)> mend;
  bool replaces{false};  // by other(), in which nothing may change
};

void remove_side_files(const fs::path& database) {
  for (const char* side : {"-wal", "-shm", "-workers"}) {
    fs::remove(database.native() + side);
  }
}

void put_back_directory(const Place& place) {
  fs::remove_all(place.directory());
  fs::rename(place.old_directory(), place.directory());
}

const std::vector<Move>& moves() {
  static const std::vector<Move> kMoves{
      {"deleted", [](const Place& place) { fs::remove(place.database); }, {}, false},
      {"deleted with its side files",
       [](const Place& place) {
         fs::remove(place.database);
         remove_side_files(place.database);
       },
       {},
       false},
      {"renamed", [](const Place& place) { fs::rename(place.database, place.aside()); },
       [](const Place& place) { fs::rename(place.aside(), place.database); }, false},
      {"renamed over",
       [](const Place& place) { fs::rename(place.other(), place.database); },
       {},
       true},
      {"replaced",
       [](const Place& place) {
         fs::rename(place.database, place.aside());
         fs::rename(place.other(), place.database);
       },
       [](const Place& place) { fs::rename(place.aside(), place.database); }, true},
      {"directory renamed",
       [](const Place& place) { fs::rename(place.directory(), place.old_directory()); },
       put_back_directory, false},
      {"directory replaced",
       [](const Place& place) {
         fs::rename(place.directory(), place.old_directory());
         fs::rename(place.other().parent_path(), place.directory());
       },
       put_back_directory, true},
  };
  return kMoves;
}

// What threads that mark one image after the other were told.
class Markers {
 public:
  Markers(ProgressTracker& tracker, JobId job, bool by_claims) : tracker_(tracker) {
    for (int i = 0; i < kThreads; ++i) {
      threads_.emplace_back([this, job, by_claims, i] {
        mark(job, by_claims, i);
        ++ended_;
      });
    }
  }
  Markers(const Markers&) = delete;
  Markers& operator=(const Markers&) = delete;
  ~Markers() { join(); }

  int acknowledged() const { return acknowledged_; }
  bool have_ended() const { return ended_ == kThreads; }
  void moved() { moved_ = true; }
  void join() {
    for (std::thread& thread : threads_) {
      if (thread.joinable()) {
        thread.join();
      }
    }
  }

  // After join().
  const std::set<ImageId>& marked() const { return marked_; }
  int false_acknowledgements() const { return false_; }
  const std::vector<std::string>& other_ends() const { return other_ends_; }

 private:
  void mark(JobId job, bool by_claims, int number) {
    int next = number + 1;
    std::vector<Image> claimed;
    // One image for each call to be marked; those of a claim are the ones of that claim.
    while (next <= kImages) {
      const bool began_after = moved_;
      try {
        ImageId image{(static_cast<std::int64_t>(job) << 32) | next};
        if (by_claims) {
          claimed = tracker_.claim_images(job, 1);
          if (claimed.empty()) {
            return;
          }
          image = claimed.front().id;
          if (!tracker_.complete(claimed.front())) {
            throw std::logic_error("a fresh claim is stale");
          }
        } else {
          tracker_.mark_completed(image);
        }
        ++acknowledged_;
        const std::lock_guard lock(mutex_);
        marked_.insert(image);
        false_ += began_after ? 1 : 0;
      } catch (const std::exception& error) {
        const auto* const ours = dynamic_cast<const Error*>(&error);
        if (ours == nullptr || ours->code() != ErrorCode::kDatabaseMoved) {
          const std::lock_guard lock(mutex_);
          other_ends_.emplace_back(error.what());
        }
        return;
      }
      next += kThreads;
    }
  }

  ProgressTracker& tracker_;
  std::atomic<int> acknowledged_{0};
  std::atomic<int> ended_{0};
  std::atomic<bool> moved_{false};
  std::mutex mutex_;
  std::set<ImageId> marked_;             // guarded by mutex_
  int false_{0};                         // guarded by mutex_
  std::vector<std::string> other_ends_;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

// Files of a database that nobody works with.
std::vector<std::string> contents_with_side_files(const fs::path& database) {
  return {test::contents_of(database), test::contents_of(database.native() + "-workers")};
}

int missing(const fs::path& database, const std::set<ImageId>& marked) {
  processes::Audit audit(database);
  audit.expect_sound();
  int missing = 0;
  for (const ImageId image : marked) {
    missing += audit.number("SELECT count(*) FROM images WHERE status = 'completed' AND id = " +
                            processes::text(image)) == 1
                   ? 0
                   : 1;
  }
  return missing;
}

struct Verdict {
  int wrong{0};
  int acknowledged{0};
  bool in_midst{false};  // the move came while marks were being made
};

Verdict move_at_a_random_moment(const Move& move, processes::Random& random) {
  const processes::TemporaryDirectory root;
  const Place place{root.path() / "sub/jobs.db"};
  const JobId job =
      ProgressTracker(place.database).create_job("job", test::image_paths(kImages), {});
  ProgressTracker(place.other()).create_job("job", test::image_paths(kImages), {});
  const auto other_before = contents_with_side_files(place.other());

  Options options;
  options.busy_timeout = processes::kPatience;
  auto tracker = std::make_unique<ProgressTracker>(place.database, options);
  Verdict verdict;
  {
    Markers markers(*tracker, job, random() % 2 == 0);
    const int moment = processes::draw(random, 0, 200);
    while (markers.acknowledged() < moment && !markers.have_ended()) {
      std::this_thread::yield();
    }
    EXPECT_GE(markers.acknowledged(), moment) << "the markers ended before the move";
    // And a little on, to hit any place within a call.
    for (auto spin = random() % 2'000; spin > 0; --spin) {
      static_cast<void>(markers.acknowledged());
    }
    move.happen(place);
    markers.moved();
    markers.join();
    verdict.acknowledged = markers.acknowledged();
    verdict.in_midst = markers.acknowledged() < kImages;
    EXPECT_EQ(markers.false_acknowledgements(), 0) << move.name;
    EXPECT_EQ(markers.other_ends().size(), 0U) << markers.other_ends().front();
    verdict.wrong +=
        markers.false_acknowledgements() + static_cast<int>(markers.other_ends().size());
    EXPECT_THAT([&] { tracker->get_status_counts(job); },
                test::ThrowsError(ErrorCode::kDatabaseMoved));
    // Dies with the file gone, as often as with it put back.
    const bool dies_first = !move.mend || random() % 2 == 0;
    if (dies_first) {
      tracker.reset();
    }
    if (move.replaces) {
      const bool untouched = contents_with_side_files(place.database).at(0) == other_before.at(0);
      EXPECT_TRUE(untouched) << move.name << ": wrote to the file that took its place";
      verdict.wrong += untouched ? 0 : 1;
    }
    if (move.mend) {
      move.mend(place);
      tracker.reset();
      const int lost = missing(place.database, markers.marked());
      EXPECT_EQ(lost, 0) << move.name << ", the tracker "
                         << (dies_first ? "died before" : "died after") << " it was put back";
      verdict.wrong += lost;
    }
  }
  return verdict;
}

TEST(MovedFileTest, NothingIsAcknowledgedThatBeganAfterTheMove) {
  const test::LogCapture quiet;  // destructors that cannot say farewell
  const unsigned seed = processes::test_seed();
  SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed));
  processes::Random random(seed);
  const std::int64_t count = sized(50, 1'000);
  int wrong = 0;
  int in_midst = 0;
  std::int64_t acknowledged = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const Verdict verdict =
        move_at_a_random_moment(moves()[static_cast<std::size_t>(i) % moves().size()], random);
    wrong += verdict.wrong;
    in_midst += verdict.in_midst ? 1 : 0;
    acknowledged += verdict.acknowledged;
  }
  EXPECT_GT(acknowledged, count) << "next to nothing was marked that could be lost";
  EXPECT_GT(in_midst, count / 2) << "the move came too late to be met";
  report("G15", "moves at random moments under " + std::to_string(kThreads) + " threads", count,
         wrong,
         std::to_string(in_midst) + " while marks were made, " + std::to_string(acknowledged) +
             " of which were acknowledged");
}

// ---- At the worst moment ------------------------------------------------------------------------

// SQLite's own VFS; the next database file that is opened is preceded by `action`.
class AtNextOpen {
 public:
  explicit AtNextOpen(std::function<void()> action) : vfs_(*sqlite3_vfs_find(nullptr)) {
    action_ = std::move(action);
    usual_ = sqlite3_vfs_find(nullptr);
    vfs_.zName = "at-next-open";
    vfs_.xOpen = open;
    sqlite3_vfs_register(&vfs_, 1);
  }
  AtNextOpen(const AtNextOpen&) = delete;
  AtNextOpen& operator=(const AtNextOpen&) = delete;
  ~AtNextOpen() { sqlite3_vfs_unregister(&vfs_); }

  static bool happened() { return !action_; }

 private:
  static int open(sqlite3_vfs* /*vfs*/, sqlite3_filename name, sqlite3_file* file, int flags,
                  int* out_flags) {
    if ((flags & SQLITE_OPEN_MAIN_DB) != 0 && action_) {
      std::exchange(action_, {})();
    }
    return usual_->xOpen(usual_, name, file, flags, out_flags);
  }

  static inline std::function<void()> action_;
  static inline sqlite3_vfs* usual_{nullptr};
  sqlite3_vfs vfs_;
};

// A connection to the other file, the only one to it, would copy the log of the one that was moved
// into it as it is closed, and remove that log: two databases lost.
TEST(MovedFileTest, AFileThatTakesItsPlaceWhileAThreadOpensItIsLeftAlone) {
  const test::LogCapture quiet;
  for (const Move& move : moves()) {
    SCOPED_TRACE(move.name);
    const processes::TemporaryDirectory root;
    const Place place{root.path() / "sub/jobs.db"};
    ProgressTracker(place.other()).create_job("other", test::image_paths(20), {});
    const auto other_before = test::contents_of(place.other());
    auto tracker = std::make_unique<ProgressTracker>(place.database);
    const JobId job = tracker->create_job("job", test::image_paths(20), {});
    const ImageId marked = tracker->claim_images(job, 1).at(0).id;
    tracker->mark_completed(marked);  // is in the log
    {
      const AtNextOpen hook([&] { move.happen(place); });
      std::thread([&] {
        EXPECT_THAT([&] { tracker->get_status_counts(job); },
                    test::ThrowsError(ErrorCode::kDatabaseMoved));
      }).join();
      EXPECT_TRUE(AtNextOpen::happened());
    }
    if (move.replaces) {
      EXPECT_TRUE(test::contents_of(place.database) == other_before);
    }
    if (move.mend) {
      move.mend(place);
      tracker.reset();
      EXPECT_EQ(missing(place.database, {marked}), 0);
    }
  }
}

// ---- The file of the workers' locks ------------------------------------------------------------

// Of the side files only this one may go: who holds an image is told by locks on it. Marks do not
// need it, and no image may go to two.
TEST(MovedFileTest, WorkersFileMayGoAtAnyMoment) {
  const test::LogCapture quiet;
  const unsigned seed = processes::test_seed();
  SCOPED_TRACE("PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed));
  processes::Random random(seed);
  const std::int64_t count = sized(15, 300);
  int wrong = 0;
  int in_midst = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const processes::TemporaryDirectory root;
    const fs::path database = root.database();
    const fs::path workers = database.native() + "-workers";
    ProgressTracker first(database);
    ProgressTracker second(database);
    const JobId job = first.create_job("job", test::image_paths(400), {});
    std::atomic<int> done{0};
    std::atomic<std::size_t> ended{0};
    std::array<std::atomic<int>, 400> completions{};
    std::vector<std::thread> threads;
    std::array<std::string, 4> errors;
    for (std::size_t t = 0; t < errors.size(); ++t) {
      threads.emplace_back([&, t] {
        ProgressTracker& tracker = t % 2 == 0 ? first : second;
        try {
          for (auto images = tracker.claim_images(job, 5); !images.empty();
               images = tracker.claim_images(job, 5)) {
            for (const Image& image : images) {
              if (tracker.complete(image)) {
                ++completions.at(processes::number_of(image.path));
              }
              ++done;
            }
          }
        } catch (const std::exception& error) {
          errors[t] = error.what();
        }
        ++ended;
      });
    }
    const int moment = processes::draw(random, 0, 300);
    while (done < moment && ended < errors.size()) {
      std::this_thread::yield();
    }
    in_midst += ended < errors.size() ? 1 : 0;
    if (random() % 2 == 0) {
      fs::remove(workers);
    } else {
      test::write_file(workers.native() + ".new", std::string(random() % 40, 'x'));
      fs::rename(workers.native() + ".new", workers);
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    for (const std::string& error : errors) {
      EXPECT_EQ(error, "");
      wrong += error.empty() ? 0 : 1;
    }
    for (std::size_t image = 0; image < completions.size(); ++image) {
      EXPECT_EQ(completions.at(image), 1) << "image " << image;
      wrong += completions.at(image) == 1 ? 0 : 1;
    }
    processes::Audit audit(database);
    audit.expect_sound();
    EXPECT_EQ(audit.number("SELECT count(*) FROM images WHERE status = 'completed'"), 400);
  }
  EXPECT_GT(in_midst, count / 4) << "the file went too late to be missed";
  report("G15", "removals of the workers' file under two trackers", count, wrong,
         std::to_string(in_midst) + " while images were claimed");
}

}  // namespace
}  // namespace progress_tracker::reliability

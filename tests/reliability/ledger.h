// What became of each image by the word of those who worked on it: in memory that a test shares
// with its actors, and that outlives any of them.
//
// An actor writes what it was given after the call that gave it returned, and that it lets go
// before the call that does it. So whoever is given an image that somebody living has not let go,
// or one under an attempt that was given before, knows at once.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_LEDGER_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_LEDGER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace progress_tracker::reliability {

class Ledger {
 public:
  static constexpr int kMostOwners = 100'000;

  // Makes the file, for so many images.
  Ledger(const std::filesystem::path& file, std::size_t images);
  // One that was made.
  explicit Ledger(const std::filesystem::path& file);
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;
  ~Ledger();

  // ---- By whoever works. Owners are numbered from 1, and no number is used again. ----

  // Returns what is wrong with it, or "".
  std::string claimed(std::size_t image, int attempt, int owner);
  void lets_go(std::size_t image);
  void completed(std::size_t image);
  void failed(std::size_t image, int attempt);
  void count_call() { head().calls.fetch_add(1, std::memory_order_relaxed); }
  void count_refusal() { head().refusals.fetch_add(1, std::memory_order_relaxed); }
  bool is_over() const { return head().over.load(); }

  // ---- By the test ----

  // To be called just before the owner's process is killed: whoever was given its images before
  // knows that it was alive. Whoever is given them between this call and the death is not seen.
  void will_die(int owner) { head().doomed[owner].store(true); }
  void end() { head().over.store(true); }

  std::int64_t claims() const { return head().claims.load(); }
  std::int64_t calls() const { return head().calls.load(); }
  std::int64_t refusals() const { return head().refusals.load(); }

  // What holds of an image in the end, if this is how the database has it; returns what is wrong,
  // or "". `all_told`: no actor was killed, so that there is no claim that was not written down.
  std::string compare(std::size_t image, const std::string& status, int attempts,
                      bool all_told) const;

 private:
  struct Head {
    std::atomic<std::int64_t> claims;
    std::atomic<std::int64_t> calls;
    std::atomic<std::int64_t> refusals;
    std::atomic<bool> over;
    std::atomic<bool> doomed[kMostOwners];
  };
  struct Entry {
    std::atomic<int> owner;    // 0: nobody
    std::atomic<int> attempt;  // the latest that was given
    std::atomic<int> failed;   // the latest attempt that was acknowledged to have failed
    std::atomic<bool> completed;
  };

  Head& head() const { return *static_cast<Head*>(memory_); }
  Entry& entry(std::size_t image) const;

  void* memory_{nullptr};
  std::size_t bytes_{0};
};

// By an actor: tells the test what is wrong, unless that is "".
void complain(const std::string& what);

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_LEDGER_H_

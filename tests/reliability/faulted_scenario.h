// A pipeline's calls while something it needs runs out, and a record outside of the database of
// what the file has to hold all the same.
//
// Every call either does what it says or throws an Error that fits, having changed nothing: done or
// not is open for kOutcomeUnknown alone. Once the shortage is over the very same call has to work,
// through the same tracker unless the error was kOutcomeUnknown. All of that is checked against the
// file itself after each call.
//
// Runs in an actor (processes/process.h), because limits and mounts are a process's: what it finds
// wrong is said on its standard output, and tally_of() collects it in the test.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_FAULTED_SCENARIO_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_FAULTED_SCENARIO_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "process.h"
#include "progress_tracker/error.h"
#include "progress_tracker/progress_tracker.h"
#include "record.h"

namespace progress_tracker::reliability {

// Something that there is too little of.
struct Shortage {
  std::function<void()> begin = [] {};
  std::function<void()> end = [] {};
  // Whether this is what a call may throw because of it.
  std::function<bool(const Error&)> fits;
  bool may_be_bad_alloc{false};   // and not only an Error
  bool allows_reading{true};      // so a call that reads has to work under it
  bool only_inside_calls{false};  // because the record could not be kept under it
};

struct Tally {
  std::int64_t calls{0};
  std::int64_t refused{0};
  std::int64_t unknown{0};
  std::vector<std::string> wrong;

  Tally& operator+=(const Tally& other);
};

// ---- In the actor ------------------------------------------------------------------------------

class FaultedScenario {
 public:
  FaultedScenario(std::filesystem::path database, Shortage shortage, unsigned seed);

  // Opens the database under the shortage, which stays.
  void begin();
  // One round of work, with jobs of its own, which it removes.
  void work();
  // Closes the tracker and opens it anew, without the shortage.
  void reopen();
  // Closes the tracker without the shortage, and looks at the file once more.
  void end();

  // For main(): says the tally and what was wrong. Returns an exit status.
  int say_tally() const;

 private:
  using Call = std::function<std::string()>;

  // Does what `call` does, under a shortage that is there inside calls only.
  template <typename Inside>
  auto under_shortage(const Inside& call);
  void begin_shortage();
  void end_shortage();
  void open();
  void work_through();
  void attempt(const processes::Operation& operation, const Call& call);
  bool try_once(const processes::Operation& operation, const Call& call);
  void after_failure(const processes::Operation& operation, const processes::Record& after);
  void expect_readable();
  void expect_file(const std::string& when);
  std::string claim(const std::string& job, JobId id, int limit, std::vector<Image>& claimed);
  void mark(const std::string& job, std::vector<Image>& claimed);
  void complain(const std::string& what);
  int draw(int low, int high);

  const std::filesystem::path database_;
  const Shortage shortage_;
  processes::Random random_;
  std::unique_ptr<ProgressTracker> tracker_;
  processes::Record record_;
  int round_{0};
  bool is_short_{false};
  bool unknown_{false};  // the tracker has to be opened anew
  Tally tally_;
};

// ---- In the test -------------------------------------------------------------------------------

// Runs the actor to its end. Its death by a signal, or hanging, is wrong too.
Tally tally_of(const std::string& actor, const std::vector<std::string>& arguments);

// As a failed expectation with what was wrong, at most ten lines of it.
void expect_nothing_wrong(const Tally& tally);

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_FAULTED_SCENARIO_H_

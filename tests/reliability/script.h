// A script of operations (processes/record.h) that a tracker carries out, and what the database may
// hold after it.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_SCRIPT_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_SCRIPT_H_

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "progress_tracker/options.h"
#include "progress_tracker/progress_tracker.h"
#include "record.h"
#include "temp_directory.h"

namespace progress_tracker::reliability {

using processes::Operation;
using processes::Picture;
using processes::Record;

// At how many of its points a scenario is tried.
enum class Extent {
  kBasic,    // at all or many, also in the fast size
  kUsual,    // at all in the size of a release
  kLengthy,  // not even then at every allocation
};

// Something that a pipeline does, from a prepared directory on.
struct Scenario {
  std::string name;  // a word
  // Makes the directory's contents, and the record of them; nothing: there is no database yet.
  std::function<Record(const std::filesystem::path& database)> prepare;
  std::vector<Operation> script;
  Options options;
  Extent extent{Extent::kUsual};
};

// All of them: at least one for each thing that a tracker does with the file.
const std::vector<Scenario>& scenarios();

// Those where what returned is committed: all but the ones with a mark_buffer.
std::vector<Scenario> scenarios_that_commit();

// A place for one life of a database; these tests make many thousands.
class ScratchDirectory : public test::MemoryDirectory {
 public:
  // Makes its contents those of another directory.
  void become(const std::filesystem::path& other) const;
};

// A scenario's beginning, made once and then copied.
class Prepared {
 public:
  explicit Prepared(const Scenario& scenario);

  void copy_to(const ScratchDirectory& target) const;
  const Record& record() const { return record_; }

 private:
  ScratchDirectory directory_;
  Record record_;
};

// Carries operations out. Only the calls of the tracker are Armed.
class Player {
 public:
  Player(std::filesystem::path database, Options options);

  // Opens the tracker if it is not open, does the operation, and gives the answer that Record
  // gives. Throws what the tracker throws.
  std::string carry_out(const Operation& operation);

  bool is_open() const { return tracker_ != nullptr; }
  // Opens the tracker; throws what its constructor throws.
  void open();
  // As a program does that has no further use for it: the destructor.
  void drop();

 private:
  JobId job(const std::string& name);
  ImageId image(const std::string& job, const std::string& path);
  std::vector<std::filesystem::path> paths(const Operation& operation) const;

  const std::filesystem::path database_;
  const Options options_;
  std::unique_ptr<ProgressTracker> tracker_;
};

// What the database may hold, where it is not known whether something was done.
class Worlds {
 public:
  explicit Worlds(Record record) : possible_{std::move(record)} {}

  // It was done, with this answer: what could not have given it is possible no longer. "": the
  // answer fits; else what was expected.
  std::string done(const Operation& operation, const std::string& answer);
  // Done or not.
  void perhaps_done(const Operation& operation);
  void worker_died();
  // In order or not.
  void worker_ended();
  void perhaps(const Worlds& others);

  // "": this is what it may hold; else what is different from the likeliest.
  std::string compare(const Picture& found);
  // The same, and from now on it is this: where nothing is held in memory.
  std::string settle(const Picture& found);
  const std::vector<Record>& possible() const { return possible_; }

 private:
  std::vector<Record> possible_;
};

// For messages.
std::string to_string(const Operation& operation);

// What is in the file; with its soundness as the test's failures (Audit::expect_sound()). Empty for
// no database, and for one without a schema.
Picture picture_of_file(const std::filesystem::path& database);

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_SCRIPT_H_

// What a database has to hold, kept by the test from what a worker said it did.
//
// An operation is a list of words that says everything about it ("claim", "job", "5"). The worker
// that does it and the record that replays it understand it alike; carry_out() gives the answer
// that the worker must have had.
#ifndef PROGRESS_TRACKER_TESTS_PROCESSES_RECORD_H_
#define PROGRESS_TRACKER_TESTS_PROCESSES_RECORD_H_

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "audit.h"
#include "progress_tracker/types.h"

namespace progress_tracker::processes {

using Operation = std::vector<std::string>;

// Every row that readers of the file see, by a name for it.
using Picture = std::map<std::string, std::string>;

// The split that number `i` of a list is given.
std::string split_of(int i);

class Record {
 public:
  std::string carry_out(const Operation& operation);

  // What the worker held is held by nobody alive from now on; and if it could say so, without a
  // death.
  void worker_died();
  void worker_left();

  Picture picture() const;

 private:
  enum class Holder { kAlive, kLeft, kDied };
  struct Entry {
    std::string path;
    std::string split;
    Status status{Status::kPending};
    int attempts{0};
    int deaths{0};
    std::string message;
    Holder holder{Holder::kAlive};  // while it is processing
    int batch{0};                   // its number; 0: in none
  };
  struct Upload {
    std::string status{"pending"};
    std::string error;
    int count{0};
  };
  struct JobEntry {
    std::string upstream;
    std::vector<Entry> images;
    std::map<std::string, std::size_t> places;  // by path
    std::map<int, Upload> batches;
    int processed_count{0};
    int error_count{0};
  };

  static int add(JobEntry& job, const std::string& path, const std::string& split);
  bool mark(const std::string& job, const std::string& path, int attempt, bool good,
            const std::string& message);
  static std::string claim(JobEntry& job, std::size_t limit);
  static int take_back(JobEntry& job, bool own);
  void worker_ended(Holder how);
  static int count(const JobEntry& job, Status status);
  static void checkpoint(JobEntry& job);
  static std::string counts(const JobEntry& job);
  Entry& entry(const std::string& job, const std::string& path);

  std::map<std::string, JobEntry> jobs_;
};

// The same as it stands in the file.
Picture picture_of(Audit& audit);

// What the one has and the other has not, for a failure's message: at most some lines.
std::string difference(const Picture& expected, const Picture& found);

}  // namespace progress_tracker::processes

#endif  // PROGRESS_TRACKER_TESTS_PROCESSES_RECORD_H_

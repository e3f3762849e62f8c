#include "faulted_scenario.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "audit.h"
#include "progress_tracker/log.h"
#include "remote_tracker.h"

namespace progress_tracker::reliability {

using processes::Audit;
using processes::Operation;
using processes::Picture;
using processes::Record;

namespace {

std::string join(const Operation& operation) {
  std::string line;
  for (const std::string& word : operation) {
    line += (line.empty() ? "" : " ") + (word.empty() ? "-" : word);
    if (line.size() > 120) {
      return line + " ...";
    }
  }
  return line;
}

Picture picture_in(const std::filesystem::path& database) {
  Audit audit(database);
  return processes::picture_of(audit);
}

std::string describe(const Error& error) {
  return std::string(to_string(error.code())) + " (" + std::to_string(error.sqlite_code()) +
         "): " + error.what();
}

std::string counts_of(const StatusCounts& counts) {
  return std::to_string(counts.pending) + " " + std::to_string(counts.processing) + " " +
         std::to_string(counts.completed) + " " + std::to_string(counts.error);
}

std::vector<std::string> splits(int count) {
  std::vector<std::string> splits;
  for (int i = 0; i < count; ++i) {
    splits.push_back(processes::split_of(i));
  }
  return splits;
}

}  // namespace

Tally& Tally::operator+=(const Tally& other) {
  calls += other.calls;
  refused += other.refused;
  unknown += other.unknown;
  wrong.insert(wrong.end(), other.wrong.begin(), other.wrong.end());
  return *this;
}

FaultedScenario::FaultedScenario(std::filesystem::path database, Shortage shortage, unsigned seed)
    : database_(std::move(database)), shortage_(std::move(shortage)), random_(seed) {
  // A failed checkpoint is a warning, and here there are many.
  set_log_level(LogLevel::kOff);
}

int FaultedScenario::draw(int low, int high) { return processes::draw(random_, low, high); }

void FaultedScenario::complain(const std::string& what) {
  std::string line = "round " + std::to_string(round_) + ": " + what;
  std::replace(line.begin(), line.end(), '\n', '|');
  tally_.wrong.push_back(std::move(line));
}

// ---- One call ----------------------------------------------------------------------------------

void FaultedScenario::begin_shortage() {
  is_short_ = true;
  if (!shortage_.only_inside_calls) {
    shortage_.begin();
  }
}

void FaultedScenario::end_shortage() {
  is_short_ = false;
  shortage_.end();
}

template <typename Inside>
auto FaultedScenario::under_shortage(const Inside& call) {
  struct Scope {
    const Shortage* shortage;
    ~Scope() {
      if (shortage != nullptr) {
        shortage->end();
      }
    }
  };
  const bool now = is_short_ && shortage_.only_inside_calls;
  const Scope scope{now ? &shortage_ : nullptr};
  if (now) {
    shortage_.begin();
  }
  return call();
}

void FaultedScenario::open() {
  // Marks that wait for the disk take another way through the library.
  Options options;
  options.busy_timeout = std::chrono::seconds(5);  // there is nobody to wait for
  options.synchronous =
      draw(0, 1) == 0 ? Options::Synchronous::kNormal : Options::Synchronous::kFull;
  tracker_ = under_shortage([&] { return std::make_unique<ProgressTracker>(database_, options); });
}

void FaultedScenario::attempt(const Operation& operation, const Call& call) {
  if (!try_once(operation, call)) {
    try_once(operation, call);
    begin_shortage();
  }
}

// False: it failed, there is enough again, and it is to be tried again.
bool FaultedScenario::try_once(const Operation& operation, const Call& call) {
  ++tally_.calls;
  Record after = record_;
  const std::string expected = after.carry_out(operation);
  const bool was_short = is_short_;
  std::string error;
  try {
    const std::string answer = call();
    if (answer != expected) {
      complain(join(operation) + ": answered " + answer + " instead of " + expected);
    }
    record_ = std::move(after);
    expect_file("acknowledged: " + join(operation));
    return true;
  } catch (const Error& failure) {
    error = failure.what();
    unknown_ = failure.code() == ErrorCode::kOutcomeUnknown;
    if (!shortage_.fits(failure)) {
      complain(join(operation) + ": an error that does not fit: " + describe(failure));
    }
  } catch (const std::bad_alloc& failure) {
    error = failure.what();
    if (!shortage_.may_be_bad_alloc) {
      complain(join(operation) + ": bad_alloc");
    }
  }
  ++tally_.refused;
  tally_.unknown += unknown_ ? 1 : 0;
  if (!was_short) {
    complain(join(operation) + ": fails though there is enough again: " + error);
    return true;
  }
  after_failure(operation, after);
  // A job that is gone cannot be removed again.
  return operation.at(0) == "remove" && record_.picture() == after.picture();
}

void FaultedScenario::after_failure(const Operation& operation, const Record& after) {
  const auto look = [&](const char* when) {
    const Picture found = picture_in(database_);
    if (found == record_.picture()) {
      return;
    }
    if (unknown_ && found == after.picture()) {
      record_ = after;
      return;
    }
    complain(join(operation) + ": failed, but changed something (" + when +
             "): " + processes::difference(record_.picture(), found));
  };
  look("during the shortage");
  if (shortage_.allows_reading && !unknown_) {
    expect_readable();
  }
  end_shortage();
  if (unknown_) {
    tracker_.reset();
    open();
  }
  look("after it");
  if (std::exchange(unknown_, false)) {
    record_.worker_died();
  }
}

void FaultedScenario::expect_readable() {
  try {
    const std::size_t jobs = tracker_->list_jobs().size();
    const Picture picture = record_.picture();
    const auto expected = std::count_if(picture.begin(), picture.end(), [](const auto& row) {
      return row.first.starts_with("job ");
    });
    if (static_cast<std::ptrdiff_t>(jobs) != expected) {
      complain("reading finds " + std::to_string(jobs) + " jobs");
    }
    for (const Job& job : tracker_->list_jobs()) {
      const std::string counts = counts_of(tracker_->get_status_counts(job.id).value());
      if (const std::string right = record_.carry_out({"counts", job.name}); counts != right) {
        complain("reading finds " + counts + " in " + job.name + " and not " + right);
      }
      tracker_->get_progress(job.id);
      tracker_->get_progress_by_split(job.id);
      tracker_->get_images(job.id);
      tracker_->get_error_summary(job.id);
      tracker_->get_unbatched_images(job.id);
    }
    tracker_->list_workers();
  } catch (const std::exception& error) {
    complain(std::string("reading fails: ") + error.what());
  }
}

void FaultedScenario::expect_file(const std::string& when) {
  const Picture found = picture_in(database_);
  if (found != record_.picture()) {
    complain(when + ": " + processes::difference(record_.picture(), found));
  }
}

// ---- The work ----------------------------------------------------------------------------------

std::string FaultedScenario::claim(const std::string& job, JobId id, int limit,
                                   std::vector<Image>& claimed) {
  std::string answer;
  attempt({"claim", job, std::to_string(limit)}, [&] {
    answer.clear();
    const auto images =
        under_shortage([&] { return tracker_->claim_images(id, static_cast<std::size_t>(limit)); });
    for (const Image& image : images) {
      answer += image.path.string() + ":" + std::to_string(image.attempt) + " ";
      claimed.push_back(image);
    }
    return answer;
  });
  return answer;
}

// Every kind of mark, on what was claimed.
void FaultedScenario::mark(const std::string& job, std::vector<Image>& claimed) {
  const auto next = [&] {
    Image image = claimed.back();
    claimed.pop_back();
    return image;
  };
  if (claimed.size() < 6) {
    throw std::runtime_error("too little was claimed");
  }
  const int many = std::min<int>(20, static_cast<int>(claimed.size()) - 5);
  Operation operation{"outcomes", job};
  std::vector<Outcome> outcomes;
  for (int i = 0; i < many; ++i) {
    const Image image = next();
    const std::string error =
        i % 4 == 3 ? std::string(static_cast<std::size_t>(draw(1, 900)), 'e') : std::string();
    operation.insert(operation.end(), {image.path.string(), std::to_string(image.attempt), error});
    Outcome& outcome = outcomes.emplace_back();
    outcome.id = image.id;
    outcome.attempt = image.attempt;
    if (!error.empty()) {
      outcome.error = error;
    }
  }
  attempt(operation, [&] {
    return std::to_string(under_shortage([&] { return tracker_->mark_outcomes(outcomes); }));
  });
  const Image by_id = next();
  attempt({"mark_completed", job, by_id.path.string()}, [&] {
    under_shortage([&] { tracker_->mark_completed(by_id.id); });
    return std::string("done");
  });
  const Image failed = next();
  attempt({"mark_error", job, failed.path.string(), "broken"}, [&] {
    under_shortage([&] { tracker_->mark_error(failed.id, "broken"); });
    return std::string("done");
  });
  const Image fenced = next();
  attempt({"complete", job, fenced.path.string(), std::to_string(fenced.attempt)}, [&] {
    return std::string(under_shortage([&] { return tracker_->complete(fenced); }) ? "1" : "0");
  });
  const Image released = next();
  const std::vector<Image> back{released};
  attempt({"release", job, released.path.string(), std::to_string(released.attempt)}, [&] {
    return std::to_string(under_shortage([&] { return tracker_->release_images(back); }));
  });
}

void FaultedScenario::work() {
  ++round_;
  try {
    work_through();
  } catch (const std::exception& error) {
    // The record cannot follow a call that went wrong.
    complain(std::string("ended by ") + error.what());
  }
}

void FaultedScenario::work_through() {
  const std::string name = "j" + std::to_string(round_);
  const std::string fed = "c" + std::to_string(round_);
  // A long list is loaded in pieces.
  const int count = draw(0, 19) == 0 ? draw(2'001, 2'400) : draw(60, 250);
  const auto paths = processes::some_paths(name, 0, count);
  const auto labels = splits(count);
  JobId job{};
  attempt({"create", name, "0", std::to_string(count)}, [&] {
    job = under_shortage([&] { return tracker_->create_job(name, paths, labels); });
    return std::string("done");
  });
  std::vector<Image> claimed;
  claim(name, job, 40, claimed);
  mark(name, claimed);
  attempt({"checkpoint", name}, [&] {
    under_shortage([&] { tracker_->checkpoint(job); });
    return std::string("done");
  });
  JobId next{};
  attempt({"chain", fed, name}, [&] {
    next = under_shortage([&] { return tracker_->chain_job(fed, job); });
    return std::string("done");
  });
  std::vector<Image> claimed_next;
  claim(fed, next, 8, claimed_next);
  mark(fed, claimed_next);
  attempt({"reset", name}, [&] {
    return std::to_string(under_shortage([&] { return tracker_->reset_stuck_images(job); }));
  });
  attempt({"reset_errors", name}, [&] {
    return std::to_string(under_shortage([&] { return tracker_->reset_error_images(job); }));
  });
  attempt({"checkpoint", name}, [&] {
    under_shortage([&] { tracker_->sync(); });  // changes nothing
    under_shortage([&] { tracker_->checkpoint(job); });
    return std::string("done");
  });
  // The first one to be removed feeds nothing any more by then.
  for (const auto& [removed, id] : {std::pair(fed, next), std::pair(name, job)}) {
    attempt({"reset", removed}, [&, id = id] {
      return std::to_string(under_shortage([&] { return tracker_->reset_stuck_images(id); }));
    });
    attempt({"remove", removed}, [&, id = id] {
      under_shortage([&] { tracker_->remove_job(id); });
      return std::string("done");
    });
  }
}

void FaultedScenario::begin() {
  begin_shortage();
  ++tally_.calls;
  try {
    open();
    return;
  } catch (const Error& error) {
    if (!shortage_.fits(error) || error.code() == ErrorCode::kOutcomeUnknown) {
      complain("open: an error that does not fit: " + describe(error));
    }
  } catch (const std::bad_alloc&) {
    if (!shortage_.may_be_bad_alloc) {
      complain("open: bad_alloc");
    }
  }
  ++tally_.refused;
  end_shortage();
  open();
  begin_shortage();
}

void FaultedScenario::reopen() {
  end_shortage();
  tracker_.reset();
  open();
  begin_shortage();
}

void FaultedScenario::end() {
  end_shortage();
  tracker_.reset();
  Audit(database_).expect_sound();
  if (testing::Test::HasFailure()) {
    complain("the file is not sound");
  }
  expect_file("at the end");
}

int FaultedScenario::say_tally() const {
  for (const std::string& line : tally_.wrong) {
    processes::say("wrong " + line);
  }
  processes::say("tally " + std::to_string(tally_.calls) + " " + std::to_string(tally_.refused) +
                 " " + std::to_string(tally_.unknown));
  return 0;
}

// ---- In the test -------------------------------------------------------------------------------

Tally tally_of(const std::string& actor, const std::vector<std::string>& arguments) {
  processes::Process process(actor, arguments);
  Tally tally;
  while (const auto line = process.receive()) {
    std::istringstream words(*line);
    std::string kind;
    words >> kind;
    if (kind == "tally") {
      Tally one;
      words >> one.calls >> one.refused >> one.unknown;
      tally += one;
    } else {
      tally.wrong.push_back(*line);
    }
  }
  if (const int status = process.wait(); status != 0) {
    tally.wrong.push_back("the actor ended with status " + std::to_string(status) +
                          (status < 0 ? " (a signal)" : ""));
  }
  return tally;
}

void expect_nothing_wrong(const Tally& tally) {
  constexpr std::size_t kShown = 10;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, tally.wrong.size()); ++i) {
    text += tally.wrong[i] + "\n";
  }
  EXPECT_EQ(tally.wrong.size(), 0U) << text;
}

}  // namespace progress_tracker::reliability

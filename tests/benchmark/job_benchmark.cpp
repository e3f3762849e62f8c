// Measures one job of many images, on one thread: the library, or a plain program to compare with.
//
//   job_benchmark create|mark|status|reopen|scale program=... images=N directory=DIRECTORY
//   [key=value
//   ...]
//
// job_cases.h has the keys that every case has; each case's file has its own.
#include <stdexcept>
#include <string>

#include "job_cases.h"

namespace benchmark {
namespace {

Program read_program(Arguments& arguments) {
  const std::string name = arguments.text("program", "library");
  if (name == "library") {
    return Program::kLibrary;
  }
  if (name == "original") {
    return Program::kOriginal;
  }
  if (name == "original_counters") {
    return Program::kOriginalCounters;
  }
  if (name == "floor") {
    return Program::kFloor;
  }
  throw UsageError("program=" + name + ": no such program");
}

ImageSource read_source(Arguments& arguments) {
  const std::size_t images = arguments.number("images");
  const std::size_t per_directory = arguments.number("per_directory", 1000);
  const std::string order = arguments.text("order", "sorted");
  if (images == 0 || per_directory == 0) {
    throw UsageError("images= and per_directory= are at least 1");
  }
  if (order != "sorted" && order != "shuffled") {
    throw UsageError("order=" + order + ": neither sorted nor shuffled");
  }
  return {images, per_directory, order == "shuffled"};
}

Figures run_case(Arguments& arguments) {
  if (arguments.name() == "create") {
    return create_case(arguments);
  }
  if (arguments.name() == "mark") {
    return mark_case(arguments);
  }
  if (arguments.name() == "status") {
    return status_case(arguments);
  }
  if (arguments.name() == "reopen") {
    return reopen_case(arguments);
  }
  if (arguments.name() == "scale") {
    return scale_case(arguments);
  }
  throw UsageError(arguments.name() + ": no such case");
}

}  // namespace

JobSetting::JobSetting(Arguments& arguments)
    : program(read_program(arguments)),
      source(read_source(arguments)),
      directory(arguments.directory()) {}

void JobSetting::refuse_program() const { throw UsageError("program=: not one of this case"); }

ScratchDatabase::ScratchDatabase(const JobSetting& setting)
    : path_(setting.directory / "job_benchmark.db") {
  remove_database(path_);
}

ScratchDatabase::~ScratchDatabase() { remove_database(path_); }

void require(const std::optional<progress_tracker::StatusCounts>& counts,
             const progress_tracker::StatusCounts& expected) {
  if (counts != expected) {
    throw std::runtime_error("the job is not in the state that the measurement should have made");
  }
}

}  // namespace benchmark

int main(int argc, char** argv) { return benchmark::run_driver(argc, argv, benchmark::run_case); }

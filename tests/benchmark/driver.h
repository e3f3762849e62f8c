// What the drivers of the benchmark share. A driver is a small program; one run of it is one
// measurement, in a fresh process on a fresh database:
//
//   <driver> <case> [key=value ...] directory=<scratch directory>
//
// It prints one line, a flat JSON object of figures, and exits with 0; with 1 if the measurement
// failed, and with 2 if it was called wrongly.
#ifndef PROGRESS_TRACKER_TESTS_BENCHMARK_DRIVER_H_
#define PROGRESS_TRACKER_TESTS_BENCHMARK_DRIVER_H_

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace benchmark {

class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The command line. Whatever is wrong with it throws UsageError.
class Arguments {
 public:
  Arguments(int argc, const char* const* argv);

  const std::string& name() const { return name_; }  // of the case

  // The value of a key, or `fallback` where the key is not given.
  std::string text(std::string_view key, std::string_view fallback);
  std::size_t number(std::string_view key, std::size_t fallback);
  bool flag(std::string_view key);  // given as 0 or 1; not given: false

  // These must be given.
  std::size_t number(std::string_view key);
  std::filesystem::path directory();

  // Throws if a key was given that nobody has asked for: to be called before the measurement.
  void refuse_unknown() const;

 private:
  const std::string* find(std::string_view key);
  const std::string& require(std::string_view key);

  std::string name_;
  std::map<std::string, std::string, std::less<>> values_;
  std::set<std::string, std::less<>> asked_;
};

class Figures {
 public:
  template <typename Number>
  void add(std::string name, Number value) {
    figures_.emplace_back(std::move(name), static_cast<double>(value));
  }

  // Throws if one of them is no finite number, which JSON cannot have.
  std::string to_json() const;

 private:
  std::vector<std::pair<std::string, double>> figures_;
};

// A driver's main(): measures, prints the figures, and gives the exit code.
int run_driver(int argc, const char* const* argv,
               const std::function<Figures(Arguments&)>& measure);

// Runs from its making.
class Stopwatch {
 public:
  double seconds() const { return passed<std::ratio<1>>(); }
  double milliseconds() const { return passed<std::milli>(); }
  double microseconds() const { return passed<std::micro>(); }

 private:
  template <typename Unit>
  double passed() const {
    return std::chrono::duration<double, Unit>(std::chrono::steady_clock::now() - start_).count();
  }

  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// The value that `fraction` of the values do not exceed; 0.5 gives the median. Not of nothing.
double percentile(std::vector<double> values, double fraction);

// Removes the database and the files beside it, as far as they are there.
void remove_database(const std::filesystem::path& database);

}  // namespace benchmark

#endif  // PROGRESS_TRACKER_TESTS_BENCHMARK_DRIVER_H_

#include "driver.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <exception>

namespace benchmark {
namespace {

std::size_t to_number(std::string_view key, const std::string& value) {
  std::size_t number = 0;
  const char* end = value.data() + value.size();
  const auto [stopped, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || stopped != end) {
    throw UsageError(std::string(key) + "=" + value + ": not a number");
  }
  return number;
}

}  // namespace

Arguments::Arguments(int argc, const char* const* argv) {
  if (argc < 2) {
    throw UsageError("no case given: <driver> <case> [key=value ...] directory=DIRECTORY");
  }
  name_ = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos) {
      throw UsageError(argument + ": not of the form key=value");
    }
    values_[argument.substr(0, equals)] = argument.substr(equals + 1);
  }
}

std::string Arguments::text(std::string_view key, std::string_view fallback) {
  const std::string* value = find(key);
  return value != nullptr ? *value : std::string(fallback);
}

std::size_t Arguments::number(std::string_view key, std::size_t fallback) {
  const std::string* value = find(key);
  return value != nullptr ? to_number(key, *value) : fallback;
}

bool Arguments::flag(std::string_view key) {
  const std::size_t value = number(key, 0);
  if (value > 1) {
    throw UsageError(std::string(key) + ": neither 0 nor 1");
  }
  return value == 1;
}

std::size_t Arguments::number(std::string_view key) { return to_number(key, require(key)); }

std::filesystem::path Arguments::directory() { return require("directory"); }

void Arguments::refuse_unknown() const {
  for (const auto& [key, value] : values_) {
    if (!asked_.contains(key)) {
      throw UsageError(key + ": unknown to this case");
    }
  }
}

const std::string* Arguments::find(std::string_view key) {
  asked_.emplace(key);
  const auto found = values_.find(key);
  return found != values_.end() ? &found->second : nullptr;
}

const std::string& Arguments::require(std::string_view key) {
  const std::string* value = find(key);
  if (value == nullptr) {
    throw UsageError(std::string(key) + "= is missing");
  }
  return *value;
}

std::string Figures::to_json() const {
  std::string json;
  for (const auto& [name, value] : figures_) {
    if (!std::isfinite(value)) {
      throw std::runtime_error(name + ": not a finite number");
    }
    char number[32];
    std::snprintf(number, sizeof number, "%.10g", value);
    json += (json.empty() ? "{\"" : ", \"") + name + "\": " + number;
  }
  return json + "}";
}

int run_driver(int argc, const char* const* argv,
               const std::function<Figures(Arguments&)>& measure) {
  try {
    Arguments arguments(argc, argv);
    std::printf("%s\n", measure(arguments).to_json().c_str());
    return 0;
  } catch (const UsageError& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
}

double percentile(std::vector<double> values, double fraction) {
  const auto last = static_cast<double>(values.size() - 1);
  const auto place = values.begin() + std::lround(fraction * last);
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

void remove_database(const std::filesystem::path& database) {
  for (const char* suffix : {"", "-wal", "-shm", "-workers"}) {
    std::filesystem::remove(database.native() + suffix);
  }
}

}  // namespace benchmark

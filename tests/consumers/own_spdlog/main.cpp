// Usage: own_spdlog DATABASE. Checks that the library leaves the program's loggers as they are,
// and that a logger called "progress_tracker", if the program registers one, is written to but
// not changed.

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>
#include <set>
#include <sstream>
#include <string>

#include "progress_tracker/log.h"
#include "progress_tracker/progress_tracker.h"

namespace {

int failures = 0;

void expect(bool held, const char* promise) {
  if (held) return;
  std::cerr << "not so: " << promise << '\n';
  ++failures;
}

std::shared_ptr<spdlog::logger> logger_to(std::ostringstream& stream, const std::string& name) {
  auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(stream);
  auto logger = std::make_shared<spdlog::logger>(name, sink);
  logger->set_pattern("<%n> %v");
  return logger;
}

std::set<std::string> registered() {
  std::set<std::string> names;
  spdlog::apply_all(
      [&](const std::shared_ptr<spdlog::logger>& logger) { names.insert(logger->name()); });
  return names;
}

// Uses the library with every line it can write, traces included.
void use_library(const std::string& database) {
  progress_tracker::set_log_level(progress_tracker::LogLevel::kDebug);
  progress_tracker::ProgressTracker tracker(database);
  const std::array<std::filesystem::path, 1> images{"a.jpg"};
  const progress_tracker::JobId job = tracker.create_job("job", images, {});
  for (const progress_tracker::Image& image : tracker.claim_images(job)) tracker.complete(image);
  tracker.checkpoint(job);
}

void default_logger_is_left_alone(const std::string& database) {
  std::ostringstream lines;
  const auto logger = logger_to(lines, "program");
  logger->set_level(spdlog::level::info);
  logger->flush_on(spdlog::level::critical);
  spdlog::set_default_logger(logger);
  const std::set<std::string> names = registered();

  use_library(database);

  expect(spdlog::default_logger() == logger, "the default logger is the program's");
  expect(registered() == names, "no logger was registered or dropped");
  expect(logger->level() == spdlog::level::info, "its level is unchanged");
  expect(logger->flush_level() == spdlog::level::critical, "its flush level is unchanged");
  expect(logger->sinks().size() == 1, "its sinks are unchanged");
  expect(lines.str().empty(), "the library wrote nothing to it");
  spdlog::info("hello");
  expect(lines.str() == "<program> hello\n", "its pattern is unchanged");
}

void logger_of_our_name_is_used_and_not_changed(const std::string& database) {
  std::ostringstream lines;
  const auto logger = logger_to(lines, "progress_tracker");
  logger->set_level(spdlog::level::debug);
  spdlog::register_logger(logger);

  use_library(database);

  expect(lines.str().find("<progress_tracker> → ProgressTracker.create_job enter\n") !=
             std::string::npos,
         "the program's logger has the library's lines, in its own pattern");
  expect(logger->level() == spdlog::level::debug, "its level is unchanged");

  logger->set_level(spdlog::level::off);
  lines.str("");
  use_library(database);
  expect(lines.str().empty(), "the program's logger filters further");
  expect(logger->level() == spdlog::level::off, "its level is unchanged when it filters");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return EXIT_FAILURE;
  try {
    default_logger_is_left_alone(argv[1]);
    logger_of_our_name_is_used_and_not_changed(argv[1]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
  }
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

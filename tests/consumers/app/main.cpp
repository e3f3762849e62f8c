// Usage: app DATABASE. Works through a small job in memory and then in the file. Links the core
// alone: the in-memory tracker, too, needs no GoogleTest.

#include <array>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>

#include "progress_tracker/progress_tracker.h"
#include "progress_tracker/run_job.h"
#include "progress_tracker/testing/in_memory_tracker.h"
#include "progress_tracker/trace.h"
#include "progress_tracker/version.h"

namespace {

bool works(progress_tracker::Tracker& tracker) {
  PROGRESS_TRACKER_TRACE("app.works");
  const std::array<std::filesystem::path, 3> images{"a.jpg", "b.jpg", "c.jpg"};
  const std::array<std::string, 3> splits{"train", "train", "test"};
  const progress_tracker::JobId job = tracker.create_job("resize", images, splits);

  progress_tracker::run_job(tracker, job, [](const progress_tracker::Image& image) {
    if (image.path == "b.jpg") throw std::runtime_error("not a JPEG file");
  });

  const auto progress = tracker.get_progress(job);
  return progress && progress->total_images == 3 && progress->processed_count == 2 &&
         progress->error_count == 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return EXIT_FAILURE;
  try {
    progress_tracker_testing::InMemoryTracker in_memory;
    progress_tracker::ProgressTracker in_a_file(argv[1]);
    if (!works(in_memory) || !works(in_a_file)) return EXIT_FAILURE;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
  }
  std::cout << "works with progress_tracker " PROGRESS_TRACKER_VERSION "\n";
  return EXIT_SUCCESS;
}

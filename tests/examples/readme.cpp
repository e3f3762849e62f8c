// Checks the JPEG files below a directory. Started again, it goes on with what is left.
#include <progress_tracker/progress_tracker.h>
#include <progress_tracker/run_job.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <vector>

namespace pt = progress_tracker;

int main(int argc, char** argv) try {
  std::vector<std::filesystem::path> images;
  for (const auto& file : std::filesystem::recursive_directory_iterator(argc > 1 ? argv[1] : ".")) {
    if (file.path().extension() == ".jpg") images.push_back(file.path());
  }

  pt::ProgressTracker tracker("progress.db");
  const pt::JobId job = tracker.create_job("check", images, {});
  const pt::RunSummary run = pt::run_job(tracker, job, [](const pt::Image& image) {
    std::ifstream jpeg(image.path, std::ios::binary);
    if (jpeg.get() != 0xff || jpeg.get() != 0xd8) throw std::runtime_error("not a JPEG file");
  });

  std::cout << "this run: " << run.completed << " good, " << run.errors << " bad\n";
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

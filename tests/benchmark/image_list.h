// The images of the benchmark's jobs: generated paths, eight of ten in the split "train", one each
// in "valid" and "test".
#ifndef PROGRESS_TRACKER_TESTS_BENCHMARK_IMAGE_LIST_H_
#define PROGRESS_TRACKER_TESTS_BENCHMARK_IMAGE_LIST_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace benchmark {

struct ImageList {
  std::vector<std::filesystem::path> paths;
  std::vector<std::string> splits;
};

// A list that is made piece by piece: whole, it takes more than 500 bytes an image.
class ImageSource {
 public:
  // `per_directory` 1 is a directory each; `images` is one directory.
  ImageSource(std::size_t images, std::size_t per_directory, bool shuffled);

  std::size_t size() const { return images_; }

  // The images from number `first` on, at most `count`.
  ImageList piece(std::size_t first, std::size_t count) const;

 private:
  std::size_t images_;
  std::size_t per_directory_;
  std::vector<std::uint32_t> order_;  // empty: sorted
};

}  // namespace benchmark

#endif  // PROGRESS_TRACKER_TESTS_BENCHMARK_IMAGE_LIST_H_

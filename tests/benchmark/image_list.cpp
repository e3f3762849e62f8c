#include "image_list.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <random>

namespace benchmark {

ImageSource::ImageSource(std::size_t images, std::size_t per_directory, bool shuffled)
    : images_(images), per_directory_(per_directory) {
  if (shuffled) {
    order_.resize(images);
    std::iota(order_.begin(), order_.end(), 0U);
    std::shuffle(order_.begin(), order_.end(), std::mt19937_64(1));
  }
}

ImageList ImageSource::piece(std::size_t first, std::size_t count) const {
  const std::size_t end = std::min(images_, first + count);
  ImageList list;
  list.paths.reserve(end - first);
  list.splits.reserve(end - first);
  for (std::size_t i = first; i < end; ++i) {
    const std::size_t number = order_.empty() ? i : order_[i];
    char path[80];
    std::snprintf(path, sizeof path, "/data/batch/%06zu/img_%08zu.jpg", number / per_directory_,
                  number);
    list.paths.emplace_back(path);
    const std::size_t digit = number % 10;
    list.splits.emplace_back(digit < 8 ? "train" : digit == 8 ? "valid" : "test");
  }
  return list;
}

}  // namespace benchmark

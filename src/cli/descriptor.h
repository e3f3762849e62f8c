// A file descriptor that closes itself.
#ifndef PROGRESS_TRACKER_CLI_DESCRIPTOR_H_
#define PROGRESS_TRACKER_CLI_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace progress_tracker::cli {

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int get() const { return number_; }

 private:
  int number_;
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_DESCRIPTOR_H_

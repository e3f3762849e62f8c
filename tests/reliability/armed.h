// Faults happen only inside the calls that are being tried: not in what the test does around them.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_ARMED_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_ARMED_H_

namespace progress_tracker::reliability {

// While one exists, the calling thread may be met by faults.
class Armed {
 public:
  Armed() { ++depth(); }
  Armed(const Armed&) = delete;
  Armed& operator=(const Armed&) = delete;
  ~Armed() { --depth(); }

  static bool here() { return depth() > 0; }

 private:
  static int& depth() {
    thread_local int depth = 0;
    return depth;
  }
};

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_ARMED_H_

// The tests, or, in a process that a test started, one of its actors.
#include <gtest/gtest.h>

#include "process.h"

int main(int argc, char** argv) {
  if (const auto status = progress_tracker::processes::run_if_actor(argc, argv)) {
    return *status;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

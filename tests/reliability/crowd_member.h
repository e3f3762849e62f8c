// One process of a crowd: its threads do everything that can be done with the same jobs, by chance,
// until nothing is pending in any of them.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_CROWD_MEMBER_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_CROWD_MEMBER_H_

#include <cstddef>
#include <filesystem>
#include <vector>

#include "process.h"
#include "progress_tracker/types.h"

namespace progress_tracker::reliability {

struct CrowdMember {
  std::filesystem::path database;
  std::filesystem::path ledger;
  int first_owner{1};  // its threads are the owners from this one on
  int threads{1};
  unsigned seed{0};
  std::size_t mark_buffer{0};
  int images_of_a_job{0};
  std::vector<JobId> jobs;  // in the order in which the ledger has their images

  // Which of the jobs is chained to another, and so is not full from the beginning.
  static constexpr std::size_t kChained = 2;
};

// It says "ready" and begins when it is sent a line. Says what is wrong, and "finished" at the end.
processes::Process start(const CrowdMember& member);

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_CROWD_MEMBER_H_

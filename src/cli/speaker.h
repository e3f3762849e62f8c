// Says things on a thread of its own, so that whoever has something to say never waits for a
// reader.
#ifndef PROGRESS_TRACKER_CLI_SPEAKER_H_
#define PROGRESS_TRACKER_CLI_SPEAKER_H_

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace progress_tracker::cli {

class Speaker {
 public:
  Speaker();
  Speaker(const Speaker&) = delete;
  Speaker& operator=(const Speaker&) = delete;
  ~Speaker();  // waits for what was posted

  // Calls `say` soon, in the order of the calls of post().
  void post(std::function<void()> say);

  // Waits until all that was posted has been said, at most so long.
  void wait_until_said(std::chrono::milliseconds at_most);

 private:
  void speak();

  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> posted_;  // its front is being said
  bool is_ending_ = false;

  std::thread thread_;
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_SPEAKER_H_

// Lets calls in until it is closed, and lets whoever closes it wait for those inside.
#ifndef PROGRESS_TRACKER_SRC_GATE_H_
#define PROGRESS_TRACKER_SRC_GATE_H_

#include <atomic>
#include <cstdint>

namespace progress_tracker {

// Any thread may call any function at any time.
class Gate {
 public:
  // False: the gate is closed. Otherwise leave() has to follow.
  bool enter() noexcept {
    if ((state_.fetch_add(1, std::memory_order_acquire) & kClosed) == 0) {
      return true;
    }
    leave();
    return false;
  }

  void leave() noexcept {
    if (state_.fetch_sub(1, std::memory_order_release) == (kClosed | 1)) {
      state_.notify_all();
    }
  }

  // Lets nobody in any more, and returns once nobody is inside.
  void close() noexcept {
    auto state = state_.fetch_or(kClosed, std::memory_order_acq_rel) | kClosed;
    while (state != kClosed) {
      state_.wait(state, std::memory_order_acquire);
      state = state_.load(std::memory_order_acquire);
    }
  }

  void open() noexcept { state_.fetch_and(~kClosed, std::memory_order_release); }

  bool is_closed() const noexcept {
    return (state_.load(std::memory_order_acquire) & kClosed) != 0;
  }

 private:
  static constexpr std::uint64_t kClosed = std::uint64_t{1} << 63U;

  std::atomic<std::uint64_t> state_{0};  // kClosed, plus how many are inside
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_GATE_H_

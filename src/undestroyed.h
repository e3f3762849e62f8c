// A static object that is there before the program's first instruction and after its last.
#ifndef PROGRESS_TRACKER_SRC_UNDESTROYED_H_
#define PROGRESS_TRACKER_SRC_UNDESTROYED_H_

namespace progress_tracker {

// To be declared `constinit`. Never destroyed: threads, and destructors of the program's static
// objects, may still use it while the program exits. And made without a lock, as a static object of
// a function would not be: a thread that makes one of those while another forks holds its lock in
// the child for ever.
template <typename T>
union Undestroyed {
  constexpr Undestroyed() : value{} {}
  ~Undestroyed() {}  // NOLINT(modernize-use-equals-default): that would be deleted

  T value;
};

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_SRC_UNDESTROYED_H_

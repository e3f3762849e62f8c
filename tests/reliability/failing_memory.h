// Memory that runs out at a chosen moment: for SQLite, and for operator new of the whole program.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_FAILING_MEMORY_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_FAILING_MEMORY_H_

#include <cstdint>

namespace progress_tracker::reliability {

enum class Memory { kSqlite, kCpp, kBoth };

// Puts a layer under SQLite's allocator. To be called before SQLite is used for anything.
void install_failing_memory();

// The n-th allocation from now on fails, counting only those of Armed threads; with `for_ever` all
// after it too. One at a time.
void fail_allocation(Memory memory, std::int64_t n, bool for_ever);

// The n-th allocation from now on, counted in the same way, succeeds once `then` has returned.
void at_allocation(Memory memory, std::int64_t n, void (*then)());

// No allocation fails any more, and nothing is called.
void memory_is_back();

// Whether one has failed since fail_allocation().
bool an_allocation_failed();

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_FAILING_MEMORY_H_

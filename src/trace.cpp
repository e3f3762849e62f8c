#include "progress_tracker/trace.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <exception>
#include <initializer_list>
#include <string>
#include <string_view>

#include "log_internal.h"

namespace progress_tracker {
namespace {

using std::chrono::steady_clock;

// Tracing must not change what the traced function does, so a line that cannot be built is lost.
void write_line(LogLevel level, std::initializer_list<std::string_view> parts) noexcept {
  try {
    std::string line;
    for (const std::string_view part : parts) {
      line += part;
    }
    internal::log_unfiltered(level, line);
  } catch (...) {
  }
}

// Milliseconds with one decimal, the same in every locale.
class Milliseconds {
 public:
  explicit Milliseconds(steady_clock::duration duration) noexcept {
    const double value = std::chrono::duration<double, std::milli>(duration).count();
    const auto result = std::to_chars(digits_.data(), digits_.data() + digits_.size(), value,
                                      std::chars_format::fixed, 1);
    size_ = static_cast<std::size_t>(result.ptr - digits_.data());
  }

  std::string_view text() const noexcept { return {digits_.data(), size_}; }

 private:
  // A steady clock's range in ms has at most 13 digits before the point.
  std::array<char, 32> digits_{};
  std::size_t size_{0};
};

}  // namespace

void TraceScope::enter(std::string_view name) {
  on_ = true;
  exceptions_at_entry_ = std::uncaught_exceptions();
  name_ = name;
  write_line(LogLevel::kDebug, {"→ ", name_, " enter"});
  start_ = steady_clock::now();
}

void TraceScope::leave() noexcept {
  const Milliseconds elapsed(steady_clock::now() - start_);
  // More than at entry, rather than any: a scope in a destructor that runs during unwinding is
  // left normally.
  if (std::uncaught_exceptions() > exceptions_at_entry_) {
    write_line(LogLevel::kError, {"✗ ", name_, " raised after ", elapsed.text(), " ms"});
  } else {
    write_line(LogLevel::kDebug, {"← ", name_, " exit (", elapsed.text(), " ms)"});
  }
}

}  // namespace progress_tracker

#include "claim_pace.h"

#include <algorithm>

namespace progress_tracker {
namespace {

using namespace std::chrono_literals;

// A claim is worth this much work for each worker...
constexpr double kClaimNs = 75e6;

// ...is made when the workers have this much left, or so many calls of the tracker if those take
// longer: one that is being made, and the claim itself, with some to spare...
constexpr double kAheadNs = 20e6;
constexpr double kAheadCalls = 3;

// ...but never more than this, however slow the tracker is...
constexpr double kMostAheadNs = 1e9;

// ...and has at most so many images, and at most so many times more than the one before.
constexpr std::size_t kMaxClaim = 4000;
constexpr std::size_t kGrowth = 4;

// What is worth more than this is too much.
constexpr double kTooMuchNs = 2e9;

// As long as all workers have started an image within this time, nothing is slow.
constexpr ClaimPace::Duration kStalled = 200ms;

// Late ones weigh more: the mean follows the latest `memory`.
void add_to_mean(std::optional<double>& mean_ns, ClaimPace::Duration duration, double memory) {
  const auto ns = static_cast<double>(duration.count());
  mean_ns = mean_ns ? *mean_ns + (ns - *mean_ns) / memory : ns;
}

}  // namespace

void ClaimPace::image_took(Duration duration) { add_to_mean(image_ns_, duration, 16); }

void ClaimPace::call_took(Duration duration) { add_to_mean(call_ns_, duration, 8); }

std::size_t ClaimPace::target(std::size_t workers) const {
  if (!image_ns_) {
    return workers;
  }
  const double each_ns = std::max(1.0, *image_ns_);
  // What is in work, and what is used up while a claim is under way.
  const double each = std::max(kClaimNs / each_ns, 1 + calls_ahead_ns() / each_ns);
  const double all = std::min(each * static_cast<double>(workers), 1.0 * kMaxClaim);
  return std::clamp(static_cast<std::size_t>(all), workers,
                    std::max(workers, kGrowth * last_target_));
}

double ClaimPace::calls_ahead_ns() const {
  return std::min(kAheadCalls * call_ns_.value_or(0), kMostAheadNs);
}

bool ClaimPace::runs_out_soon(std::size_t waiting, std::size_t claimed, std::size_t workers) const {
  return waiting < claimed / 2 && image_ns_ &&
         *image_ns_ * static_cast<double>(waiting + 1) <
             std::max(kAheadNs, calls_ahead_ns()) * static_cast<double>(workers);
}

bool ClaimPace::is_too_much(std::size_t waiting, std::size_t workers,
                            Duration since_last_start) const {
  return image_ns_ && waiting > workers &&
         static_cast<double>(pace(workers, since_last_start).count()) *
                 static_cast<double>(waiting) >
             kTooMuchNs;
}

void ClaimPace::slow_down(std::size_t workers, Duration since_last_start) {
  image_ns_ =
      static_cast<double>(pace(workers, since_last_start).count()) * static_cast<double>(workers);
}

// What passes between the starts of two images.
ClaimPace::Duration ClaimPace::pace(std::size_t workers, Duration since_last_start) const {
  const Duration usual(
      static_cast<Duration::rep>(image_ns_.value_or(0) / static_cast<double>(workers)));
  return since_last_start > kStalled ? std::max(usual, since_last_start) : usual;
}

}  // namespace progress_tracker

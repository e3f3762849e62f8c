#include "cli/progress_line.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <vector>

#include "cli/output.h"

namespace progress_tracker::cli {
namespace {

// How long ago an image was finished when it counts 1/e.
constexpr Seconds kMemory{30};
// So many images are remembered however long ago they were finished: fewer say too little.
constexpr double kEnough = 20;
// How many standard deviations a range reaches to each side.
constexpr double kDeviations = 1.5;
// A range as narrow as this is no news: its middle says as much.
constexpr double kSureRatio = 1.25;

struct Field {
  std::string text;
  int importance;  // 0: always there
};

std::string joined(const std::vector<Field>& fields, int least_important) {
  std::string line;
  for (const Field& field : fields) {
    if (field.importance > least_important || field.text.empty()) continue;
    if (!line.empty()) line += ' ';
    line += field.text;
  }
  return line;
}

// The places of the fields in a line, and how gladly each is given up for width.
enum Importance { kAlways, kTimeLeft, kRate, kElapsed, kBar, kRunning };

std::vector<Field> fields_of(const ProgressFigures& figures, const std::string& elapsed_label) {
  std::string eta;
  if (figures.is_stalled) {
    eta = "eta --";
  } else if (const auto left = figures.time_left()) {
    eta = "eta " + format_time_left(*left);
  }
  return {
      {std::to_string(figures.done()) + '/' + std::to_string(figures.counts.total()), kAlways},
      {std::to_string(figures.percent()) + '%', kAlways},
      {counted(figures.counts.error, "error"), kAlways},
      {figures.rate ? format_rate(figures.rate->per_second) : "", kRate},
      {elapsed_label + format_duration(figures.elapsed), kElapsed},
      {eta, kTimeLeft},
      {std::to_string(figures.running) + " running", kRunning},
  };
}

std::string graphic_bar(const ProgressFigures& figures, std::size_t width) {
  const auto filled = width * static_cast<std::size_t>(figures.percent()) / 100;
  std::string bar(filled, '=');
  if (filled < width) bar += '>';
  bar.resize(width, ' ');
  return '[' + bar + ']';
}

}  // namespace

TimeLeft time_left(const Rate& rate, std::int64_t to_do, std::int64_t running) {
  const auto images = static_cast<double>(to_do);
  if (images <= 0) return {};
  const double in_work = std::clamp(static_cast<double>(running), 0.0, images);
  // Of many images that take random times the last takes 1 + ln(n) times the usual.
  const double last = in_work > 0 ? in_work * (1 + std::log(in_work)) : 0;
  const double chance =
      1 + kDeviations * std::sqrt(1 / static_cast<double>(rate.images) + 1 / images);
  return {.expected = Seconds(images / rate.per_second),
          .least = Seconds((images - in_work) / (rate.high * chance)),
          .most = Seconds((images + last) / rate.low * chance)};
}

std::string format_time_left(const TimeLeft& left) {
  const double least = left.least.count();
  const double most = left.most.count();
  if (most <= kSureRatio * least) return '~' + format_duration(left.expected);
  double step = 1;
  for (const double longer : {10, 60, 600, 3600}) {
    if (5 * longer <= most - least) step = longer;
  }
  return format_duration(Seconds(std::floor(least / step) * step)) + '-' +
         format_duration(Seconds(std::ceil(most / step) * step));
}

void RateMeter::update(Seconds elapsed, std::int64_t finished) {
  const Seconds passed = elapsed - elapsed_;
  double kept = std::exp(-passed / kMemory);
  if (recent_images_ > 0) kept = std::max(kept, std::min(1.0, kEnough / recent_images_));
  recent_images_ = recent_images_ * kept + static_cast<double>(finished - finished_);
  recent_time_ = recent_time_ * kept + passed;
  if (finished > finished_) last_finish_ = elapsed;
  elapsed_ = elapsed;
  finished_ = finished;
}

std::optional<Rate> RateMeter::rate() const {
  if (finished_ == 0 || elapsed_ <= Seconds(0)) return std::nullopt;
  if (finished_ < 5 && elapsed_ < Seconds(10)) return std::nullopt;
  const double recent = recent_images_ / recent_time_.count();
  const double whole = static_cast<double>(finished_) / elapsed_.count();
  return Rate{.per_second = recent,
              .low = std::min(recent, whole),
              .high = std::max(recent, whole),
              .images = finished_};
}

bool RateMeter::is_stalled() const {
  if (finished_ == 0) return false;
  const Seconds usual = last_finish_ / static_cast<double>(finished_);
  return elapsed_ - last_finish_ > std::max(Seconds(30), 10 * usual);
}

int ProgressFigures::percent() const {
  const std::int64_t total = counts.total();
  return total == 0 ? 100 : static_cast<int>(done() * 100 / total);
}

std::optional<TimeLeft> ProgressFigures::time_left() const {
  if (!rate || is_stalled) return std::nullopt;
  return cli::time_left(*rate, to_do, running);
}

std::string format_bar(const ProgressFigures& figures, std::size_t width) {
  constexpr std::size_t kShortestBar = 8;
  constexpr std::size_t kLongestBar = 30;
  const std::vector<Field> fields = fields_of(figures, "");

  std::string line;
  for (int least = kRunning; least >= kAlways; --least) {
    line = joined(fields, least);
    if (least >= kBar) {
      if (width < line.size() + 3 + kShortestBar) continue;
      const std::size_t bar = std::min(width - line.size() - 3, kLongestBar);
      return graphic_bar(figures, bar) + ' ' + line;
    }
    if (line.size() <= width) return line;
  }
  return width == 0 ? "" : line.substr(0, width - 1) + "…";
}

std::string format_plain(const ProgressFigures& figures) {
  return joined(fields_of(figures, "elapsed "), kRunning);
}

std::string format_duration(Seconds duration) {
  const auto seconds = static_cast<long long>(std::max(0.0, duration.count()));
  const long long days = seconds / 86'400;
  const long long hours = seconds / 3600 % 24;
  const long long minutes = seconds / 60 % 60;
  std::array<char, 64> text{};
  if (days > 0) {
    std::snprintf(text.data(), text.size(), "%lldd %02lld:%02lld:%02lld", days, hours, minutes,
                  seconds % 60);
  } else if (hours > 0) {
    std::snprintf(text.data(), text.size(), "%lld:%02lld:%02lld", hours, minutes, seconds % 60);
  } else {
    std::snprintf(text.data(), text.size(), "%lld:%02lld", minutes, seconds % 60);
  }
  return text.data();
}

std::string format_rate(double per_second) {
  double rate = per_second;
  const char* unit = "s";
  if (rate < 1) {
    rate *= 60;
    unit = "min";
  }
  if (rate < 1) {
    rate *= 60;
    unit = "h";
  }
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), rate < 100 ? "%.1f/%s" : "%.0f/%s", rate, unit);
  return text.data();
}

}  // namespace progress_tracker::cli

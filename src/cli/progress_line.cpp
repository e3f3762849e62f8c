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
// With fewer images than this in memory, their average says less than that of the whole run.
constexpr double kEnough = 10;

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
    eta = "eta ~" + format_duration(*left);
  }
  return {
      {std::to_string(figures.done()) + '/' + std::to_string(figures.counts.total()), kAlways},
      {std::to_string(figures.percent()) + '%', kAlways},
      {counted(figures.counts.error, "error"), kAlways},
      {figures.per_second ? format_rate(*figures.per_second) : "", kRate},
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

void RateMeter::update(Seconds elapsed, std::int64_t finished) {
  recent_ *= std::exp(-(elapsed - elapsed_) / kMemory);
  recent_ += static_cast<double>(finished - finished_);
  if (finished > finished_) last_finish_ = elapsed;
  elapsed_ = elapsed;
  finished_ = finished;
}

std::optional<double> RateMeter::per_second() const {
  if (finished_ == 0 || elapsed_ <= Seconds(0)) return std::nullopt;
  if (finished_ < 5 && elapsed_ < Seconds(10)) return std::nullopt;
  if (recent_ < kEnough) return static_cast<double>(finished_) / elapsed_.count();
  // What recent_ would be at one image a second: less than kMemory while the run is young.
  const double one_a_second = kMemory.count() * (1 - std::exp(-elapsed_ / kMemory));
  return recent_ / one_a_second;
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

std::optional<Seconds> ProgressFigures::time_left() const {
  if (!per_second || *per_second <= 0) return std::nullopt;
  return Seconds(static_cast<double>(to_do) / *per_second);
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

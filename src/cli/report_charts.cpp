#include "cli/report_charts.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/report_words.h"
#include "cli/time_text.h"

namespace progress_tracker::cli {
namespace {

using std::chrono::milliseconds;
using TimePoint = std::chrono::system_clock::time_point;

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

// "12.345": a coordinate.
std::string coordinate(double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.3f", value);
  return text.data();
}

// `part` of the width of the chart, from 0 to 1.
std::string across(double part) { return coordinate(100 * part) + '%'; }

// ---- Frame -------------------------------------------------------------------------------------

struct Tick {
  double at = 0;  // 0 to 1 of the axis
  std::string label;
  std::string second_line{};
};

// Where the bars of a chart stand, in pixels down from its top.
struct Plot {
  double top;
  double bottom;
  std::int64_t scale;  // what reaches the top

  double height_of(std::int64_t count) const {
    const double height = (bottom - top) * static_cast<double>(count) / static_cast<double>(scale);
    return count > 0 ? std::max(1.5, height) : 0;  // one of a million can be seen
  }
};

// 1, 2 or 5 times a power of ten, at most a fourth of which is needed to reach `most`.
std::int64_t step_for(std::int64_t most) {
  std::int64_t power = 1;
  while (true) {
    for (const std::int64_t step : {power, 2 * power, 5 * power}) {
      if (most <= 4 * step) return step;
    }
    power *= 10;
  }
}

// "20k", "1.5M" where that is exact.
std::string short_number(std::int64_t number) {
  constexpr std::int64_t kThousand = 1000;
  constexpr std::int64_t kMillion = 1'000'000;
  if (number >= kMillion && number % (kMillion / 10) == 0) {
    const std::int64_t tenths = number % kMillion / (kMillion / 10);
    return number_text(number / kMillion) + (tenths > 0 ? '.' + std::to_string(tenths) : "") + 'M';
  }
  if (number >= 10 * kThousand && number % kThousand == 0) {
    return number_text(number / kThousand) + 'k';
  }
  return number_text(number);
}

// Lines across with their numbers. Returns the plot between them.
Plot write_scale(HtmlWriter& html, double top, double bottom, std::int64_t most) {
  const std::int64_t step = step_for(std::max<std::int64_t>(1, most));
  const std::int64_t steps = std::max<std::int64_t>(1, (most + step - 1) / step);
  for (std::int64_t i = 0; i <= steps; ++i) {
    const double y = bottom - (bottom - top) * static_cast<double>(i) / static_cast<double>(steps);
    html.empty("line", {{"class", i == 0 ? "base" : "grid"},
                        {"x1", "0"},
                        {"x2", "100%"},
                        {"y1", coordinate(y)},
                        {"y2", coordinate(y)}});
    html.element("text", {{"x", "-8"}, {"y", coordinate(y + 4)}, {"text-anchor", "end"}},
                 short_number(i * step));
  }
  return {top, bottom, steps * step};
}

std::string anchor_at(double at) { return at < 0.07 ? "start" : at > 0.93 ? "end" : "middle"; }

// Every other label has a class of its own, so that a narrow screen can leave it out.
void write_ticks(HtmlWriter& html, double bottom, const std::vector<Tick>& ticks) {
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    const Tick& tick = ticks[i];
    html.empty("line", {{"class", "base"},
                        {"x1", across(tick.at)},
                        {"x2", across(tick.at)},
                        {"y1", coordinate(bottom)},
                        {"y2", coordinate(bottom + 5)}});
    const auto label = html.inside("g", {{"class", i % 2 == 0 ? "label" : "label other"}});
    const std::string anchor = anchor_at(tick.at);
    html.element("text",
                 {{"x", across(tick.at)}, {"y", coordinate(bottom + 19)}, {"text-anchor", anchor}},
                 tick.label);
    if (tick.second_line.empty()) continue;
    html.element("text",
                 {{"x", across(tick.at)}, {"y", coordinate(bottom + 34)}, {"text-anchor", anchor}},
                 tick.second_line);
  }
}

// ---- Time --------------------------------------------------------------------------------------

std::string utc(milliseconds since_1970, const char* format) {
  const auto clamped =
      std::clamp(since_1970, std::chrono::ceil<milliseconds>(TimePoint::min().time_since_epoch()),
                 std::chrono::floor<milliseconds>(TimePoint::max().time_since_epoch()));
  return utc_text(TimePoint(clamped), format);
}

std::int64_t tick_step(milliseconds range) {
  constexpr std::int64_t kMostTicks = 6;
  constexpr std::array<std::int64_t, 33> kSteps{1,
                                                2,
                                                5,
                                                10,
                                                20,
                                                50,
                                                100,
                                                200,
                                                500,
                                                kSecond,
                                                2 * kSecond,
                                                5 * kSecond,
                                                10 * kSecond,
                                                15 * kSecond,
                                                30 * kSecond,
                                                kMinute,
                                                2 * kMinute,
                                                5 * kMinute,
                                                10 * kMinute,
                                                15 * kMinute,
                                                30 * kMinute,
                                                kHour,
                                                2 * kHour,
                                                3 * kHour,
                                                6 * kHour,
                                                12 * kHour,
                                                kDay,
                                                2 * kDay,
                                                4 * kDay,
                                                7 * kDay,
                                                14 * kDay,
                                                28 * kDay,
                                                56 * kDay};
  for (const std::int64_t step : kSteps) {
    if (range.count() / step < kMostTicks) return step;
  }
  std::int64_t step = kSteps.back();
  while (range.count() / step >= kMostTicks) step *= 2;
  return step;
}

std::string time_label(milliseconds time, std::int64_t step) {
  if (step >= kDay) return utc(time, "%-d %b");
  if (step >= kMinute) return utc(time, "%H:%M");
  if (step >= kSecond) return utc(time, "%T");
  const std::int64_t fraction = (time.count() % kSecond + kSecond) % kSecond;
  return utc(time, "%S.") + std::to_string(kSecond + fraction).substr(1) + " s";
}

std::vector<Tick> time_ticks(const Timeline& timeline) {
  const milliseconds range = timeline.end() - timeline.start;
  const std::int64_t step = tick_step(range);
  const char* const rest = step >= kDay ? "%Y" : step >= kSecond ? "%-d %b" : "%H:%M";
  // The second line says nothing new where it is the same for all ticks.
  const bool is_one_rest = utc(timeline.start, rest) == utc(timeline.end(), rest);

  std::vector<Tick> ticks;
  const std::int64_t start = timeline.start.count();
  for (std::int64_t at = start - (start % step + step) % step; at <= timeline.end().count();
       at += step) {
    if (at < start) continue;
    const milliseconds time(at);
    Tick tick;
    tick.at = static_cast<double>(at - start) / static_cast<double>(range.count());
    tick.label = time_label(time, step);
    if (ticks.empty() || !is_one_rest) tick.second_line = utc(time, rest);
    ticks.push_back(std::move(tick));
  }
  return ticks;
}

std::string bar_in_words(const Timeline::Bar& bar, milliseconds from, milliseconds to) {
  const bool has_seconds = to - from < milliseconds(kMinute);
  const char* const format = has_seconds ? "%T" : "%H:%M";
  return utc(from, "%F ") + utc(from, format) + " to " + utc(to, format) + ": " +
         number_of(bar.completed, "image") + " completed, " + number_text(bar.errors) + " in error";
}

void write_timeline_bar(HtmlWriter& html, const Plot& plot, const Timeline& timeline,
                        std::size_t i) {
  const Timeline::Bar& bar = timeline.bars[i];
  if (bar.total() == 0) return;
  const milliseconds from = timeline.start + timeline.width * static_cast<std::int64_t>(i);
  const auto bars = static_cast<double>(timeline.bars.size());
  const std::string x = across(static_cast<double>(i) / bars);
  const std::string width = across(1 / bars);

  const auto group = html.inside("g");
  html.element("title", bar_in_words(bar, from, from + timeline.width));
  const double completed = plot.height_of(bar.completed);
  const double errors = plot.height_of(bar.errors);
  const auto part = [&](const char* status, double bottom, double height) {
    if (height <= 0) return;
    html.empty("rect", {{"class", status},
                        {"x", x},
                        {"width", width},
                        {"y", coordinate(bottom - height)},
                        {"height", coordinate(height)}});
  };
  part("completed", plot.bottom, completed);
  part("error", plot.bottom - completed, errors);
}

// ---- Durations ---------------------------------------------------------------------------------

// A logarithmic axis between two durations.
struct LogAxis {
  double from_ms;
  double to_ms;

  double at(double ms) const {
    return std::log(std::max(ms, 1.0) / from_ms) / std::log(to_ms / from_ms);
  }
};

// Unless there is no room for it after the last tick, which gives way to a whole unit.
void add_tick(std::vector<Tick>& ticks, Tick tick, bool is_unit) {
  constexpr double kRoom = 0.11;
  const bool has_room = ticks.empty() || tick.at - ticks.back().at >= kRoom;
  if (!has_room && is_unit) ticks.pop_back();
  if (has_room || is_unit) ticks.push_back(std::move(tick));
}

// Round durations along `axis`: as few kinds of them as make four ticks.
std::vector<Tick> duration_ticks(const LogAxis& axis) {
  constexpr std::array<std::int64_t, 13> kUnits{
      1,     10,   100,       kSecond,    10 * kSecond, kMinute,         10 * kMinute,
      kHour, kDay, 10 * kDay, 100 * kDay, 1000 * kDay,  1'000'000 * kDay};
  const std::vector<std::vector<int>> tenths_of_unit{
      {10}, {10, 20, 50}, {10, 15, 20, 30, 40, 50, 60, 80}};
  std::vector<Tick> ticks;
  for (const std::vector<int>& kinds : tenths_of_unit) {
    ticks.clear();
    for (std::size_t i = 0; i + 1 < kUnits.size(); ++i) {
      for (const int tenths : kinds) {
        const std::int64_t ms = kUnits[i] * tenths / 10;
        const double at = axis.at(static_cast<double>(ms));
        const bool is_whole = kUnits[i] * tenths % 10 == 0;
        if (!is_whole || ms >= kUnits[i + 1] || at < -1e-9 || at > 1 + 1e-9) continue;
        add_tick(ticks, {at, duration_text(milliseconds(ms))}, /*is_unit=*/tenths == 10);
      }
    }
    if (ticks.size() >= 4) break;
  }
  return ticks;
}

void write_duration_bars(HtmlWriter& html, const Plot& plot,
                         const std::vector<Durations::Bar>& bars) {
  constexpr double kGap = 0.08;  // of a bar
  const double width = 1 / static_cast<double>(bars.size());
  for (std::size_t i = 0; i < bars.size(); ++i) {
    if (bars[i].count == 0) continue;
    const auto group = html.inside("g");
    const auto edge = [](double ms) { return duration_text(milliseconds(std::llround(ms))); };
    html.element("title", edge(bars[i].from_ms) + " to " + edge(bars[i].to_ms) + ": " +
                              number_of(bars[i].count, "image"));
    const double height = plot.height_of(bars[i].count);
    html.empty("rect", {{"class", "duration"},
                        {"x", across((static_cast<double>(i) + kGap / 2) * width)},
                        {"width", across((1 - kGap) * width)},
                        {"y", coordinate(plot.bottom - height)},
                        {"height", coordinate(height)}});
  }
}

// A line down to the bars, with its name beside it.
void write_percentile(HtmlWriter& html, const Plot& plot, double at, double y,
                      const std::string& text) {
  html.empty("line", {{"class", "mark"},
                      {"x1", across(at)},
                      {"x2", across(at)},
                      {"y1", coordinate(y - 10)},
                      {"y2", coordinate(plot.bottom)}});
  const bool is_left = at > 0.7;
  html.element("text",
               {{"class", "mark-label"},
                {"x", across(at)},
                {"dx", is_left ? "-5" : "5"},
                {"y", coordinate(y)},
                {"text-anchor", is_left ? "end" : "start"}},
               text);
}

}  // namespace

void write_chart_patterns(HtmlWriter& html) {
  const auto svg = html.inside(
      "svg", {{"class", "patterns"}, {"width", "0"}, {"height", "0"}, {"aria-hidden", "true"}});
  const auto defs = html.inside("defs");
  const auto pattern = [&html](const char* status, const char* size, const char* mark) {
    const auto element = html.inside("pattern", {{"id", std::string(status) + "-pattern"},
                                                 {"patternUnits", "userSpaceOnUse"},
                                                 {"width", size},
                                                 {"height", size}});
    html.empty("rect",
               {{"class", std::string(status) + "-ground"}, {"width", size}, {"height", size}});
    html.empty("path", {{"class", std::string(status) + "-mark"}, {"d", mark}});
  };
  pattern("error", "6", "M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2");
  pattern("processing", "4", "M1,0 v4");
}

void write_swatch(HtmlWriter& html, const std::string& status) {
  const auto svg = html.inside(
      "svg", {{"class", "swatch"}, {"width", "12"}, {"height", "12"}, {"aria-hidden", "true"}});
  html.empty("rect", {{"class", status}, {"width", "12"}, {"height", "12"}});
}

void write_status_bar(HtmlWriter& html, const StatusCounts& counts) {
  struct Part {
    const char* status;
    double size;
  };
  std::array<Part, 4> parts{{{"completed", static_cast<double>(counts.completed)},
                             {"error", static_cast<double>(counts.error)},
                             {"processing", static_cast<double>(counts.processing)},
                             {"pending", static_cast<double>(counts.pending)}}};
  // What is there can be seen, however little it is.
  const double least = 0.006 * static_cast<double>(counts.total());
  double total = 0;
  for (Part& part : parts) {
    if (part.size > 0) part.size = std::max(part.size, least);
    total += part.size;
  }
  const auto svg =
      html.inside("svg", {{"class", "status-bar"}, {"width", "100%"}, {"aria-hidden", "true"}});
  double x = 0;
  for (const Part& part : parts) {
    if (part.size <= 0) continue;
    html.empty("rect", {{"class", part.status},
                        {"x", across(x / total)},
                        {"width", across(part.size / total)},
                        {"height", "100%"}});
    x += part.size;
  }
}

void write_timeline_chart(HtmlWriter& html, const Timeline& timeline) {
  std::int64_t most = 0;
  Timeline::Bar sum;
  for (const Timeline::Bar& bar : timeline.bars) {
    most = std::max(most, bar.total());
    sum.completed += bar.completed;
    sum.errors += bar.errors;
  }
  const auto plot_area = html.inside("div", {{"class", "plot"}});
  const auto svg = html.inside("svg", {{"role", "img"},
                                       {"aria-labelledby", "timeline-title timeline-desc"},
                                       {"width", "100%"},
                                       {"height", "230"}});
  html.element("title", {{"id", "timeline-title"}}, "Images finished over time");
  html.element("desc", {{"id", "timeline-desc"}},
               "A bar for each " + duration_text(timeline.width) + " from " +
                   utc(timeline.start, "%F %T") + " to " + utc(timeline.end(), "%F %T") +
                   " UTC. Together they hold " + number_of(sum.completed, "completed image") +
                   " and " + number_of(sum.errors, "image") + " in error; the highest holds " +
                   number_text(most) + '.');
  const Plot plot = write_scale(html, 12, 188, most);
  {
    const auto bars = html.inside("g", {{"class", "touching"}});
    for (std::size_t i = 0; i < timeline.bars.size(); ++i) {
      write_timeline_bar(html, plot, timeline, i);
    }
  }
  write_ticks(html, plot.bottom, time_ticks(timeline));
}

void write_duration_chart(HtmlWriter& html, const Durations& durations) {
  const std::vector<Durations::Bar> bars = durations.bars();
  std::int64_t most = 0;
  for (const Durations::Bar& bar : bars) most = std::max(most, bar.count);
  const LogAxis axis{bars.front().from_ms, bars.back().to_ms};

  const auto plot_area = html.inside("div", {{"class", "plot"}});
  const auto svg = html.inside("svg", {{"role", "img"},
                                       {"aria-labelledby", "durations-title durations-desc"},
                                       {"width", "100%"},
                                       {"height", "250"}});
  html.element("title", {{"id", "durations-title"}}, "How long images took");
  html.element("desc", {{"id", "durations-desc"}},
               "A histogram on a logarithmic scale, from " + duration_text(durations.shortest()) +
                   " to " + duration_text(durations.longest()) + ". Half of " +
                   number_of(durations.count(), "image") + " took at most " +
                   duration_text(durations.quantile(0.5)) + '.');
  const Plot plot = write_scale(html, 62, 222, most);
  write_duration_bars(html, plot, bars);
  double y = 14;
  for (const auto& [name, part] :
       {std::pair{"p50 ", 0.5}, std::pair{"p90 ", 0.9}, std::pair{"p99 ", 0.99}}) {
    const milliseconds duration = durations.quantile(part);
    write_percentile(html, plot,
                     std::clamp(axis.at(static_cast<double>(duration.count())), 0.0, 1.0), y,
                     name + duration_text(duration));
    y += 16;
  }
  write_ticks(html, plot.bottom, duration_ticks(axis));
}

}  // namespace progress_tracker::cli

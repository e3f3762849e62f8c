#include "cli/report_page.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/html_table.h"
#include "cli/html_writer.h"
#include "cli/output.h"
#include "cli/report_charts.h"
#include "cli/report_style.h"
#include "cli/report_words.h"
#include "cli/time_text.h"
#include "progress_tracker/version.h"

namespace progress_tracker::cli {
namespace {

using Kind = Column::Kind;
using TimePoint = std::chrono::system_clock::time_point;

// So much of one thing is shown.
constexpr std::size_t kNameBytes = 200;
constexpr std::size_t kPathBytes = 500;
constexpr std::size_t kMessageBytes = 1500;
constexpr std::int64_t kMessageLines = 20;
constexpr std::size_t kMostSplits = 25;
constexpr std::size_t kMostWorkers = 50;

constexpr std::int64_t kLeastForCharts = 5;  // with fewer images the lists say it all

// ---- Words -------------------------------------------------------------------------------------

std::string name_text(std::string_view name) { return display_cut(name, kNameBytes); }

std::string path_text(const std::filesystem::path& path) {
  return display_cut(path.native(), kPathBytes);
}

std::string split_text(const std::string& split) {
  return split.empty() ? "(none)" : name_text(split);
}

std::string time_text(TimePoint time) { return utc_text(time, "%F %T"); }

std::string status_text(Status status) {
  return status == Status::kError ? "in error" : std::string(to_string(status));
}

std::int64_t left(const StatusCounts& counts) { return counts.pending + counts.processing; }

// The beginning of a message, with a mark if that is not all.
std::string message_text(const std::string& message) {
  std::size_t end = std::min(message.size(), kMessageBytes);
  // Not within a character. What is cut off a file that is not UTF-8 is escaped all the same.
  while (end < message.size() && end > 0 && (message[end] & 0xc0) == 0x80) --end;
  std::int64_t lines = 0;
  for (std::size_t i = 0; i < end; ++i) {
    if (message[i] == '\n' && ++lines == kMessageLines) end = i;
  }
  if (end == message.size()) return message;
  return message.substr(0, end) + "… [cut]";
}

struct StateWords {
  const char* style;
  const char* badge;
  std::string sentence;
};

StateWords words_of(const JobReport& report) {
  const StatusCounts& counts = report.counts;
  const std::string total = number_of(counts.total(), "image");
  const std::string finished = number_text(report.finished()) + " of " + total +
                               (report.finished() == 1 ? " is" : " are") + " finished";
  const std::string are_held =
      number_of(counts.processing, "image is", "images are") + " being processed";
  switch (report.state()) {
    case JobState::kEmpty:
      return {"idle", "Empty", "The job has no images."};
    case JobState::kNotStarted:
      return {"idle", "Not started", "None of " + total + " was started yet."};
    case JobState::kInWork:
      return {"busy", "In work", finished + ", and " + are_held + '.'};
    case JobState::kInterrupted:
      return {"busy", "Interrupted",
              finished + ". " + number_of(counts.processing, "image is", "images are") +
                  " held by workers that are gone: the next run takes them back."};
    case JobState::kUnfinished:
      return {"busy", "Unfinished",
              finished + ", and nobody is at work: the next run goes on with what is left."};
    case JobState::kFailed:
      return {"bad", "Ended with errors",
              "Nothing is left to do; " + number_text(counts.error) + " of " + total +
                  (counts.error == 1 ? " is" : " are") + " in error."};
    case JobState::kComplete:
      return {"good", "Complete",
              counts.total() == 1 ? "The image is completed." : "All " + total + " are completed."};
  }
  return {"idle", "Unknown", ""};
}

// ---- Head --------------------------------------------------------------------------------------

void write_quiet(HtmlWriter& html, const std::string& text) {
  html.element("p", {{"class", "quiet"}}, text);
}

void write_head(HtmlWriter& html, const JobReport& report) {
  const auto head = html.inside("head");
  html.empty("meta", {{"charset", "utf-8"}});
  html.empty("meta", {{"http-equiv", "Content-Security-Policy"},
                      {"content", "default-src 'none'; style-src 'unsafe-inline'"}});
  html.empty("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  html.empty("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
  html.element("title", "Job " + name_text(report.job) + ": report");
  html.style(kReportStyle);
}

void write_legend_item(HtmlWriter& html, const std::string& status, const std::string& text) {
  const auto item = html.inside("li");
  write_swatch(html, status);
  html.text(text);
}

void write_share(HtmlWriter& html, Status status, std::int64_t count, std::int64_t total) {
  if (count == 0) return;
  write_legend_item(
      html, std::string(to_string(status)),
      number_text(count) + ' ' + status_text(status) + " (" + percent_text(count, total) + ')');
}

void write_fact(HtmlWriter& html, const char* name, const std::string& value,
                const std::string& note) {
  const auto fact = html.inside("div");
  html.element("dt", name);
  html.element("dd", {{"class", "value"}}, value);
  if (!note.empty()) html.element("dd", {{"class", "note"}}, note);
}

void write_facts(HtmlWriter& html, const JobReport& report) {
  const StatusCounts& counts = report.counts;
  const auto elapsed = report.elapsed();
  const auto rate = report.per_second();
  const bool is_in_work = report.state() == JobState::kInWork;
  const auto facts = html.inside("dl", {{"class", "facts"}});
  write_fact(html, "Images", number_text(counts.total()),
             "in " + number_of(std::ssize(report.splits), "split"));
  write_fact(html, "Completed", number_text(counts.completed),
             percent_text(counts.completed, counts.total()));
  write_fact(html, "In error", number_text(counts.error),
             percent_text(counts.error, counts.total()));
  write_fact(html, "Left", number_text(left(counts)), percent_text(left(counts), counts.total()));
  write_fact(html, "Elapsed", elapsed ? duration_text(*elapsed) : "–",
             !elapsed     ? "nothing is finished"
             : is_in_work ? "since the first start"
                          : "first start to last finish");
  write_fact(html, "Throughput", rate ? rate_text(*rate) : "–",
             rate ? "finished images, pauses included" : "not known");
}

void write_header(HtmlWriter& html, const JobReport& report) {
  const StateWords words = words_of(report);
  const auto header = html.inside("header");
  html.element("p", {{"class", "kind"}}, "Report of a job, " + time_text(report.taken_at) + " UTC");
  html.element("h1", {{"class", "name-of-job"}}, name_text(report.job));
  {
    const auto lede = html.inside("p", {{"class", "lede"}});
    html.element("span", {{"class", std::string("state ") + words.style}}, words.badge);
    html.text(words.sentence);
  }
  if (report.counts.total() > 0) {
    write_status_bar(html, report.counts);
    const auto legend = html.inside("ul", {{"class", "legend"}});
    const std::int64_t total = report.counts.total();
    write_share(html, Status::kCompleted, report.counts.completed, total);
    write_share(html, Status::kError, report.counts.error, total);
    write_share(html, Status::kProcessing, report.counts.processing, total);
    write_share(html, Status::kPending, report.counts.pending, total);
  }
  write_facts(html, report);
  if (report.changed_meanwhile()) {
    const std::int64_t passed = report.passed.completed + report.passed.error;
    html.element("p", {{"class", "notice"}, {"role", "note"}},
                 "This report was taken while the job was running. The figures above and by split "
                 "are of the moment it began, with " +
                     number_of(report.finished(), "finished image") +
                     "; the charts and lists below were read after them, and have " +
                     number_text(passed) + '.');
  }
}

// ---- Splits ------------------------------------------------------------------------------------

using NamedCounts = std::pair<std::string, StatusCounts>;

// The largest ones, by name.
std::vector<NamedCounts> splits_to_show(const std::map<std::string, StatusCounts>& all) {
  std::vector<NamedCounts> splits(all.begin(), all.end());
  if (splits.size() > kMostSplits) {
    std::stable_sort(splits.begin(), splits.end(), [](const NamedCounts& a, const NamedCounts& b) {
      return a.second.total() > b.second.total();
    });
    splits.resize(kMostSplits);
    std::sort(splits.begin(), splits.end(),
              [](const NamedCounts& a, const NamedCounts& b) { return a.first < b.first; });
  }
  return splits;
}

StatusCounts difference(const StatusCounts& all, const StatusCounts& part) {
  return {all.pending - part.pending, all.processing - part.processing,
          all.completed - part.completed, all.error - part.error};
}

void write_counts_row(HtmlWriter& html, const std::string& name, const StatusCounts& counts) {
  const auto row = html.inside("tr");
  html.element("th", {{"scope", "row"}, {"class", "name"}}, name);
  for (const std::int64_t count :
       {counts.total(), counts.completed, counts.error, counts.processing, counts.pending}) {
    html.element("td", {{"class", "number"}}, number_text(count));
  }
  const auto bar = html.inside("td", {{"class", "bar"}});
  write_status_bar(html, counts);
}

void write_splits(HtmlWriter& html, const JobReport& report) {
  const auto section = html.inside("section");
  html.element("h2", "By split");
  const std::vector<NamedCounts> splits = splits_to_show(report.splits);
  const auto scroll = inside_scroll(html, "Images by split");
  const auto table = html.inside("table");
  write_column_headings(html, {{"Split", Kind::kName},
                               {"Images", Kind::kNumber},
                               {"Completed", Kind::kNumber},
                               {"In error", Kind::kNumber},
                               {"Processing", Kind::kNumber},
                               {"Pending", Kind::kNumber},
                               {"Share", Kind::kText}});
  {
    const auto body = html.inside("tbody");
    StatusCounts others = report.counts;
    for (const auto& [split, counts] : splits) {
      write_counts_row(html, split_text(split), counts);
      others = difference(others, counts);
    }
    if (splits.size() < report.splits.size()) {
      const auto left_out = std::ssize(report.splits) - std::ssize(splits);
      write_counts_row(html, number_of(left_out, "smaller split"), others);
    }
  }
  if (report.splits.size() > 1) {
    const auto foot = html.inside("tfoot");
    write_counts_row(html, "All", report.counts);
  }
}

// ---- Charts ------------------------------------------------------------------------------------

void write_timeline(HtmlWriter& html, const JobReport& report) {
  const auto section = html.inside("section");
  html.element("h2", "Finished over time");
  if (!report.last_finish) {
    write_quiet(html, "No image is finished yet.");
    return;
  }
  const std::string reach =
      (report.first_start ? "First start " + time_text(*report.first_start) + ", last finish "
                          : std::string("Last finish ")) +
      time_text(*report.last_finish) + " UTC.";
  if (report.passed.completed + report.passed.error < kLeastForCharts) {
    write_quiet(html, reach);
    return;
  }
  const auto figure = html.inside("figure");
  html.element("figcaption", reach + " Each bar is " + duration_text(report.timeline.width) + '.');
  write_timeline_chart(html, report.timeline);
  const auto legend = html.inside("ul", {{"class", "legend"}});
  write_legend_item(html, "completed", "completed");
  write_legend_item(html, "error", "in error");
}

void write_durations(HtmlWriter& html, const JobReport& report) {
  const Durations& durations = report.durations;
  if (durations.count() < kLeastForCharts) return;
  const auto section = html.inside("section");
  html.element("h2", "How long images took");
  const auto figure = html.inside("figure");
  html.element("figcaption",
               "From the latest start of an image to its end, on a logarithmic scale. Images that "
               "a worker claimed together started together, so the time includes their wait.");
  write_duration_chart(html, durations);
  const auto facts = html.inside("dl", {{"class", "facts"}});
  write_fact(html, "Shortest", duration_text(durations.shortest()), "");
  write_fact(html, "p50", duration_text(durations.quantile(0.5)), "half took at most this");
  write_fact(html, "p90", duration_text(durations.quantile(0.9)), "nine in ten");
  write_fact(html, "p99", duration_text(durations.quantile(0.99)), "99 in a hundred");
  write_fact(html, "Longest", duration_text(durations.longest()), "");
}

// ---- Images ------------------------------------------------------------------------------------

void write_slowest(HtmlWriter& html, const JobReport& report) {
  if (report.slowest.empty()) return;
  const auto section = html.inside("section");
  html.element("h2", "Slowest images");
  std::vector<std::vector<std::string>> rows;
  for (const ImageRecord& image : report.slowest) {
    rows.push_back({path_text(image.image.path), duration_text(duration_of(image).value()),
                    status_text(image.status), split_text(image.image.split),
                    time_text(image.finished_at.value())});
  }
  write_table(html, "Slowest images",
              {{"Image", Kind::kPath},
               {"Took", Kind::kNumber},
               {"Outcome", Kind::kTime},
               {"Split", Kind::kName},
               {"Finished (UTC)", Kind::kTime}},
              rows);
}

void write_error_sample(HtmlWriter& html, const ErrorSample& sample) {
  const auto article = html.inside("article");
  html.element("h3", number_of(sample.group.count, "image"));
  {
    const auto message = html.inside("pre");
    html.lines(sample.group.message.empty() ? "(no message)" : message_text(sample.group.message));
  }
  // The images may have been tried again since the groups were read.
  std::vector<std::filesystem::path> examples = sample.examples;
  if (examples.empty()) examples.push_back(sample.group.example);
  const auto list = html.inside("ul");
  for (const std::filesystem::path& path : examples) {
    html.element("li", {{"class", "path"}}, path_text(path));
  }
  const std::int64_t others = sample.group.count - std::ssize(examples);
  if (others > 0) html.element("li", {{"class", "quiet"}}, "and " + number_text(others) + " more");
}

void write_errors(HtmlWriter& html, const JobReport& report) {
  if (report.errors.empty()) return;
  const auto section = html.inside("section");
  html.element("h2", "Errors");
  write_quiet(html, "Images in error by their message, the most frequent first.");
  for (const ErrorSample& sample : report.errors) write_error_sample(html, sample);
  if (const std::int64_t others = report.other_errors(); others > 0) {
    write_quiet(html, "And " + number_of(others, "image") + " with other messages.");
  }
}

void write_most_tried(HtmlWriter& html, const JobReport& report) {
  if (report.most_tried.empty()) return;
  const auto section = html.inside("section");
  html.element("h2", "Tried more than once");
  const std::int64_t others = report.tried_again - std::ssize(report.most_tried);
  write_quiet(html, number_of(report.tried_again, "image was", "images were") +
                        " started more than once, or lost " +
                        (report.tried_again == 1 ? "its" : "their") + " worker" +
                        (others > 0 ? ". Those with the most deaths and attempts:" : "."));
  std::vector<std::vector<std::string>> rows;
  for (const ImageRecord& image : report.most_tried) {
    rows.push_back({path_text(image.image.path), number_text(image.attempts),
                    number_text(image.deaths), status_text(image.status),
                    split_text(image.image.split)});
  }
  write_table(html, "Images tried more than once",
              {{"Image", Kind::kPath},
               {"Attempts", Kind::kNumber},
               {"Deaths of workers", Kind::kNumber},
               {"Status", Kind::kTime},
               {"Split", Kind::kName}},
              rows);
}

// ---- Workers -----------------------------------------------------------------------------------

void write_workers(HtmlWriter& html, const JobReport& report) {
  const auto section = html.inside("section");
  html.element("h2", "Workers");
  if (report.workers.empty()) {
    write_quiet(html, "No worker is alive, and none that is gone holds an image.");
    return;
  }
  write_quiet(
      html,
      "Of the whole database, whatever their job: those alive, and those gone that hold images.");
  std::vector<Worker> workers = report.workers;
  // Those who hold something come first, in case there are too many.
  std::stable_sort(workers.begin(), workers.end(), [](const Worker& a, const Worker& b) {
    return a.processing > 0 && b.processing == 0;
  });
  if (workers.size() > kMostWorkers) workers.resize(kMostWorkers);
  std::vector<std::vector<std::string>> rows;
  for (const Worker& worker : workers) {
    rows.push_back({std::to_string(static_cast<std::int64_t>(worker.id)),
                    worker.alive ? "alive" : "gone", number_text(worker.processing),
                    name_text(worker.host), std::to_string(worker.pid),
                    time_text(worker.started_at)});
  }
  write_table(html, "Workers",
              {{"Worker", Kind::kText},
               {"State", Kind::kText},
               {"Images held", Kind::kNumber},
               {"Host", Kind::kName},
               {"Process", Kind::kNumber},
               {"Started (UTC)", Kind::kTime}},
              rows);
  if (workers.size() < report.workers.size()) {
    write_quiet(
        html,
        "And " + number_of(std::ssize(report.workers) - std::ssize(workers), "other worker") + '.');
  }
}

void write_footer(HtmlWriter& html, const JobReport& report) {
  const auto footer = html.inside("footer");
  html.element("p", "Job created " + time_text(report.created_at) +
                        " UTC. Report by progress-tracker " + PROGRESS_TRACKER_VERSION +
                        ". It is a picture of one moment, and does not change with the job.");
}

}  // namespace

void write_report_page(std::ostream& out, const JobReport& report) {
  HtmlWriter html(out);
  html.doctype();
  {
    const auto page = html.inside("html", {{"lang", "en"}});
    write_head(html, report);
    const auto body = html.inside("body");
    write_chart_patterns(html);
    write_header(html, report);
    {
      const auto main = html.inside("main");
      if (report.counts.total() > 0) {
        write_splits(html, report);
        write_timeline(html, report);
        write_durations(html, report);
        write_errors(html, report);
        write_slowest(html, report);
        write_most_tried(html, report);
      }
      write_workers(html, report);
    }
    write_footer(html, report);
  }
  out << '\n';
}

}  // namespace progress_tracker::cli

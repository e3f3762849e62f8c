#include "cli/doctor_report.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>

#include "cli/output.h"
#include "cli/time_text.h"

namespace progress_tracker::cli {
namespace {

constexpr std::size_t kColumns = 80;
constexpr std::size_t kLabelColumns = 13;
constexpr std::size_t kMostLines = 20;     // of one kind; a terminal has no room for more
constexpr std::size_t kMostChecked = 100;  // examine() lists no more damage, or references

// Words up to the right edge, then a new line below `indent`. A word is never broken.
class Paragraph {
 public:
  Paragraph(std::ostream& out, std::size_t indent) : out_(out), indent_(indent), column_(indent) {}

  void add(std::string_view text) {
    while (!text.empty()) {
      const std::size_t end = std::min(text.find(' '), text.size());
      add_word(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
  void end() { out_ << '\n'; }

 private:
  void add_word(std::string_view word) {
    const std::size_t width = display_width(word);
    if (column_ > indent_ && column_ + 1 + width > kColumns) {
      out_ << '\n' << std::string(indent_, ' ');
      column_ = indent_;
    } else if (column_ > indent_) {
      out_ << ' ';
      ++column_;
    }
    out_ << word;
    column_ += width;
  }

  std::ostream& out_;
  const std::size_t indent_;
  std::size_t column_;
};

void write_label(std::ostream& out, std::string_view label) {
  out << label << std::string(kLabelColumns - label.size(), ' ');
}

// "label        text", in aligned columns.
void write_fact(std::ostream& out, std::string_view label, std::string_view text) {
  write_label(out, label);
  Paragraph paragraph(out, kLabelColumns);
  paragraph.add(display(text));
  paragraph.end();
}

void write_item(std::ostream& out, std::string_view sentence) {
  out << "  - ";
  Paragraph paragraph(out, 4);
  paragraph.add(display(sentence));
  paragraph.end();
}

// The sentences under a heading, and one that is always shown; or nothing.
void write_list(std::ostream& out, std::string_view heading,
                const std::vector<std::string>& sentences, std::string_view last = {}) {
  if (sentences.empty() && last.empty()) return;
  out << '\n' << heading << '\n';
  const std::size_t shown = std::min(sentences.size(), kMostLines);
  for (std::size_t i = 0; i < shown; ++i) write_item(out, sentences[i]);
  if (shown < sentences.size()) {
    out << "  - and " << sentences.size() - shown << " more, which --json has\n";
  }
  if (!last.empty()) write_item(out, last);
}

// SQLite begins what it finds with a line that names the database.
std::string in_one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::vector<std::string> in_one_line_each(std::vector<std::string> texts) {
  for (std::string& text : texts) text = in_one_line(std::move(text));
  return texts;
}

// A list of kMostChecked may have been cut.
std::string at_least(std::size_t listed) { return listed < kMostChecked ? "" : "at least "; }

std::string size_in_words(std::int64_t bytes) {
  constexpr std::array kUnits{"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return counted(bytes, "byte");
  double size = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (size >= 1024 && unit + 1 < kUnits.size()) {
    size /= 1024;
    ++unit;
  }
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.1f %s", size, kUnits[unit]);
  return text.data();
}

std::string identity_in_words(const Examination& found) {
  std::array<char, 64> id{};
  std::snprintf(id.data(), id.size(), "0x%08llx",
                static_cast<unsigned long long>(found.application_id));
  return "progress_tracker's (application_id " + std::string(id.data()) + "), schema version " +
         std::to_string(found.schema_version);
}

std::string settings_in_words(const Examination& found) {
  std::string text;
  for (const auto& [name, value] : found.pragmas) {
    text.append(text.empty() ? "" : " ").append(name).append("=").append(value);
  }
  return text;
}

std::string damage_in_words(const Examination& found) {
  return "DAMAGED: " + at_least(found.damage.size()) + counted(std::ssize(found.damage), "finding");
}

std::string references_in_words(const Examination& found) {
  const std::size_t wrong = found.dangling_references.size();
  if (wrong == 0) return "ok";
  return "WRONG: " + at_least(wrong) + std::to_string(wrong) + " that lead nowhere";
}

std::string counts_in_words(const Examination& found) {
  const std::string recount = "a recount of " + counted(found.images, "image") + " in " +
                              counted(std::ssize(found.jobs), "job");
  const auto wrong = std::ssize(found.count_differences);
  if (wrong == 0) return "agree with " + recount;
  return "WRONG in " + counted(wrong, "split") + ", by " + recount;
}

std::string leftovers_in_words(const Examination& found) {
  if (found.leftovers.empty()) return "none";
  std::int64_t images = 0;
  for (const Leftover& leftover : found.leftovers) images += leftover.images;
  return counted(images, "image") + " of " +
         counted(std::ssize(found.leftovers), "load or removal", "loads or removals") + " cut off";
}

struct WorkerFigures {
  std::int64_t alive = 0;
  std::int64_t gone = 0;
  std::int64_t held_by_gone = 0;
};

WorkerFigures figures_of(const std::vector<Worker>& workers) {
  WorkerFigures figures;
  for (const Worker& worker : workers) {
    ++(worker.alive ? figures.alive : figures.gone);
    if (!worker.alive) figures.held_by_gone += worker.processing;
  }
  return figures;
}

void write_workers(std::ostream& out, std::vector<Worker> workers) {
  if (workers.empty()) {
    write_fact(out, "workers", "none");
    return;
  }
  const WorkerFigures figures = figures_of(workers);
  write_fact(out, "workers",
             std::to_string(figures.alive) + " alive, " + std::to_string(figures.gone) + " gone");
  // Those who hold something come first, in case there are too many.
  std::stable_sort(workers.begin(), workers.end(), [](const Worker& a, const Worker& b) {
    return a.processing > 0 && b.processing == 0;
  });
  const std::size_t shown = std::min(workers.size(), kMostLines);

  using Row = std::array<std::string, 6>;
  std::vector<Row> rows{{"worker", "state", "images", "process", "started", "host"}};
  for (const Worker& worker : std::span(workers).first(shown)) {
    rows.push_back({std::to_string(static_cast<std::int64_t>(worker.id)),
                    worker.alive ? "alive" : "gone", std::to_string(worker.processing),
                    std::to_string(worker.pid), utc_for_people(worker.started_at),
                    display(worker.host)});
  }
  constexpr std::array kIsText{false, true, false, false, true, true};
  std::array<std::size_t, kIsText.size()> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const Row& row : rows) {
    std::string line(kLabelColumns, ' ');
    for (std::size_t i = 0; i + 1 < row.size(); ++i) {
      const std::string space(widths[i] - row[i].size(), ' ');
      line += (kIsText[i] ? row[i] + space : space + row[i]) + "  ";
    }
    out << line << row.back() << '\n';
  }
  if (shown < workers.size()) {
    out << std::string(kLabelColumns, ' ') << "and " << workers.size() - shown
        << " more, which --json has\n";
  }
}

void write_facts(std::ostream& out, const Examination& found) {
  const bool is_read = found.damage.empty();
  const auto if_read = [is_read](const std::string& text) {
    return is_read ? text : std::string("not looked at");
  };
  write_label(out, "database");
  out << display(found.path.native()) << '\n';  // to be copied: all its spaces, and no new line
  write_fact(out, "file system", found.filesystem.empty() ? "unknown" : found.filesystem);
  write_fact(out, "size",
             size_in_words(found.database_bytes) + "; write-ahead log " +
                 (found.wal_bytes == 0 ? "empty" : size_in_words(found.wal_bytes)));
  write_fact(out, "identity", identity_in_words(found));
  write_fact(out, "SQLite",
             found.sqlite_version + (found.has_wal_reset_fix
                                         ? ", which has the fix of the WAL-reset bug"
                                         : ", whose number does not prove the WAL-reset fix"));
  write_fact(out, "pragmas", settings_in_words(found));
  write_fact(out, "quick check", is_read ? "ok" : damage_in_words(found));
  write_fact(out, "counts", if_read(counts_in_words(found)));
  write_fact(out, "references", if_read(references_in_words(found)));
  write_fact(out, "leftovers", if_read(leftovers_in_words(found)));
  if (is_read) {
    write_workers(out, found.workers);
  } else {
    write_fact(out, "workers", "not looked at");
  }
}

// How the repair ended, or "" if what was done says it all.
std::string end_in_words(const Examination& found, const Treatment& treatment) {
  const bool is_nothing_done = treatment.repaired.done.empty();
  if (!treatment.is_refused()) return is_nothing_done ? "nothing: there was nothing to repair" : "";
  const std::string refusal = in_one_line(treatment.refusal);
  if (!is_nothing_done) return "then stopped: " + refusal;
  return (found.damage.empty() ? "nothing: " : "nothing: a damaged file is left as it is: ") +
         refusal;
}

std::string problems_in_words(const Examination& found, bool is_treated) {
  const auto problems = std::ssize(found.problems);
  const std::string text =
      at_least(found.dangling_references.size()) + counted(problems, "problem");
  if (is_treated) return text + ", which the repair did not mend";
  if (found.mendable == 0) return text + ", which a repair does not mend";
  if (found.mendable < problems) {
    return text + ", of which a repair mends " + std::to_string(found.mendable);
  }
  return text + (problems == 1 ? ", which a repair mends" : ", all of which a repair mends");
}

// What a repair does not mend is damage, or rows that are gone. Nothing else is worth the progress
// that was made since a backup.
bool is_backup_needed(const Examination& found) {
  return found.mendable < std::ssize(found.problems);
}

void write_files_to_keep(std::ostream& out, const Examination& found) {
  const std::string& path = found.path.native();
  out << "next: stop all runs that use it; keep these files as they are"
      << (is_backup_needed(found) ? ", and restore a backup:\n" : ":\n") << "      "
      << shell_line(std::array<std::string, 3>{path, path + "-wal", path + "-shm"}) << '\n';
}

// One line, and what to do next, where it is still on the screen.
void write_verdict(std::ostream& out, const Examination& found,
                   const std::optional<Treatment>& treatment, const std::string& program) {
  const std::string repair_line = shell_line(
      std::array<std::string, 5>{program, "doctor", "--db", found.path.native(), "--repair"});
  out << '\n';
  if (!found.damage.empty()) {
    out << "DAMAGED: the file is not sound\n";
    write_files_to_keep(out, found);
    return;
  }
  if (treatment && treatment->is_refused()) {
    out << "NOT WELL: the repair stopped for the reason above";
    if (!found.healthy()) out << "; " << problems_in_words(found, /*is_treated=*/true);
    out << '\n';
    write_files_to_keep(out, found);
    return;
  }
  if (!found.healthy()) {
    const bool is_treated = treatment.has_value();
    out << "NOT WELL: " << problems_in_words(found, is_treated) << "\nnext: ";
    if (found.mendable > 0 && !is_treated) {
      out << repair_line << '\n';
    } else {
      out << "see what each problem says"
          << (is_backup_needed(found) ? "; or restore a backup of the file\n" : "\n");
    }
    return;
  }
  out << "ALL IS WELL";
  if (const std::int64_t held = figures_of(found.workers).held_by_gone; held > 0) {
    out << "; workers that are gone hold " << counted(held, "image")
        << "\nnext: nothing has to be done: the next run of the job takes them back; at once:\n"
        << "      " << repair_line;
  }
  out << '\n';
}

}  // namespace

void write_doctor_report(std::ostream& out, const Examination& found,
                         const std::optional<Treatment>& treatment, const std::string& program) {
  write_facts(out, found);
  write_list(out, "damage", in_one_line_each(found.damage));
  if (treatment) {
    write_list(out, "repaired just now", treatment->repaired.done, end_in_words(found, *treatment));
  }
  write_list(out, "problems", found.problems);
  write_list(out, "notes", found.notes);
  write_verdict(out, found, treatment, program);
}

}  // namespace progress_tracker::cli

#include "cli/dry_run.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "cli/command_template.h"
#include "cli/database.h"
#include "cli/exit_code.h"
#include "cli/image_pages.h"
#include "cli/job_figures.h"
#include "cli/json_output.h"
#include "cli/json_support.h"
#include "cli/output.h"
#include "progress_tracker/error.h"

namespace progress_tracker::cli {
namespace {

// Writes each image as it is met: there may be more than there is memory for.
class Listing {
 public:
  Listing(const RunSettings& settings, std::ostream& out)
      : settings_(settings), words_(settings.command), out_(out) {
    if (!settings.json) return;
    ordered_json head = new_document();
    head["job"] = settings.job;
    head["dry_run"] = true;
    document_.emplace(out, head, "images");
  }

  // As a run counts, to which an image in error by itself is one that it worked on.
  bool is_full() const { return settings_.limit > 0 && would_run_ + gone_ >= settings_.limit; }

  // An image that would be worked on, unless --limit says otherwise.
  void add(const std::filesystem::path& path, const char* reason) {
    if (is_full()) return;
    if (!settings_.images.empty() && is_gone(path)) {
      ++gone_;
      write(path, "gone", "");
      return;
    }
    ++would_run_;
    write(path, reason, shell_line(words_.expand(path.native())));
  }

  std::int64_t would_run() const { return would_run_; }
  std::int64_t gone() const { return gone_; }

  // Nobody reads on, or no more would be run.
  bool is_over() const { return is_full() || out_.fail(); }

  void finish(const ordered_json& rest) { document_->finish(rest); }

 private:
  void write(const std::filesystem::path& path, const std::string& reason,
             const std::string& line) {
    if (document_) {
      ordered_json entry;
      add_path(entry, path);
      entry["reason"] = reason;
      if (!line.empty()) entry["command"] = line;
      document_->add(entry);
      return;
    }
    constexpr std::size_t kWidth = 9;
    out_ << reason << std::string(kWidth - reason.size(), ' ')
         << (line.empty() ? display(path.native()) + ": no such file" : line) << '\n';
  }

  const RunSettings& settings_;
  const CommandTemplate words_;
  std::ostream& out_;
  std::optional<JsonListDocument> document_;
  std::int64_t would_run_ = 0;
  std::int64_t gone_ = 0;
};

// A database or a job that is not there yet has nothing: all images are new.
class Record {
 public:
  Record(const RunSettings& settings, const Context& context) {
    try {
      tracker_ = open_tracker(context.database(), Access::kRead);
    } catch (const NotFound&) {
      return;
    }
    job_ = tracker_->get_job_id(settings.job);
  }

  bool has_job() const { return job_.has_value(); }

  void refuse_images_if_chained(const std::string& name) {
    if (job_) cli::refuse_images_if_chained(*tracker_, *job_, name);
  }

  bool has(const std::filesystem::path& path) {
    return job_ && tracker_->get_image_id(*job_, path).has_value();
  }

  StatusCounts counts() {
    return job_ ? tracker_->get_status_counts(*job_).value_or(StatusCounts{}) : StatusCounts{};
  }

  HeldImages held() { return job_ ? count_held(*tracker_) : HeldImages{}; }

  void for_each(std::optional<Status> status, const std::function<bool(const ImageRecord&)>& each) {
    if (job_) for_each_image(*tracker_, *job_, status, each);
  }

 private:
  std::unique_ptr<Tracker> tracker_;
  std::optional<JobId> job_;
};

// As the tracker hands them out: those of dead workers come after all others.
void list_pending(Record& record, Listing& listing) {
  record.for_each(Status::kPending, [&](const ImageRecord& image) {
    if (image.deaths == 0) listing.add(image.image.path, "pending");
    return !listing.is_over();
  });
}

// Those that were taken back from dead workers already, and those that will be, in one order.
void list_died(Record& record, Listing& listing, bool are_held) {
  const std::optional<Status> status = are_held ? std::nullopt : std::optional(Status::kPending);
  record.for_each(status, [&](const ImageRecord& image) {
    if (image.status == Status::kProcessing) listing.add(image.image.path, "died");
    if (image.status == Status::kPending && image.deaths > 0) {
      listing.add(image.image.path, "pending");
    }
    return !listing.is_over();
  });
}

// In JSON too, each is one object a line.
void say(const Context& context, const std::string& text) {
  if (context.configuration.progress.value == ProgressMode::kJson) {
    context.streams.err << note_event(text) + "\n" << std::flush;
  } else {
    complain(context.streams.err, text);
  }
}

void list_new(ImageSource& source, Record& record, Listing& listing, const Context& context) {
  struct Enough {};
  // A directory has each path once; of a list the hashes are kept, which take less than the paths.
  std::unordered_set<std::size_t> seen;
  const PieceSink sink = [&](const ImagePiece& piece) {
    for (const auto& path : piece.paths) {
      if (listing.is_over()) throw Enough();
      if (record.has(path)) continue;
      if (source.may_repeat() && !seen.insert(std::hash<std::string>()(path.native())).second) {
        continue;
      }
      listing.add(path, "new");
    }
  };
  try {
    source.read(sink, [&](const std::string& note) { say(context, note); });
  } catch (const Enough&) {  // NOLINT(bugprone-empty-catch): the rest of the source is not needed
  }
}

}  // namespace

int dry_run(const RunSettings& settings, ImageSource& source, const Context& context) {
  Record record(settings, context);
  if (!source.is_given() && !record.has_job()) {
    throw UsageError("--images DIR or --from FILE is required: there is no job " +
                     display(settings.job) + " yet");
  }
  if (source.is_given()) record.refuse_images_if_chained(settings.job);
  std::ostream& out = context.streams.out;
  Listing listing(settings, out);
  const StatusCounts counts = record.counts();
  // Where no living worker holds an image, those in work were left by the dead.
  const HeldImages held = record.held();
  const bool is_abandoned = held.by_living == 0 && counts.processing > 0;
  list_pending(record, listing);
  if (source.is_given()) list_new(source, record, listing, context);
  list_died(record, listing, is_abandoned);

  const std::int64_t elsewhere = is_abandoned ? 0 : counts.processing;
  if (settings.json) {
    ordered_json rest;
    rest["would_run"] = listing.would_run();
    rest["gone"] = listing.gone();
    rest["completed"] = counts.completed;
    rest["error"] = counts.error;
    rest["in_work_elsewhere"] = elsewhere;
    listing.finish(rest);
    return kExitOk;
  }
  std::string sentence = "dry run: " + counted(listing.would_run(), "command") +
                         " would be run; left alone: " + std::to_string(counts.completed) +
                         " completed, " + std::to_string(counts.error) + " in error (see `retry`)";
  if (elsewhere > 0) {
    sentence += ", " + std::to_string(elsewhere) + " in work in another run" +
                (held.by_dead > 0 ? ", or left by a worker that died" : "");
  }
  if (listing.gone() > 0) {
    sentence += "; " + counted(listing.gone(), "image") + " would be in error: no such file";
  }
  say(context, sentence);
  return kExitOk;
}

}  // namespace progress_tracker::cli

#include "record.h"

#include <algorithm>

#include "remote_tracker.h"

namespace progress_tracker::processes {
namespace {

int number(const std::string& word) { return std::stoi(word); }

std::string image_line(std::size_t place, const std::string& split, const std::string& status,
                       const std::string& attempts, const std::string& deaths,
                       const std::string& message) {
  return std::to_string(place) + " " + split + " " + status + " attempts " + attempts + " deaths " +
         deaths + " " + message;
}

}  // namespace

std::string split_of(int i) {
  constexpr const char* kSplits[] = {"train", "valid", ""};
  return kSplits[i % 3];
}

Record::Entry& Record::entry(const std::string& job, const std::string& path) {
  JobEntry& owner = jobs_.at(job);
  return owner.images.at(owner.places.at(path));
}

int Record::add(JobEntry& job, const std::string& path, const std::string& split) {
  if (!job.places.emplace(path, job.images.size()).second) {
    return 0;
  }
  Entry& added = job.images.emplace_back();
  added.path = path;
  added.split = split;
  return 1;
}

// Whether it applied.
bool Record::mark(const std::string& job, const std::string& path, int attempt, bool good,
                  const std::string& message) {
  Entry& image = entry(job, path);
  if (image.status == Status::kCompleted) {
    return good && (attempt == 0 || attempt == image.attempts);
  }
  if (attempt != 0 && (attempt != image.attempts || image.status == Status::kPending)) {
    return false;
  }
  image.attempts += image.status == Status::kPending ? 1 : 0;
  image.status = good ? Status::kCompleted : Status::kError;
  image.message = good ? "" : message;
  if (good) {
    const std::string split = image.split;
    for (auto& [name, other] : jobs_) {
      if (other.upstream == job) {
        add(other, path, split);
      }
    }
  }
  return true;
}

int Record::take_back(JobEntry& job, bool own) {
  int taken = 0;
  for (Entry& image : job.images) {
    if (image.status == Status::kProcessing && (own || image.holder != Holder::kAlive)) {
      image.deaths += image.holder == Holder::kDied ? 1 : 0;
      image.status = Status::kPending;
      image.holder = Holder::kAlive;
      ++taken;
    }
  }
  return taken;
}

std::string Record::claim(JobEntry& job, std::size_t limit) {
  for (const bool first_look : {true, false}) {
    std::vector<Entry*> next;
    for (Entry& image : job.images) {
      if (image.status == Status::kPending && image.deaths == 0 && next.size() < limit) {
        next.push_back(&image);
      }
    }
    if (next.empty()) {
      const auto died = std::find_if(job.images.begin(), job.images.end(), [](const Entry& each) {
        return each.status == Status::kPending;
      });
      if (died != job.images.end()) {
        next.push_back(&*died);
      }
    }
    if (!next.empty()) {
      std::string claimed;
      for (Entry* image : next) {
        image->status = Status::kProcessing;
        image->holder = Holder::kAlive;
        ++image->attempts;
        claimed += image->path + ":" + std::to_string(image->attempts) + " ";
      }
      return claimed;
    }
    if (!first_look || take_back(job, /*own=*/false) == 0) {
      break;
    }
  }
  return "";
}

int Record::count(const JobEntry& job, Status status) {
  return static_cast<int>(std::count_if(job.images.begin(), job.images.end(),
                                        [&](const Entry& each) { return each.status == status; }));
}

void Record::checkpoint(JobEntry& job) {
  job.processed_count = count(job, Status::kCompleted);
  job.error_count = count(job, Status::kError);
}

std::string Record::counts(const JobEntry& job) {
  return std::to_string(count(job, Status::kPending)) + " " +
         std::to_string(count(job, Status::kProcessing)) + " " +
         std::to_string(count(job, Status::kCompleted)) + " " +
         std::to_string(count(job, Status::kError));
}

std::string Record::carry_out(const Operation& operation) {
  const std::string& verb = operation.at(0);
  if (verb == "reopen") {
    worker_left();
    return "done";
  }
  if (verb == "sync") {
    return "done";
  }
  const std::string& name = operation.at(1);
  if (verb == "create" || verb == "add") {
    const int first = number(operation.at(2));
    const int count = number(operation.at(3));
    JobEntry& job = jobs_[name];
    int added = 0;
    int i = first;
    for (const auto& path : some_paths(name, first, count)) {
      added += add(job, path.string(), split_of(i++));
    }
    return verb == "create" ? "done" : std::to_string(added);
  }
  if (verb == "chain") {
    JobEntry& job = jobs_[name];
    job.upstream = operation.at(2);
    for (const Entry& image : jobs_.at(job.upstream).images) {
      if (image.status == Status::kCompleted) {
        add(job, image.path, image.split);
      }
    }
    return "done";
  }
  if (verb == "remove") {
    const bool feeds = std::any_of(jobs_.begin(), jobs_.end(),
                                   [&](const auto& each) { return each.second.upstream == name; });
    if (feeds) {
      return "refused";
    }
    jobs_.erase(name);
    return "done";
  }
  if (verb == "counts" && !jobs_.contains(name)) {
    return "none";
  }
  JobEntry& job = jobs_.at(name);
  if (verb == "claim") {
    return claim(job, static_cast<std::size_t>(number(operation.at(2))));
  }
  if (verb == "mark_processing") {
    for (std::size_t i = 2; i < operation.size(); ++i) {
      if (entry(name, operation[i]).status != Status::kPending) {
        return "refused";
      }
    }
    for (std::size_t i = 2; i < operation.size(); ++i) {
      Entry& image = entry(name, operation[i]);
      image.status = Status::kProcessing;
      image.holder = Holder::kAlive;
      ++image.attempts;
    }
    return "done";
  }
  if (verb == "mark_completed") {
    mark(name, operation.at(2), 0, true, "");
    return "done";
  }
  if (verb == "mark_error") {
    return mark(name, operation.at(2), 0, false, operation.at(3)) ? "done" : "refused";
  }
  if (verb == "complete") {
    return mark(name, operation.at(2), number(operation.at(3)), true, "") ? "1" : "0";
  }
  if (verb == "fail") {
    return mark(name, operation.at(2), number(operation.at(3)), false, operation.at(4)) ? "1" : "0";
  }
  if (verb == "outcomes") {
    int applied = 0;
    for (std::size_t i = 2; i + 2 < operation.size(); i += 3) {
      const std::string& error = operation[i + 2];
      applied += mark(name, operation[i], number(operation[i + 1]), error.empty(), error) ? 1 : 0;
    }
    return std::to_string(applied);
  }
  if (verb == "release") {
    int released = 0;
    for (std::size_t i = 2; i + 1 < operation.size(); i += 2) {
      Entry& image = entry(name, operation[i]);
      const int attempt = number(operation[i + 1]);
      if (image.status == Status::kProcessing && (attempt == 0 || attempt == image.attempts)) {
        image.status = Status::kPending;
        ++released;
      }
    }
    return std::to_string(released);
  }
  if (verb == "reset") {
    return std::to_string(take_back(job, /*own=*/true));
  }
  if (verb == "reset_errors" || verb == "retry") {
    int reset = 0;
    for (Entry& image : job.images) {
      const bool meant = verb == "reset_errors" || std::find(operation.begin() + 2, operation.end(),
                                                             image.path) != operation.end();
      if (meant && image.status == Status::kError) {
        image.status = Status::kPending;
        image.message.clear();
        ++reset;
      }
    }
    if (reset > 0) {
      checkpoint(job);
    }
    return std::to_string(reset);
  }
  if (verb == "checkpoint") {
    checkpoint(job);
    return "done";
  }
  if (verb == "counts") {
    return counts(job);
  }
  Upload& batch = job.batches[number(operation.at(2))];
  if (verb == "batch") {
    for (std::size_t i = 3; i < operation.size(); ++i) {
      entry(name, operation[i]).batch = number(operation.at(2));
    }
    batch.count = static_cast<int>(operation.size()) - 3;
    return "done";
  }
  if (verb == "uploaded") {
    batch.status = "uploaded";
    batch.error.clear();
    return "done";
  }
  if (batch.status == "uploaded") {  // "upload_failed"
    return "refused";
  }
  batch.status = "error";
  batch.error = operation.at(3);
  return "done";
}

void Record::worker_died() { worker_ended(Holder::kDied); }

void Record::worker_left() { worker_ended(Holder::kLeft); }

void Record::worker_ended(Holder how) {
  for (auto& [name, job] : jobs_) {
    for (Entry& image : job.images) {
      if (image.status == Status::kProcessing && image.holder == Holder::kAlive) {
        image.holder = how;
      }
    }
  }
}

Picture Record::picture() const {
  Picture picture;
  for (const auto& [name, job] : jobs_) {
    picture["job " + name] = std::to_string(job.images.size()) + " checkpoint " +
                             std::to_string(job.processed_count) + " " +
                             std::to_string(job.error_count);
    for (std::size_t place = 0; place < job.images.size(); ++place) {
      const Entry& image = job.images[place];
      picture["image " + name + " " + image.path] =
          image_line(place, image.split, std::string(to_string(image.status)),
                     std::to_string(image.attempts), std::to_string(image.deaths), image.message);
      if (image.batch != 0) {
        picture["in batch " + name + " " + image.path] = std::to_string(image.batch);
      }
    }
    for (const auto& [batch, upload] : job.batches) {
      picture["batch " + name + " " + std::to_string(batch)] =
          upload.status + " " + std::to_string(upload.count) + " " + upload.error;
    }
  }
  return picture;
}

Picture picture_of(Audit& audit) {
  Picture picture;
  for (const Row& row : audit.rows(
           "SELECT name, total_images, processed_count, error_count FROM jobs ORDER BY id")) {
    picture["job " + row[0]] = row[1] + " checkpoint " + row[2] + " " + row[3];
  }
  std::map<std::string, std::size_t> places;
  for (const Row& row :
       audit.rows("SELECT jobs.name, path, split, status, attempts, deaths, error_message "
                  "FROM images JOIN jobs ON jobs.id = images.job_id ORDER BY images.id")) {
    picture["image " + row[0] + " " + row[1]] =
        image_line(places[row[0]]++, row[2], row[3], row[4], row[5], row[6]);
  }
  for (const Row& row : audit.rows("SELECT name, batch_num, status, image_count, upload_error "
                                   "FROM batches JOIN jobs ON jobs.id = batches.job_id")) {
    picture["batch " + row[0] + " " + row[1]] = row[2] + " " + row[3] + " " + row[4];
  }
  for (const Row& row :
       audit.rows("SELECT jobs.name, images.path, batches.batch_num FROM batch_image "
                  "JOIN images ON images.id = batch_image.image_id "
                  "JOIN batches ON batches.id = batch_image.batch_id "
                  "JOIN jobs ON jobs.id = images.job_id")) {
    picture["in batch " + row[0] + " " + row[1]] = row[2];
  }
  return picture;
}

std::string difference(const Picture& expected, const Picture& found) {
  std::string text;
  int lines = 0;
  const auto add = [&](const char* side, const auto& row) {
    if (++lines <= 10) {
      text += std::string("  ") + side + row.first + ": " + row.second + "\n";
    }
  };
  for (const auto& row : expected) {
    const auto other = found.find(row.first);
    if (other == found.end() || other->second != row.second) {
      add("expected ", row);
    }
  }
  for (const auto& row : found) {
    const auto other = expected.find(row.first);
    if (other == expected.end() || other->second != row.second) {
      add("found    ", row);
    }
  }
  return text + "  " + std::to_string(lines) + " rows differ\n";
}

}  // namespace progress_tracker::processes

#include "script.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>

#include "armed.h"
#include "audit.h"
#include "progress_tracker/error.h"
#include "remote_tracker.h"

namespace progress_tracker::reliability {
namespace fs = std::filesystem;

using processes::Audit;
using processes::Row;
using processes::some_paths;
using processes::split_of;

void ScratchDirectory::become(const fs::path& other) const {
  for (const auto& entry : fs::directory_iterator(path())) {
    fs::remove_all(entry.path());
  }
  fs::copy(other, path(), fs::copy_options::recursive);
}

Prepared::Prepared(const Scenario& scenario) {
  if (scenario.prepare) {
    record_ = scenario.prepare(directory_.database());
    // Of another life of the machine: what SQLite shares in memory is made anew.
    fs::remove(directory_.database().native() + "-shm");
  }
}

void Prepared::copy_to(const ScratchDirectory& target) const { target.become(directory_.path()); }

// ---- The player --------------------------------------------------------------------------------

namespace {

template <typename Call>
auto armed(const Call& call) {
  const Armed scope;
  return call();
}

int number(const std::string& word) { return std::stoi(word); }

}  // namespace

Player::Player(fs::path database, Options options)
    : database_(std::move(database)), options_(options) {}

void Player::open() {
  tracker_ = armed([&] { return std::make_unique<ProgressTracker>(database_, options_); });
}

void Player::drop() {
  armed([&] { tracker_.reset(); });
}

// Asked of the file, so that it is no call of the tracker.
JobId Player::job(const std::string& name) {
  return JobId{Audit(database_).number("SELECT id FROM jobs WHERE name = '" + name + "'")};
}

ImageId Player::image(const std::string& job, const std::string& path) {
  return ImageId{
      Audit(database_).number("SELECT images.id FROM images JOIN jobs "
                              "ON jobs.id = job_id WHERE path = '" +
                              path + "' AND name = '" + job + "'")};
}

std::vector<fs::path> Player::paths(const Operation& operation) const {
  return some_paths(operation.at(1), number(operation.at(2)), number(operation.at(3)));
}

std::string Player::carry_out(const Operation& operation) {
  const std::string& verb = operation.at(0);
  if (!is_open()) {
    open();
    if (verb == "reopen") {
      return "done";
    }
  }
  if (verb == "reopen") {
    armed([&] { tracker_->close(); });
    drop();
    open();
    return "done";
  }
  if (verb == "sync") {
    armed([&] { tracker_->sync(); });
    return "done";
  }
  const std::string& name = operation.at(1);
  const auto done = [&](const auto& call) -> std::string {
    try {
      armed(call);
      return "done";
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalidTransition) {
        throw;
      }
      return "refused";
    }
  };
  const auto count = [&](const auto& call) { return std::to_string(armed(call)); };
  if (verb == "create" || verb == "add") {
    std::vector<std::string> splits;
    for (int i = 0; i < number(operation.at(3)); ++i) {
      splits.push_back(split_of(number(operation.at(2)) + i));
    }
    if (verb == "create") {
      return done([&] { tracker_->create_job(name, paths(operation), splits); });
    }
    return count(
        [&, id = job(name)] { return tracker_->add_images(id, paths(operation), splits); });
  }
  if (verb == "chain") {
    return done([&, id = job(operation.at(2))] { tracker_->chain_job(name, id); });
  }
  const JobId id = job(name);
  if (verb == "remove") {
    if (id == JobId{0}) {
      return "done";  // by the call before, whose outcome was unknown
    }
    return done([&] { tracker_->remove_job(id); });
  }
  if (verb == "claim") {
    const auto limit = static_cast<std::size_t>(number(operation.at(2)));
    std::string claimed;
    for (const Image& each : armed([&] { return tracker_->claim_images(id, limit); })) {
      claimed += each.path.string() + ":" + std::to_string(each.attempt) + " ";
    }
    return claimed;
  }
  if (verb == "checkpoint") {
    return done([&] { tracker_->checkpoint(id); });
  }
  if (verb == "counts") {
    const auto found = armed([&] { return tracker_->get_status_counts(id); });
    if (!found.has_value()) {
      return "none";
    }
    const StatusCounts& counts = *found;
    return std::to_string(counts.pending) + " " + std::to_string(counts.processing) + " " +
           std::to_string(counts.completed) + " " + std::to_string(counts.error);
  }
  if (verb == "reset") {
    return count([&] { return tracker_->reset_stuck_images(id); });
  }
  if (verb == "reset_errors") {
    return count([&] { return tracker_->reset_error_images(id); });
  }
  if (verb == "mark_completed") {
    return done([&, one = image(name, operation.at(2))] { tracker_->mark_completed(one); });
  }
  if (verb == "mark_error") {
    return done(
        [&, one = image(name, operation.at(2))] { tracker_->mark_error(one, operation.at(3)); });
  }
  if (verb == "uploaded" || verb == "upload_failed") {
    const BatchId batch{
        Audit(database_).number("SELECT id FROM batches WHERE batch_num = " + operation.at(2) +
                                " AND job_id = " + processes::text(id))};
    return verb == "uploaded" ? done([&] { tracker_->mark_batch_uploaded(batch); })
                              : done([&] { tracker_->mark_batch_error(batch, operation.at(3)); });
  }
  if (verb == "outcomes") {
    std::vector<Outcome> outcomes;
    for (std::size_t i = 2; i + 2 < operation.size(); i += 3) {
      Outcome& outcome = outcomes.emplace_back();
      outcome.id = image(name, operation[i]);
      outcome.attempt = number(operation[i + 1]);
      if (!operation[i + 2].empty()) {
        outcome.error = operation[i + 2];
      }
    }
    return count([&] { return tracker_->mark_outcomes(outcomes); });
  }
  Image one;
  if (verb == "complete" || verb == "fail") {
    one.id = image(name, operation.at(2));
    one.attempt = number(operation.at(3));
    return armed([&] {
      return verb == "complete" ? tracker_->complete(one) : tracker_->fail(one, operation.at(4));
    })
               ? "1"
               : "0";
  }
  if (verb == "release") {
    std::vector<Image> images;
    for (std::size_t i = 2; i + 1 < operation.size(); i += 2) {
      one.id = image(name, operation[i]);
      one.attempt = number(operation[i + 1]);
      images.push_back(one);
    }
    return count([&] { return tracker_->release_images(images); });
  }
  const bool is_batch = verb == "batch";
  std::vector<ImageId> ids;
  for (std::size_t i = is_batch ? 3 : 2; i < operation.size(); ++i) {
    ids.push_back(image(name, operation[i]));
  }
  if (is_batch) {
    return done([&] { tracker_->create_batch_of(id, number(operation.at(2)), ids); });
  }
  if (verb == "retry") {
    return count([&] { return tracker_->retry_images(ids); });
  }
  if (verb == "mark_processing") {
    return done([&] { tracker_->mark_processing(ids); });
  }
  throw std::logic_error("no such operation: " + verb);
}

// ---- The worlds --------------------------------------------------------------------------------

std::string Worlds::done(const Operation& operation, const std::string& answer) {
  std::vector<Record> left;
  std::string expected;
  for (Record& record : possible_) {
    expected = record.carry_out(operation);
    if (expected == answer) {
      left.push_back(std::move(record));
    }
  }
  if (left.empty()) {
    return to_string(operation) + "answered " + answer + " and not " + expected;
  }
  possible_ = std::move(left);
  return "";
}

void Worlds::perhaps_done(const Operation& operation) {
  for (std::size_t i = 0, count = possible_.size(); i < count; ++i) {
    Record with = possible_[i];
    with.carry_out(operation);
    possible_.push_back(std::move(with));
  }
}

void Worlds::worker_died() {
  for (Record& record : possible_) {
    record.worker_died();
  }
}

void Worlds::worker_ended() {
  for (std::size_t i = 0, count = possible_.size(); i < count; ++i) {
    Record left = possible_[i];
    left.worker_left();
    possible_[i].worker_died();
    possible_.push_back(std::move(left));
  }
}

void Worlds::perhaps(const Worlds& others) {
  possible_.insert(possible_.end(), others.possible_.begin(), others.possible_.end());
}

std::string Worlds::compare(const Picture& found) {
  for (const Record& record : possible_) {
    if (record.picture() == found) {
      return "";
    }
  }
  return processes::difference(possible_.back().picture(), found);
}

std::string Worlds::settle(const Picture& found) {
  std::string difference = compare(found);
  if (difference.empty()) {
    std::erase_if(possible_, [&](const Record& each) { return each.picture() != found; });
  }
  return difference;
}

std::string to_string(const Operation& operation) {
  std::string text;
  for (const std::string& word : operation) {
    text += word.substr(0, 40) + ' ';
  }
  return text;
}

Picture picture_of_file(const fs::path& database) {
  if (!fs::exists(database) || fs::file_size(database) == 0) {
    return {};
  }
  Audit audit(database);
  if (audit.number("SELECT count(*) FROM sqlite_schema") == 0) {
    return {};
  }
  audit.expect_sound();
  return processes::picture_of(audit);
}

}  // namespace progress_tracker::reliability

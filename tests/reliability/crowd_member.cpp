#include "crowd_member.h"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include "ledger.h"
#include "progress_tracker/error.h"
#include "progress_tracker/progress_tracker.h"
#include "remote_tracker.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

using processes::Arguments;
using processes::draw;
using processes::hear;
using processes::number_of;
using processes::Process;
using processes::Random;
using processes::say;
using processes::text;

// One of its threads.
class Hand {
 public:
  Hand(ProgressTracker& tracker, const CrowdMember& member, Ledger& ledger, int owner)
      : tracker_(tracker),
        member_(member),
        ledger_(ledger),
        owner_(owner),
        random_(member.seed + static_cast<unsigned>(owner)) {}

  // Until nothing is pending in any of the jobs.
  void work() {
    for (;;) {
      job_ = static_cast<std::size_t>(draw(random_, 0, static_cast<int>(member_.jobs.size()) - 1));
      auto images = draw(random_, 0, 9) == 0 ? start_by_hand() : claim();
      if (images.empty() && nothing_is_pending()) {
        tracker().checkpoint(job());
        acknowledge();
        return;
      }
      while (!images.empty()) {
        deal_with(images);
      }
      look();
    }
  }

 private:
  // To be used for one call.
  ProgressTracker& tracker() {
    ledger_.count_call();
    return tracker_;
  }

  JobId job() const { return member_.jobs[job_]; }
  std::size_t place_of(const Image& image) const {
    return job_ * static_cast<std::size_t>(member_.images_of_a_job) + number_of(image.path);
  }

  void require(bool condition, const char* what) const {
    if (!condition) {
      complain(std::string(what) + ", owner " + std::to_string(owner_));
    }
  }

  std::vector<Image> claim() {
    auto images = tracker().claim_images(job(), static_cast<std::size_t>(draw(random_, 1, 30)));
    acknowledge();
    for (const Image& image : images) {
      complain(ledger_.claimed(place_of(image), image.attempt, owner_));
    }
    return images;
  }

  // As the original did it: look for pending ones, then mark them. Somebody else may be quicker.
  std::vector<Image> start_by_hand() {
    auto images = tracker().get_pending_images(job(), 3);
    try {
      tracker().mark_processing(test::ids_of(images));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalidTransition) {
        throw;
      }
      images.clear();
    }
    acknowledge();
    for (Image& image : images) {
      image.attempt = tracker().get_image(image.id)->attempts;
      complain(ledger_.claimed(place_of(image), image.attempt, owner_));
    }
    return images;
  }

  bool nothing_is_pending() {
    return std::all_of(member_.jobs.begin(), member_.jobs.end(),
                       [&](JobId each) { return tracker().get_status_counts(each)->pending == 0; });
  }

  // Ends one or some of the images, in one of the ways there are. Only completing ends every
  // attempt, so that all of it ends.
  void deal_with(std::vector<Image>& images) {
    const Image image = images.back();
    const bool first = image.attempt == 1;
    const int way = draw(random_, 0, 7);
    if (way == 0) {
      return mark_together(images);
    }
    images.pop_back();
    ledger_.lets_go(place_of(image));
    if (first && way == 1) {
      tracker().mark_error(image.id, "mark_error");
      mark_failed(image);
    } else if (first && way == 2) {
      require(tracker().fail(image, "fail"), "fail() was refused");
      ledger_.failed(place_of(image), image.attempt);
    } else if (image.attempt < 3 && way == 3) {
      require(tracker().release_images(std::span(&image, 1)) == 1, "a release was refused");
      acknowledge();
    } else if (way < 6) {
      tracker().mark_completed(image.id);
      mark_completed(image);
    } else {
      require(tracker().complete(image), "complete() was refused");
      ledger_.completed(place_of(image));
    }
  }

  void mark_together(std::vector<Image>& images) {
    std::vector<Outcome> outcomes;
    for (const Image& image : images) {
      ledger_.lets_go(place_of(image));
      const bool good = image.attempt > 1 || draw(random_, 0, 3) > 0;
      outcomes.push_back({.id = image.id,
                          .attempt = image.attempt,
                          .error = good ? std::nullopt : std::optional<std::string>("outcome")});
    }
    require(tracker().mark_outcomes(outcomes) == outcomes.size(), "an outcome was refused");
    acknowledge();
    for (std::size_t i = 0; i < images.size(); ++i) {
      if (outcomes[i].error.has_value()) {
        ledger_.failed(place_of(images[i]), images[i].attempt);
      } else {
        ledger_.completed(place_of(images[i]));
      }
    }
    images.clear();
  }

  // Marks by id may be held back: then the next call that is none acknowledges them.
  void mark_completed(const Image& image) {
    completed_.push_back(place_of(image));
    if (member_.mark_buffer == 0) {
      acknowledge();
    }
  }
  void mark_failed(const Image& image) {
    failed_.emplace_back(place_of(image), image.attempt);
    if (member_.mark_buffer == 0) {
      acknowledge();
    }
  }
  void acknowledge() {
    for (const std::size_t place : std::exchange(completed_, {})) {
      ledger_.completed(place);
    }
    for (const auto& [place, attempt] : std::exchange(failed_, {})) {
      ledger_.failed(place, attempt);
    }
  }

  void look() {
    const auto most = static_cast<std::int64_t>(member_.images_of_a_job);
    switch (draw(random_, 0, 11)) {
      case 0:
        tracker().checkpoint(job());
        break;
      case 1: {
        const auto progress = tracker().get_progress(job());
        require(progress->total_images <= most && progress->pending_count >= 0, "get_progress()");
        break;
      }
      case 2: {
        const std::int64_t total = tracker().get_status_counts(job())->total();
        require(job_ == CrowdMember::kChained ? total <= most : total == most,
                "get_status_counts()");
        break;
      }
      case 3: {
        std::int64_t total = 0;
        for (const auto& [split, counts] : tracker().get_progress_by_split(job())) {
          total += counts.total();
        }
        require(job_ == CrowdMember::kChained ? total <= most : total == most,
                "get_progress_by_split()");
        break;
      }
      case 4:
        for (const ImageRecord& each : tracker().get_images(job(), Status::kProcessing, 20)) {
          require(each.attempts > 0 && each.status == Status::kProcessing, "get_images()");
        }
        break;
      case 5:
        tracker().get_error_summary(job(), 5);
        break;
      case 6:
        for (const Worker& worker : tracker().list_workers()) {
          require(worker.alive, "list_workers() shows a dead one");
        }
        break;
      case 7:
        require(tracker().list_jobs().size() == member_.jobs.size(), "list_jobs()");
        break;
      case 8:
        tracker().reset_error_images(job());
        break;
      default:
        return;
    }
    acknowledge();
  }

  ProgressTracker& tracker_;
  const CrowdMember& member_;
  Ledger& ledger_;
  const int owner_;
  Random random_;
  std::size_t job_{0};
  std::vector<std::size_t> completed_;               // not yet acknowledged
  std::vector<std::pair<std::size_t, int>> failed_;  // likewise
};

// Arguments: what start() makes of them.
int join_crowd(const Arguments& arguments) {
  const auto number = [&](std::size_t place) { return std::stoi(arguments.at(place)); };
  CrowdMember member{.database = arguments.at(0),
                     .ledger = arguments.at(1),
                     .first_owner = number(2),
                     .threads = number(3),
                     .seed = static_cast<unsigned>(std::stoul(arguments.at(4))),
                     .mark_buffer = std::stoul(arguments.at(5)),
                     .images_of_a_job = number(6),
                     .jobs = {}};
  for (std::size_t i = 7; i < arguments.size(); ++i) {
    member.jobs.push_back(JobId{std::stoll(arguments[i])});
  }
  ProgressTracker tracker(member.database, {.mark_buffer = member.mark_buffer});
  Ledger ledger(member.ledger);
  say("ready");
  hear();
  std::vector<std::thread> threads;
  for (int i = 0; i < member.threads; ++i) {
    threads.emplace_back([&, i] {
      try {
        Hand(tracker, member, ledger, member.first_owner + i).work();
      } catch (const std::exception& error) {  // kBusy, for one
        complain(error.what());
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  say("finished");
  hear();
  return 0;
}

const processes::RegisterActor kCrowd{"crowd", join_crowd};

}  // namespace

Process start(const CrowdMember& member) {
  Arguments arguments{member.database.string(),    member.ledger.string(), text(member.first_owner),
                      text(member.threads),        text(member.seed),      text(member.mark_buffer),
                      text(member.images_of_a_job)};
  for (const JobId job : member.jobs) {
    arguments.push_back(text(job));
  }
  return {"crowd", arguments};
}

}  // namespace progress_tracker::reliability

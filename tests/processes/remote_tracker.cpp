#include "remote_tracker.h"

#include <spawn.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "progress_tracker/error.h"
#include "progress_tracker/progress_tracker.h"
#include "support.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it to the program

namespace progress_tracker::processes {
namespace {

using Words = std::vector<std::string>;

// A question is a verb and its arguments, an answer "ok" and its values or "error", code and text;
// all of them separated by tabs.
Words split_words(const std::string& line) {
  Words words(1);
  for (const char each : line) {
    if (each == '\t') {
      words.emplace_back();
    } else {
      words.back() += each;
    }
  }
  return words;
}

std::string join(const Words& words) {
  std::string line;
  for (const std::string& word : words) {
    line += (line.empty() ? "" : "\t") + word;
  }
  return line;
}

std::int64_t number(const std::string& word) { return std::stoll(word); }

ErrorCode code_called(const std::string& name) {
  constexpr int kCodes = static_cast<int>(ErrorCode::kForked) + 1;
  for (int i = 0; i < kCodes; ++i) {
    if (to_string(static_cast<ErrorCode>(i)) == name) {
      return static_cast<ErrorCode>(i);
    }
  }
  throw std::runtime_error("an actor speaks of an unknown error: " + name);
}

void append_images(Words& words, std::span<const Image> images) {
  for (const Image& image : images) {
    words.insert(words.end(),
                 {text(image.id), std::to_string(image.attempt), image.path.string(), image.split});
  }
}

std::vector<Image> images_in(const Words& words, std::size_t begin) {
  std::vector<Image> images;
  for (std::size_t i = begin; i + 3 < words.size(); i += 4) {
    images.push_back({.id = ImageId{number(words[i])},
                      .path = words[i + 2],
                      .split = words[i + 3],
                      .attempt = static_cast<int>(number(words[i + 1]))});
  }
  return images;
}

// ---- In the actor ------------------------------------------------------------------------------

// Lives until the test closes the standard input.
int sit(const Arguments& /*arguments*/) {
  ::prctl(PR_SET_PDEATHSIG, 0);  // it is there to outlive its parent
  say("ok\t" + std::to_string(::getpid()));
  ::close(STDOUT_FILENO);
  while (hear().has_value()) {
  }
  return 0;
}

// The child answers, so that the test knows it to run.
[[noreturn]] void sit_in_child() {
  say("ok\t" + std::to_string(::getpid()));
  ::close(STDOUT_FILENO);
  char ignored = 0;
  while (::read(STDIN_FILENO, &ignored, 1) > 0) {
  }
  ::_exit(0);
}

void spawn_sitter() {
  std::string program = "/proc/self/exe";
  std::string flag = "--actor";
  std::string actor = "sitter";
  std::array<char*, 4> argv{program.data(), flag.data(), actor.data(), nullptr};
  pid_t child = -1;
  if (posix_spawn(&child, program.c_str(), nullptr, nullptr, argv.data(), environ) != 0) {
    throw std::runtime_error("posix_spawn");
  }
}

class Session {
 public:
  Session(const std::string& database, const Options& options)
      : tracker_(std::make_unique<ProgressTracker>(database, options)) {}

  // nullopt: somebody else answers.
  std::optional<Words> handle(const Words& question) {
    const std::string& verb = question.at(0);
    const auto job = [&] { return JobId{number(question.at(1))}; };
    const auto list = [&] {
      return some_paths(question.at(2), static_cast<int>(number(question.at(3))),
                        static_cast<int>(number(question.at(4))));
    };
    if (verb == "create_job") {
      return Words{text(tracker_->create_job(question.at(1), list(), {}))};
    }
    if (verb == "add_images") {
      return Words{std::to_string(tracker_->add_images(job(), list(), {}))};
    }
    if (verb == "chain_job") {
      return Words{text(tracker_->chain_job(question.at(1), JobId{number(question.at(2))}))};
    }
    if (verb == "remove_job") {
      tracker_->remove_job(job());
      return Words{"0"};
    }
    if (verb == "has_job") {
      return Words{tracker_->get_job_id(question.at(1)).has_value() ? "1" : "0"};
    }
    if (verb == "claim_images") {
      Words answer;
      append_images(
          answer, tracker_->claim_images(job(), static_cast<std::size_t>(number(question.at(2)))));
      return answer;
    }
    if (verb == "mark_completed") {
      tracker_->mark_completed(ImageId{number(question.at(1))});
      return Words{};
    }
    if (verb == "complete") {
      return Words{tracker_->complete(images_in(question, 1).at(0)) ? "1" : "0"};
    }
    if (verb == "fail") {
      return Words{tracker_->fail(images_in(question, 2).at(0), question.at(1)) ? "1" : "0"};
    }
    if (verb == "complete_all") {
      const auto images = images_in(question, 1);
      return Words{std::to_string(tracker_->mark_outcomes(test::completions_of(images)))};
    }
    if (verb == "release_images") {
      return Words{std::to_string(tracker_->release_images(images_in(question, 1)))};
    }
    if (verb == "reset_stuck_images") {
      return Words{std::to_string(tracker_->reset_stuck_images(job()))};
    }
    if (verb == "checkpoint") {
      tracker_->checkpoint(job());
      return Words{};
    }
    if (verb == "get_status_counts") {
      const auto counts = tracker_->get_status_counts(job()).value();
      return Words{std::to_string(counts.pending), std::to_string(counts.processing),
                   std::to_string(counts.completed), std::to_string(counts.error)};
    }
    if (verb == "get_image") {
      const auto record = tracker_->get_image(ImageId{number(question.at(1))}).value();
      return Words{text(record.image.id), std::to_string(static_cast<int>(record.status)),
                   std::to_string(record.attempts), std::to_string(record.deaths),
                   record.error_message};
    }
    if (verb == "list_workers") {
      Words answer;
      for (const Worker& worker : tracker_->list_workers()) {
        answer.insert(answer.end(), {text(worker.id), std::to_string(worker.pid),
                                     worker.alive ? "1" : "0", std::to_string(worker.processing)});
      }
      return answer;
    }
    if (verb == "close") {
      tracker_->close();
      return Words{};
    }
    if (verb == "destroy") {
      tracker_.reset();
      return Words{};
    }
    if (verb == "fork_child") {
      if (::fork() == 0) {
        sit_in_child();
      }
      return std::nullopt;
    }
    if (verb == "spawn_child") {
      spawn_sitter();
      return std::nullopt;
    }
    throw std::runtime_error("no such verb: " + verb);
  }

 private:
  std::unique_ptr<ProgressTracker> tracker_;
};

int serve(const Arguments& arguments) {
  Options options;
  options.busy_timeout = std::chrono::milliseconds{number(arguments.at(1))};
  options.max_deaths = static_cast<int>(number(arguments.at(2)));
  options.mark_buffer = static_cast<std::size_t>(number(arguments.at(3)));
  std::unique_ptr<Session> session;
  const auto answer_to = [&](const std::function<std::optional<Words>()>& work) {
    try {
      if (auto answer = work()) {
        answer->insert(answer->begin(), "ok");
        say(join(*answer));
      }
    } catch (const Error& error) {
      say(join({"error", std::string(to_string(error.code())), error.what()}));
    }
  };
  answer_to([&] {
    session = std::make_unique<Session>(arguments.at(0), options);
    return Words{};
  });
  while (const auto question = hear()) {
    answer_to([&] { return session->handle(split_words(*question)); });
  }
  return 0;
}

const RegisterActor kServer{"remote_tracker", serve};
const RegisterActor kSitter{"sitter", sit};

}  // namespace

std::vector<std::filesystem::path> some_paths(std::string_view prefix, int first, int count) {
  std::vector<std::filesystem::path> paths;
  paths.reserve(static_cast<std::size_t>(count));
  for (int i = first; i < first + count; ++i) {
    const std::string digits = std::to_string(i);
    std::string path(prefix);
    path += '/';
    path.append(digits.size() < 7 ? 7 - digits.size() : 0, '0');
    paths.emplace_back(path + digits + ".png");
  }
  return paths;
}

std::size_t number_of(const std::filesystem::path& path) {
  return std::stoul(path.stem().string());
}

RemoteTracker::RemoteTracker(const std::filesystem::path& database, const Options& options)
    : process_("remote_tracker",
               {database.string(), std::to_string(options.busy_timeout.count()),
                std::to_string(options.max_deaths), std::to_string(options.mark_buffer)}) {
  receive_answer();
}

RemoteTracker::Words RemoteTracker::receive_answer() {
  auto line = early_.has_value() ? std::exchange(early_, std::nullopt) : process_.receive();
  if (!line.has_value()) {
    throw std::runtime_error("a remote tracker died instead of answering");
  }
  Words words = split_words(*line);
  if (words.at(0) == "error") {
    throw Error(code_called(words.at(1)), words.at(2));
  }
  words.erase(words.begin());
  return words;
}

RemoteTracker::Words RemoteTracker::ask(const Words& question) {
  process_.send(join(question));
  return receive_answer();
}

void RemoteTracker::begin_create_job(std::string_view name, std::string_view prefix, int first,
                                     int count) {
  process_.send(join({"create_job", std::string(name), std::string(prefix), std::to_string(first),
                      std::to_string(count)}));
}

void RemoteTracker::begin_add_images(JobId job, std::string_view prefix, int first, int count) {
  process_.send(join({"add_images", text(job), std::string(prefix), std::to_string(first),
                      std::to_string(count)}));
}

void RemoteTracker::begin_chain_job(std::string_view name, JobId upstream) {
  process_.send(join({"chain_job", std::string(name), text(upstream)}));
}

void RemoteTracker::begin_remove_job(JobId job) { process_.send(join({"remove_job", text(job)})); }

std::int64_t RemoteTracker::end() { return number(receive_answer().at(0)); }

bool RemoteTracker::has_ended() {
  if (!early_.has_value()) {
    early_ = process_.receive_if_there();
  }
  return early_.has_value() || process_.has_ended();
}

JobId RemoteTracker::create_job(std::string_view name, std::string_view prefix, int first,
                                int count) {
  begin_create_job(name, prefix, first, count);
  return JobId{end()};
}

std::int64_t RemoteTracker::add_images(JobId job, std::string_view prefix, int first, int count) {
  begin_add_images(job, prefix, first, count);
  return end();
}

JobId RemoteTracker::chain_job(std::string_view name, JobId upstream) {
  begin_chain_job(name, upstream);
  return JobId{end()};
}

void RemoteTracker::remove_job(JobId job) {
  begin_remove_job(job);
  end();
}

bool RemoteTracker::has_job(std::string_view name) {
  return ask({"has_job", std::string(name)}).at(0) == "1";
}

std::vector<Image> RemoteTracker::claim_images(JobId job, std::size_t limit) {
  return images_in(ask({"claim_images", text(job), std::to_string(limit)}), 0);
}

void RemoteTracker::mark_completed(ImageId image) { ask({"mark_completed", text(image)}); }

bool RemoteTracker::complete(const Image& image) {
  Words question{"complete"};
  append_images(question, {&image, 1});
  return ask(question).at(0) == "1";
}

bool RemoteTracker::fail(const Image& image, std::string_view message) {
  Words question{"fail", std::string(message)};
  append_images(question, {&image, 1});
  return ask(question).at(0) == "1";
}

std::size_t RemoteTracker::complete_all(std::span<const Image> images) {
  Words question{"complete_all"};
  append_images(question, images);
  return static_cast<std::size_t>(number(ask(question).at(0)));
}

std::size_t RemoteTracker::release_images(std::span<const Image> images) {
  Words question{"release_images"};
  append_images(question, images);
  return static_cast<std::size_t>(number(ask(question).at(0)));
}

std::size_t RemoteTracker::reset_stuck_images(JobId job) {
  return static_cast<std::size_t>(number(ask({"reset_stuck_images", text(job)}).at(0)));
}

void RemoteTracker::checkpoint(JobId job) { ask({"checkpoint", text(job)}); }

StatusCounts RemoteTracker::get_status_counts(JobId job) {
  const Words words = ask({"get_status_counts", text(job)});
  return {.pending = number(words.at(0)),
          .processing = number(words.at(1)),
          .completed = number(words.at(2)),
          .error = number(words.at(3))};
}

ImageRecord RemoteTracker::get_image(ImageId image) {
  const Words words = ask({"get_image", text(image)});
  ImageRecord record;
  record.image.id = ImageId{number(words.at(0))};
  record.status = static_cast<Status>(number(words.at(1)));
  record.attempts = static_cast<int>(number(words.at(2)));
  record.deaths = static_cast<int>(number(words.at(3)));
  record.error_message = words.at(4);
  return record;
}

std::vector<Worker> RemoteTracker::list_workers() {
  std::vector<Worker> workers;
  const Words words = ask({"list_workers"});
  for (std::size_t i = 0; i + 3 < words.size(); i += 4) {
    Worker& worker = workers.emplace_back();
    worker.id = WorkerId{number(words[i])};
    worker.pid = number(words[i + 1]);
    worker.alive = words[i + 2] == "1";
    worker.processing = number(words[i + 3]);
  }
  return workers;
}

void RemoteTracker::close() { ask({"close"}); }
void RemoteTracker::destroy() { ask({"destroy"}); }

pid_t RemoteTracker::fork_child() { return static_cast<pid_t>(number(ask({"fork_child"}).at(0))); }
pid_t RemoteTracker::spawn_child() {
  return static_cast<pid_t>(number(ask({"spawn_child"}).at(0)));
}

}  // namespace progress_tracker::processes

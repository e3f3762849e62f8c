// A tracker in a process of its own, that a test drives call by call.
#ifndef PROGRESS_TRACKER_TESTS_PROCESSES_REMOTE_TRACKER_H_
#define PROGRESS_TRACKER_TESTS_PROCESSES_REMOTE_TRACKER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "process.h"
#include "progress_tracker/options.h"
#include "progress_tracker/types.h"

namespace progress_tracker::processes {

// "prefix/0000007.png" and its successors: lists that test and actor make alike.
std::vector<std::filesystem::path> some_paths(std::string_view prefix, int first, int count);
// The number in such a path.
std::size_t number_of(const std::filesystem::path& path);

// Opens the database at once. A call throws the Error that it threw over there.
class RemoteTracker {
 public:
  explicit RemoteTracker(const std::filesystem::path& database, const Options& options = {});

  JobId create_job(std::string_view name, std::string_view prefix, int first, int count);
  std::int64_t add_images(JobId job, std::string_view prefix, int first, int count);
  JobId chain_job(std::string_view name, JobId upstream);
  void remove_job(JobId job);
  bool has_job(std::string_view name);

  std::vector<Image> claim_images(JobId job, std::size_t limit);
  void mark_completed(ImageId image);
  bool complete(const Image& image);
  bool fail(const Image& image, std::string_view message);
  std::size_t complete_all(std::span<const Image> images);  // by mark_outcomes
  std::size_t release_images(std::span<const Image> images);
  std::size_t reset_stuck_images(JobId job);
  void checkpoint(JobId job);

  StatusCounts get_status_counts(JobId job);
  ImageRecord get_image(ImageId image);  // id, status, attempts, deaths and message only
  std::vector<Worker> list_workers();    // without host and time

  void close();
  // Destroys the tracker over there, without close().
  void destroy();

  // Lets the process fork() without exec, or run another program. Returns the pid of the child,
  // which stays until the test closes this process's input.
  pid_t fork_child();
  pid_t spawn_child();

  // One call in two halves, so that the test can do something else while it runs.
  void begin_create_job(std::string_view name, std::string_view prefix, int first, int count);
  void begin_add_images(JobId job, std::string_view prefix, int first, int count);
  void begin_chain_job(std::string_view name, JobId upstream);
  void begin_remove_job(JobId job);
  std::int64_t end();
  bool has_ended();  // whether end() would return, or throw, at once

  Process& process() { return process_; }
  pid_t pid() const { return process_.pid(); }
  // SIGKILL.
  void kill() { process_.kill(); }

 private:
  using Words = std::vector<std::string>;
  Words ask(const Words& question);
  Words receive_answer();

  Process process_;
  std::optional<std::string> early_;  // an answer that has_ended() found
};

}  // namespace progress_tracker::processes

#endif  // PROGRESS_TRACKER_TESTS_PROCESSES_REMOTE_TRACKER_H_

#include "cli/interruption.h"

#include <pthread.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "cli/exit_code.h"

namespace progress_tracker::cli {
namespace {

// How long a message may take that nobody may be reading, where something waits for it.
constexpr std::chrono::milliseconds kPatience{1000};

bool is_ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

std::string name_of(int signal) {
  switch (signal) {
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    default:
      return "SIGHUP";
  }
}

timespec to_timespec(std::chrono::steady_clock::duration duration) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(duration);
  return {.tv_sec = seconds.count(),
          .tv_nsec = std::chrono::nanoseconds(duration - seconds).count()};
}

}  // namespace

Interruption::Interruption(Say say, GiveUp give_up, PausableClock& clock,
                           std::chrono::milliseconds grace)
    : say_(std::move(say)), give_up_(std::move(give_up)), clock_(clock), grace_(grace) {
  sigemptyset(&taken_signals_);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGCONT}) sigaddset(&taken_signals_, signal);
  // These are left alone where somebody has them ignored, as nohup does. Not SIGINT, which a shell
  // without job control has ignored for whatever it starts with &: who sends it means it.
  for (const int signal : {SIGHUP, SIGTSTP}) {
    if (!is_ignored(signal)) sigaddset(&taken_signals_, signal);
  }
  pthread_sigmask(SIG_BLOCK, &taken_signals_, &mask_before_);
  speaker_.emplace();
  thread_ = std::thread([this] { take_signals(); });
}

Interruption::~Interruption() {
  ending_.store(true);
  pthread_kill(thread_.native_handle(), SIGUSR1);
  thread_.join();
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

void Interruption::begin_work(ChildProcesses& children, std::function<void()> show_progress) {
  const std::scoped_lock lock(mutex_);
  is_preparing_ = false;
  children_ = &children;
  show_progress_ = std::move(show_progress);
}

void Interruption::end_work() {
  {
    const std::scoped_lock lock(mutex_);
    children_ = nullptr;
    show_progress_ = nullptr;
  }
  speaker_->wait_until_said(kPatience);
}

void Interruption::take_signals() {
  while (!ending_.load()) {
    int signal = -1;
    if (kill_at_) {
      const auto left = *kill_at_ - std::chrono::steady_clock::now();
      if (left <= std::chrono::steady_clock::duration::zero()) {
        kill_at_.reset();
        kill_children();
        continue;
      }
      const timespec timeout = to_timespec(left);
      signal = sigtimedwait(&taken_signals_, nullptr, &timeout);
    } else {
      signal = sigwaitinfo(&taken_signals_, nullptr);
    }
    if (signal > 0 && !ending_.load()) take(signal);
  }
}

void Interruption::take(int signal) {
  switch (signal) {
    case SIGINT:
    case SIGTERM:
    case SIGHUP:
      take_stop(signal);
      break;
    case SIGUSR1: {
      const std::scoped_lock lock(mutex_);
      if (show_progress_) speaker_->post(show_progress_);
      break;
    }
    case SIGTSTP:
      stop_and_continue();
      break;
    default: {  // SIGCONT, after somebody stopped us with SIGSTOP
      const std::scoped_lock lock(mutex_);
      if (children_ != nullptr) children_->send(SIGCONT);
      break;
    }
  }
}

void Interruption::take_stop(int signal) {
  const std::scoped_lock lock(mutex_);
  if (is_preparing_) {
    const int exit_code = signal == SIGHUP ? kExitIncomplete : kExitSignalBase + signal;
    const std::string message =
        name_of(signal) + " before any image was started: run the same command again";
    speaker_->post([this, message, exit_code] { give_up_(message, exit_code); });
    speaker_->wait_until_said(kPatience);
    _exit(exit_code);
  }
  if (signal == SIGHUP) {
    if (!stop_.stop_requested() && children_ != nullptr) {
      say("SIGHUP: finishing what runs, starting nothing more");
    }
    draining_.store(true);
    stop_.request_stop();
    return;
  }

  ++stops_;
  if (stops_ == 1) {
    signal_.store(signal);
    stop_.request_stop();
    kill_at_ = std::chrono::steady_clock::now() + grace_;
    if (children_ == nullptr) return;
    children_->terminate(signal);
    say(name_of(signal) + ": stopping; once more to kill what runs");
  } else if (stops_ == 2) {
    if (children_ != nullptr) children_->terminate(SIGKILL);
  } else {
    _exit(kExitSignalBase + signal_.load());
  }
}

void Interruption::say(const std::string& message) {
  speaker_->post([this, message] { say_(message); });
}

void Interruption::stop_and_continue() {
  const auto stop_process = [this] {
    clock_.pause();
    raise(SIGSTOP);  // the whole process; goes on here at SIGCONT
    clock_.resume();
  };
  const std::scoped_lock lock(mutex_);
  if (children_ != nullptr) {
    children_->pause_while(stop_process);
  } else {
    stop_process();
  }
}

void Interruption::kill_children() {
  const std::scoped_lock lock(mutex_);
  if (children_ != nullptr) children_->terminate(SIGKILL);
}

}  // namespace progress_tracker::cli

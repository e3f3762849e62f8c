// What several test programs share: a clock that is told what time it is, a look at the database
// from outside, lists, and what an Error has to say.
#ifndef PROGRESS_TRACKER_TESTS_SUPPORT_H_
#define PROGRESS_TRACKER_TESTS_SUPPORT_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clock.h"
#include "progress_tracker/error.h"
#include "progress_tracker/log.h"
#include "progress_tracker/types.h"
#include "temp_directory.h"

namespace progress_tracker::test {

// Time stands still except while somebody sleeps, and nobody really sleeps.
class FakeClock : public Clock {
 public:
  std::int64_t wall_ms() override { return 1'700'000'000'000 + total_slept().count() / 1'000'000; }
  std::chrono::steady_clock::time_point now() override {
    const std::lock_guard lock(mutex_);
    return std::chrono::steady_clock::time_point(std::chrono::hours(1)) + passed_;
  }
  void sleep_for(std::chrono::nanoseconds duration) override {
    const std::lock_guard lock(mutex_);
    sleeps_.push_back(duration);
    slept_ += duration;
    passed_ += duration;
  }

  void advance(std::chrono::nanoseconds duration) {
    const std::lock_guard lock(mutex_);
    passed_ += duration;
  }
  std::chrono::nanoseconds total_slept() {
    const std::lock_guard lock(mutex_);
    return slept_;
  }
  std::vector<std::chrono::nanoseconds> sleeps() {
    const std::lock_guard lock(mutex_);
    return sleeps_;
  }

 private:
  std::mutex mutex_;
  // Guarded by mutex_.
  std::chrono::nanoseconds passed_{0};
  std::chrono::nanoseconds slept_{0};
  std::vector<std::chrono::nanoseconds> sleeps_;
};

// Collects what the library logs while it exists. One at a time.
class LogCapture {
 public:
  explicit LogCapture(LogLevel level = LogLevel::kWarn) {
    set_log_level(level);
    set_log_handler([this](LogLevel at, std::string_view text) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(at, text);
    });
  }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  ~LogCapture() {
    set_log_handler({});
    set_log_level(LogLevel::kWarn);
  }

  std::vector<std::pair<LogLevel, std::string>> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<LogLevel, std::string>> lines_;  // guarded by mutex_
};

// A second program's connection: plain SQLite, nothing of ours.
class Outsider {
 public:
  using Row = std::vector<std::optional<std::string>>;

  explicit Outsider(const std::filesystem::path& path,
                    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) {
    if (sqlite3_open_v2(path.c_str(), &db_, flags, nullptr) != SQLITE_OK) {
      const std::string message = sqlite3_errmsg(db_);
      sqlite3_close_v2(db_);
      throw std::runtime_error(path.native() + ": " + message);
    }
  }
  Outsider(const Outsider&) = delete;
  Outsider& operator=(const Outsider&) = delete;
  ~Outsider() { sqlite3_close_v2(db_); }

  // All rows of one or more statements, as text.
  std::vector<Row> run(const std::string& sql) {
    std::vector<Row> rows;
    const auto on_row = [](void* out, int columns, char** values, char** /*names*/) {
      Row& row = static_cast<std::vector<Row>*>(out)->emplace_back();
      for (int i = 0; i < columns; ++i) {
        row.push_back(values[i] == nullptr ? std::nullopt : std::optional<std::string>(values[i]));
      }
      return 0;
    };
    char* error = nullptr;
    if (sqlite3_exec(db_, sql.c_str(), on_row, &rows, &error) != SQLITE_OK) {
      const std::string message = error == nullptr ? sqlite3_errmsg(db_) : error;
      sqlite3_free(error);
      throw std::runtime_error(sql + ": " + message);
    }
    return rows;
  }

  // The first value of the first row.
  std::string value(const std::string& sql) { return run(sql).at(0).at(0).value_or("NULL"); }
  std::int64_t number(const std::string& sql) { return std::stoll(value(sql)); }

  sqlite3* handle() { return db_; }

 private:
  sqlite3* db_{nullptr};
};

inline std::string contents_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::filesystem::path& path, std::string_view contents) {
  std::ofstream file(path, std::ios::binary);
  file.write(contents.data(), static_cast<std::streamsize>(contents.size()));
}

// Every name in a directory, with size and hash of what is a regular file.
inline std::map<std::string, std::string> snapshot_of(const std::filesystem::path& directory) {
  std::map<std::string, std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    const bool readable = entry.symlink_status().type() == std::filesystem::file_type::regular;
    std::string& about = found[entry.path().lexically_relative(directory)];
    about = "not a regular file";
    if (readable) {
      const std::string contents = contents_of(entry.path());
      about = std::to_string(contents.size()) + " bytes, hash " +
              std::to_string(std::hash<std::string>{}(contents));
    }
  }
  return found;
}

// "prefix0.png", "prefix1.png", ...
inline std::vector<std::filesystem::path> image_paths(std::size_t count,
                                                      const std::string& prefix = "images/") {
  std::vector<std::filesystem::path> paths;
  paths.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    paths.emplace_back(prefix + std::to_string(i) + ".png");
  }
  return paths;
}

inline std::vector<ImageId> ids_of(const std::vector<Image>& images) {
  std::vector<ImageId> ids;
  ids.reserve(images.size());
  for (const Image& image : images) {
    ids.push_back(image.id);
  }
  return ids;
}

// That all of them are completed, each by the attempt under which it was given.
inline std::vector<Outcome> completions_of(const std::vector<Image>& images) {
  std::vector<Outcome> outcomes;
  outcomes.reserve(images.size());
  for (const Image& image : images) {
    outcomes.push_back({.id = image.id, .attempt = image.attempt, .error = {}});
  }
  return outcomes;
}

// Of gcov, where the program is measured: writes what ran so far, which _exit() would lose.
// NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): gcov's own name
extern "C" [[gnu::weak]] void __gcov_exit();

// Ends a forked child without running anything else of this program.
[[noreturn]] inline void end_child(int status) {
  if (__gcov_exit != nullptr) {
    __gcov_exit();
  }
  ::_exit(status);
}

// Runs `work` in a forked child and waits for it. The child ends without running anything else of
// this program. 0: `work` returned; 1: it threw, and said on stderr what; -N: killed by signal N.
inline int in_child(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      work();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "in the child: %s\n", error.what());
      end_child(1);
    }
    end_child(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// For children, where a failed EXPECT would go unseen.
inline void require(bool condition, const std::string& what) {
  if (!condition) {
    throw std::runtime_error("not so: " + what);
  }
}

// What `action` throws, if it is an Error.
inline std::optional<Error> error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

inline std::string code_of(const std::function<void()>& action) {
  const auto error = error_of(action);
  return error.has_value() ? std::string(to_string(error->code())) : "no error";
}

// Gives a database the tables of version 1: there was no `path`.
inline void make_version_1_of(const std::filesystem::path& path) {
  Outsider(path).run(R"sql(
    CREATE TABLE kept AS SELECT * FROM image;
    DROP TABLE image;
    DROP TABLE path;
    CREATE TABLE image (
      id INTEGER PRIMARY KEY,
      directory INTEGER NOT NULL REFERENCES directory (id),
      name ANY NOT NULL CHECK (name >= ''),
      split INTEGER NOT NULL,
      UNIQUE (directory, name)
    ) STRICT;
    INSERT INTO image SELECT * FROM kept;
    DROP TABLE kept;
    PRAGMA user_version = 1;
  )sql");
}

// EXPECT_THAT([&] { tracker.close(); }, ThrowsError(ErrorCode::kBusy));
MATCHER_P(ThrowsError, code,
          (negation ? "does not throw Error " : "throws Error ") + std::string(to_string(code))) {
  try {
    arg();
  } catch (const Error& error) {
    *result_listener << "which throws " << to_string(error.code()) << ": " << error.what();
    return error.code() == code;
  }
  *result_listener << "which throws no Error";
  return false;
}

}  // namespace progress_tracker::test

#endif  // PROGRESS_TRACKER_TESTS_SUPPORT_H_

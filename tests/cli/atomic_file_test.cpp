#include "cli/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "cli/output.h"
#include "temporary_directory.h"

namespace progress_tracker::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

class AtomicFileTest : public ::testing::Test {
 protected:
  ~AtomicFileTest() override { umask(umask_); }

  void write(const fs::path& path, const std::string& text) {
    write_file_atomically(path, [&](std::ostream& out) { out << text; });
  }
  // The same for an option. Returns what went to standard output.
  std::string write_option(const std::string& path, const std::string& text) {
    std::ostringstream out;
    write_output("--csv", path, out, [&](std::ostream& to) { to << text; });
    return out.str();
  }
  // What write_option() complains of.
  std::string refusal(const std::string& path, const std::string& text = "new") {
    try {
      write_option(path, text);
    } catch (const UsageError& error) {
      return error.what();
    }
    return {};
  }
  static std::string read(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_.path())) {
      names.push_back(entry.path().filename());
    }
    return names;
  }
  static mode_t mode_of(const fs::path& path) {
    struct stat status {};
    EXPECT_EQ(stat(path.c_str(), &status), 0);
    return status.st_mode & 07777U;
  }

  TemporaryDirectory directory_;
  const fs::path file_ = directory_ / "file";
  const mode_t umask_ = umask(022);
};

TEST_F(AtomicFileTest, WritesAFileAndLeavesNothingBeside) {
  write(file_, "old");
  write(file_, "new");
  EXPECT_EQ(read(file_), "new");
  EXPECT_THAT(names(), ElementsAre("file"));
}

TEST_F(AtomicFileTest, WritesMoreThanItsBufferHolds) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i) + '\n';
  write(file_, text);
  EXPECT_EQ(read(file_), text);
  write_file_atomically(file_, [&](std::ostream& out) {
    for (const char c : text) out.put(c);
  });
  EXPECT_EQ(read(file_), text);
  write(file_, "");
  EXPECT_EQ(read(file_), "");
}

TEST_F(AtomicFileTest, TheOldContentIsReadUntilTheNewIsComplete) {
  write(file_, "old");
  write_file_atomically(file_, [&](std::ostream& out) {
    out << std::string(100'000, 'x') << std::flush;
    EXPECT_EQ(read(file_), "old");
  });
  EXPECT_EQ(read(file_), std::string(100'000, 'x'));
}

TEST_F(AtomicFileTest, AWriterThatThrowsChangesNothing) {
  const auto half = [](std::ostream& out) {
    out << std::string(100'000, 'x');
    throw std::runtime_error("half way");
  };
  EXPECT_THROW(write_file_atomically(file_, half), std::runtime_error);
  EXPECT_THAT(names(), IsEmpty());
  write(file_, "old");
  EXPECT_THROW(write_file_atomically(file_, half), std::runtime_error);
  EXPECT_EQ(read(file_), "old");
  EXPECT_THAT(names(), ElementsAre("file"));
}

TEST_F(AtomicFileTest, AStreamThatFailedChangesNothing) {
  write(file_, "old");
  EXPECT_THROW(
      write_file_atomically(file_, [](std::ostream& out) { out.setstate(std::ios::failbit); }),
      std::system_error);
  EXPECT_EQ(read(file_), "old");
  EXPECT_THAT(names(), ElementsAre("file"));
}

TEST_F(AtomicFileTest, ANewFileHasTheModeThatAnyProgramWouldGiveIt) {
  write(file_, "x");
  EXPECT_EQ(mode_of(file_), 0644U);
  umask(077);
  write(directory_ / "other", "x");
  EXPECT_EQ(mode_of(directory_ / "other"), 0600U);
  write(file_, "y");  // which is there already
  EXPECT_EQ(mode_of(file_), 0644U);
}

TEST_F(AtomicFileTest, KeepsTheModeOfTheFileItReplaces) {
  for (const mode_t mode : {0600U, 0640U, 0666U, 0755U}) {
    write(file_, "old");
    ASSERT_EQ(chmod(file_.c_str(), mode), 0);
    write(file_, "new");
    EXPECT_EQ(mode_of(file_), mode);
  }
}

TEST_F(AtomicFileTest, WhatIsSecretIsSecretWhileItIsWritten) {
  write(file_, "old");
  ASSERT_EQ(chmod(file_.c_str(), 0600), 0);
  write_file_atomically(file_, [&](std::ostream& out) {
    out << "new" << std::flush;
    for (const std::string& name : names()) EXPECT_EQ(mode_of(directory_ / name), 0600U) << name;
  });
}

// A command started meanwhile would keep it.
TEST_F(AtomicFileTest, NeverChangesTheUmaskOfTheProcess) {
  umask(027);
  std::atomic<bool> ended{false};
  std::thread writer([&] {
    for (int i = 0; i < 1000; ++i) write(file_, "x");
    ended = true;
  });
  std::size_t strange = 0;
  while (!ended) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("Umask:") && !line.ends_with("0027")) ++strange;
    }
  }
  writer.join();
  EXPECT_EQ(strange, 0U);
}

TEST_F(AtomicFileTest, ReplacesWhereALinkLeadsAndKeepsTheLink) {
  fs::create_directory(directory_ / "far");
  write(directory_ / "far/target", "old");
  fs::create_symlink("far/target", directory_ / "second");
  fs::create_symlink("second", directory_ / "first");
  write(directory_ / "first", "new");
  EXPECT_EQ(read(directory_ / "far/target"), "new");
  EXPECT_TRUE(fs::is_symlink(directory_ / "first"));
  EXPECT_TRUE(fs::is_symlink(directory_ / "second"));
  EXPECT_THAT(names(), UnorderedElementsAre("far", "first", "second"));
}

TEST_F(AtomicFileTest, MakesTheFileToWhichALinkLeadsThatIsNotThereYet) {
  fs::create_directory(directory_ / "far");
  fs::create_symlink("far/target", directory_ / "link");
  write(directory_ / "link", "new");
  EXPECT_TRUE(fs::is_symlink(directory_ / "link"));
  EXPECT_EQ(read(directory_ / "far/target"), "new");
}

TEST_F(AtomicFileTest, RefusesLinksThatLeadRoundAndRound) {
  fs::create_symlink("b", directory_ / "a");
  fs::create_symlink("a", directory_ / "b");
  EXPECT_THAT(refusal(directory_ / "a"), HasSubstr("Too many levels of symbolic links"));
  EXPECT_TRUE(fs::is_symlink(directory_ / "a"));
}

TEST_F(AtomicFileTest, TakesAnyNameThatAFileMayHave) {
  const std::string longest(255, 'n');
  write(directory_ / longest, "x");
  write(directory_ / "a\xff\n", "y");
  EXPECT_THAT(names(), UnorderedElementsAre(longest, "a\xff\n"));
}

TEST_F(AtomicFileTest, NamesTheFileThatCannotBeWritten) {
  EXPECT_EQ(refusal(directory_.path()), "--csv " + directory_.path().native() + ": Is a directory");
  EXPECT_EQ(refusal(directory_ / "absent\x1b/file"),
            "--csv " + (directory_ / "absent\\x1B/file").native() + ": No such file or directory");
  write(file_, "old");
  EXPECT_EQ(refusal(file_ / "below"), "--csv " + (file_ / "below").native() + ": Not a directory");
  EXPECT_EQ(refusal(directory_ / "absent/"),
            "--csv " + (directory_ / "absent/").native() + ": No such file or directory");
  EXPECT_THAT(refusal(""), StartsWith("--csv : "));
  EXPECT_EQ(read(file_), "old");
  EXPECT_THAT(names(), ElementsAre("file"));
}

TEST_F(AtomicFileTest, AFullDiskIsTold) {
  EXPECT_EQ(refusal("/dev/full"), "--csv /dev/full: No space left on device");
  EXPECT_EQ(refusal("/dev/full", std::string(1'000'000, 'x')),
            "--csv /dev/full: No space left on device");
  fs::create_symlink("/dev/full", directory_ / "link");
  EXPECT_EQ(refusal(directory_ / "link"),
            "--csv " + (directory_ / "link").native() + ": No space left on device");
  EXPECT_THAT(names(), ElementsAre("link"));
}

TEST_F(AtomicFileTest, ADashIsStandardOutput) {
  EXPECT_EQ(write_option("-", "text"), "text");
  // Which is not to be replaced where it goes to a file.
  EXPECT_EQ(write_option("/dev/stdout", "text"), "text");
}

TEST_F(AtomicFileTest, ADeviceOrAPipeIsWrittenToAndNotReplaced) {
  EXPECT_EQ(write_option("/dev/null", "text"), "");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  const fs::path pipe = directory_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  write_option(pipe, "text");
  char text[16] = {};
  EXPECT_EQ(::read(reader, text, sizeof text), 4);
  close(reader);
  EXPECT_STREQ(text, "text");
  EXPECT_TRUE(fs::is_fifo(pipe));
}

// As root it could be done, and the device would be gone.
TEST_F(AtomicFileTest, NeverReplacesWhatIsNoRegularFile) {
  const fs::path pipe = directory_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  fs::create_symlink("pipe", directory_ / "link");
  for (const fs::path& path : {pipe, directory_ / "link"}) {
    try {
      write(path, "x");
      ADD_FAILURE() << path << " was written";
    } catch (const std::system_error& error) {
      EXPECT_THAT(error.what(), AllOf(StartsWith(path.native()), HasSubstr("not a regular file")));
    }
  }
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_THAT(names(), UnorderedElementsAre("link", "pipe"));
}

}  // namespace
}  // namespace progress_tracker::cli

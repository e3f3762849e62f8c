#include "cli/command_template.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <vector>

#include "temporary_directory.h"

namespace progress_tracker::cli {
namespace {

using ::testing::ElementsAre;

using Words = std::vector<std::string>;

struct PathCase {
  std::string path;
  std::string no_extension;
  std::string base;
  std::string bare;
  std::string directory;
};

class ReplacementTest : public ::testing::TestWithParam<PathCase> {};

TEST_P(ReplacementTest, MeansWhatItMeansInGnuParallel) {
  const PathCase& c = GetParam();
  const CommandTemplate words({"cmd", "{}", "{.}", "{/}", "{/.}", "{//}"});
  EXPECT_THAT(words.expand(c.path),
              ElementsAre("cmd", c.path, c.no_extension, c.base, c.bare, c.directory));
}

INSTANTIATE_TEST_SUITE_P(Paths, ReplacementTest,
                         ::testing::Values(PathCase{"a/b/c.jpg", "a/b/c", "c.jpg", "c", "a/b"},
                                           PathCase{"c.jpg", "c", "c.jpg", "c", "."},
                                           PathCase{"/c.jpg", "/c", "c.jpg", "c", "/"},
                                           PathCase{"a.d/c", "a.d/c", "c", "c", "a.d"},
                                           PathCase{"a.tar.gz", "a.tar", "a.tar.gz", "a.tar", "."},
                                           PathCase{"dir/.hidden", "dir/", ".hidden", "", "dir"},
                                           PathCase{"a.", "a.", "a.", "a.", "."},
                                           PathCase{"a//b", "a//b", "b", "b", "a"},
                                           PathCase{"x y\xff/{}.png", "x y\xff/{}", "{}.png", "{}",
                                                    "x y\xff"}));

TEST(CommandTemplateTest, AppendsThePathWhenNothingIsReplaced) {
  EXPECT_THAT(CommandTemplate({"cmd", "-v", "{foo}", "{ }", "{"}).expand("a b"),
              ElementsAre("cmd", "-v", "{foo}", "{ }", "{", "a b"));
  EXPECT_THAT(CommandTemplate({"cmd"}).expand("a"), ElementsAre("cmd", "a"));
}

TEST(CommandTemplateTest, ReplacesInsideWordsAndMoreThanOnce) {
  EXPECT_THAT(CommandTemplate({"cmd", "--in={}", "out/{/.}-{/.}.png"}).expand("d/a.jpg"),
              ElementsAre("cmd", "--in=d/a.jpg", "out/a-a.png"));
}

TEST(CommandTemplateTest, LeavesTheCommandItselfAlone) {
  EXPECT_THAT(CommandTemplate({"{}", "x"}).expand("a"), ElementsAre("{}", "x", "a"));
}

TEST(CommandTemplateTest, DoesNotReplaceInWhatItPutIn) {
  EXPECT_THAT(CommandTemplate({"cmd", "{}{.}"}).expand("{/}.x"), ElementsAre("cmd", "{/}.x{/}"));
}

class FindCommandTest : public ::testing::Test {
 protected:
  std::string make(const std::string& name, mode_t mode) {
    const auto file = directory_.make_file(name);
    chmod(file.c_str(), mode);
    return file.string();
  }
  std::string in(const std::string& name) { return (directory_.path() / name).string(); }

  TemporaryDirectory directory_;
};

TEST_F(FindCommandTest, SearchesPathInOrder) {
  make("b/tool", 0755);
  make("c/tool", 0755);
  const std::string search = in("a") + ":" + in("b") + ":" + in("c");
  EXPECT_EQ(find_command("tool", search.c_str()).path, in("b/tool"));
}

TEST_F(FindCommandTest, TellsAbsentFromNotExecutable) {
  make("b/data", 0644);
  EXPECT_EQ(find_command("data", in("b").c_str()).error, EACCES);
  EXPECT_EQ(find_command(in("b/data"), nullptr).error, EACCES);
  EXPECT_EQ(find_command(in("b"), nullptr).error, EISDIR);
  EXPECT_EQ(find_command("nothing", in("b").c_str()).error, ENOENT);
  EXPECT_EQ(find_command(in("b/data/x"), nullptr).error, ENOENT);
  EXPECT_EQ(find_command("b", directory_.path().c_str()).error, ENOENT);  // a directory
  EXPECT_EQ(find_command("", nullptr).error, ENOENT);
}

TEST_F(FindCommandTest, GoesOnPastWhatCannotBeRun) {
  make("b/tool", 0644);
  make("c/tool", 0755);
  EXPECT_EQ(find_command("tool", (in("b") + ":" + in("c")).c_str()).path, in("c/tool"));
}

TEST_F(FindCommandTest, KnowsTheSystemsPathWithoutPATH) {
  EXPECT_EQ(find_command("sh", nullptr).error, 0);
}

}  // namespace
}  // namespace progress_tracker::cli

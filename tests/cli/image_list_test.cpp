#include "cli/image_list.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sstream>
#include <string>
#include <vector>

#include "cli/output.h"
#include "temporary_directory.h"

namespace progress_tracker::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;

class ScanTest : public ::testing::Test {
 protected:
  // The images below the directory, as paths below it, each with its split.
  std::vector<std::pair<std::string, std::string>> scan(
      const std::vector<std::string>& extensions = default_extensions(),
      std::size_t piece_size = kImagesPerPiece) {
    std::vector<std::pair<std::string, std::string>> images;
    unreadable_ = scan_images(
        directory_.path(), extensions, split_of_first_folder,
        [&](const ImagePiece& piece) {
          pieces_.push_back(piece.paths.size());
          ASSERT_EQ(piece.paths.size(), piece.splits.size());
          for (std::size_t i = 0; i < piece.paths.size(); ++i) {
            const std::string path = piece.paths[i].native();
            ASSERT_TRUE(path.starts_with(root()));
            images.emplace_back(path.substr(root().size()), piece.splits[i]);
          }
        },
        [&](const std::string& complaint) { complaints_.push_back(complaint); }, piece_size);
    return images;
  }
  std::string root() const { return directory_.path().native() + "/"; }
  void make(const std::string& name) { directory_.make_file(name); }
  void link(const std::string& target, const std::string& name) {
    std::filesystem::create_directories((directory_.path() / name).parent_path());
    std::filesystem::create_symlink(target, directory_.path() / name);
  }

  TemporaryDirectory directory_;
  std::vector<std::size_t> pieces_;
  std::vector<std::string> complaints_;
  std::size_t unreadable_ = 0;
};

TEST_F(ScanTest, FindsImagesInByteOrderWithTheirFirstFolderAsSplit) {
  for (const char* name : {"train/b/2.png", "train/a.jpg", "train/b.jpg", "train-2/x.gif",
                           "top.webp", "val/deep/er/y.tiff", "val/notes.txt"}) {
    make(name);
  }
  EXPECT_THAT(scan(),
              ElementsAre(Pair("top.webp", ""), Pair("train-2/x.gif", "train-2"),
                          Pair("train/a.jpg", "train"), Pair("train/b.jpg", "train"),
                          Pair("train/b/2.png", "train"), Pair("val/deep/er/y.tiff", "val")));
}

TEST_F(ScanTest, TakesExtensionsInAnyCaseAndOnlyThose) {
  for (const char* name : {"A.JPG", "b.JpEg", "c.jpgx", "d", ".jpg", "e.jpg.txt", "f.bmp"}) {
    make(name);
  }
  EXPECT_THAT(scan(), ElementsAre(Pair("A.JPG", ""), Pair("b.JpEg", ""), Pair("f.bmp", "")));
  EXPECT_THAT(scan(parse_extensions(".JPGX, jpg.txt")),
              ElementsAre(Pair("c.jpgx", ""), Pair("e.jpg.txt", "")));
}

TEST_F(ScanTest, KeepsNamesThatAreNotUtf8AndEscapesThemInSplits) {
  make("f\xffo/a\xfe\n.png");
  EXPECT_THAT(scan(), ElementsAre(Pair("f\xffo/a\xfe\n.png", "f\\xFFo")));
}

TEST_F(ScanTest, LeavesOutWhatIsNoFileButKeepsLinksThatLeadNowhere) {
  std::filesystem::create_directory(directory_.path() / "folder.jpg");
  ASSERT_EQ(mkfifo((directory_.path() / "pipe.jpg").c_str(), 0600), 0);
  make("real.jpg");
  link("real.jpg", "link.jpg");
  link("nowhere", "lost.jpg");
  EXPECT_THAT(scan(),
              ElementsAre(Pair("link.jpg", ""), Pair("lost.jpg", ""), Pair("real.jpg", "")));
}

TEST_F(ScanTest, EndsOnLoopsOfLinks) {
  make("a/1.png");
  link("..", "a/up");
  link(".", "a/self");
  link("a", "b");
  EXPECT_THAT(scan(), ElementsAre(Pair("a/1.png", "a")));
}

TEST_F(ScanTest, FollowsLinksThatLeadOutOnce) {
  TemporaryDirectory outside;
  outside.make_file("set/1.png");
  std::filesystem::create_symlink(directory_.path(), outside.path() / "set/back");
  std::filesystem::create_symlink(outside.path(), outside.path() / "set/up");
  make("a.png");
  link((outside.path() / "set").string(), "x");
  link((outside.path() / "set").string(), "y");
  EXPECT_THAT(scan(), ElementsAre(Pair("a.png", ""), Pair("x/1.png", "x")));
}

TEST_F(ScanTest, DoesNotComeBackThroughItsOwnParent) {
  TemporaryDirectory outside;
  const auto root = outside.path() / "root";
  outside.make_file("root/1.png");
  outside.make_file("other/2.png");
  std::filesystem::create_symlink(outside.path(), root / "parent");
  std::vector<std::string> found;
  scan_images(
      root, default_extensions(), split_of_first_folder,
      [&](const ImagePiece& piece) {
        for (const auto& path : piece.paths) found.push_back(path.native());
      },
      [](const std::string&) {});
  EXPECT_THAT(found, ElementsAre(root.native() + "/1.png", root.native() + "/parent/other/2.png"));
}

TEST_F(ScanTest, HandsOnPieces) {
  for (int i = 0; i < 7; ++i) make("s/" + std::to_string(i) + ".png");
  EXPECT_THAT(scan(default_extensions(), 3), SizeIs(7));
  EXPECT_THAT(pieces_, ElementsAre(3, 3, 1));
}

TEST_F(ScanTest, HandsOnOneEmptyPieceWhenThereIsNoImage) {
  EXPECT_THAT(scan(), IsEmpty());
  EXPECT_THAT(pieces_, ElementsAre(0));
}

// Root may read everything: for as long as it lives, we are somebody else.
class AsNobody {
 public:
  AsNobody() : user_(geteuid()) {
    if (user_ == 0) become(65534);
  }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;
  ~AsNobody() {
    if (user_ == 0) become(0);
  }

 private:
  static void become(uid_t user) { EXPECT_EQ(seteuid(user), 0); }

  const uid_t user_;
};

TEST_F(ScanTest, TellsOfADirectoryItCannotRead) {
  make("a/1.png");
  make("b/2.png");
  chmod((directory_.path() / "a").c_str(), 0);
  chmod(directory_.path().c_str(), 0755);
  {
    const AsNobody nobody;
    EXPECT_THAT(scan(), ElementsAre(Pair("b/2.png", "b")));
  }
  chmod((directory_.path() / "a").c_str(), 0700);
  EXPECT_EQ(unreadable_, 1U);
  EXPECT_THAT(complaints_, ElementsAre(HasSubstr("/a: cannot be read")));
}

TEST_F(ScanTest, RefusesADirectoryThatIsNone) {
  const auto nothing = [](const ImagePiece&) { FAIL(); };
  const auto file = directory_.make_file("file.png");
  for (const auto& path : {directory_.path() / "absent", file}) {
    EXPECT_THAT(
        ([&] { scan_images(path, default_extensions(), split_of_first_folder, nothing, {}); }),
        ThrowsMessage<UsageError>(HasSubstr(path.string())));
  }
}

TEST_F(ScanTest, DropsTrailingSlashesOfTheDirectory) {
  make("a.png");
  std::vector<std::string> found;
  scan_images(root() + "//", default_extensions(), split_of_first_folder,
              [&](const ImagePiece& piece) { found.push_back(piece.paths.at(0)); }, {});
  EXPECT_THAT(found, ElementsAre(root() + "a.png"));
}

std::vector<std::string> read_list(const std::string& text, char separator,
                                   std::size_t piece_size = kImagesPerPiece) {
  std::istringstream list(text);
  std::vector<std::string> paths;
  read_image_list(
      list, "list", separator, {},
      [&](const ImagePiece& piece) {
        EXPECT_THAT(piece.splits, IsEmpty());
        for (const auto& path : piece.paths) paths.push_back(path.native());
      },
      piece_size);
  return paths;
}

TEST(ReadImageListTest, TakesLinesByteForByte) {
  EXPECT_THAT(read_list("a b.jpg\n\n./c\xff.png\n'd'\r\nlast", '\n'),
              ElementsAre("a b.jpg", "./c\xff.png", "'d'\r", "last"));
}

TEST(ReadImageListTest, TakesNulSeparatedPaths) {
  EXPECT_THAT(read_list(std::string("a\nb\0c\0", 6), '\0'), ElementsAre("a\nb", "c"));
}

TEST(ReadImageListTest, HandsOnPieces) {
  EXPECT_THAT(read_list("a\nb\nc\n", '\n', 2), ElementsAre("a", "b", "c"));
}

TEST(ReadImageListTest, PointsOutAForgotten0) {
  EXPECT_THAT([] { read_list(std::string("a\0b\n", 4), '\n'); },
              ThrowsMessage<UsageError>(HasSubstr("-0")));
}

std::string split(const char* pattern, const std::string& path) {
  return split_of_pattern(std::regex(pattern), path);
}

TEST(SplitOfPatternTest, IsTheFirstGroupOrAllOfWhatIsFoundFirst) {
  EXPECT_EQ(split("train|val", "x/val/train/1.png"), "val");
  EXPECT_EQ(split("^([^/]+)/([^/]+)/", "a/b/1.png"), "a");
  EXPECT_EQ(split("^(?:[^/]+)/([^/]+)/", "a/b/1.png"), "b");
  EXPECT_EQ(split("_([a-z]+)\\.png$", "a/b_test.png"), "test");
  EXPECT_EQ(split("(x)?b", "ab"), "");  // the group found nothing
  EXPECT_EQ(split("()", "ab"), "");
  EXPECT_EQ(split("", "ab"), "");
}

TEST(SplitOfPatternTest, IsEmptyWhereNothingIsFound) {
  EXPECT_EQ(split("train", "val/1.png"), "");
  EXPECT_EQ(split("Val", "val/1.png"), "");
  EXPECT_EQ(split("a", ""), "");
}

TEST(SplitOfPatternTest, AnchorsAreThoseOfTheWholePath) {
  EXPECT_EQ(split("^b", "a/b"), "");
  EXPECT_EQ(split("^a", "a/b"), "a");
  EXPECT_EQ(split("a$", "a/b"), "");
  EXPECT_EQ(split("b$", "a/b"), "b");
}

TEST(SplitOfPatternTest, EscapesWhatTheLibraryWouldNotTake) {
  EXPECT_EQ(split("^[^/]+", "f\xffo/1.png"), "f\\xFFo");
  EXPECT_EQ(split("^[^/]+", "a\x1b[31m/1.png"), "a\\x1B[31m");
  EXPECT_EQ(split("^.", "größe"), "g");
  EXPECT_EQ(split("^...", "größe"), "gr\\xC3");  // bytes are what it counts
  EXPECT_EQ(split("^[^/]+", "a\nb/1"), "a\\nb");
}

TEST(SplitOfPatternTest, APatternIsNotTriedOnMoreThanAPathCanBe) {
  // Each byte takes some of the stack, which ends at some length.
  EXPECT_EQ(split("^(((.+)?)*)x$", std::string(4'000, 'a') + "x"), std::string(4'000, 'a'));
  EXPECT_THAT([] { split("(.)*$", std::string(1'000'000, 'a')); },
              ThrowsMessage<UsageError>(HasSubstr("--split-pattern: ")));
}

TEST(ReadImageListTest, GivesEachPathItsSplit) {
  std::istringstream list("a/1\nb/2\n");
  std::vector<std::string> splits;
  read_image_list(
      list, "list", '\n', [](std::string_view path) { return std::string(path.substr(0, 1)); },
      [&](const ImagePiece& piece) { splits = piece.splits; });
  EXPECT_THAT(splits, ElementsAre("a", "b"));
}

TEST(ParseExtensionsTest, RefusesAnEmptyEntry) {
  for (const char* list : {"", "jpg,", ",", "jpg,,png", "."}) {
    EXPECT_THROW(parse_extensions(list), UsageError) << list;
  }
}

}  // namespace
}  // namespace progress_tracker::cli

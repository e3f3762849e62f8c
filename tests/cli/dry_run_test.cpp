#include "cli/dry_run.h"

#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "cli/output.h"
#include "command_fixture.h"

namespace progress_tracker::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;

class DryRunTest : public CommandTest {
 protected:
  DryRunTest() {
    settings_.job = "j";
    settings_.command = {"convert", "{}", "out/{/.}.jpg"};
    settings_.extensions = default_extensions();
  }
  // The lines it would run, those images on the list that are not in the record included.
  std::string run(const std::string& list = "") {
    forget_output();
    in_.clear();
    in_.str(list);
    settings_.from = list.empty() ? "" : "-";
    ImageSource source(settings_, in_);
    EXPECT_EQ(dry_run(settings_, source, context_), kExitOk);
    return out();
  }

  RunSettings settings_;
};

TEST_F(DryRunTest, WithoutADatabaseAllIsNewAndNoneIsMade) {
  EXPECT_EQ(run("a.png\nb c.png\na.png\n"),
            "new      convert a.png out/a.jpg\n"
            "new      convert 'b c.png' 'out/b c.jpg'\n");
  EXPECT_EQ(err(),
            "progress-tracker: dry run: 2 commands would be run; left alone: 0 completed, 0 "
            "in error (see `retry`)\n");
  EXPECT_FALSE(std::filesystem::exists(directory_.database()));
}

TEST_F(DryRunTest, ListsThePendingInTheirOrderThenTheNew) {
  const JobId job = make_job("j", {"3", "1", "2", "4"});
  const std::vector<Image> images = tracker().claim_images(job, 3);
  tracker().mark_completed(images[0].id);
  tracker().mark_error(images[1].id, "why");
  tracker().release_images({&images[2], 1});
  close_tracker();
  EXPECT_EQ(run("new\n4\n3\n1\n"),
            "pending  convert 2 out/2.jpg\n"
            "pending  convert 4 out/4.jpg\n"
            "new      convert new out/new.jpg\n");
  EXPECT_THAT(err(), HasSubstr("3 commands would be run; left alone: 1 completed, 1 in error"));
  EXPECT_EQ(run(),
            "pending  convert 2 out/2.jpg\n"
            "pending  convert 4 out/4.jpg\n");
}

TEST_F(DryRunTest, SaysWhatIsInWorkElsewhere) {
  const JobId job = make_job("j", {"a", "b", "c"});
  tracker().claim_images(job, 2);
  EXPECT_EQ(run(), "pending  convert c out/c.jpg\n");
  EXPECT_THAT(err(), HasSubstr(", 2 in work in another run\n"));
}

TEST_F(DryRunTest, StopsAtTheLimit) {
  make_job("j", {"a", "b", "c"});
  settings_.limit = 2;
  EXPECT_EQ(run("new\n"),
            "pending  convert a out/a.jpg\n"
            "pending  convert b out/b.jpg\n");
  settings_.limit = 4;
  EXPECT_THAT(run("new\nnewer\n"), StartsWith("pending  convert a out/a.jpg\n"));
  EXPECT_THAT(out(), ::testing::EndsWith("new      convert new out/new.jpg\n"));
}

TEST_F(DryRunTest, AnImageWhoseFileIsGoneCountsTowardsTheLimitAsItDoesInARun) {
  directory_.make_file("d/b.png");
  directory_.make_file("d/c.png");
  settings_.images = directory_.path() / "d";
  make_job("j", {directory_.path() / "d/a.png"});
  settings_.limit = 2;
  const std::string d = (directory_.path() / "d").native();
  EXPECT_EQ(run(), "gone     " + d + "/a.png: no such file\n" + "new      convert " + d +
                       "/b.png out/b.jpg\n");
  EXPECT_THAT(err(), HasSubstr("1 command would be run"));
  EXPECT_THAT(err(), HasSubstr("; 1 image would be in error: no such file\n"));
}

TEST_F(DryRunTest, ShowsHostileNamesSafely) {
  EXPECT_EQ(run("a\x1b[2J\xff\xe2\x80\xae.png\n"),
            "new      convert $'a\\x1b[2J\\xff\\xe2\\x80\\xae.png' "
            "$'out/a\\x1b[2J\\xff\\xe2\\x80\\xae.jpg'\n");
}

TEST_F(DryRunTest, IsOneDocumentInJson) {
  settings_.json = true;
  make_job("j", {"a"});
  close_tracker();
  EXPECT_EQ(run("b\xff\n"),
            "{\"schema_version\":1,\"job\":\"j\",\"dry_run\":true,\"images\":["
            "{\"path\":\"a\",\"reason\":\"pending\",\"command\":\"convert a out/a.jpg\"},"
            "{\"path\":\"b\\\\xFF\",\"path_base64\":\"Yv8=\",\"reason\":\"new\","
            "\"command\":\"convert $'b\\\\xff' $'out/b\\\\xff.jpg'\"}],"
            "\"would_run\":2,\"gone\":0,\"completed\":0,\"error\":0,\"in_work_elsewhere\":0}\n");
  EXPECT_EQ(err(), "");
}

TEST_F(DryRunTest, RefusesWhatARunRefuses) {
  EXPECT_THAT([&] { run(); }, ThrowsMessage<UsageError>(HasSubstr("there is no job j yet")));
  EXPECT_THROW(run(std::string("a\0b\n", 4)), UsageError);
  tracker().chain_job("j", make_job("first", {"a"}));
  // Its images come from the job that feeds it, and from nowhere else.
  EXPECT_THROW(run("new\n"), UsageError);
  EXPECT_EQ(run(), "");
}

}  // namespace
}  // namespace progress_tracker::cli

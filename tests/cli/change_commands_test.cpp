#include "cli/change_commands.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "command_fixture.h"

namespace progress_tracker::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RetryTest : public CommandTest {
 protected:
  // A job with one image in error for each message.
  void fail_with(const std::vector<std::string>& messages) {
    std::vector<std::filesystem::path> paths;
    for (std::size_t i = 0; i < messages.size(); ++i) paths.emplace_back(std::to_string(i));
    job_ = make_job("j", paths);
    const std::vector<Image> images = tracker().claim_images(job_, messages.size());
    for (std::size_t i = 0; i < messages.size(); ++i) {
      tracker().mark_error(images[i].id, messages[i]);
    }
  }
  // The paths that `retry --message MESSAGE` makes pending, which are then in error again.
  std::vector<std::string> retried(const std::string& message) {
    EXPECT_EQ(retry_command({.job = "j", .message = message, .json = false}, context_), kExitOk);
    std::vector<std::string> paths;
    for (const Image& image : tracker().claim_images(job_, 1000)) {
      paths.push_back(image.path.native());
      tracker().mark_error(image.id, messages_[std::stoul(paths.back())]);
    }
    return paths;
  }
  std::vector<std::string> retried(const std::vector<std::string>& messages,
                                   const std::string& message) {
    messages_ = messages;
    fail_with(messages);
    return retried(message);
  }

  std::vector<std::string> messages_;
  JobId job_{};
};

struct GlobCase {
  const char* pattern;
  std::vector<std::string> paths;
};

TEST_F(RetryTest, AStarStandsForAnyText) {
  messages_ = {"exit status 1", "exit status 12", "timed out after 1 s", "a*b", "", "aXbXb"};
  fail_with(messages_);
  for (const GlobCase& c : {GlobCase{"exit status 1", {"0"}},
                            {"exit status 1*", {"0", "1"}},
                            {"*status*", {"0", "1"}},
                            {"* s", {"2"}},
                            {"*", {"0", "1", "2", "3", "4", "5"}},
                            {"**", {"0", "1", "2", "3", "4", "5"}},
                            {"", {"4"}},
                            {"a*b", {"3", "5"}},
                            {"a*b*", {"3", "5"}},
                            {"a*X*b", {"5"}},
                            {"exit", {}},
                            {"Exit*", {}},
                            {"*exit status 1 ", {}},
                            {"exit status ?", {}},
                            {"*a*a*a*", {}},
                            {"timed*out*1*s*", {"2"}}}) {
    EXPECT_EQ(retried(c.pattern), c.paths) << c.pattern;
  }
}

TEST_F(RetryTest, TakesAMessageAsItIsAndAsItIsShown) {
  const std::string raw = "line\nbreak \x1b[2J";
  EXPECT_THAT(retried({raw, "other"}, raw), ElementsAre("0"));
  EXPECT_THAT(retried("line\\nbreak \\x1B[2J"), ElementsAre("0"));
  EXPECT_THAT(retried("line\\n*"), ElementsAre("0"));
}

TEST_F(RetryTest, TakesALongMessageAsItIsShown) {
  const std::string begin(500, 'x');
  // What `errors` and the run show of it.
  const std::string shown = std::string(397, 'x') + "…";
  EXPECT_THAT(retried({begin + "a", begin + "b", "x"}, shown), ElementsAre("0", "1"));
}

TEST_F(RetryTest, ManyStarsOverALongMessageTakeNoTime) {
  std::string pattern;
  for (int i = 0; i < 30; ++i) pattern += "*a";
  EXPECT_THAT(retried({std::string(60'000, 'a')}, pattern + "*b"), IsEmpty());
}

TEST_F(RetryTest, MoreThanAreChangedAtATime) {
  messages_.assign(11'000, "why");
  fail_with(messages_);
  EXPECT_EQ(retry_command({.job = "j", .message = "w*", .json = false}, context_), kExitOk);
  EXPECT_EQ(out(), "11000 images are pending again\n");
  EXPECT_EQ(tracker().get_status_counts(job_)->pending, 11'000);
  EXPECT_EQ(tracker().get_progress(job_)->error_count, 0);  // for other readers as well
}

TEST_F(RetryTest, SaysSoWhereNoneHasTheMessage) {
  fail_with({"why"});
  EXPECT_EQ(retry_command({.job = "j", .message = "how", .json = true}, context_), kExitOk);
  EXPECT_EQ(out(), "{\"schema_version\":1,\"job\":\"j\",\"images\":0}\n");
  EXPECT_EQ(err(),
            "progress-tracker: no image in error has this message: progress-tracker errors "
            "j --db " +
                directory_.database().native() + " shows those there are\n");
}

}  // namespace
}  // namespace progress_tracker::cli

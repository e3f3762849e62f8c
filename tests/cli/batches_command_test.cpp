#include "cli/batches_command.h"

#include <gmock/gmock.h>

#include <string>

#include "cli/exit_code.h"
#include "cli/output.h"
#include "command_fixture.h"

namespace progress_tracker::cli {
namespace {

using ::testing::MatchesRegex;

class BatchesTest : public CommandTest {
 protected:
  std::string batches(bool json) {
    forget_output();
    EXPECT_EQ(batches_command({.job = "j", .json = json}, context_), kExitOk);
    EXPECT_EQ(err(), "");
    return out();
  }
};

TEST_F(BatchesTest, ListsThemByNumber) {
  const JobId job = make_job("j", {"a"});
  tracker().create_batch(job, 10, 3);
  const BatchId failed = tracker().create_batch(job, 2, 5);
  tracker().mark_batch_error(failed, "no route\x1b[2J\n" + std::string(500, 'x'));
  const BatchId uploaded = tracker().create_batch(job, 7, 1);
  tracker().mark_batch_uploaded(uploaded);

  const std::string time = "....-..-.. ..:..:.. UTC";
  EXPECT_THAT(batches(false),
              MatchesRegex("batch  status    images  created                  uploaded            "
                           "     error\n"
                           "    2  error          5  " +
                           time +
                           "                           "
                           "no route.x1B.2J.nx*…\n"
                           "    7  uploaded       1  " +
                           time + "  " + time +
                           "\n"
                           "   10  pending        3  " +
                           time + "\n"));

  const std::string when = "\"....-..-..T..:..:..\\....Z\"";
  EXPECT_THAT(
      batches(true),
      MatchesRegex("\\{\"schema_version\":1,\"job\":\"j\",\"batches\":\\["
                   "\\{\"batch_num\":2,\"status\":\"error\",\"image_count\":5,\"created_at\":" +
                   when +
                   ",\"uploaded_at\":null,\"upload_error\":\"no route.u001b.2J.nx*\"\\},"
                   "\\{\"batch_num\":7,\"status\":\"uploaded\",\"image_count\":1,\"created_at\":" +
                   when + ",\"uploaded_at\":" + when +
                   ",\"upload_error\":\"\"\\},"
                   "\\{\"batch_num\":10,\"status\":\"pending\",\"image_count\":3,\"created_at\":" +
                   when + ",\"uploaded_at\":null,\"upload_error\":\"\"\\}\\]\\}\n"));
}

TEST_F(BatchesTest, AJobWithoutAnyHasAnEmptyList) {
  make_job("j", {"a"});
  EXPECT_EQ(batches(false), "batch  status  images  created  uploaded  error\n");
  EXPECT_EQ(batches(true), "{\"schema_version\":1,\"job\":\"j\",\"batches\":[]}\n");
  EXPECT_THROW(batches_command({.job = "k", .json = false}, context_), NotFound);
}

}  // namespace
}  // namespace progress_tracker::cli

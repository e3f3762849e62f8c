#include "cli/speaker.h"

#include <gmock/gmock.h>

#include <future>
#include <vector>

namespace progress_tracker::cli {
namespace {

using ::testing::ElementsAre;

TEST(SpeakerTest, SaysEverythingInOrderAlsoAtItsEnd) {
  std::vector<int> said;
  {
    Speaker speaker;
    for (const int word : {1, 2, 3}) speaker.post([&said, word] { said.push_back(word); });
  }
  EXPECT_THAT(said, ElementsAre(1, 2, 3));
}

TEST(SpeakerTest, NobodyWaitsForWhatIsNotHeard) {
  std::promise<void> heard;
  std::vector<int> said;
  Speaker speaker;
  speaker.post([&, is_heard = heard.get_future().share()] { is_heard.wait(); });
  speaker.post([&said] { said.push_back(1); });
  speaker.wait_until_said(std::chrono::milliseconds(1));
  EXPECT_THAT(said, ElementsAre());
  heard.set_value();
  speaker.wait_until_said(std::chrono::minutes(1));
  EXPECT_THAT(said, ElementsAre(1));
}

}  // namespace
}  // namespace progress_tracker::cli

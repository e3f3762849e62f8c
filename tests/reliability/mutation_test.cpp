// Damaged files and files that somebody has tampered with: every call returns, or throws Error or
// std::bad_alloc; none crashes, none goes on for ever, and nothing is written anywhere else.
#include "mutation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "campaign.h"
#include "hostile_calls.h"
#include "process.h"
#include "progress_tracker/log.h"
#include "support.h"
#include "watchdog.h"

namespace progress_tracker::reliability {
namespace {

class Arena {
 public:
  Arena() { std::filesystem::create_directory(directory_.path() / "files"); }

  std::filesystem::path database() const { return directory_.path() / "files" / "jobs.db"; }

  // What was written that has no business there.
  std::vector<std::string> strays() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      if (entry.path().filename() != "files") found.push_back(entry.path());
    }
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path() / "files")) {
      const std::string name = entry.path().filename();
      if (!name.starts_with("jobs.db")) found.push_back(name);
    }
    return found;
  }

  void clear() const {
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path() / "files")) {
      std::filesystem::remove(entry.path());
    }
  }

 private:
  const MemoryDirectory directory_;
};

std::int64_t most_memory_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

class MutationTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    set_log_handler([](LogLevel, std::string_view) {});
  }
  void TearDown() override {
    set_log_handler({});
    report("G11", "mutated databases (" + GetParam() + ")", mutations_, wrong_,
           answers_.summary() + "; longest script " +
               std::to_string(
                   std::chrono::duration_cast<std::chrono::milliseconds>(watchdog_.longest())
                       .count()) +
               " ms, memory " + std::to_string(most_memory_mib()) + " MiB");
  }

  // The calls of one mutation, drawn from a seed of its own.
  void try_out(const Files& files, const std::string& what, bool all = false) {
    ++mutations_;
    const std::string name = GetParam() + ", " + what +
                             ", PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_) +
                             ", mutation " + std::to_string(mutations_);
    watchdog_.begin(name);
    Random random(seed_ + static_cast<unsigned>(mutations_));
    put(files, arena_.database());
    answers_.wrong.clear();
    if (all) {
      call_all(arena_.database(), random, answers_);
    } else {
      call_some(arena_.database(), random, answers_);
    }
    const auto strays = arena_.strays();
    if (!answers_.wrong.empty() || !strays.empty()) {
      ++wrong_;
      ADD_FAILURE() << name << ": " << testing::PrintToString(answers_.wrong)
                    << " left beside the database: " << testing::PrintToString(strays);
      arena_.clear();
    }
    if (mutations_ % 100 == 0) arena_.clear();  // of logs that were kept
  }

  const unsigned seed_ = processes::test_seed();
  const Arena arena_;
  Answers answers_;
  std::int64_t mutations_{0};
  std::int64_t wrong_{0};
  Watchdog watchdog_;
};

TEST_P(MutationTest, EveryCallEndsAndThrowsNothingButErrors) {
  const std::int64_t wanted = sized(1'500, 143'000);
  const std::int64_t most_systematic = sized(500, 1'000'000);
  std::vector<Specimen> others;
  for (const char* name : {"logged", "whole", "fine"}) others.push_back(make_specimen(name));
  const Specimen specimen = make_specimen(GetParam());
  Random random(seed_);
  const std::vector<Specimen> tampered =
      damaged_by_sql(specimen, sized(10, 1), static_cast<std::int64_t>(random() % 10));
  ASSERT_GT(tampered.size(), 30U);

  for (int i = 0; i < 3; ++i) try_out(specimen.files, "undamaged", true);
  ASSERT_GT(answers_.returned, answers_.calls / 2) << answers_.summary();

  for (const Specimen& one : tampered) {
    for (std::int64_t i = sized(1, 5); i > 0; --i) try_out(one.files, one.name, true);
  }
  // In a small run some of them, others at each.
  const std::int64_t systematic = systematic_mutations(specimen.files);
  const std::int64_t stride = std::max<std::int64_t>(1, systematic / most_systematic);
  for (std::int64_t i = random() % stride; i < systematic; i += stride) {
    try_out(mutated_systematically(specimen.files, i, random), "number " + std::to_string(i));
  }
  while (mutations_ < wanted) {
    const bool twice = random() % 4 == 0;
    const Files& files = twice ? tampered[random() % tampered.size()].files : specimen.files;
    try_out(mutated_at_random(files, others, random), "at random");
  }
  EXPECT_LT(most_memory_mib(), 2048);
  EXPECT_GT(answers_.counts, mutations_) << "hardly a count was looked at";
}

INSTANTIATE_TEST_SUITE_P(Databases, MutationTest, testing::ValuesIn(specimen_names()),
                         [](const auto& tested) { return tested.param; });

TEST(MutationToolTest, ALogWithNewChecksumsIsTheSameLog) {
  const Specimen specimen = make_specimen("logged");
  std::string log = specimen.files.log;
  sum_up_again(log);
  EXPECT_EQ(log.substr(0, 32), specimen.files.log.substr(0, 32));
  ASSERT_GE(log.size(), 32U + 4120U);
  EXPECT_EQ(log.substr(0, 4152), specimen.files.log.substr(0, 4152));
}

TEST(WatchdogDeathTest, ALoopIsEndedAndNamed) {
  EXPECT_DEATH(
      {
        Watchdog watchdog(std::chrono::milliseconds(50));
        watchdog.begin("the one with seed 7");
        for (volatile bool on = true; on;) {
        }
      },
      "does not end: the one with seed 7");
}

}  // namespace
}  // namespace progress_tracker::reliability

// What the fuzzers drive, driven by a seed.
#include "fuzz.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "campaign.h"
#include "mutation.h"
#include "process.h"
#include "progress_tracker/log.h"
#include "watchdog.h"

namespace progress_tracker::reliability {
namespace {

class FuzzTest : public testing::Test {
 protected:
  void TearDown() override { set_log_handler({}); }

  // Runs one input, and tells how to have it again if it fails.
  void run(void (*fuzz)(Bytes), const std::string& input, std::int64_t number) {
    const std::string name =
        "PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_) + ", input " + std::to_string(number);
    watchdog_.begin(name);
    try {
      fuzz({reinterpret_cast<const std::uint8_t*>(input.data()), input.size()});
    } catch (const std::exception& error) {
      ++wrong_;
      ADD_FAILURE() << name << ": " << error.what();
    }
  }

  const unsigned seed_ = processes::test_seed();
  Random random_{seed_};
  std::int64_t wrong_{0};
  Watchdog watchdog_;
};

TEST_F(FuzzTest, CallsAreAnsweredAsTheModelAnswersThem) {
  const std::int64_t count = sized(100, 10'000);
  for (std::int64_t i = 0; i < count; ++i) {
    std::string input(200 + random_() % 2'000, '\0');
    for (char& byte : input) byte = static_cast<char>(random_());
    run(&fuzz_calls, input, i);
  }
  report("G11", "random calls against the model", count, wrong_);
}

TEST_F(FuzzTest, InputsThatAreDatabasesAreSurvived) {
  const std::int64_t count = sized(300, 20'000);
  const std::vector<Specimen> specimens{make_specimen("fine"), make_specimen("logged")};
  for (std::int64_t i = 0; i < count; ++i) {
    Files files = specimens[random_() % specimens.size()].files;
    for (auto left = random_() % 4; left > 0; --left) {
      files = mutated_at_random(files, specimens, random_);
    }
    std::string input = fuzz_database_input(files, static_cast<std::uint32_t>(random_()));
    if (random_() % 16 == 0) input.resize(random_() % 200);
    run(&fuzz_database, input, i);
  }
  report("G11", "inputs of the database fuzzer", count, wrong_);
}

TEST(FuzzInputTest, IsTakenApartAsItWasPutTogether) {
  const std::string input = fuzz_database_input({"database", "log", {}}, 0x01020304);
  const Bytes bytes{reinterpret_cast<const std::uint8_t*>(input.data()), input.size()};
  EXPECT_EQ(seed_of_input(bytes), 0x01020304U);
  EXPECT_EQ(files_of_input(bytes).database, "database");
  EXPECT_EQ(files_of_input(bytes).log, "log");
  EXPECT_EQ(files_of_input(bytes.first(3)).database, "");
}

}  // namespace
}  // namespace progress_tracker::reliability

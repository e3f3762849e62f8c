// Any bytes that a file name, a label or a message can have: stored and given back exactly, told
// apart, and never a way to write to a log or a terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "audit.h"
#include "campaign.h"
#include "hostile_strings.h"
#include "process.h"
#include "progress_tracker/error.h"
#include "progress_tracker/progress_tracker.h"
#include "progress_tracker/rules.h"
#include "support.h"

namespace progress_tracker::reliability {
namespace {

namespace fs = std::filesystem;
using test::code_of;
using test::error_of;

// Some that the library was given before, shortest first, without repetition: what it should hold.
std::vector<fs::path> without_repetition(const std::vector<std::string>& names) {
  std::vector<fs::path> unique;
  std::unordered_set<std::string> seen;
  for (const std::string& name : names) {
    if (seen.insert(name).second) {
      unique.emplace_back(name);
    }
  }
  return unique;
}

class StringsTest : public testing::Test {
 protected:
  // Gives the names to a new job, twice each and in their order, and looks for all of them in every
  // way there is. Returns how many were wrong.
  std::int64_t round_trip(const std::vector<std::string>& names) {
    std::vector<fs::path> given(names.begin(), names.end());
    const std::vector<fs::path> expected = without_repetition(names);
    given.insert(given.end(), expected.rbegin(), expected.rend());
    const JobId job = tracker_.create_job("job", given, {});
    EXPECT_EQ(tracker_.get_status_counts(job)->total(), static_cast<std::int64_t>(expected.size()));

    std::int64_t wrong = 0;
    std::size_t next = 0;
    const auto check = [&](const fs::path& found) {
      // path == path would take "a//b" for "a/b".
      const bool same = next < expected.size() && found.native() == expected[next].native();
      if (!same && ++wrong < 10) {
        ADD_FAILURE() << "number " << next << ": " << escape_for_display(found.native());
      }
      ++next;
    };
    std::optional<ImageId> after;
    for (auto page = tracker_.get_images(job, {}, 20'000); !page.empty();
         page = tracker_.get_images(job, {}, 20'000, after)) {
      for (const ImageRecord& record : page) {
        check(record.image.path);
      }
      after = page.back().image.id;
    }
    EXPECT_EQ(next, expected.size());

    next = 0;
    for (auto images = tracker_.claim_images(job, 20'000); !images.empty();
         images = tracker_.claim_images(job, 20'000)) {
      for (const Image& image : images) {
        // One look-up by path in ten, and of the first ones each.
        if (next < 1'000 || next % 10 == 0) {
          const bool found = tracker_.get_image_id(job, image.path) == image.id;
          if (!found && ++wrong < 10) {
            ADD_FAILURE() << "not found: " << escape_for_display(image.path.native());
          }
        }
        check(image.path);
      }
      tracker_.mark_outcomes(test::completions_of(images));
    }
    EXPECT_EQ(next, expected.size());
    EXPECT_EQ(tracker_.add_images(job, given, {}), 0) << "what is there is known again";
    return wrong;
  }

  processes::TemporaryDirectory directory_;
  const unsigned seed_ = processes::test_seed();
  const testing::ScopedTrace trace_{__FILE__, __LINE__,
                                    "PROGRESS_TRACKER_TEST_SEED=" + std::to_string(seed_)};
  ProgressTracker tracker_{directory_.database()};
};

// ---- Paths of images ---------------------------------------------------------------------------

TEST_F(StringsTest, EverySingleByteAndEveryPairIsAPath) {
  std::vector<std::string> names;
  for (int first = 1; first < 256; ++first) {
    names.emplace_back(1, static_cast<char>(first));
    for (int second = 1; second < 256; ++second) {
      names.push_back({static_cast<char>(first), static_cast<char>(second)});
    }
  }
  const std::int64_t wrong = round_trip(names);
  report("G12", "paths of one and of two bytes", static_cast<std::int64_t>(names.size()), wrong);
}

TEST_F(StringsTest, RandomNamesArePaths) {
  std::mt19937 random(seed_);
  std::vector<std::string> names = hostile_names();
  const auto count = static_cast<std::size_t>(sized(20'000, 1'000'000));
  while (names.size() < count) {
    names.push_back(random_name(random));
  }
  const std::int64_t wrong = round_trip(names);
  report("G12", "random and hostile paths", static_cast<std::int64_t>(names.size()), wrong);
}

// ---- Paths of databases ------------------------------------------------------------------------

TEST_F(StringsTest, AHostileNameOfADatabaseIsOnlyAName) {
  std::int64_t tried = 0;
  std::int64_t wrong = 0;
  std::set<std::string> expected;
  for (const std::string& hostile : hostile_names()) {
    std::string name = hostile.substr(0, 200);
    std::replace(name.begin(), name.end(), '/', '_');
    if (name.empty() || name == "." || name == "..") {
      continue;
    }
    SCOPED_TRACE(escape_for_display(name));
    const fs::path directory = directory_.path() / std::to_string(tried);
    const fs::path path = directory / name;
    ++tried;
    {
      ProgressTracker tracker(path);
      const JobId job = tracker.create_job("job", test::image_paths(3), {});
      tracker.mark_completed(tracker.claim_images(job, 1).at(0).id);
    }
    Options reading;
    reading.read_only = true;
    EXPECT_EQ(ProgressTracker(path, reading).get_status_counts(JobId{1})->completed, 1);
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(directory)) {
      found.insert(entry.path().filename().native());
    }
    // Nothing beside it but what it is called and its workers' file.
    EXPECT_TRUE(found.contains(name) && found.contains(name + "-workers"));
    for (const std::string& each : found) {
      EXPECT_TRUE(each.starts_with(name)) << escape_for_display(each);
    }
    wrong += found.contains(name) && found.contains(name + "-workers") ? 0 : 1;
    // What is logged about it: the destructor of a tracker whose file is gone.
    const test::LogCapture log(LogLevel::kDebug);
    {
      ProgressTracker tracker(path);
      tracker.claim_images(JobId{1}, 1);
      fs::remove(path);
    }
    EXPECT_FALSE(log.lines().empty());
    for (const auto& [level, line] : log.lines()) {
      EXPECT_EQ(raw_controls(line), "") << escape_for_display(line);
      wrong += raw_controls(line).empty() ? 0 : 1;
    }
  }
  report("G12", "hostile names of databases", tried, wrong);
}

// ---- Jobs and splits ---------------------------------------------------------------------------

// Valid: UTF-8 without control characters.
bool is_label(const std::string& text) {
  if (!is_valid_utf8(text)) {
    return false;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c1 = byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte < 0x20 || byte == 0x7F || c1) {
      return false;
    }
  }
  return true;
}

TEST_F(StringsTest, LabelsAreTakenExactlyOrNotAtAll) {
  std::mt19937 random(seed_);
  std::vector<std::string> labels = hostile_names();
  for (int first = 1; first < 256; ++first) {
    labels.emplace_back(1, static_cast<char>(first));
    labels.push_back("a" + std::string(1, static_cast<char>(first)) + "b");
  }
  labels.push_back(std::string("a\0b", 3));
  const auto count = static_cast<std::size_t>(sized(1'500, 20'000));
  while (labels.size() < count) {
    labels.push_back(random_name(random));
  }
  std::int64_t wrong = 0;
  std::int64_t invalid = 0;
  std::map<std::string, JobId> jobs;
  const JobId splits = tracker_.create_job("splits", {}, {});
  std::set<std::string> stored;
  for (const std::string& label : labels) {
    SCOPED_TRACE(escape_for_display(label.substr(0, 80)));
    const auto create = [&] { return tracker_.create_job(label, test::image_paths(1), {}); };
    const std::vector<fs::path> one{"image " + std::to_string(&label - labels.data())};
    const auto add = [&] { tracker_.add_images(splits, one, std::vector<std::string>{label}); };
    if (is_label(label)) {
      if (label != "splits") {
        jobs[label] = create();
      }
      add();
      stored.insert(label);
      continue;
    }
    ++invalid;
    for (const auto& refused : {error_of([&] { create(); }), error_of(add),
                                error_of([&] { tracker_.chain_job(label, splits); })}) {
      const bool fits = refused.has_value() && refused->code() == ErrorCode::kInvalidArgument &&
                        raw_controls(refused->what()).empty();
      EXPECT_TRUE(fits) << (refused.has_value() ? escape_for_display(refused->what()) : "taken");
      wrong += fits ? 0 : 1;
    }
    EXPECT_FALSE(tracker_.get_job_id(label).has_value());
  }
  const auto listed = tracker_.list_jobs();
  EXPECT_EQ(listed.size(), jobs.size() + 1);
  for (const Job& job : listed) {
    if (job.id != splits) {
      wrong += jobs.contains(job.name) && jobs[job.name] == job.id ? 0 : 1;
    }
  }
  for (const auto& [name, id] : jobs) {
    wrong += tracker_.get_job_id(name) == id ? 0 : 1;
  }
  std::set<std::string> found;
  for (const auto& [split, counts] : tracker_.get_progress_by_split(splits)) {
    found.insert(split);
  }
  EXPECT_EQ(found, stored);
  EXPECT_GT(stored.size(), 100U);
  EXPECT_GT(invalid, 100);
  EXPECT_EQ(wrong, 0);
  report("G12", "names of jobs and splits", static_cast<std::int64_t>(labels.size()), wrong,
         std::to_string(invalid) + " invalid");
}

// ---- Messages ----------------------------------------------------------------------------------

TEST_F(StringsTest, AnyBytesAreAMessage) {
  std::mt19937 random(seed_);
  std::vector<std::string> messages = hostile_names();
  messages.push_back(std::string("a\0b", 3));
  for (const std::size_t length : {65'535, 65'536, 65'537, 70'000, 1'000'000}) {
    messages.emplace_back(length, 'x');
    messages.emplace_back(length, '\xFF');
    messages.push_back(std::string(length - 2, 'x') + "\xE2\x82\xAC and so on");
  }
  const auto count = static_cast<std::size_t>(sized(2'000, 50'000));
  while (messages.size() < count) {
    messages.push_back(random_bytes(random, random() % 300));
  }
  const JobId job = tracker_.create_job("job", test::image_paths(messages.size()), {});
  std::vector<Outcome> outcomes;
  const auto images = tracker_.claim_images(job, messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (i % 3 == 0) {
      tracker_.mark_error(images[i].id, messages[i]);
    } else {
      outcomes.push_back({.id = images[i].id, .attempt = images[i].attempt, .error = messages[i]});
    }
  }
  EXPECT_EQ(tracker_.mark_outcomes(outcomes), outcomes.size());
  std::int64_t wrong = 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string stored = tracker_.get_image(images[i].id)->error_message;
    const bool fits = is_valid_utf8(stored) && stored.size() <= kMaxMessageBytes &&
                      stored.find('\0') == std::string::npos &&
                      stored == clean_message(messages[i]);
    // What was fit to be stored is stored as it is.
    const bool kept = !is_valid_utf8(messages[i]) || messages[i].size() > kMaxMessageBytes ||
                      messages[i].find('\0') != std::string::npos || stored == messages[i];
    EXPECT_TRUE(fits && kept) << "message " << i;
    wrong += fits && kept ? 0 : 1;
  }
  processes::Audit(directory_.database()).expect_sound();
  report("G12", "messages", static_cast<std::int64_t>(messages.size()), wrong);
}

// ---- What is shown -----------------------------------------------------------------------------

TEST_F(StringsTest, NothingRawComesOutOfTheEscaper) {
  std::mt19937 random(seed_);
  const std::int64_t count = sized(100'000, 2'000'000);
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string shown = escape_for_display(random_name(random));
    wrong += raw_controls(shown, /*line_breaks=*/false).empty() && is_valid_utf8(shown) ? 0 : 1;
  }
  EXPECT_EQ(wrong, 0);
  report("G12", "random strings escaped", count, wrong);
}

}  // namespace
}  // namespace progress_tracker::reliability

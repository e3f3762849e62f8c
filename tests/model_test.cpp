// ProgressTracker against InMemoryTracker: random calls of several workers, some of which die, must
// give the same results and leave the same record in both.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "progress_tracker/log.h"
#include "progress_tracker/tracker.h"
#include "progress_tracker/types.h"
#include "support.h"
#include "two_sides.h"

namespace progress_tracker {
namespace {

using test::Side;

constexpr std::size_t kWorkers = 3;
constexpr int kMaxDeaths = 3;
constexpr int kSteps = 300;

// ---- Random calls -------------------------------------------------------------------------------

// One call, to be made on both sides: it returns what it gave, as text.
struct Step {
  std::string name;
  std::function<std::string(Side&)> call;
};

class Script {
 public:
  explicit Script(unsigned seed) : random_(seed) {}

  Step next(std::size_t claimed) {
    const std::size_t worker = below(kWorkers);
    switch (below(29)) {
      case 0:
      case 1:
        return create_job(worker);
      case 2:
        return add_images(worker);
      case 3:
        return chain_job(worker);
      case 4:
        return below(4) == 0 ? remove_job(worker) : checkpoint(worker);
      case 5:
        return mark_processing(worker);
      case 6:
        return mark_completed(worker);
      case 7:
        return mark_error(worker);
      case 8:
      case 9:
      case 10:
      case 11:
        return mark_outcomes(worker, claimed);
      case 12:
        return release_images(worker, claimed);
      case 13:
        return reset_stuck_images(worker);
      case 14:
        return below(3) == 0 ? reset_error_images(worker) : retry_images(worker);
      case 15:
        return create_batch(worker);
      case 16:
      case 17:
        return create_batch_of(worker);
      case 18:
        return mark_batch(worker);
      case 19:
        return end(worker, true);
      case 20:
        return end(worker, false);
      case 21:
      case 22:
        return mark_neighbours(worker);
      default:
        return claim_images(worker);
    }
  }

 private:
  Step create_job(std::size_t worker) {
    const std::string name = any_job();
    const auto paths = some_paths();
    const auto splits = some_splits(paths.size());
    return {"create_job " + name, [=](Side& side) {
              side.workers[worker]->create_job(name, paths, splits);
              return std::string();
            }};
  }

  Step add_images(std::size_t worker) {
    const std::string name = any_job();
    const auto paths = some_paths();
    const auto splits = some_splits(paths.size());
    return {
        "add_images " + name, [=](Side& side) {
          return std::to_string(side.workers[worker]->add_images(side.job(name), paths, splits));
        }};
  }

  Step chain_job(std::size_t worker) {
    const std::string name = any_job();
    const std::string upstream = any_job();
    return {"chain_job " + name + " to " + upstream, [=](Side& side) {
              side.workers[worker]->chain_job(name, side.job(upstream));
              return std::string();
            }};
  }

  Step remove_job(std::size_t worker) {
    const std::string name = any_job();
    return {"remove_job " + name, [=](Side& side) {
              side.workers[worker]->remove_job(side.job(name));
              return std::string();
            }};
  }

  Step checkpoint(std::size_t worker) {
    const std::string name = any_job();
    return {"checkpoint " + name, [=](Side& side) {
              side.workers[worker]->checkpoint(side.job(name));
              return std::string();
            }};
  }

  Step claim_images(std::size_t worker) {
    const std::string name = any_job();
    const std::size_t limit = below(5);
    return {"claim_images " + name + " limit " + std::to_string(limit) + by(worker),
            [=](Side& side) { return test::claim(side, worker, side.job(name), limit); }};
  }

  Step mark_processing(std::size_t worker) {
    const std::string name = any_job();
    const auto paths = a_few_paths();
    return {"mark_processing" + of(name, paths) + by(worker), [=](Side& side) {
              side.workers[worker]->mark_processing(side.images(side.job(name), paths));
              return std::string();
            }};
  }

  Step mark_completed(std::size_t worker) {
    const std::string name = any_job();
    const std::string path = any_path();
    return {"mark_completed" + of(name, {path}), [=](Side& side) {
              side.workers[worker]->mark_completed(side.image(side.job(name), path));
              return std::string();
            }};
  }

  Step mark_error(std::size_t worker) {
    const std::string name = any_job();
    const std::string path = any_path();
    const std::string message = any_message();
    return {"mark_error" + of(name, {path}), [=](Side& side) {
              side.workers[worker]->mark_error(side.image(side.job(name), path), message);
              return std::string();
            }};
  }

  Step mark_outcomes(std::size_t worker, std::size_t claimed) {
    const auto chosen = some_claims(claimed);
    std::vector<std::optional<std::string>> errors;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      errors.push_back(below(3) == 0 ? std::optional(any_message()) : std::nullopt);
    }
    const int fence = any_fence();
    return {"mark_outcomes of " + std::to_string(chosen.size()), [=](Side& side) {
              std::vector<Outcome> outcomes;
              for (std::size_t i = 0; i < chosen.size(); ++i) {
                const Image& image = side.claimed[chosen[i]];
                outcomes.push_back({image.id, fence < 0 ? image.attempt : fence, errors[i]});
              }
              return std::to_string(side.workers[worker]->mark_outcomes(outcomes));
            }};
  }

  // A run of neighbours, wherever each of them stands.
  Step mark_neighbours(std::size_t worker) {
    const std::string name = any_job();
    const std::size_t skipped = below(4);
    const std::size_t count = 2 + below(6);
    const std::size_t error_at = below(12);
    const int fence = below(3) == 0 ? static_cast<int>(below(3)) : 0;
    return {"mark_outcomes of neighbours in " + name, [=](Side& side) {
              Tracker& tracker = *side.workers[worker];
              std::vector<Outcome> outcomes;
              const auto all = tracker.get_images(side.job(name));
              for (std::size_t i = skipped; i < std::min(skipped + count, all.size()); ++i) {
                outcomes.push_back({all[i].image.id, fence, {}});
                if (i == error_at) outcomes.back().error = "broken";
              }
              return std::to_string(tracker.mark_outcomes(outcomes));
            }};
  }

  Step release_images(std::size_t worker, std::size_t claimed) {
    const auto chosen = some_claims(claimed);
    const int fence = any_fence();
    return {"release_images of " + std::to_string(chosen.size()), [=](Side& side) {
              std::vector<Image> images;
              for (const std::size_t i : chosen) {
                images.push_back(side.claimed[i]);
                if (fence >= 0) images.back().attempt = fence;
              }
              return std::to_string(side.workers[worker]->release_images(images));
            }};
  }

  Step reset_stuck_images(std::size_t worker) {
    const std::string name = any_job();
    return {"reset_stuck_images " + name + by(worker), [=](Side& side) {
              return std::to_string(side.workers[worker]->reset_stuck_images(side.job(name)));
            }};
  }

  Step reset_error_images(std::size_t worker) {
    const std::string name = any_job();
    return {"reset_error_images " + name, [=](Side& side) {
              return std::to_string(side.workers[worker]->reset_error_images(side.job(name)));
            }};
  }

  Step retry_images(std::size_t worker) {
    const std::string name = any_job();
    const auto paths = a_few_paths();
    return {"retry_images" + of(name, paths), [=](Side& side) {
              return std::to_string(
                  side.workers[worker]->retry_images(side.images(side.job(name), paths)));
            }};
  }

  Step create_batch(std::size_t worker) {
    const std::string name = any_job();
    const int number = static_cast<int>(below(5));
    return {"create_batch " + std::to_string(number) + " of " + name, [=](Side& side) {
              side.workers[worker]->create_batch(side.job(name), number, 10);
              return std::string();
            }};
  }

  // Half of the time what nobody has batched yet, else any images.
  Step create_batch_of(std::size_t worker) {
    const std::string name = any_job();
    const int number = static_cast<int>(below(5));
    const auto paths = a_few_paths();
    const bool unbatched = below(2) == 0;
    const std::size_t count = 1 + below(3);
    return {"create_batch_of " + std::to_string(number) + of(name, paths), [=](Side& side) {
              Tracker& tracker = *side.workers[worker];
              const JobId job = side.job(name);
              std::vector<ImageId> images = side.images(job, paths);
              if (unbatched) {
                images.clear();
                for (const Image& image : tracker.get_unbatched_images(job, count)) {
                  images.push_back(image.id);
                }
              }
              tracker.create_batch_of(job, number, images);
              return std::string();
            }};
  }

  Step mark_batch(std::size_t worker) {
    const std::string name = any_job();
    const int number = static_cast<int>(below(5));
    const bool uploaded = below(2) == 0;
    return {"mark_batch " + std::to_string(number) + " of " + name, [=](Side& side) {
              Tracker& tracker = *side.workers[worker];
              const BatchId batch = side.batch(side.job(name), number);
              if (uploaded) {
                tracker.mark_batch_uploaded(batch);
              } else {
                tracker.mark_batch_error(batch, "x");
              }
              return std::string();
            }};
  }

  Step end(std::size_t worker, bool dies) {
    return {(dies ? "death" : "restart") + by(worker), [=](Side& side) {
              side.replace(worker, dies);
              return std::string();
            }};
  }

  // ---- Choices ----------------------------------------------------------------------------------

  // std::uniform_int_distribution would give other scripts with another standard library.
  std::size_t below(std::size_t bound) { return random_() % bound; }

  std::string any_job() { return {static_cast<char>('A' + below(4))}; }
  std::string any_path() { return "in/" + std::string(1, static_cast<char>('a' + below(9))); }
  std::string any_message() { return "broken " + std::to_string(below(3)); }

  // -1: the claim's own attempt.
  int any_fence() { return below(4) > 0 ? -1 : static_cast<int>(below(3)); }

  std::vector<std::string> a_few_paths() {
    std::vector<std::string> paths;
    for (std::size_t i = 0, count = 1 + below(2); i < count; ++i) paths.push_back(any_path());
    return paths;
  }

  std::vector<std::filesystem::path> some_paths() {
    std::vector<std::filesystem::path> paths;
    for (std::size_t i = 0, count = below(7); i < count; ++i) paths.emplace_back(any_path());
    return paths;
  }

  std::vector<std::string> some_splits(std::size_t count) {
    std::vector<std::string> splits;
    if (below(3) == 0) return splits;
    for (std::size_t i = 0; i < count; ++i) splits.emplace_back(below(2) == 0 ? "train" : "valid");
    return splits;
  }

  // Mostly of the latest ones, which are still held.
  std::vector<std::size_t> some_claims(std::size_t claimed) {
    std::vector<std::size_t> chosen;
    if (claimed == 0) return chosen;
    const std::size_t window = below(4) == 0 ? claimed : std::min<std::size_t>(claimed, 8);
    for (std::size_t i = 0, count = below(4); i < count; ++i) {
      chosen.push_back(claimed - 1 - below(window));
    }
    return chosen;
  }

  static std::string by(std::size_t worker) { return " by worker " + std::to_string(worker); }

  static std::string of(const std::string& job, const std::vector<std::string>& paths) {
    std::string text = " of " + job;
    for (const std::string& path : paths) text += ' ' + path;
    return text;
  }

  std::mt19937 random_;
};

class ModelTest : public testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override { set_log_level(LogLevel::kError); }  // differing splits are expected here
  void TearDown() override { set_log_level(LogLevel::kWarn); }
};

TEST_P(ModelTest, RandomCallsGiveTheSameInBoth) {
  const test::TempDirectory directory;
  test::ModelSide model(kMaxDeaths);
  test::SqliteSide sqlite(directory / "model.db", kMaxDeaths);
  model.start(kWorkers);
  sqlite.start(kWorkers);
  Script script(GetParam());
  std::string history;
  for (int i = 0; i < kSteps; ++i) {
    const Step step = script.next(model.claimed.size());
    const std::string expected = test::result_of(step.call, model);
    history += std::to_string(i) + ": " + step.name + " -> " + expected + '\n';

    ASSERT_EQ(test::result_of(step.call, sqlite), expected) << history;
    ASSERT_EQ(test::record_of(*sqlite.workers[0]), test::record_of(*model.workers[0])) << history;
  }
  EXPECT_GT(model.claimed.size(), 20U) << "the script claims too little to say anything";
}

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, testing::Range(1U, 13U));

}  // namespace
}  // namespace progress_tracker

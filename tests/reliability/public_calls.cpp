#include "public_calls.h"

#include <span>

#include "support.h"

namespace progress_tracker::reliability {

using test::image_paths;

Stage::Stage(const std::filesystem::path& database) {
  ProgressTracker maker(database);
  job_ = maker.create_job("job", image_paths(40), {});
  spare_ = maker.create_job("spare", image_paths(3), {});
  held_ = maker.claim_images(job_, 6);
  maker.complete(held_.at(0));
  maker.complete(held_.at(1));
  maker.fail(held_.at(2), "broken");
  maker.fail(held_.at(3), "broken");
  batch_ = maker.create_batch(job_, 1, 10);
  other_batch_ = maker.create_batch(job_, 2, 10);
  pending_ = test::ids_of(maker.get_pending_images(job_));
  maker.checkpoint(job_);
}

std::vector<PublicCall> Stage::calls() const {
  constexpr auto kWrites = PublicCall::Kind::kWrites;
  constexpr auto kReads = PublicCall::Kind::kReads;
  constexpr auto kSyncs = PublicCall::Kind::kSyncs;
  using T = ProgressTracker;
  const auto first = [](const std::vector<Image>& images) { return std::span(images).first(1); };
  return {
      {"create_job", kWrites, [](T& t) { t.create_job("new", image_paths(3), {}); }},
      {"create_job, in pieces", kWrites,
       [](T& t) { t.create_job("long", image_paths(3'000), {}); }},
      {"create_job again", kWrites, [](T& t) { t.create_job("job", image_paths(3, "more/"), {}); }},
      {"add_images", kWrites, [this](T& t) { t.add_images(job_, image_paths(3, "other/"), {}); }},
      {"chain_job", kWrites, [this](T& t) { t.chain_job("chained", job_); }},
      {"remove_job", kWrites, [this](T& t) { t.remove_job(spare_); }},
      {"mark_processing", kWrites,
       [this](T& t) { t.mark_processing(std::span(pending_).last(2)); }},
      {"claim_images", kWrites, [this](T& t) { t.claim_images(job_, 2); }},
      {"mark_completed", kWrites, [this](T& t) { t.mark_completed(held_[4].id); }},
      {"mark_error", kWrites, [this](T& t) { t.mark_error(held_[5].id, "bad"); }},
      {"complete", kWrites, [this](T& t) { t.complete(held_[4]); }},
      {"fail", kWrites, [this](T& t) { t.fail(held_[5], "bad"); }},
      {"mark_outcomes", kWrites,
       [this](T& t) {
         t.mark_outcomes(std::vector<Outcome>{{.id = held_[5].id, .attempt = 1, .error = {}}});
       }},
      {"mark_outcomes, many", kWrites,
       [this](T& t) {
         t.mark_outcomes(std::vector<Outcome>(100, {.id = held_[5].id, .attempt = 1, .error = {}}));
       }},
      {"release_images", kWrites, [=, this](T& t) { t.release_images(first(held_)); }},
      {"reset_stuck_images", kWrites, [this](T& t) { t.reset_stuck_images(job_); }},
      {"reset_processing_images", kWrites, [this](T& t) { t.reset_processing_images(job_); }},
      {"retry_images", kWrites, [this](T& t) { t.retry_images(std::vector{held_[2].id}); }},
      {"reset_error_images", kWrites, [this](T& t) { t.reset_error_images(job_); }},
      {"checkpoint", kWrites, [this](T& t) { t.checkpoint(job_); }},
      {"create_batch", kWrites, [this](T& t) { t.create_batch(job_, 3, 1); }},
      {"create_batch_of", kWrites,
       [this](T& t) { t.create_batch_of(job_, 4, std::vector{held_[0].id}); }},
      {"mark_batch_uploaded", kWrites, [this](T& t) { t.mark_batch_uploaded(batch_); }},
      {"mark_batch_error", kWrites, [this](T& t) { t.mark_batch_error(other_batch_, "bad"); }},
      {"get_job_id", kReads, [](T& t) { t.get_job_id("job"); }},
      {"list_jobs", kReads, [](T& t) { t.list_jobs(); }},
      {"get_pending_images", kReads, [this](T& t) { t.get_pending_images(job_); }},
      {"get_progress", kReads, [this](T& t) { t.get_progress(job_); }},
      {"get_status_counts", kReads, [this](T& t) { t.get_status_counts(job_); }},
      {"get_progress_by_split", kReads, [this](T& t) { t.get_progress_by_split(job_); }},
      {"get_image_id", kReads, [this](T& t) { t.get_image_id(job_, held_[0].path); }},
      {"get_image", kReads, [this](T& t) { t.get_image(held_[0].id); }},
      {"get_image_split", kReads, [this](T& t) { t.get_image_split(held_[0].id); }},
      {"get_images", kReads, [this](T& t) { t.get_images(job_); }},
      {"get_error_summary", kReads, [this](T& t) { t.get_error_summary(job_); }},
      {"list_workers", kReads, [](T& t) { t.list_workers(); }},
      {"get_unbatched_images", kReads, [this](T& t) { t.get_unbatched_images(job_); }},
      {"get_pending_batches", kReads, [this](T& t) { t.get_pending_batches(job_); }},
      {"get_uploaded_batches", kReads, [this](T& t) { t.get_uploaded_batches(job_); }},
      {"get_batch_images", kReads, [this](T& t) { t.get_batch_images(batch_); }},
      {"sync", kSyncs, [](T& t) { t.sync(); }},
  };
}

}  // namespace progress_tracker::reliability

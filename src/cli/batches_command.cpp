#include "cli/batches_command.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "cli/database.h"
#include "cli/exit_code.h"
#include "cli/json_support.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/time_text.h"

namespace progress_tracker::cli {
namespace {

constexpr std::size_t kShownBytes = 200;  // of an upload's error

std::vector<Batch> read_batches(Tracker& tracker, JobId job) {
  std::vector<Batch> batches = tracker.get_pending_batches(job);
  const std::size_t pending = batches.size();
  for (Batch& batch : tracker.get_uploaded_batches(job)) {
    // One that was uploaded between the two readings is in both: the later one holds.
    const auto end = batches.begin() + static_cast<std::ptrdiff_t>(pending);
    const auto earlier =
        std::find_if(batches.begin(), end, [&](const Batch& each) { return each.id == batch.id; });
    if (earlier != end) {
      *earlier = std::move(batch);
    } else {
      batches.push_back(std::move(batch));
    }
  }
  std::sort(batches.begin(), batches.end(),
            [](const Batch& a, const Batch& b) { return a.batch_num < b.batch_num; });
  return batches;
}

void write_table(const Context& context, const std::vector<Batch>& batches) {
  using Align = Table::Align;
  Table table({{"batch", Align::kRight},
               {"status"},
               {"images", Align::kRight},
               {"created"},
               {"uploaded"},
               {"error"}},
              context.out.is_colored);
  for (const Batch& batch : batches) {
    const bool is_failed = batch.status == BatchStatus::kError;
    table.add({std::to_string(batch.batch_num),
               {std::string(to_string(batch.status)),
                is_failed ? std::optional(Color::kRed) : std::nullopt},
               std::to_string(batch.image_count),
               utc_for_people(batch.created_at),
               batch.uploaded_at ? utc_for_people(*batch.uploaded_at) : "",
               display_cut(batch.upload_error, kShownBytes)});
  }
  table.write(context.streams.out);
}

void write_document(std::ostream& out, const std::string& job, const std::vector<Batch>& batches) {
  ordered_json document = new_document();
  document["job"] = job;
  ordered_json& list = document["batches"] = ordered_json::array();
  for (const Batch& batch : batches) {
    ordered_json& entry = list.emplace_back();
    entry["batch_num"] = batch.batch_num;
    entry["status"] = to_string(batch.status);
    entry["image_count"] = batch.image_count;
    entry["created_at"] = time_value(batch.created_at);
    entry["uploaded_at"] = time_value(batch.uploaded_at);
    entry["upload_error"] = batch.upload_error;
  }
  out << text_of(document) << '\n';
}

}  // namespace

int batches_command(const BatchesSettings& settings, const Context& context) {
  const auto tracker = open_tracker(context.database(), Access::kRead);
  const JobId job = require_job(*tracker, context, settings.job);
  const std::vector<Batch> batches = read_batches(*tracker, job);
  if (settings.json) {
    write_document(context.streams.out, settings.job, batches);
  } else {
    write_table(context, batches);
  }
  return kExitOk;
}

}  // namespace progress_tracker::cli

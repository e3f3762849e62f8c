#include "cli/doctor_command.h"

#include <cstdint>
#include <optional>

#include "cli/doctor_report.h"
#include "cli/exit_code.h"
#include "cli/json_output.h"
#include "progress_tracker/error.h"
#include "progress_tracker/maintenance.h"
#include "progress_tracker/progress_tracker.h"

namespace progress_tracker::cli {
namespace {

void mend(const std::string& database, Treatment& treatment) {
  const Repair repaired = repair(database);
  treatment.done.insert(treatment.done.end(), repaired.done.begin(), repaired.done.end());
  treatment.counts_corrected += static_cast<std::int64_t>(repaired.corrected.size());
  treatment.workers_forgotten += repaired.workers_forgotten;
  treatment.leftovers_cleared += repaired.leftovers_cleared;
}

// What dead workers hold goes back to pending; each death is counted as it always is.
void give_back(const std::string& database, Treatment& treatment) {
  ProgressTracker tracker(database);
  for (const Job& job : tracker.list_jobs()) {
    try {
      const auto count = static_cast<std::int64_t>(tracker.reset_stuck_images(job.id));
      if (count == 0) continue;
      treatment.images_given_back += count;
      treatment.done.push_back("job " + std::to_string(static_cast<std::int64_t>(job.id)) + " \"" +
                               display(job.name) + "\": " + counted(count, "image") +
                               (count == 1 ? " that a worker that is gone held is"
                                           : " that workers that are gone held are") +
                               " pending again");
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;  // it was removed meanwhile
    }
  }
}

// Throws Error, having told what was done until then.
Treatment treat(const std::string& database, std::ostream& err) {
  Treatment treatment;
  try {
    // First of all: it does nothing to a damaged file, and the rest relies on the counts.
    mend(database, treatment);
    give_back(database, treatment);
    // Who held these images holds nothing now, and can be forgotten.
    if (treatment.images_given_back > 0) mend(database, treatment);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCorrupt) {
      for (const std::string& sentence : treatment.done) {
        complain(err, "repaired: " + display(sentence));
      }
      throw;
    }
    treatment.is_refused = true;
  }
  return treatment;
}

}  // namespace

int doctor_command(const DoctorSettings& settings, const std::string& database,
                   const std::string& program, const Streams& streams) {
  std::optional<Treatment> treatment;
  if (settings.repair) treatment = treat(database, streams.err);
  const Examination found = examine(database);
  if (settings.json) {
    streams.out << doctor_document(found, treatment) << '\n';
  } else {
    write_doctor_report(streams.out, found, treatment, program);
  }
  return found.healthy() ? kExitOk : kExitDatabase;
}

}  // namespace progress_tracker::cli

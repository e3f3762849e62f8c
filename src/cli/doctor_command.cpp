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

// What dead workers hold goes back to pending; each death is counted as it always is.
void give_back(const std::string& database, Treatment& treatment) {
  ProgressTracker tracker(database);
  for (const Job& job : tracker.list_jobs()) {
    try {
      const auto count = static_cast<std::int64_t>(tracker.reset_stuck_images(job.id));
      if (count == 0) continue;
      treatment.images_given_back += count;
      treatment.repaired.done.push_back("job " + std::to_string(static_cast<std::int64_t>(job.id)) +
                                        " \"" + display(job.name) +
                                        "\": " + counted(count, "image") +
                                        (count == 1 ? " that a worker that is gone held is"
                                                    : " that workers that are gone held are") +
                                        " pending again");
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;  // it was removed meanwhile
    }
  }
}

// What the file itself forbids is a refusal, to be shown beside what the examination finds. Throws
// any other Error; `treatment` has what was done until then.
void treat(const std::string& database, Treatment& treatment) {
  try {
    // First of all: it does nothing to a damaged file, and the rest relies on the counts.
    repair(database, treatment.repaired);
    give_back(database, treatment);
    // Who held these images holds nothing now, and can be forgotten.
    if (treatment.images_given_back > 0) repair(database, treatment.repaired);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCorrupt) throw;
    treatment.refusal = error.what();
  }
}

// In place of a report, where there is none.
void complain_of(const Treatment& treatment, std::ostream& err) {
  for (const std::string& sentence : treatment.repaired.done) {
    complain(err, "repaired: " + display(sentence));
  }
  if (treatment.is_refused()) complain(err, "the repair stopped: " + display(treatment.refusal));
}

}  // namespace

int doctor_command(const DoctorSettings& settings, const Context& context) {
  const std::string& database = context.database();
  std::optional<Treatment> treatment;
  Examination found;
  try {
    if (settings.repair) treat(database, treatment.emplace());
    found = examine(database);
  } catch (const Error& error) {
    if (treatment) complain_of(*treatment, context.streams.err);
    if (error.code() != ErrorCode::kNotFound) throw;
    throw NotFound(display(error.what()), kNoDatabaseAdvice);
  }
  if (settings.json) {
    context.streams.out << doctor_document(found, treatment) << '\n';
  } else {
    write_doctor_report(context.streams.out, found, treatment, context.program());
  }
  const bool is_refused = treatment && treatment->is_refused();
  return found.healthy() && !is_refused ? kExitOk : kExitDatabase;
}

}  // namespace progress_tracker::cli

#include "cli/import_command.h"

#include <string>

#include "cli/database.h"
#include "cli/exit_code.h"
#include "cli/json_support.h"
#include "cli/output.h"
#include "progress_tracker/error.h"
#include "progress_tracker/import.h"

namespace progress_tracker::cli {
namespace {

void write_document(std::ostream& out, const ImportSummary& imported) {
  ordered_json document = new_document();
  document["jobs"] = imported.jobs;
  document["images"] = imported.images;
  document["completed"] = imported.completed;
  document["error"] = imported.errors;
  document["batches"] = imported.batches;
  document["already_there"] = imported.already_there;
  document["listed_twice"] = imported.listed_twice;
  document["images_left_out"] = imported.images_left_out;
  document["batches_left_out"] = imported.batches_left_out;
  document["notes"] = imported.notes;
  out << text_of(document) << '\n';
}

void write_summary(const Context& context, const ImportSummary& imported) {
  std::ostream& out = context.streams.out;
  for (const std::string& note : imported.notes) complain(context.streams.err, note);
  out << "brought over: " << counted(imported.jobs, "job") << ", "
      << counted(imported.images, "image") << " (" << imported.completed << " completed, "
      << imported.errors << " in error), " << counted(imported.batches, "batch", "batches") << '\n';
  if (imported.already_there > 0) {
    out << "there before: " << counted(imported.already_there, "image") << '\n';
  }
  if (imported.listed_twice > 0) {
    out << "listed twice: " << counted(imported.listed_twice, "image") << '\n';
  }
  if (imported.images_left_out + imported.batches_left_out > 0) {
    out << "left out: " << counted(imported.images_left_out, "image") << ", "
        << counted(imported.batches_left_out, "batch", "batches") << '\n';
  }
}

}  // namespace

int import_command(const ImportSettings& settings, const Context& context) {
  try {
    // What is wrong with the old one is said before there is a new one.
    check_original(settings.old_database);
  } catch (const Error& error) {
    // Advice about --db would be about the wrong one.
    throw Refusal(display(error.what()), exit_code_for(error.code()));
  }
  const auto tracker = open_tracker(context.database(), Access::kCreate);
  const ImportSummary imported = import_original(settings.old_database, *tracker);
  if (settings.json) {
    write_document(context.streams.out, imported);
  } else {
    write_summary(context, imported);
  }
  return kExitOk;
}

}  // namespace progress_tracker::cli

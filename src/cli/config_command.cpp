#include "cli/config_command.h"

#include <string>
#include <utility>
#include <vector>

#include "cli/exit_code.h"
#include "cli/json_support.h"
#include "cli/output.h"
#include "cli/table.h"

namespace progress_tracker::cli {
namespace {

struct Shown {
  std::string name;
  std::string value;
  std::string origin;
};

std::vector<Shown> all_settings(const Configuration& configuration) {
  const auto& interval = configuration.checkpoint_interval;
  return {
      {"progress.db_path", configuration.database.value, configuration.database.origin},
      {"progress.checkpoint_interval", interval.value ? std::to_string(*interval.value) : "",
       interval.origin},
      {"progress.log_file", configuration.log_file.value, configuration.log_file.origin},
      {"progress.log_level", name_of(configuration.log_level.value),
       configuration.log_level.origin},
      {"--progress", name_of(configuration.progress.value), configuration.progress.origin},
      {"--color", name_of(configuration.color.value), configuration.color.origin},
  };
}

}  // namespace

int config_command(const ConfigSettings& settings, const Context& context) {
  const std::vector<Shown> all = all_settings(context.configuration);
  if (settings.json) {
    ordered_json document = new_document();
    ordered_json& list = document["settings"] = ordered_json::object();
    for (const Shown& each : all) {
      ordered_json& entry = list[each.name];
      entry["value"] = each.value;
      entry["origin"] = each.origin;
    }
    context.streams.out << text_of(document) << '\n';
    return kExitOk;
  }
  Table table({{"setting"}, {"value"}, {"from"}}, context.out.is_colored);
  for (const Shown& each : all) {
    table.add({each.name, each.value.empty() ? "(none)" : display(each.value), each.origin});
  }
  table.write(context.streams.out);
  return kExitOk;
}

}  // namespace progress_tracker::cli

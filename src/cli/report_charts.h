// The charts of the report, as SVG within its page: drawn in percent across and pixels down, so
// that they fit any width with text of one size. Their colours are classes of report_style.h, each
// with a pattern of its own.
#ifndef PROGRESS_TRACKER_CLI_REPORT_CHARTS_H_
#define PROGRESS_TRACKER_CLI_REPORT_CHARTS_H_

#include <string>

#include "cli/durations.h"
#include "cli/html_writer.h"
#include "cli/timeline.h"
#include "progress_tracker/types.h"

namespace progress_tracker::cli {

// What the other charts refer to: once, before them.
void write_chart_patterns(HtmlWriter& html);

// A square in the colour and pattern of a status, for a legend. It has no text of its own.
void write_swatch(HtmlWriter& html, const std::string& status);

// The parts of a whole, for eyes only: the figures stand beside it.
void write_status_bar(HtmlWriter& html, const StatusCounts& counts);

// `timeline` has bars.
void write_timeline_chart(HtmlWriter& html, const Timeline& timeline);

// `durations` are of one image at least.
void write_duration_chart(HtmlWriter& html, const Durations& durations);

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_REPORT_CHARTS_H_

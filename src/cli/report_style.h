// How the report looks, on paper too: no colour is the only sign of anything.
#ifndef PROGRESS_TRACKER_CLI_REPORT_STYLE_H_
#define PROGRESS_TRACKER_CLI_REPORT_STYLE_H_

namespace progress_tracker::cli {

// Text and its ground differ by 4.5:1 at least, in the light and in the dark.
inline constexpr char kReportStyle[] = R"(
:root {
  color-scheme: light dark;
  --ground: #ffffff; --panel: #f5f7f9; --text: #1c2228; --quiet: #56606b; --line: #d5dbe1;
  --completed: #2b6f94; --error: #b3392f; --error-mark: #f6d5d1; --processing: #a97512;
  --processing-mark: #f3dfb8; --pending: #dfe4e9; --duration: #50708a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14181c; --panel: #1c2228; --text: #e3e7eb; --quiet: #a0abb6; --line: #353e47;
    --completed: #5fa8cf; --error: #f08a7e; --error-mark: #5d1f19; --processing: #dcae5a;
    --processing-mark: #5a430f; --pending: #333c45; --duration: #8fb0c9;
  }
}
@media print {
  :root {
    color-scheme: light;
    --ground: #ffffff; --panel: #ffffff; --text: #000000; --quiet: #444444; --line: #bbbbbb;
    --completed: #2b6f94; --error: #b3392f; --error-mark: #f6d5d1; --processing: #a97512;
    --processing-mark: #f3dfb8; --pending: #dfe4e9; --duration: #50708a;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans",
    sans-serif;
  overflow-wrap: anywhere;
}
main, header, footer { max-width: 60rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.25; font-weight: 650; }
.name-of-job { unicode-bidi: isolate; }
h2 { margin: 0 0 0.25rem; font-size: 1.15rem; font-weight: 650; }
h3 { margin: 0; font-size: 1rem; font-weight: 600; }
p { margin: 0.25rem 0; }
section { margin: 2.75rem 0 0; }
.kind { margin: 0 0 0.25rem; color: var(--quiet); font-size: 0.875rem; }
.lede { margin: 0.5rem 0 1.25rem; }
.state {
  display: inline-block; margin-right: 0.5rem; padding: 0.05rem 0.6rem; border-radius: 1rem;
  border: 1px solid currentColor; font-size: 0.875rem; font-weight: 600;
}
.state.good { color: var(--completed); }
.state.bad { color: var(--error); }
.state.busy { color: var(--processing); }
.state.idle { color: var(--quiet); }
.quiet, figcaption { color: var(--quiet); font-size: 0.875rem; }
.notice {
  margin: 1.25rem 0 0; padding: 0.6rem 0.9rem; border-left: 4px solid var(--processing);
  background: var(--panel); font-size: 0.9375rem;
}
.facts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1px;
  margin: 1.5rem 0 0; background: var(--panel); border: 1px solid var(--line); border-radius: 6px;
  overflow: hidden;
}
.facts div { padding: 0.7rem; box-shadow: 0 0 0 1px var(--line); }
.facts dt { color: var(--quiet); font-size: 0.8125rem; }
.facts dd { margin: 0; }
.facts .value { font-size: 1.125rem; font-weight: 600; line-height: 1.4; }
.facts .note { color: var(--quiet); font-size: 0.8125rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0.15rem 1.25rem; margin: 0.5rem 0 0; padding: 0;
  list-style: none; font-size: 0.875rem; }
.swatch { margin-right: 0.45em; vertical-align: -1px; }
figure { margin: 0.25rem 0 0; }
figcaption { margin-bottom: 0.75rem; }
.plot { padding: 0 0.25rem 0 2.75rem; }
svg { display: block; overflow: visible; }
.swatch { display: inline-block; }
svg text { fill: var(--quiet); font-size: 12px; }
svg .mark-label {
  fill: var(--text); stroke: var(--ground); stroke-width: 3px; paint-order: stroke;
}
.patterns { position: absolute; }
.status-bar { height: 1rem; border-radius: 3px; overflow: hidden; }
td .status-bar { height: 0.7rem; min-width: 7rem; }
.completed, .completed-ground { fill: var(--completed); }
.error { fill: url(#error-pattern); }
.processing { fill: url(#processing-pattern); }
.pending { fill: var(--pending); }
.error-ground { fill: var(--error); }
.error-mark { stroke: var(--error-mark); stroke-width: 1.2; }
.processing-ground { fill: var(--processing); }
.processing-mark { stroke: var(--processing-mark); stroke-width: 1; }
.duration { fill: var(--duration); }
.touching { shape-rendering: crispEdges; }
.grid { stroke: var(--line); stroke-width: 1; shape-rendering: crispEdges; }
.base { stroke: var(--quiet); stroke-width: 1; shape-rendering: crispEdges; }
.mark { stroke: var(--text); stroke-width: 1; stroke-dasharray: 3 3; }
.scroll { overflow-x: auto; margin-top: 0.75rem; }
table { width: 100%; border-collapse: collapse; font-size: 0.9375rem; }
th, td { padding: 0.4rem 0.9rem 0.4rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); font-weight: 400; overflow-wrap: normal; }
th:last-child, td:last-child { padding-right: 0; }
.number + :not(.number) { padding-left: 0.6rem; }
thead th { color: var(--quiet); font-size: 0.8125rem; vertical-align: bottom; }
tfoot th, tfoot td { font-weight: 600; border-bottom: 0; }
td.bar { vertical-align: middle; width: 30%; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.time { white-space: nowrap; font-variant-numeric: tabular-nums; }
.name { min-width: 6rem; max-width: 20rem; overflow-wrap: anywhere; unicode-bidi: isolate; }
.path { min-width: 13rem; overflow-wrap: anywhere; unicode-bidi: isolate;
  font: 0.875rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
article { margin: 1rem 0 0; padding: 0.75rem 0 0; border-top: 1px solid var(--line); }
article ul { margin: 0.25rem 0 0; padding: 0 0 0 1.1rem; }
pre {
  margin: 0.4rem 0; padding: 0.5rem 0.75rem; background: var(--panel);
  border-left: 3px solid var(--error); white-space: pre-wrap; overflow-wrap: anywhere;
  font: 0.875rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  unicode-bidi: isolate;
}
footer { margin-top: 3rem; padding-bottom: 2.5rem; color: var(--quiet); font-size: 0.8125rem; }
footer p { border-top: 1px solid var(--line); padding-top: 0.75rem; }
@media (max-width: 40rem) {
  main, header, footer { padding-left: 1rem; padding-right: 1rem; }
  header { padding-top: 1.5rem; }
  h1 { font-size: 1.4rem; }
  .facts { grid-template-columns: 1fr 1fr; }
  .path, pre { font-size: 0.8125rem; }
  .other { display: none; }
}
@media print {
  body { font-size: 10.5pt; }
  main, header, footer { max-width: none; padding-left: 0; padding-right: 0; }
  header { padding-top: 0; }
  section { margin-top: 1.5rem; }
  h2 { break-after: avoid; }
  figure, article, tr { break-inside: avoid; }
  .scroll { overflow: visible; }
  thead { display: table-header-group; }
}
)";

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_REPORT_STYLE_H_

#include "cli/html_writer.h"

#include <algorithm>
#include <cstddef>

#include "cli/output.h"

namespace progress_tracker::cli {
namespace {

// For text and for attributes in double quotes.
std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : display(text)) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

}  // namespace

HtmlWriter::Element::~Element() { html_.out_ << "</" << tag_ << '>'; }

void HtmlWriter::doctype() { out_ << "<!DOCTYPE html>\n"; }

HtmlWriter::Element HtmlWriter::inside(std::string_view tag, Attributes attributes) {
  start_tag(tag, attributes);
  out_ << '>';
  return {*this, tag};
}

void HtmlWriter::element(std::string_view tag, Attributes attributes, std::string_view content) {
  const auto scope = inside(tag, attributes);
  text(content);
}

void HtmlWriter::empty(std::string_view tag, Attributes attributes) {
  start_tag(tag, attributes);
  out_ << "/>";
}

void HtmlWriter::text(std::string_view text) { out_ << escaped(text); }

void HtmlWriter::lines(std::string_view text) {
  while (true) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out_ << escaped(text.substr(0, end));
    if (end == text.size()) return;
    out_ << '\n';
    text.remove_prefix(end + 1);
  }
}

void HtmlWriter::style(std::string_view css) { out_ << "<style>" << css << "</style>"; }

void HtmlWriter::start_tag(std::string_view tag, Attributes attributes) {
  // A new line before each of these keeps the source readable.
  constexpr std::string_view kBlocks[] = {"head",  "body", "main", "header",  "footer", "section",
                                          "table", "tr",   "h1",   "h2",      "figure", "meta",
                                          "title", "dl",   "svg",  "article", "p"};
  if (std::find(std::begin(kBlocks), std::end(kBlocks), tag) != std::end(kBlocks)) out_ << '\n';
  out_ << '<' << tag;
  for (const auto& [name, value] : attributes) {
    out_ << ' ' << name << "=\"" << escaped(value) << '"';
  }
}

}  // namespace progress_tracker::cli

// Writes HTML in which foreign text is only ever text.
#ifndef PROGRESS_TRACKER_CLI_HTML_WRITER_H_
#define PROGRESS_TRACKER_CLI_HTML_WRITER_H_

#include <initializer_list>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace progress_tracker::cli {

// Tags, names of attributes and style sheets are the program's own, and written as they are.
// Everything else is made visible as display() does it, then escaped. The markup is well-formed XML
// too, so that any XML parser can check it.
class HtmlWriter {
 public:
  using Attributes = std::initializer_list<std::pair<std::string_view, std::string>>;

  // Ends its element when it goes out of scope.
  class [[nodiscard]] Element {
   public:
    Element(HtmlWriter& html, std::string_view tag) : html_(html), tag_(tag) {}
    Element(const Element&) = delete;
    Element& operator=(const Element&) = delete;
    ~Element();

   private:
    HtmlWriter& html_;
    const std::string_view tag_;
  };

  // `out` does not throw; its state tells of failures.
  explicit HtmlWriter(std::ostream& out) : out_(out) {}

  void doctype();

  // An element with what is written until the returned value goes out of scope. `tag` is a literal.
  Element inside(std::string_view tag, Attributes attributes = {});

  // An element with text.
  void element(std::string_view tag, std::string_view text) { element(tag, {}, text); }
  void element(std::string_view tag, Attributes attributes, std::string_view text);

  // An element that has no content, such as <meta> or SVG's <rect>.
  void empty(std::string_view tag, Attributes attributes);

  void text(std::string_view text);
  // The same, but what breaks a line in `text` breaks it in the source of the page too, which shows
  // in an element that keeps white space.
  void lines(std::string_view text);

  // The content of <style>: the program's own, without "<" and "&".
  void style(std::string_view css);

 private:
  void start_tag(std::string_view tag, Attributes attributes);

  std::ostream& out_;
};

}  // namespace progress_tracker::cli

#endif  // PROGRESS_TRACKER_CLI_HTML_WRITER_H_

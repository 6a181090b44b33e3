// Filters that make texts.
#include <array>

#include "text/jinja/access.h"
#include "text/jinja/compare.h"
#include "text/jinja/filters.h"
#include "text/jinja/format.h"
#include "text/jinja/iteration.h"
#include "text/jinja/json_text.h"
#include "text/jinja/repr.h"
#include "text/jinja/text_methods.h"
#include "text/jinja/unicode.h"

namespace millrace::jinja {
namespace {

Value string(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("string", arguments, {});
  return to_str(heap, input);
}

template <std::string (*Convert)(std::string_view)>
Value converted(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("case conversion", arguments, {});
  const Value text = to_str(heap, input);
  heap.work(text.text().size());
  return heap.str(Convert(text.text()));
}

// Unlike str.title(), words start only behind spaces, hyphens and opening brackets.
std::string titled_words(std::string_view text) {
  std::string out;
  const auto parts_words = [](char32_t c) {
    return is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    if (parts_words(utf8_next(text, at))) {
      out.append(text, start, at - start);
      continue;
    }
    const std::size_t rest = at;
    std::size_t end = at;
    while (end < text.size() && !parts_words(utf8_next(text, end))) at = end;
    out += to_upper(text.substr(start, rest - start));
    out += to_lower(text.substr(rest, at - rest));
  }
  return out;
}

Value trim(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("trim", arguments, {"chars"});
  const Value text = to_str(heap, input);
  heap.work(text.text().size());
  if (bound.is_none(0)) return heap.str(std::string(strip(text.text())));
  return heap.str(std::string(strip(text.text(), bound.text(0, ""))));
}

Value replace(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("replace", arguments, {"old", "new", "count"}, 2);
  const Value text = to_str(heap, input);
  const Value from = to_str(heap, bound[0]);
  const Value to = to_str(heap, bound[1]);
  return replace_text(heap, text.text(), from.text(), to.text(),
                      bound.is_none(2) ? -1 : bound.integer(2, -1));
}

Value join(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("join", arguments, {"d", "attribute"});
  const Value separator = bound.has(0) ? to_str(heap, bound[0]) : heap.str("");
  if (bound.is_none(1)) return join_items(heap, separator.text(), input, true);
  std::vector<Value> parts;
  for (const Value& item : all_items(heap, input)) parts.push_back(path_of(heap, item, bound[1]));
  return join_items(heap, separator.text(), heap.list(std::move(parts)), true);
}

// Python's json.dumps accepts a number of blanks or a text.
std::optional<std::string> indent_of(const Value& value) {
  if (value.is_none()) return std::nullopt;
  if (value.is_str()) return std::string(value.text());
  if (!value.is_integral()) raise("tojson: indent is a {}, expected an integer", type_name(value));
  if (value.integer() > 1000) raise_too_large("tojson: an indent over 1000");
  return std::string(value.integer() > 0 ? static_cast<std::size_t>(value.integer()) : 0, ' ');
}

Value tojson(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = bound.flag(0);
  style.sort_keys = bound.flag(3);
  if (bound.has(1)) style.indent = indent_of(bound[1]);
  if (style.indent) style.item_separator = ",";
  if (!bound.is_none(2)) {
    const std::vector<Value> separators = all_items(heap, bound[2]);
    if (separators.size() != 2 || !separators[0].is_str() || !separators[1].is_str())
      raise("tojson: separators must be two strings");
    style.item_separator = separators[0].text();
    style.key_separator = separators[1].text();
  }
  TextBuilder out(heap);
  add_json(out, input, style);
  return out.value();
}

// Nothing is escaped by itself, so that a safe text is a text like any other.
Value safe(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("safe", arguments, {});
  return to_str(heap, input);
}

Value escape(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("escape", arguments, {});
  const Value text = to_str(heap, input);
  heap.work(text.text().size());
  TextBuilder out(heap);
  for (const char c : text.text()) {
    switch (c) {
      case '&':
        out.add("&amp;");
        break;
      case '<':
        out.add("&lt;");
        break;
      case '>':
        out.add("&gt;");
        break;
      case '"':
        out.add("&#34;");
        break;
      case '\'':
        out.add("&#39;");
        break;
      default:
        out.add(std::string_view(&c, 1));
    }
  }
  return out.value();
}

Value indent(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("indent", arguments, {"width", "first", "blank"});
  if (input.is_undefined()) raise("indent: {}", input.undefined_reason());
  if (!input.is_str()) raise("indent: found a {}, expected a string", type_name(input));
  std::string margin(4, ' ');
  if (bound.has(0) && bound[0].is_str()) {
    margin = bound[0].text();
  } else if (bound.has(0)) {
    const Integer width = bound.integer(0, 4);
    if (width > 100'000) raise_too_large("indent: a width over 100000");
    margin.assign(width > 0 ? static_cast<std::size_t>(width) : 0, ' ');
  }
  // The reference appends a line end, which splitting takes away again.
  std::string text(input.text());
  text.push_back('\n');
  const bool blank = bound.flag(2);
  TextBuilder out(heap);
  if (bound.flag(1)) out.add(margin);
  bool first = true;
  for (const std::string_view line : split_lines(heap, text, false)) {
    if (!first) {
      out.add("\n");
      if (blank || !line.empty()) out.add(margin);
      heap.work(margin.size());
    }
    first = false;
    out.add(line);
  }
  return out.value();
}

Value format(Heap& heap, const Value& input, const Arguments& arguments) {
  const Value text = to_str(heap, input);
  if (!arguments.positional.empty() && !arguments.named.empty())
    raise("format: takes positional or named arguments, not both");
  if (arguments.named.empty())
    return percent_format(heap, text.text(), heap.tuple(arguments.positional));
  auto entries = heap.new_dict();
  for (const auto& [name, value] : arguments.named) entries->set(heap.str(name), value);
  return percent_format(heap, text.text(), heap.dict(std::move(entries)));
}

Value truncate(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("truncate", arguments, {"length", "killwords", "end", "leeway"});
  Value source = to_str(heap, input);
  const std::string_view end = bound.text(2, "...");
  const Integer end_length = static_cast<Integer>(utf8_length(end));
  const Integer length = bound.integer(0, 255);
  const Integer leeway = bound.is_none(3) ? 5 : bound.integer(3, 5);
  if (length < end_length) raise("truncate: the length is less than that of the end mark");
  if (leeway < 0) raise("truncate: the leeway is negative");
  if (static_cast<Integer>(source.length()) - leeway <= length) return source;
  heap.work(source.text().size());
  std::string_view kept = source.text().substr(
      0, utf8_offset(source.text(), static_cast<std::size_t>(length - end_length)));
  if (!bound.flag(1)) kept = kept.substr(0, kept.rfind(' '));
  return heap.str(std::string(kept) + std::string(end));
}

Value wordcount(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("wordcount", arguments, {});
  const Value text = to_str(heap, input);
  heap.work(text.text().size());
  Integer count = 0;
  bool inside = false;
  for (std::size_t at = 0; at < text.text().size();) {
    const char32_t c = utf8_next(text.text(), at);
    const bool word = is_alpha(c) || is_numeric(c) || is_digit(c) || c == '_';
    if (word && !inside) ++count;
    inside = word;
  }
  return Value::integer(count);
}

Value center(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("center", arguments, {"width"});
  Value text = to_str(heap, input);
  Arguments width;
  width.positional.push_back(bound.get(0, Value::integer(80)));
  for (const NamedFunction& method : text_methods())
    if (method.name == "center") return method.function(heap, text, width);
  return text;
}

constexpr std::array<NamedFunction, 18> kFilters = {{
    {"capitalize", converted<to_capitalized>},
    {"center", center},
    {"e", escape},
    {"escape", escape},
    {"forceescape", escape},
    {"format", format},
    {"indent", indent},
    {"join", join},
    {"lower", converted<to_lower>},
    {"replace", replace},
    {"safe", safe},
    {"string", string},
    {"title", converted<titled_words>},
    {"tojson", tojson},
    {"trim", trim},
    {"truncate", truncate},
    {"upper", converted<to_upper>},
    {"wordcount", wordcount},
}};

}  // namespace

std::span<const NamedFunction> text_filters() {
  return kFilters;
}

}  // namespace millrace::jinja

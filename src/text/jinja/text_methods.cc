#include "text/jinja/text_methods.h"

#include <algorithm>
#include <array>

#include "text/jinja/access.h"
#include "text/jinja/compare.h"
#include "text/jinja/format.h"
#include "text/jinja/iteration.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace millrace::jinja {
namespace {

constexpr Integer kAll = -1;  // no limit on a count

Value new_text(Heap& heap, std::string_view text) {
  return heap.str(std::string(text));
}

// Reads all of self once: what nearly every method does.
std::string_view read(Heap& heap, const Value& self) {
  heap.work(self.text().size());
  return self.text();
}

template <std::string (*Convert)(std::string_view)>
Value converted(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("case conversion", arguments, {});
  return heap.str(Convert(read(heap, self)));
}

template <Side side>
Value stripped(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("strip", arguments, {"chars"});
  const std::string_view text = read(heap, self);
  if (bound.is_none(0)) return new_text(heap, strip(text, side));
  return new_text(heap, strip(text, bound.text(0, ""), side));
}

// All characters satisfy the test, and there is at least one.
template <bool (*Test)(char32_t)>
Value every(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("character test", arguments, {});
  const std::string_view text = read(heap, self);
  for (std::size_t at = 0; at < text.size();)
    if (!Test(utf8_next(text, at))) return Value::boolean(false);
  return Value::boolean(!text.empty());
}

bool is_alphanumeric(char32_t c) {
  return is_alpha(c) || is_numeric(c) || is_digit(c);
}

Value is_ascii(Heap&, const Value& self, const Arguments&) {
  return Value::boolean(self.text().size() == self.length());
}

Value is_all_printable(Heap& heap, const Value& self, const Arguments&) {
  const std::string_view text = read(heap, self);
  for (std::size_t at = 0; at < text.size();)
    if (!is_printable(utf8_next(text, at))) return Value::boolean(false);
  return Value::boolean(true);
}

// At least one cased character, and none of the other case.
template <bool (*Wanted)(char32_t), bool (*Other)(char32_t)>
Value one_case(Heap& heap, const Value& self, const Arguments&) {
  const std::string_view text = read(heap, self);
  bool found = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t code = utf8_next(text, at);
    if (Other(code) || is_title(code)) return Value::boolean(false);
    found = found || Wanted(code);
  }
  return Value::boolean(found);
}

Value is_titled(Heap& heap, const Value& self, const Arguments&) {
  const std::string_view text = read(heap, self);
  bool found = false;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t code = utf8_next(text, at);
    const bool capital = is_upper(code) || is_title(code);
    const bool small = is_lower(code);
    if ((capital && inside) || (small && !inside)) return Value::boolean(false);
    inside = capital || small;
    found = found || inside;
  }
  return Value::boolean(found);
}

// startswith and endswith take a text or a tuple of texts, and a range of characters.
template <bool AtEnd>
Value has_affix(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound(AtEnd ? "endswith" : "startswith", arguments, {"affix", "start", "end"}, 1);
  const Value part =
      slice_of(heap, self, bound.get(1, Value::none()), bound.get(2, Value::none()), Value::none());
  const std::string_view text = part.text();
  const auto matches = [&](const Value& affix) {
    if (!affix.is_str())
      raise("{}: found a {}, expected a string", AtEnd ? "endswith" : "startswith",
            type_name(affix));
    heap.work(affix.text().size());
    return AtEnd ? text.ends_with(affix.text()) : text.starts_with(affix.text());
  };
  if (!bound[0].is(Kind::Tuple)) return Value::boolean(matches(bound[0]));
  const auto& affixes = bound[0].items();
  return Value::boolean(std::any_of(affixes.begin(), affixes.end(), matches));
}

// Code point index of a find's result, or -1.
template <bool FromEnd, bool Required>
Value find_in(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound(Required ? "index" : "find", arguments, {"text", "start", "end"}, 1);
  const std::string_view wanted = bound.text(0, "");
  heap.work(self.text().size());
  const Value part =
      slice_of(heap, self, bound.get(1, Value::none()), bound.get(2, Value::none()), Value::none());
  const std::size_t found = FromEnd ? part.text().rfind(wanted) : part.text().find(wanted);
  if (found == std::string_view::npos) {
    if (Required) raise("index: {} is not in the string", quoted(wanted.substr(0, 100)));
    return Value::integer(-1);
  }
  Integer start = bound.is_none(1) ? 0 : bound.integer(1, 0);
  const Integer length = static_cast<Integer>(self.length());
  if (start < 0) start = std::max<Integer>(start + length, 0);
  if (start > length) return Value::integer(-1);
  return Value::integer(start + static_cast<Integer>(utf8_length(part.text().substr(0, found))));
}

Value count_of(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("count", arguments, {"text", "start", "end"}, 1);
  const std::string_view wanted = bound.text(0, "");
  heap.work(self.text().size());
  const Value part =
      slice_of(heap, self, bound.get(1, Value::none()), bound.get(2, Value::none()), Value::none());
  if (wanted.empty()) return Value::size(part.length() + 1);
  Integer count = 0;
  for (std::size_t at = part.text().find(wanted); at != std::string_view::npos;
       at = part.text().find(wanted, at + wanted.size()))
    ++count;
  return Value::integer(count);
}

Value replace(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("replace", arguments, {"old", "new", "count"}, 2);
  return replace_text(heap, self.text(), bound.text(0, ""), bound.text(1, ""),
                      bound.integer(2, kAll));
}

Value join(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("join", arguments, {"iterable"}, 1);
  return join_items(heap, self.text(), bound[0], false);
}

Value format(Heap& heap, const Value& self, const Arguments& arguments) {
  return brace_format(heap, self.text(), arguments);
}

Value list_of(Heap& heap, const std::vector<std::string_view>& parts) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) items.push_back(new_text(heap, part));
  return heap.list(std::move(items));
}

void split_at_space(Heap& heap, std::string_view text, Integer most, bool from_end,
                    std::vector<std::string_view>& parts) {
  text = strip(text, from_end ? Side::Right : Side::Left);
  while (!text.empty()) {
    heap.step();
    if (most == 0) {
      parts.push_back(text);  // with its white space at the other end
      break;
    }
    if (most > 0) --most;
    if (from_end) {
      std::size_t start = text.size();
      while (start > 0) {
        const std::size_t before = utf8_before(text, start);
        std::size_t at = before;
        if (is_space(utf8_next(text, at))) break;
        start = before;
      }
      parts.push_back(text.substr(start));
      text = strip(text.substr(0, start), Side::Right);
    } else {
      std::size_t end = 0;
      while (end < text.size()) {
        std::size_t next = end;
        if (is_space(utf8_next(text, next))) break;
        end = next;
      }
      parts.push_back(text.substr(0, end));
      text = strip(text.substr(end), Side::Left);
    }
  }
}

void split_at(Heap& heap, std::string_view text, std::string_view separator, Integer most,
              bool from_end, std::vector<std::string_view>& parts) {
  while (most != 0) {
    heap.step();
    const std::size_t at = from_end ? text.rfind(separator) : text.find(separator);
    if (at == std::string_view::npos) break;
    const std::string_view behind = text.substr(at + separator.size());
    parts.push_back(from_end ? behind : text.substr(0, at));
    text = from_end ? text.substr(0, at) : behind;
    if (most > 0) --most;
  }
  parts.push_back(text);
}

template <bool FromEnd>
Value split(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("split", arguments, {"sep", "maxsplit"});
  const std::string_view text = read(heap, self);
  std::vector<std::string_view> parts;
  if (bound.is_none(0)) {
    split_at_space(heap, text, bound.integer(1, kAll), FromEnd, parts);
  } else {
    if (bound.text(0, "").empty()) raise("split: the separator is empty");
    split_at(heap, text, bound.text(0, ""), bound.integer(1, kAll), FromEnd, parts);
  }
  if (FromEnd) std::reverse(parts.begin(), parts.end());
  return list_of(heap, parts);
}

template <bool FromEnd>
Value partition(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("partition", arguments, {"sep"}, 1);
  const std::string_view text = read(heap, self);
  const std::string_view separator = bound.text(0, "");
  if (separator.empty()) raise("partition: the separator is empty");
  const std::size_t at = FromEnd ? text.rfind(separator) : text.find(separator);
  std::vector<Value> parts;
  if (at != std::string_view::npos) {
    parts = {new_text(heap, text.substr(0, at)), new_text(heap, separator),
             new_text(heap, text.substr(at + separator.size()))};
  } else if (FromEnd) {
    parts = {heap.str(""), heap.str(""), self};
  } else {
    parts = {self, heap.str(""), heap.str("")};
  }
  return heap.tuple(std::move(parts));
}

Value splitlines(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("splitlines", arguments, {"keepends"});
  return list_of(heap, split_lines(heap, self.text(), bound.flag(0)));
}

Value removeprefix(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("removeprefix", arguments, {"prefix"}, 1);
  const std::string_view prefix = bound.text(0, "");
  if (!self.text().starts_with(prefix)) return self;
  return new_text(heap, self.text().substr(prefix.size()));
}

Value removesuffix(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("removesuffix", arguments, {"suffix"}, 1);
  const std::string_view suffix = bound.text(0, "");
  if (!self.text().ends_with(suffix)) return self;
  return new_text(heap, self.text().substr(0, self.text().size() - suffix.size()));
}

enum class Place { Left, Center, Right };

template <Place place>
Value justified(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("justify", arguments, {"width", "fillchar"}, 1);
  const std::string_view fill = bound.text(1, " ");
  if (utf8_length(fill) != 1) raise("the fill character must be one character");
  const Integer length = static_cast<Integer>(self.length());
  const Integer width = bound.integer(0, 0);
  if (width <= length) return self;
  if (width > static_cast<Integer>(heap.limits().value_bytes))
    raise_too_large("a text of {} characters", int_text(width));
  const auto missing = static_cast<std::size_t>(width - length);
  // Python puts the odd character left when the width is odd.
  const std::size_t left = place == Place::Left ? 0
                           : place == Place::Right
                               ? missing
                               : missing / 2 + (missing & static_cast<std::size_t>(width) & 1);
  TextBuilder out(heap);
  heap.work(missing);
  for (std::size_t i = 0; i < left; ++i) out.add(fill);
  out.add(self.text());
  for (std::size_t i = left; i < missing; ++i) out.add(fill);
  return out.value();
}

Value zfill(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("zfill", arguments, {"width"}, 1);
  const Integer width = bound.integer(0, 0);
  const Integer length = static_cast<Integer>(self.length());
  if (width <= length) return self;
  if (width > static_cast<Integer>(heap.limits().value_bytes))
    raise_too_large("a text of {} characters", int_text(width));
  std::string_view text = self.text();
  TextBuilder out(heap);
  if (text.starts_with('+') || text.starts_with('-')) {
    out.add(text.substr(0, 1));
    text.remove_prefix(1);
  }
  out.add(static_cast<std::size_t>(width - length), '0');
  out.add(text);
  return out.value();
}

constexpr std::array<NamedFunction, 41> kMethods = {{
    {"capitalize", converted<to_capitalized>},
    {"casefold", converted<to_lower>},
    {"center", justified<Place::Center>},
    {"count", count_of},
    {"endswith", has_affix<true>},
    {"find", find_in<false, false>},
    {"format", format},
    {"index", find_in<false, true>},
    {"isalnum", every<is_alphanumeric>},
    {"isalpha", every<is_alpha>},
    {"isascii", is_ascii},
    {"isdecimal", every<is_decimal>},
    {"isdigit", every<is_digit>},
    {"islower", one_case<is_lower, is_upper>},
    {"isnumeric", every<is_numeric>},
    {"isprintable", is_all_printable},
    {"isspace", every<is_space>},
    {"istitle", is_titled},
    {"isupper", one_case<is_upper, is_lower>},
    {"join", join},
    {"ljust", justified<Place::Left>},
    {"lower", converted<to_lower>},
    {"lstrip", stripped<Side::Left>},
    {"partition", partition<false>},
    {"removeprefix", removeprefix},
    {"removesuffix", removesuffix},
    {"replace", replace},
    {"rfind", find_in<true, false>},
    {"rindex", find_in<true, true>},
    {"rjust", justified<Place::Right>},
    {"rpartition", partition<true>},
    {"rsplit", split<true>},
    {"rstrip", stripped<Side::Right>},
    {"split", split<false>},
    {"splitlines", splitlines},
    {"startswith", has_affix<false>},
    {"strip", stripped<Side::Both>},
    {"swapcase", converted<swap_case>},
    {"title", converted<to_title>},
    {"upper", converted<to_upper>},
    {"zfill", zfill},
}};

}  // namespace

std::span<const NamedFunction> text_methods() {
  return kMethods;
}

Value replace_text(Heap& heap, std::string_view text, std::string_view from, std::string_view to,
                   Integer count) {
  heap.work(text.size());
  TextBuilder out(heap);
  std::size_t at = 0;
  while (count != 0) {
    heap.step();
    std::size_t found = at;
    if (from.empty()) {
      // Between all characters, and at both ends.
      out.add(to);
      if (at == text.size()) return out.value();
      utf8_next(text, found);
      out.add(text.substr(at, found - at));
      at = found;
    } else {
      found = text.find(from, at);
      if (found == std::string_view::npos) break;
      out.add(text.substr(at, found - at));
      out.add(to);
      at = found + from.size();
    }
    if (count > 0) --count;
  }
  out.add(text.substr(at));
  return out.value();
}

Value join_items(Heap& heap, std::string_view separator, const Value& items, bool convert) {
  TextBuilder out(heap);
  Cursor cursor(heap, items);
  Value item;
  for (std::size_t count = 0; cursor.next(item); ++count) {
    if (count > 0) {
      heap.work(separator.size());
      out.add(separator);
    }
    if (!convert && !item.is_str())
      raise("join: item {} is a {}, expected a string", count, type_name(item));
    add_str(out, item);
  }
  return out.value();
}

std::vector<std::string_view> split_lines(Heap& heap, std::string_view text, bool keep_ends) {
  heap.work(text.size());
  std::vector<std::string_view> lines;
  for (std::size_t at = 0; at < text.size();) {
    heap.step();
    const LineEnd line = next_line(text, at);
    lines.push_back(text.substr(at, (keep_ends ? line.next : line.end) - at));
    at = line.next;
  }
  return lines;
}

}  // namespace millrace::jinja

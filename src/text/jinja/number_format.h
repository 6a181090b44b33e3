// Numbers and texts in fields of a given width, for both kinds of format.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/heap.h"

namespace millrace::jinja {

// [[fill]align][sign][#][0][width][grouping][.precision][type]
struct FormatSpec {
  std::string fill = " ";  // one code point
  char align = 0;          // < > ^ =, or 0 for the type's own
  char sign = '-';         // - + space
  bool alternate = false;  // #
  char grouping = 0;       // , or _
  std::size_t width = 0;
  int precision = -1;  // -1: none
  char type = 0;
};

// The number's digits with sign and prefix, padded. Raises for types that the value does not take.
void add_number(TextBuilder& out, const Value& number, const FormatSpec& spec);
// A text cut to the precision, padded.
void add_text(TextBuilder& out, std::string_view text, const FormatSpec& spec);

}  // namespace millrace::jinja

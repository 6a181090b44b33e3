// How values look when printed: Python's str() and repr().
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/heap.h"

namespace millrace::jinja {

// str(): texts as they are, undefined as nothing, all else as repr().
void add_str(TextBuilder& out, const Value& value);
Value to_str(Heap& heap, const Value& value);

// repr(): what a list shows of its items.
void add_repr(TextBuilder& out, const Value& value);

// "'text'" with Python's choice of quotes and its escapes.
std::string quoted(std::string_view text);

// The shortest digits that read back as the same double: "0.1", "1e-07", "1e+16", "inf".
std::string float_repr(double value);
std::string int_text(Integer value, int base = 10);

}  // namespace millrace::jinja

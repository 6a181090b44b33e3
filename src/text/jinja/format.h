// Python's two ways to fill in texts: "%s" % x and "{}".format(x).
#pragma once

#include <string_view>

#include "text/jinja/arguments.h"

namespace millrace::jinja {

// Operands: a tuple, a dict for %(name)s, or a single value.
Value percent_format(Heap& heap, std::string_view format, const Value& operands);

// str.format: fields with names, indices, attributes, !r and !s, and format specs.
Value brace_format(Heap& heap, std::string_view format, const Arguments& arguments);

}  // namespace millrace::jinja

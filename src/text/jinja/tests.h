// The tests of the template language: value is name(arguments).
#pragma once

#include <string_view>

#include "text/jinja/arguments.h"

namespace millrace::jinja {

// Raises for an unknown name.
bool apply_test(Heap& heap, std::string_view name, const Value& input, const Arguments& arguments);

}  // namespace millrace::jinja

// The methods of Python's types that templates may call: none of them changes its object.
#pragma once

#include <string_view>

#include "text/jinja/arguments.h"

namespace millrace::jinja {

// Null when values of that kind have no such method.
const NamedFunction* find_method(Kind kind, std::string_view name);

}  // namespace millrace::jinja

// Template source to a syntax tree, by Jinja's grammar.
#pragma once

#include <string_view>

#include "text/jinja/ast.h"
#include "text/jinja/limits.h"

namespace millrace::jinja {

// Raises Failure with the line: Corrupt for malformed templates, Unsupported for tags that the
// engine refuses (include, import, extends, ...), TooLarge over the limits.
ast::Body parse_template(std::string_view source, const JinjaLimits& limits);

}  // namespace millrace::jinja

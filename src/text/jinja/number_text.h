// Python's int("...") and float("...").
#pragma once

#include <optional>
#include <string_view>

#include "text/jinja/value.h"

namespace millrace::jinja {

// Nothing for what Python would refuse. Base 0 goes by the prefix. Raises when too large.
std::optional<Integer> parse_int(std::string_view text, int base);
std::optional<double> parse_float(std::string_view text);

}  // namespace millrace::jinja

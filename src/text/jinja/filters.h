// The filters of the template language: value | name(arguments).
#pragma once

#include <span>
#include <string_view>

#include "text/jinja/arguments.h"

namespace millrace::jinja {

// Raises for an unknown name.
Value apply_filter(Heap& heap, std::string_view name, const Value& input,
                   const Arguments& arguments);
bool has_filter(std::string_view name);

// The parts of the table, by what they work on.
std::span<const NamedFunction> text_filters();
std::span<const NamedFunction> number_filters();
std::span<const NamedFunction> sequence_filters();
std::span<const NamedFunction> selection_filters();

}  // namespace millrace::jinja

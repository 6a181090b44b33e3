// The methods of str, shared with the filters that do the same.
#pragma once

#include <span>
#include <string_view>

#include "text/jinja/arguments.h"

namespace millrace::jinja {

// Sorted by name.
std::span<const NamedFunction> text_methods();

// str.replace with at most `count` replacements; all when negative.
Value replace_text(Heap& heap, std::string_view text, std::string_view from, std::string_view to,
                   Integer count);
// separator.join(items), each item as str() when `convert`, else only texts.
Value join_items(Heap& heap, std::string_view separator, const Value& items, bool convert);
std::vector<std::string_view> split_lines(Heap& heap, std::string_view text, bool keep_ends);

}  // namespace millrace::jinja

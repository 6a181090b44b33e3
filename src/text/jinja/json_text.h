// JSON in and out of the template language: values from requests, and the tojson filter.
#pragma once

#include <optional>
#include <string>

#include "base/json_fwd.h"
#include "text/jinja/heap.h"

namespace millrace::jinja {

// Raises for texts that are not UTF-8 and for nesting over the heap's limit.
Value from_json(Heap& heap, const Json& json);

// The arguments of Python's json.dumps that templates use.
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  // one level's; none writes a single line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
void add_json(TextBuilder& out, const Value& value, const JsonStyle& style);

}  // namespace millrace::jinja

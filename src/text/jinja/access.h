// Reading parts of values: object.name, object[key], object[a:b:c].
#pragma once

#include <string_view>

#include "text/jinja/heap.h"

namespace millrace::jinja {

// object.name: a method or attribute first, then an item of that name, else undefined. Raises for
// an undefined object.
Value attribute_of(Heap& heap, const Value& object, std::string_view name);

// object[key]: an item first, then an attribute.
Value item_of(Heap& heap, const Value& object, const Value& key);

// Bounds are integers or none.
Value slice_of(Heap& heap, const Value& object, const Value& start, const Value& stop,
               const Value& step);

// "a.b.0" of a filter's attribute argument, taken item by item.
Value path_of(Heap& heap, const Value& object, const Value& path);

}  // namespace millrace::jinja

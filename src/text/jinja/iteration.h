// Walking over everything that can be walked over.
#pragma once

#include <functional>
#include <vector>

#include "text/jinja/heap.h"

namespace millrace::jinja {

// A generator that was run ahead of time: gives each item once.
struct IteratorObject final : Object {
  std::vector<Value> items;
  std::size_t next = 0;
};

// Gives the items of a list, the characters of a text, the keys of a dict, ... one at a time
// without copying the whole. Nothing for an undefined value. Counts a step for each item.
class Cursor {
 public:
  // Raises when the value cannot be walked over.
  Cursor(Heap& heap, Value source);

  // False at the end, with `item` unchanged.
  bool next(Value& item);

  static bool can_walk(const Value& value);

 private:
  Heap* heap_;
  Value source_;
  std::size_t at_ = 0;  // index, or byte of a text
};

std::vector<Value> all_items(Heap& heap, const Value& source);

// len(): raises for values without a length.
std::size_t length_of(const Value& value);
bool has_length(const Value& value);

}  // namespace millrace::jinja

#include "text/jinja/iteration.h"

#include "text/jinja/runtime.h"
#include "text/jinja/unicode.h"

namespace millrace::jinja {
namespace {

IteratorObject& iterator_of(const Value& value) {
  // An iterator's position is its own, however many values point to it.
  return *const_cast<IteratorObject*>(static_cast<const IteratorObject*>(value.object()));
}

}  // namespace

bool Cursor::can_walk(const Value& value) {
  return value.is_undefined() || value.is_str() || value.has_items() || value.is_dict() ||
         value.is(Kind::Iterator) || value.is(Kind::Loop);
}

Cursor::Cursor(Heap& heap, Value source) : heap_(&heap), source_(std::move(source)) {
  if (!can_walk(source_)) raise("'{}' object is not iterable", type_name(source_));
}

bool Cursor::next(Value& item) {
  heap_->step();
  if (source_.has_items()) {
    const auto& items = source_.items();
    if (at_ == items.size()) return false;
    item = items[at_++];
    return true;
  }
  switch (source_.kind()) {
    case Kind::Str: {
      const std::string_view text = source_.text();
      if (at_ == text.size()) return false;
      const std::size_t start = at_;
      utf8_next(text, at_);
      item = heap_->str(std::string(text.substr(start, at_ - start)));
      return true;
    }
    case Kind::Dict: {
      const auto& entries = source_.dict().entries();
      if (at_ == entries.size()) return false;
      item = entries[at_++].first;
      return true;
    }
    case Kind::Iterator: {
      IteratorObject& iterator = iterator_of(source_);
      if (iterator.next == iterator.items.size()) return false;
      item = std::exchange(iterator.items[iterator.next], Value());
      ++iterator.next;
      return true;
    }
    case Kind::Loop:
      return loop_of(source_).advance_for_walk(*heap_, item);
    default:
      return false;
  }
}

std::vector<Value> all_items(Heap& heap, const Value& source) {
  std::vector<Value> items;
  Cursor cursor(heap, source);
  Value item;
  while (cursor.next(item)) {
    heap.check_items(items.size() + 1);
    items.push_back(std::move(item));
  }
  return items;
}

bool has_length(const Value& value) {
  return value.is_undefined() || value.is_str() || value.has_items() || value.is_dict() ||
         value.is(Kind::Loop);
}

std::size_t length_of(const Value& value) {
  if (value.is_undefined()) return 0;
  if (value.is_str()) return value.length();
  if (value.has_items()) return value.items().size();
  if (value.is_dict()) return value.dict().size();
  raise("object of type '{}' has no length", type_name(value));
}

}  // namespace millrace::jinja

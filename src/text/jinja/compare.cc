#include "text/jinja/compare.h"

#include <cmath>
#include <functional>

#include "text/jinja/heap.h"
#include "text/jinja/iteration.h"

namespace millrace::jinja {
namespace {

bool equal_items(Heap& heap, const std::vector<Value>& a, const std::vector<Value>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!equal(heap, a[i], b[i])) return false;
  return true;
}

bool equal_dicts(Heap& heap, const DictObject& a, const DictObject& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [key, value] : a.entries()) {
    const Value* other = b.find(key);
    if (!other || !equal(heap, value, *other)) return false;
  }
  return true;
}

// Whether `number` has exactly this integral value; Python compares int and float exactly.
bool equal_exactly(Integer integer, double number) {
  constexpr double kBeyond = 1.7014118346046923e38;  // 2^127
  if (!(number > -kBeyond && number < kBeyond) || std::trunc(number) != number) return false;
  return static_cast<Integer>(number) == integer;
}

bool numbers_equal(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return a.integer() == b.integer();
  if (a.is_integral()) return equal_exactly(a.integer(), b.floating());
  if (b.is_integral()) return equal_exactly(b.integer(), a.floating());
  return a.floating() == b.floating();
}

bool numbers_less(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return a.integer() < b.integer();
  return a.floating() < b.floating();
}

[[noreturn]] void no_order(const Value& a, std::string_view sign, const Value& b) {
  if (a.is_undefined()) raise("{}", a.undefined_reason());
  if (b.is_undefined()) raise("{}", b.undefined_reason());
  raise("'{}' not supported between '{}' and '{}'", sign, type_name(a), type_name(b));
}

std::string_view sign_of(Order order) {
  switch (order) {
    case Order::Less:
      return "<";
    case Order::LessEqual:
      return "<=";
    case Order::Greater:
      return ">";
    case Order::GreaterEqual:
      return ">=";
  }
  return "?";
}

template <typename T>
bool holds(const T& a, Order order, const T& b) {
  switch (order) {
    case Order::Less:
      return a < b;
    case Order::LessEqual:
      return a <= b;
    case Order::Greater:
      return a > b;
    case Order::GreaterEqual:
      return a >= b;
  }
  return false;
}

}  // namespace

bool truth(const Value& value) {
  switch (value.kind()) {
    case Kind::Undefined:
    case Kind::None:
      return false;
    case Kind::Bool:
    case Kind::Int:
      return value.integer() != 0;
    case Kind::Float:
      return value.floating() != 0;
    case Kind::Str:
      return !value.text().empty();
    case Kind::List:
    case Kind::Tuple:
    case Kind::View:
    case Kind::Range:
      return !value.items().empty();
    case Kind::Dict:
      return value.dict().size() != 0;
    default:
      return true;
  }
}

bool equal(Heap& heap, const Value& a, const Value& b) {
  heap.step();
  if (a.object() && a.object() == b.object() && a.kind() == b.kind()) return true;
  if (a.is_number() && b.is_number()) return numbers_equal(a, b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::Undefined:
    case Kind::None:
      return true;
    case Kind::Str:
      heap.work(std::min(a.text().size(), b.text().size()));
      return a.text() == b.text();
    case Kind::List:
    case Kind::Tuple:
    case Kind::Range:
      return equal_items(heap, a.items(), b.items());
    case Kind::Dict:
      return equal_dicts(heap, a.dict(), b.dict());
    default:
      return false;  // the others are equal only to themselves
  }
}

bool ordered(Heap& heap, const Value& a, Order order, const Value& b) {
  heap.step();
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return holds(a.integer(), order, b.integer());
    return holds(a.floating(), order, b.floating());
  }
  if (a.is_str() && b.is_str()) {
    heap.work(std::min(a.text().size(), b.text().size()));
    // The order of UTF-8 bytes is that of code points.
    return holds(a.text(), order, b.text());
  }
  if (a.kind() == b.kind() && (a.is(Kind::List) || a.is(Kind::Tuple))) {
    const auto& left = a.items();
    const auto& right = b.items();
    for (std::size_t i = 0; i < left.size() && i < right.size(); ++i)
      if (!equal(heap, left[i], right[i])) return ordered(heap, left[i], order, right[i]);
    return holds(left.size(), order, right.size());
  }
  no_order(a, sign_of(order), b);
}

bool less(Heap& heap, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    heap.step();
    return numbers_less(a, b);
  }
  return ordered(heap, a, Order::Less, b);
}

bool contains(Heap& heap, const Value& container, const Value& item) {
  if (container.is_str()) {
    if (item.is_undefined()) raise("{}", item.undefined_reason());
    if (!item.is_str())
      raise("'in' of a string needs a string on its left, not {}", type_name(item));
    heap.work(container.text().size());
    return container.text().find(item.text()) != std::string_view::npos;
  }
  if (container.is_dict()) return container.dict().find(item) != nullptr;
  Cursor cursor(heap, container);
  Value element;
  while (cursor.next(element))
    if (equal(heap, element, item)) return true;
  return false;
}

bool same(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  if (a.object() || b.object()) return a.object() == b.object();
  if (a.is(Kind::Float)) return a.floating() == b.floating();
  return a.integer() == b.integer();
}

std::uint64_t hash_text(std::string_view text) {
  return std::hash<std::string_view>()(text);
}

std::uint64_t hash_value(Heap& heap, const Value& value) {
  heap.step();
  switch (value.kind()) {
    case Kind::Bool:
    case Kind::Int:
    case Kind::Float: {
      // Through double, so that an integer and the float that equals it agree.
      const double number = value.floating();
      return std::isnan(number) ? 1 : std::hash<double>()(number);
    }
    case Kind::Str:
      heap.work(value.text().size());
      return hash_text(value.text());
    case Kind::Tuple:
    case Kind::Range: {
      std::uint64_t hash = 0x9E3779B97F4A7C15u;
      for (const Value& item : value.items())
        hash = (hash ^ hash_value(heap, item)) * 0x100000001B3u;
      return hash;
    }
    case Kind::List:
    case Kind::Dict:
    case Kind::View:
      raise("a {} cannot be a dict's key", type_name(value));
    default:
      return std::hash<const void*>()(value.object());
  }
}

}  // namespace millrace::jinja

#include "text/jinja/methods.h"

#include <algorithm>
#include <array>
#include <span>

#include "text/jinja/compare.h"
#include "text/jinja/runtime.h"
#include "text/jinja/text_methods.h"

namespace millrace::jinja {
namespace {

std::vector<Value> keys_of(const DictObject& dict) {
  std::vector<Value> keys;
  for (const auto& [key, value] : dict.entries()) keys.push_back(key);
  return keys;
}

Value dict_keys(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("keys", arguments, {});
  return heap.view("dict_keys", keys_of(self.dict()));
}

Value dict_values(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("values", arguments, {});
  std::vector<Value> values;
  for (const auto& [key, value] : self.dict().entries()) values.push_back(value);
  return heap.view("dict_values", std::move(values));
}

Value dict_items(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("items", arguments, {});
  std::vector<Value> items;
  for (const auto& [key, value] : self.dict().entries()) items.push_back(heap.pair(key, value));
  return heap.view("dict_items", std::move(items));
}

Value dict_get(Heap&, const Value& self, const Arguments& arguments) {
  const Bound bound("get", arguments, {"key", "default"}, 1);
  if (const Value* value = self.dict().find(bound[0])) return *value;
  return bound.get(1, Value::none());
}

// Values never change, so a copy is the object itself.
Value copy(Heap&, const Value& self, const Arguments& arguments) {
  const Bound bound("copy", arguments, {});
  return self;
}

Value list_count(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("count", arguments, {"value"}, 1);
  Integer count = 0;
  for (const Value& item : self.items()) count += equal(heap, item, bound[0]) ? 1 : 0;
  return Value::integer(count);
}

Value list_index(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("index", arguments, {"value", "start", "stop"}, 1);
  const auto& items = self.items();
  const Integer size = static_cast<Integer>(items.size());
  const auto limit = [&](Integer at) {
    return std::clamp<Integer>(at < 0 ? at + size : at, 0, size);
  };
  const Integer stop = limit(bound.integer(2, size));
  for (Integer i = limit(bound.integer(1, 0)); i < stop; ++i)
    if (equal(heap, items[static_cast<std::size_t>(i)], bound[0])) return Value::integer(i);
  raise("index: the value is not in the {}", type_name(self));
}

Value cycler_next(Heap&, const Value& self, const Arguments& arguments) {
  const Bound bound("next", arguments, {});
  CyclerObject& cycler = cycler_of(self);
  Value value = cycler.items[cycler.at];
  cycler.at = (cycler.at + 1) % cycler.items.size();
  return value;
}

Value cycler_reset(Heap&, const Value& self, const Arguments& arguments) {
  const Bound bound("reset", arguments, {});
  cycler_of(self).at = 0;
  return Value::none();
}

constexpr std::array<NamedFunction, 5> kDictMethods = {{
    {"copy", copy},
    {"get", dict_get},
    {"items", dict_items},
    {"keys", dict_keys},
    {"values", dict_values},
}};

// The first is only a list's.
constexpr std::array<NamedFunction, 3> kListMethods = {{
    {"copy", copy},
    {"count", list_count},
    {"index", list_index},
}};

constexpr std::array<NamedFunction, 2> kCyclerMethods = {{
    {"next", cycler_next},
    {"reset", cycler_reset},
}};

std::span<const NamedFunction> methods_of(Kind kind) {
  switch (kind) {
    case Kind::Str:
      return text_methods();
    case Kind::Dict:
      return kDictMethods;
    case Kind::List:
      return kListMethods;
    case Kind::Tuple:
    case Kind::Range:
      return std::span(kListMethods).subspan(1);
    case Kind::Cycler:
      return kCyclerMethods;
    default:
      return {};
  }
}

}  // namespace

const NamedFunction* find_method(Kind kind, std::string_view name) {
  for (const NamedFunction& method : methods_of(kind))
    if (method.name == name) return &method;
  return nullptr;
}

}  // namespace millrace::jinja

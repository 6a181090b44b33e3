// Filters that choose: default, attr, map, select and their kin.
#include <algorithm>
#include <array>

#include "text/jinja/access.h"
#include "text/jinja/compare.h"
#include "text/jinja/filters.h"
#include "text/jinja/iteration.h"
#include "text/jinja/tests.h"

namespace millrace::jinja {
namespace {

Value otherwise(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("default", arguments, {"default_value", "boolean"});
  if (input.is_undefined() || (bound.flag(1) && !truth(input)))
    return bound.has(0) ? bound[0] : heap.str("");
  return input;
}

Value attribute(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("attr", arguments, {"name"}, 1);
  const std::string_view name = bound.text(0, "");
  // An item of a dict is no attribute here, unlike in x.name.
  if (input.is_dict() && input.dict().find(name)) {
    Value own = attribute_of(heap, heap.dict(heap.new_dict()), name);
    if (own.is_undefined()) return own;
  }
  return attribute_of(heap, input, name);
}

// The name of a filter or test in front of its own arguments.
std::string_view take_name(std::string_view filter, Arguments& arguments) {
  if (arguments.positional.empty()) raise("{}: the name of a filter is missing", filter);
  if (!arguments.positional.front().is_str())
    raise("{}: found a {}, expected a name", filter, type_name(arguments.positional.front()));
  return arguments.positional.front().text();
}

Value map(Heap& heap, const Value& input, const Arguments& arguments) {
  std::vector<Value> out;
  if (!truth(input)) return heap.iterator(std::move(out));
  Cursor cursor(heap, input);
  Value item;
  const bool by_attribute =
      arguments.positional.empty() &&
      std::any_of(arguments.named.begin(), arguments.named.end(),
                  [](const auto& argument) { return argument.first == "attribute"; });
  if (by_attribute) {
    const Bound bound("map", arguments, {"attribute", "default"});
    while (cursor.next(item)) {
      Value value = path_of(heap, item, bound[0]);
      if (value.is_undefined() && !bound.is_none(1)) value = bound[1];
      out.push_back(std::move(value));
    }
    return heap.iterator(std::move(out));
  }
  Arguments rest = arguments;
  const Value name = heap.str(std::string(take_name("map", rest)));
  rest.positional.erase(rest.positional.begin());
  while (cursor.next(item)) out.push_back(apply_filter(heap, name.text(), item, rest));
  return heap.iterator(std::move(out));
}

template <bool Wanted, bool ByAttribute>
Value select(Heap& heap, const Value& input, const Arguments& arguments) {
  std::vector<Value> out;
  if (!truth(input)) return heap.iterator(std::move(out));
  Arguments rest = arguments;
  Value path = Value::none();
  if (ByAttribute) {
    if (rest.positional.empty()) raise("selectattr: the name of the attribute is missing");
    path = rest.positional.front();
    rest.positional.erase(rest.positional.begin());
  }
  Value test;
  if (!rest.positional.empty()) {
    test = heap.str(std::string(take_name("select", rest)));
    rest.positional.erase(rest.positional.begin());
  }
  Cursor cursor(heap, input);
  Value item;
  while (cursor.next(item)) {
    const Value tested = path_of(heap, item, path);
    const bool holds = test.is_str() ? apply_test(heap, test.text(), tested, rest) : truth(tested);
    if (holds == Wanted) out.push_back(item);
  }
  return heap.iterator(std::move(out));
}

constexpr std::array<NamedFunction, 8> kFilters = {{
    {"attr", attribute},
    {"d", otherwise},
    {"default", otherwise},
    {"map", map},
    {"reject", select<false, false>},
    {"rejectattr", select<false, true>},
    {"select", select<true, false>},
    {"selectattr", select<true, true>},
}};

}  // namespace

std::span<const NamedFunction> selection_filters() {
  return kFilters;
}

}  // namespace millrace::jinja

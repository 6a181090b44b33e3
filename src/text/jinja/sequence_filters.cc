// Filters that take lists apart, order them and put them together.
#include <algorithm>
#include <array>
#include <optional>

#include "text/jinja/access.h"
#include "text/jinja/compare.h"
#include "text/jinja/filters.h"
#include "text/jinja/iteration.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace millrace::jinja {
namespace {

// Texts compare without regard to case unless a filter is told otherwise.
Value without_case(Heap& heap, Value value, bool case_sensitive) {
  if (case_sensitive || !value.is_str()) return value;
  heap.work(value.text().size());
  return heap.str(to_lower(value.text()));
}

struct Keyed {
  Value key, value;
};

void sort_by_key(Heap& heap, std::vector<Keyed>& items, bool reverse) {
  // Equal items keep their order, also when the order is reversed.
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? less(heap, b.key, a.key) : less(heap, a.key, b.key);
  });
}

std::vector<Value> values_of(std::vector<Keyed> items) {
  std::vector<Value> values;
  values.reserve(items.size());
  for (Keyed& item : items) values.push_back(std::move(item.value));
  return values;
}

// "name, age" sorts by both: the key is then a list.
Value sort_key(Heap& heap, const Value& item, const Value& attribute, bool case_sensitive) {
  if (!attribute.is_str() || attribute.text().find(',') == std::string_view::npos)
    return without_case(heap, path_of(heap, item, attribute), case_sensitive);
  std::vector<Value> keys;
  std::string_view rest = attribute.text();
  while (true) {
    const std::size_t comma = rest.find(',');
    const Value path = heap.str(std::string(rest.substr(0, comma)));
    keys.push_back(without_case(heap, path_of(heap, item, path), case_sensitive));
    if (comma == std::string_view::npos) return heap.list(std::move(keys));
    rest.remove_prefix(comma + 1);
  }
}

Value sort(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  std::vector<Keyed> items;
  for (Value& item : all_items(heap, input)) {
    Value key = sort_key(heap, item, bound.get(2, Value::none()), bound.flag(1));
    items.push_back({std::move(key), std::move(item)});
  }
  sort_by_key(heap, items, bound.flag(0));
  return heap.list(values_of(std::move(items)));
}

Value dictsort(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const std::string_view by = bound.text(1, "key");
  if (by != "key" && by != "value") raise("dictsort: sorts by key or value, not by '{}'", by);
  if (!input.is_dict()) raise("dictsort: found a {}, expected a dict", type_name(input));
  std::vector<Keyed> items;
  for (const auto& [key, value] : input.dict().entries())
    items.push_back(
        {without_case(heap, by == "key" ? key : value, bound.flag(0)), heap.pair(key, value)});
  sort_by_key(heap, items, bound.flag(2));
  return heap.list(values_of(std::move(items)));
}

Value groupby(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  const auto read = [&](const Value& item) {
    Value value = path_of(heap, item, bound[0]);
    return value.is_undefined() && bound.has(1) ? bound[1] : value;
  };
  std::vector<Keyed> items;
  for (Value& item : all_items(heap, input)) {
    Value key = without_case(heap, read(item), bound.flag(2));
    items.push_back({std::move(key), std::move(item)});
  }
  sort_by_key(heap, items, false);
  std::vector<Value> groups;
  for (std::size_t first = 0; first < items.size();) {
    std::vector<Value> members;
    std::size_t last = first;
    while (last < items.size() && equal(heap, items[last].key, items[first].key))
      members.push_back(items[last++].value);
    if (last == first) members.push_back(items[last++].value);  // nan equals nothing
    Value grouper = read(members.front());
    groups.push_back(
        heap.pair(std::move(grouper), heap.list(std::move(members)), "grouper", "list"));
    first = last;
  }
  return heap.list(std::move(groups));
}

Value unique(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("unique", arguments, {"case_sensitive", "attribute"});
  auto seen = heap.new_dict();
  std::vector<Value> items;
  for (Value& item : all_items(heap, input)) {
    Value key = without_case(heap, path_of(heap, item, bound.get(1, Value::none())), bound.flag(0));
    if (seen->find(key)) continue;
    seen->set(std::move(key), Value::none());
    items.push_back(std::move(item));
  }
  return heap.iterator(std::move(items));
}

template <bool Largest>
Value extreme(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound(Largest ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  std::optional<Keyed> best;
  for (Value& item : all_items(heap, input)) {
    Value key = without_case(heap, path_of(heap, item, bound.get(1, Value::none())), bound.flag(0));
    if (!best || (Largest ? less(heap, best->key, key) : less(heap, key, best->key)))
      best = Keyed{std::move(key), std::move(item)};
  }
  if (!best) return heap.undefined("the sequence was empty");
  return best->value;
}

Value first(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("first", arguments, {});
  Cursor cursor(heap, input);
  Value item;
  if (!cursor.next(item)) return heap.undefined("the sequence was empty, it has no first item");
  return item;
}

std::vector<Value> reversed(Heap& heap, const Value& input, std::string_view filter) {
  if (!has_length(input) && !input.is(Kind::Iterator))
    raise("{}: found a {}, expected a sequence", filter, type_name(input));
  std::vector<Value> items = all_items(heap, input);
  std::reverse(items.begin(), items.end());
  return items;
}

Value last(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("last", arguments, {});
  if (input.is(Kind::Iterator)) raise("last: found a generator, expected a sequence");
  if (input.has_items() && !input.items().empty()) return input.items().back();
  const std::vector<Value> items = reversed(heap, input, "last");
  if (items.empty()) return heap.undefined("the sequence was empty, it has no last item");
  return items.front();
}

Value reverse(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("reverse", arguments, {});
  if (!input.is_str()) return heap.iterator(reversed(heap, input, "reverse"));
  heap.work(input.text().size());
  const std::string_view text = input.text();
  std::string out;
  for (std::size_t end = text.size(); end > 0;) {
    const std::size_t start = utf8_before(text, end);
    out.append(text, start, end - start);
    end = start;
  }
  return heap.str(std::move(out));
}

Value list(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("list", arguments, {});
  return heap.list(all_items(heap, input));
}

Value items(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("items", arguments, {});
  std::vector<Value> pairs;
  if (!input.is_undefined()) {
    if (!input.is_dict()) raise("items: found a {}, expected a dict", type_name(input));
    for (const auto& [key, value] : input.dict().entries()) pairs.push_back(heap.pair(key, value));
  }
  return heap.iterator(std::move(pairs));
}

Value batch(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("batch", arguments, {"linecount", "fill_with"}, 1);
  const Integer size = bound.integer(0, 0);
  std::vector<Value> batches;
  std::vector<Value> current;
  for (Value& item : all_items(heap, input)) {
    if (static_cast<Integer>(current.size()) == size)
      batches.push_back(heap.list(std::exchange(current, {})));
    current.push_back(std::move(item));
  }
  if (!current.empty()) {
    if (!bound.is_none(1) && static_cast<Integer>(current.size()) < size) {
      if (size > static_cast<Integer>(heap.limits().value_bytes))
        raise_too_large("batch: a line this long");
      heap.check_items(static_cast<std::size_t>(size));
      heap.step(static_cast<std::size_t>(size));
      current.resize(static_cast<std::size_t>(size), bound[1]);
    }
    batches.push_back(heap.list(std::move(current)));
  }
  return heap.iterator(std::move(batches));
}

Value slice(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("slice", arguments, {"slices", "fill_with"}, 1);
  const Integer count = bound.integer(0, 0);
  if (count <= 0) raise("slice: the number of slices must be positive");
  const std::vector<Value> source = all_items(heap, input);
  if (count > 1'000'000) raise_too_large("slice: more than 1000000 slices");
  const auto slices = static_cast<std::size_t>(count);
  const std::size_t share = source.size() / slices;
  const std::size_t longer = source.size() % slices;  // slices with one more item
  std::vector<Value> out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < slices; ++i) {
    const std::size_t end = at + share + (i < longer ? 1 : 0);
    std::vector<Value> part(source.begin() + static_cast<std::ptrdiff_t>(at),
                            source.begin() + static_cast<std::ptrdiff_t>(end));
    if (!bound.is_none(1) && i >= longer) part.push_back(bound[1]);
    out.push_back(heap.list(std::move(part)));
    at = end;
  }
  return heap.iterator(std::move(out));
}

constexpr std::array<NamedFunction, 13> kFilters = {{
    {"batch", batch},
    {"dictsort", dictsort},
    {"first", first},
    {"groupby", groupby},
    {"items", items},
    {"last", last},
    {"list", list},
    {"max", extreme<true>},
    {"min", extreme<false>},
    {"reverse", reverse},
    {"slice", slice},
    {"sort", sort},
    {"unique", unique},
}};

}  // namespace

std::span<const NamedFunction> sequence_filters() {
  return kFilters;
}

}  // namespace millrace::jinja

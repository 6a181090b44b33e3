#include "text/jinja/access.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "text/jinja/methods.h"
#include "text/jinja/repr.h"
#include "text/jinja/runtime.h"
#include "text/jinja/unicode.h"

namespace millrace::jinja {
namespace {

// Python's methods that change their object: the reference's sandbox hides them.
constexpr std::array<std::string_view, 8> kListChangers = {"append", "clear", "pop",    "reverse",
                                                           "insert", "sort",  "extend", "remove"};
constexpr std::array<std::string_view, 5> kDictChangers = {"clear", "pop", "popitem", "setdefault",
                                                           "update"};

template <std::size_t N>
bool is_one_of(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Value no_attribute(Heap& heap, const Value& object, std::string_view name) {
  return heap.undefined("'{}' object has no attribute '{}'", type_name(object), name);
}

// What Python's getattr would find; nothing when it would find none.
std::optional<Value> own_attribute(Heap& heap, const Value& object, std::string_view name) {
  switch (object.kind()) {
    case Kind::List:
      if (!is_one_of(name, kListChangers)) break;
      return heap.undefined("'{}' would change a list, which templates cannot", name);
    case Kind::Dict:
      if (!is_one_of(name, kDictChangers)) break;
      return heap.undefined("'{}' would change a dict, which templates cannot", name);
    case Kind::Tuple: {
      const auto& tuple = *static_cast<const SeqObject*>(object.object());
      for (std::size_t i = 0; i < 2 && i < tuple.items.size(); ++i)
        if (!tuple.fields[i].empty() && tuple.fields[i] == name) return tuple.items[i];
      break;
    }
    case Kind::Namespace:
      if (const Value* value = namespace_of(object).find(name)) return *value;
      return std::nullopt;
    case Kind::Loop:
      return loop_of(object).attribute(heap, object, name);
    case Kind::Macro:
      if (name == "name") return heap.str(std::string(macro_of(object).name));
      return std::nullopt;
    case Kind::Cycler:
      if (name == "current") return cycler_of(object).items[cycler_of(object).at];
      break;
    default:
      break;
  }
  if (const NamedFunction* method = find_method(object.kind(), name))
    return make_function(heap, method->name, method->function, object);
  return std::nullopt;
}

// An index counted from the end when negative; nothing when it is outside.
std::optional<std::size_t> index_in(Integer index, std::size_t size) {
  const Integer length = static_cast<Integer>(size);
  if (index < 0) index += length;
  if (index < 0 || index >= length) return std::nullopt;
  return static_cast<std::size_t>(index);
}

// Byte offset of a code point: for ASCII texts without reading them.
std::size_t byte_offset(Heap& heap, const Value& text, std::size_t index) {
  if (text.text().size() == text.length()) return index;
  heap.work(text.text().size());
  return utf8_offset(text.text(), index);
}

Value character_at(Heap& heap, const Value& text, std::size_t index) {
  const std::size_t start = byte_offset(heap, text, index);
  std::size_t end = start;
  utf8_next(text.text(), end);
  return heap.str(std::string(text.text().substr(start, end - start)));
}

// What Python's object[key] would find.
std::optional<Value> own_item(Heap& heap, const Value& object, const Value& key) {
  if (object.is_dict()) {
    // A list as key is a TypeError there, and so undefined.
    if (key.is(Kind::List) || key.is_dict() || key.is(Kind::View)) return std::nullopt;
    if (const Value* value = object.dict().find(key)) return *value;
    return std::nullopt;
  }
  if (!key.is_integral()) return std::nullopt;
  if (object.is_str()) {
    if (const auto index = index_in(key.integer(), object.length()))
      return character_at(heap, object, *index);
  } else if (object.is_sequence()) {
    if (const auto index = index_in(key.integer(), object.items().size()))
      return object.items()[*index];
  }
  return std::nullopt;
}

struct SliceBounds {
  Integer start, stop, step;
  std::size_t count;
};

SliceBounds bounds(std::size_t size, const Value& start, const Value& stop, const Value& step) {
  const auto integer = [](const Value& value) {
    if (value.is_undefined()) raise("slice: {}", value.undefined_reason());
    if (!value.is_integral()) raise("slice: found {}, expected an integer", type_name(value));
    return value.integer();
  };
  const Integer length = static_cast<Integer>(size);
  const Integer stride = step.is_none() ? 1 : integer(step);
  if (stride == 0) raise("slice: the step must not be zero");
  const Integer low = stride > 0 ? 0 : -1;
  const Integer high = stride > 0 ? length : length - 1;
  const auto bound = [&](const Value& value, Integer otherwise) {
    if (value.is_none()) return otherwise;
    Integer at = integer(value);
    if (at < 0) at += length;
    return std::clamp(at, low, high);
  };
  const Integer first = bound(start, stride > 0 ? low : high);
  const Integer last = bound(stop, stride > 0 ? high : low);
  Integer count = 0;
  if (stride > 0 && first < last) count = (last - first - 1) / stride + 1;
  // Not -stride: that overflows for the smallest integer.
  if (stride < 0 && last < first) count = (last - first + 1) / stride + 1;
  return {first, last, stride, static_cast<std::size_t>(count)};
}

Value slice_text(Heap& heap, const Value& text, const SliceBounds& at) {
  if (at.count == 0) return heap.str("");
  if (at.step == 1) {
    const std::size_t first = byte_offset(heap, text, static_cast<std::size_t>(at.start));
    const std::string_view rest = text.text().substr(first);
    const bool ascii = text.text().size() == text.length();
    return heap.str(std::string(rest.substr(0, ascii ? at.count : utf8_offset(rest, at.count))));
  }
  heap.work(text.text().size());
  std::vector<std::size_t> offsets;  // of every code point
  for (std::size_t i = 0; i < text.text().size(); utf8_next(text.text(), i)) offsets.push_back(i);
  offsets.push_back(text.text().size());
  std::string out;
  Integer index = at.start;
  for (std::size_t i = 0; i < at.count; ++i) {
    const auto place = static_cast<std::size_t>(index);
    out.append(text.text(), offsets[place], offsets[place + 1] - offsets[place]);
    if (i + 1 < at.count) index += at.step;
  }
  return heap.str(std::move(out));
}

}  // namespace

Value attribute_of(Heap& heap, const Value& object, std::string_view name) {
  heap.step();
  if (object.is_undefined())
    raise("{}, so it has no attribute '{}'", object.undefined_reason(), name);
  if (auto own = own_attribute(heap, object, name)) return std::move(*own);
  if (object.is_dict())
    if (const Value* value = object.dict().find(name)) return *value;
  return no_attribute(heap, object, name);
}

Value item_of(Heap& heap, const Value& object, const Value& key) {
  heap.step();
  if (object.is_undefined()) raise("{}, so it has no items", object.undefined_reason());
  if (auto own = own_item(heap, object, key)) return std::move(*own);
  if (key.is_str()) {
    if (auto own = own_attribute(heap, object, key.text())) return std::move(*own);
    return no_attribute(heap, object, key.text());
  }
  if (key.is_integral())
    return heap.undefined("'{}' object has no element {}", type_name(object),
                          int_text(key.integer()));
  return heap.undefined("'{}' object has no element of type {}", type_name(object), type_name(key));
}

Value slice_of(Heap& heap, const Value& object, const Value& start, const Value& stop,
               const Value& step) {
  if (object.is_undefined()) raise("{}, so it cannot be sliced", object.undefined_reason());
  if (object.is_str()) return slice_text(heap, object, bounds(object.length(), start, stop, step));
  if (!object.is_sequence()) raise("'{}' object cannot be sliced", type_name(object));
  const auto& items = object.items();
  const SliceBounds at = bounds(items.size(), start, stop, step);
  if (object.is(Kind::Range)) {
    const auto& range = *static_cast<const SeqObject*>(object.object());
    // Bounds of ranges stay under 2^62, and those of the slice under the number of items.
    constexpr Integer kMostStep = 1 << 20;
    if (at.step > kMostStep || at.step < -kMostStep) raise_too_large("a slice with this step");
    return heap.range(range.start + at.start * range.step, range.start + at.stop * range.step,
                      at.step * range.step);
  }
  std::vector<Value> out;
  out.reserve(at.count);
  Integer index = at.start;
  for (std::size_t i = 0; i < at.count; ++i) {
    out.push_back(items[static_cast<std::size_t>(index)]);
    if (i + 1 < at.count) index += at.step;
  }
  return object.is(Kind::Tuple) ? heap.tuple(std::move(out)) : heap.list(std::move(out));
}

Value path_of(Heap& heap, const Value& object, const Value& path) {
  if (path.is_none()) return object;
  if (!path.is_str()) return item_of(heap, object, path);
  Value value = object;
  std::string_view rest = path.text();
  while (true) {
    const std::size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    std::int64_t index = 0;
    const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool is_index = !part.empty() && part[0] != '-' && error == std::errc() &&
                          stop == part.data() + part.size();
    value = item_of(heap, value, is_index ? Value::integer(index) : heap.str(std::string(part)));
    if (dot == std::string_view::npos) return value;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace millrace::jinja

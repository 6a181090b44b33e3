#include "text/jinja/heap.h"

#include <algorithm>

#include "text/jinja/iteration.h"
#include "text/jinja/unicode.h"

namespace millrace::jinja {
namespace {

// What an object costs beside its content: itself, its allocations and their book-keeping.
constexpr std::size_t kObjectBytes = 96;
constexpr std::size_t kEntryBytes = sizeof(DictObject::Entry) + 48;  // with its place in the index

int depth_of(const std::vector<Value>& items) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  return depth + 1;
}

}  // namespace

Heap::~Heap() {
  for (auto& [object, value] : pinned_) object->clear();
  pinned_.clear();
}

void Heap::sweep() {
  std::erase_if(pinned_, [](const auto& entry) { return entry.first->references.load() == 1; });
  sweep_at_ = 64 + 2 * pinned_.size();
}

void Heap::check_text(std::size_t bytes) const {
  if (bytes > limits_.value_bytes)
    raise_too_large("a text of more than {} bytes", limits_.value_bytes);
}

void Heap::check_items(std::size_t count) const {
  if (count > limits_.value_bytes / sizeof(Value))
    raise_too_large("a list of more than {} items", limits_.value_bytes / sizeof(Value));
}

void Heap::check_depth(int depth) const {
  if (depth > limits_.value_depth)
    raise_too_large("lists or dicts nested deeper than {} levels", limits_.value_depth);
}

void Heap::out_of_steps() const {
  raise_too_large("the template did not end within {} steps", limits_.steps);
}

void Heap::out_of_memory(std::size_t bytes) const {
  raise_too_large("{} more bytes of values: the limit is {} for all of them", bytes,
                  limits_.memory_bytes);
}

Value Heap::adopt(Kind kind, std::unique_ptr<Object> object, std::size_t bytes) {
  charge(bytes + kObjectBytes);
  object->owner = this;
  object->charged = bytes + kObjectBytes;
  return Value(kind, object.release());
}

Value Heap::str(std::string text) {
  check_text(text.size());
  work(text.size());
  auto object = std::make_unique<StrObject>();
  object->length = utf8_length(text);
  object->text = std::move(text);
  const std::size_t bytes = object->text.capacity();
  return adopt(Kind::Str, std::move(object), bytes);
}

Value Heap::undefined_because(std::string reason) {
  auto object = std::make_unique<StrObject>();
  object->text = std::move(reason);
  const std::size_t bytes = object->text.capacity();
  return adopt(Kind::Undefined, std::move(object), bytes);
}

Value Heap::sequence(Kind kind, std::vector<Value> items) {
  check_items(items.size());
  step(1 + items.size());
  auto object = std::make_unique<SeqObject>();
  object->depth = depth_of(items);
  check_depth(object->depth);
  object->items = std::move(items);
  const std::size_t bytes = object->items.capacity() * sizeof(Value);
  return adopt(kind, std::move(object), bytes);
}

Value Heap::pair(Value first, Value second, std::string_view first_name,
                 std::string_view second_name) {
  std::vector<Value> items;
  items.reserve(2);
  items.push_back(std::move(first));
  items.push_back(std::move(second));
  auto object = std::make_unique<SeqObject>();
  object->depth = depth_of(items);
  check_depth(object->depth);
  object->items = std::move(items);
  object->fields[0] = first_name;
  object->fields[1] = second_name;
  step();
  return adopt(Kind::Tuple, std::move(object), 2 * sizeof(Value));
}

Value Heap::view(std::string_view name, std::vector<Value> items) {
  Value value = sequence(Kind::View, std::move(items));
  // Just made, and not yet seen by anyone else.
  const_cast<SeqObject*>(static_cast<const SeqObject*>(value.object()))->view_name = name;
  return value;
}

Value Heap::range(Integer start, Integer stop, Integer step_size) {
  // The reference's sandbox refuses longer ones.
  constexpr Integer kMaxRange = 100'000;
  constexpr Integer kMaxBound = static_cast<Integer>(1) << 62;
  if (step_size == 0) raise("range: the step must not be zero");
  for (const Integer bound : {start, stop, step_size})
    if (bound > kMaxBound || bound < -kMaxBound) raise_too_large("a range with a bound over 2^62");
  std::vector<Value> items;
  Integer at = start;
  while (step_size > 0 ? at < stop : at > stop) {
    if (items.size() >= static_cast<std::size_t>(kMaxRange))
      raise_too_large("a range of more than {} items", static_cast<std::int64_t>(kMaxRange));
    items.push_back(Value::integer(at));
    at += step_size;
  }
  Value value = sequence(Kind::Range, std::move(items));
  auto* object = const_cast<SeqObject*>(static_cast<const SeqObject*>(value.object()));
  object->start = start;
  object->stop = stop;
  object->step = step_size;
  return value;
}

Value Heap::iterator(std::vector<Value> items) {
  check_items(items.size());
  step(1 + items.size());
  auto object = std::make_unique<IteratorObject>();
  object->depth = depth_of(items);
  check_depth(object->depth);
  object->items = std::move(items);
  const std::size_t bytes = object->items.capacity() * sizeof(Value);
  return adopt(Kind::Iterator, std::move(object), bytes);
}

std::unique_ptr<DictObject> Heap::new_dict() {
  auto object = std::make_unique<DictObject>();
  object->owner = this;  // nothing charged yet; set() counts its steps here
  return object;
}

Value Heap::dict(std::unique_ptr<DictObject> entries) {
  int depth = 0;
  for (const auto& [key, value] : entries->entries())
    depth = std::max({depth, key.depth(), value.depth()});
  entries->depth = depth + 1;
  check_depth(entries->depth);
  step(1 + entries->size());
  const std::size_t bytes = entries->size() * kEntryBytes;
  return adopt(Kind::Dict, std::move(entries), bytes);
}

}  // namespace millrace::jinja

#include "text/jinja/runtime.h"

#include "text/jinja/compare.h"

namespace millrace::jinja {
namespace {

constexpr std::size_t kVariableBytes = 64;  // of a scope or namespace, its name included

template <typename T>
T& object_of(const Value& value) {
  // Values point to const objects because most never change; these kinds do.
  return *const_cast<T*>(static_cast<const T*>(value.object()));
}

Value loop_cycle(Heap&, const Value& self, const Arguments& arguments) {
  return loop_of(self).cycle(arguments);
}

Value loop_changed(Heap& heap, const Value& self, const Arguments& arguments) {
  return Value::boolean(loop_of(self).changed(heap, arguments));
}

}  // namespace

const Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope; scope = scope->parent_.get())
    for (const auto& [known, value] : scope->variables_)
      if (known == name) return &value;
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  for (auto& [known, old] : variables_) {
    if (known == name) {
      old = std::move(value);
      return;
    }
  }
  variables_.emplace_back(name, std::move(value));
}

const Value* NamespaceObject::find(std::string_view name) const {
  for (const auto& [known, value] : attributes)
    if (known == name) return &value;
  return nullptr;
}

void NamespaceObject::set(std::string_view name, Value value) {
  // As transformers has it: such names would reach Python's insides.
  if (name.starts_with("_"))
    raise("names on a namespace must not start with an underscore, found '{}'", name);
  for (auto& [known, old] : attributes) {
    if (known == name) {
      old = std::move(value);
      return;
    }
  }
  owner->charge(kVariableBytes + name.size());
  charged += kVariableBytes + name.size();
  owner->step(attributes.size());
  attributes.emplace_back(name, std::move(value));
}

void LoopObject::clear() {
  accepts_ = nullptr;
  drained_.clear();
  after_.reset();
  changed_.reset();
  before_ = current_ = source_ = Value();
}

std::optional<Value> LoopObject::fetch(Heap& heap) {
  if (drained_next_ < drained_.size()) {
    heap.step();
    return std::exchange(drained_[drained_next_++], Value());
  }
  Value item;
  while (cursor_.next(item))
    if (!accepts_ || accepts_(item)) return item;
  return std::nullopt;
}

bool LoopObject::peek(Heap& heap) {
  if (!after_) after_ = fetch(heap);
  return after_.has_value();
}

bool LoopObject::advance(Heap& heap) {
  std::optional<Value> item = after_ ? std::exchange(after_, std::nullopt) : fetch(heap);
  if (!item) return false;
  ++index0_;
  before_ = std::exchange(current_, std::move(*item));
  return true;
}

bool LoopObject::advance_for_walk(Heap& heap, Value& item) {
  if (!advance(heap)) return false;
  item = heap.pair(current_, Value());
  return true;
}

std::size_t LoopObject::length(Heap& heap) {
  if (length_) return *length_;
  // Without a filter the source knows; otherwise, and for iterators, all of it must be read.
  if (!accepts_ && has_length(source_)) {
    length_ = length_of(source_);
  } else {
    std::vector<Value> rest;
    while (std::optional<Value> item = fetch(heap)) {
      heap.check_items(rest.size() + 1);
      rest.push_back(std::move(*item));
    }
    const std::size_t passed = static_cast<std::size_t>(index0_ + 1) + (after_ ? 1 : 0);
    length_ = passed + rest.size();
    drained_ = std::move(rest);
    drained_next_ = 0;
  }
  return *length_;
}

Value LoopObject::cycle(const Arguments& arguments) const {
  const auto& items = arguments.positional;
  if (items.empty()) raise("loop.cycle: no items given");
  return items[static_cast<std::size_t>(index0_) % items.size()];
}

bool LoopObject::changed(Heap& heap, const Arguments& arguments) {
  bool differs = !changed_ || changed_->size() != arguments.positional.size();
  for (std::size_t i = 0; !differs && i < changed_->size(); ++i)
    differs = !equal(heap, (*changed_)[i], arguments.positional[i]);
  if (differs) changed_ = arguments.positional;
  return differs;
}

Value LoopObject::attribute(Heap& heap, const Value& self, std::string_view name) {
  const auto count = [&] { return static_cast<std::int64_t>(length(heap)); };
  if (name == "index0") return Value::integer(index0_);
  if (name == "index") return Value::integer(index0_ + 1);
  if (name == "first") return Value::boolean(index0_ == 0);
  if (name == "last") return Value::boolean(!peek(heap));
  if (name == "length") return Value::integer(count());
  if (name == "revindex") return Value::integer(count() - index0_);
  if (name == "revindex0") return Value::integer(count() - index0_ - 1);
  if (name == "depth") return Value::integer(1);
  if (name == "depth0") return Value::integer(0);
  if (name == "previtem")
    return index0_ == 0 ? heap.undefined("there is no previous item") : before_;
  if (name == "nextitem") return peek(heap) ? *after_ : heap.undefined("there is no next item");
  if (name == "cycle") return make_function(heap, "cycle", loop_cycle, self);
  if (name == "changed") return make_function(heap, "changed", loop_changed, self);
  return heap.undefined("a loop has no attribute '{}'", name);
}

NamespaceObject& namespace_of(const Value& value) {
  return object_of<NamespaceObject>(value);
}
LoopObject& loop_of(const Value& value) {
  return object_of<LoopObject>(value);
}
MacroObject& macro_of(const Value& value) {
  return object_of<MacroObject>(value);
}
CyclerObject& cycler_of(const Value& value) {
  return object_of<CyclerObject>(value);
}
JoinerObject& joiner_of(const Value& value) {
  return object_of<JoinerObject>(value);
}
const FunctionObject& function_of(const Value& value) {
  return *static_cast<const FunctionObject*>(value.object());
}
std::string_view macro_name(const Value& value) {
  return macro_of(value).name;
}

Value make_function(Heap& heap, std::string_view name, NativeFunction function, Value self) {
  auto object = std::make_unique<FunctionObject>();
  object->name = name;
  object->function = function;
  object->depth = self.depth() + 1;
  object->self = std::move(self);
  return heap.adopt(Kind::Function, std::move(object), 0);
}

}  // namespace millrace::jinja

#include "text/jinja/value.h"

#include "base/check.h"
#include "text/jinja/compare.h"
#include "text/jinja/heap.h"
#include "text/jinja/unicode.h"

namespace millrace::jinja {
namespace {

// Below this a dict is searched from front to back.
constexpr std::size_t kIndexedFrom = 9;

}  // namespace

Object::~Object() {
  if (owner) owner->release(charged);
}

Value Value::constant(std::string text) {
  auto object = std::make_unique<StrObject>();
  object->length = utf8_length(text);
  object->text = std::move(text);
  return Value(Kind::Str, object.release());
}

std::string_view Value::text() const {
  return static_cast<const StrObject*>(object_)->text;
}

std::size_t Value::length() const {
  return static_cast<const StrObject*>(object_)->length;
}

const std::vector<Value>& Value::items() const {
  return static_cast<const SeqObject*>(object_)->items;
}

const DictObject& Value::dict() const {
  return *static_cast<const DictObject*>(object_);
}

std::string_view Value::undefined_reason() const {
  return object_ ? text() : std::string_view("value is undefined");
}

const Value* DictObject::find(std::string_view key) const {
  if (entries_.size() < kIndexedFrom) {
    for (const auto& [name, value] : entries_)
      if (name.is_str() && name.text() == key) return &value;
    return nullptr;
  }
  const auto [first, last] = index_.equal_range(hash_text(key));
  for (auto it = first; it != last; ++it) {
    owner->step();
    const auto& [name, value] = entries_[it->second];
    if (name.is_str() && name.text() == key) return &value;
  }
  return nullptr;
}

const Value* DictObject::find(const Value& key) const {
  return find_hashed(key, hash_value(*owner, key));
}

const Value* DictObject::find_hashed(const Value& key, std::uint64_t hash) const {
  if (entries_.size() < kIndexedFrom) {
    for (const auto& [name, value] : entries_)
      if (equal(*owner, name, key)) return &value;
    return nullptr;
  }
  const auto [first, last] = index_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    owner->step();
    const auto& [name, value] = entries_[it->second];
    if (equal(*owner, name, key)) return &value;
  }
  return nullptr;
}

void DictObject::set(Value key, Value value) {
  const std::uint64_t hash = hash_value(*owner, key);
  if (const Value* known = find_hashed(key, hash)) {
    *const_cast<Value*>(known) = std::move(value);  // our own entry, while we are being built
    return;
  }
  owner->check_items(entries_.size() + 1);
  entries_.emplace_back(std::move(key), std::move(value));
  if (entries_.size() < kIndexedFrom) return;
  if (index_.empty())
    for (std::uint32_t i = 0; i + 1 < entries_.size(); ++i)
      index_.emplace(hash_value(*owner, entries_[i].first), i);
  index_.emplace(hash, static_cast<std::uint32_t>(entries_.size() - 1));
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::Undefined:
      return "Undefined";
    case Kind::None:
      return "NoneType";
    case Kind::Bool:
      return "bool";
    case Kind::Int:
      return "int";
    case Kind::Float:
      return "float";
    case Kind::Str:
      return "str";
    case Kind::List:
      return "list";
    case Kind::Tuple:
      return "tuple";
    case Kind::Dict:
      return "dict";
    case Kind::View:
      return static_cast<const SeqObject*>(value.object())->view_name;
    case Kind::Range:
      return "range";
    case Kind::Iterator:
      return "generator";
    case Kind::Namespace:
      return "namespace";
    case Kind::Loop:
      return "LoopContext";
    case Kind::Macro:
      return "Macro";
    case Kind::Function:
      return "function";
    case Kind::Cycler:
      return "Cycler";
    case Kind::Joiner:
      return "Joiner";
  }
  check(false, "a value of no kind");
  return {};
}

}  // namespace millrace::jinja

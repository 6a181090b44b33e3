// Values of the template language, with Python's meaning. They are immutable, but for the objects
// that Heap pins (namespaces, loops, iterators).
//
// Ownership: a Value counts references to its object; the counts are atomic because constants of
// a parsed template are shared by all threads that render it. Every other object belongs to one
// render and gives its bytes back to that render's Heap when it dies.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace millrace::jinja {

class Heap;
class DictObject;

// Python's integers are unbounded; 128 bits hold everything JSON can carry. Overflow is an error.
__extension__ typedef __int128 Integer;
__extension__ typedef unsigned __int128 UnsignedInteger;

enum class Kind : std::uint8_t {
  Undefined,
  None,
  Bool,
  Int,
  Float,
  Str,
  List,
  Tuple,
  Dict,
  View,      // dict.keys(), .values(), .items(): has a length, no index
  Range,     // a list that prints as range(...)
  Iterator,  // what map, select and others give: no length, can be walked once
  Namespace,
  Loop,
  Macro,
  Function,  // a global such as range, or a method bound to its object
  Cycler,
  Joiner,
};

// Base of everything a Value points to.
struct Object {
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object();

  mutable std::atomic<std::uint32_t> references{0};
  Heap* owner = nullptr;    // whose bytes it holds; null for a template's constants
  std::size_t charged = 0;  // bytes
  int depth = 0;            // levels of lists and dicts inside
};

class Value {
 public:
  Value() = default;  // undefined, without saying what
  Value(Kind kind, const Object* object) noexcept : object_(object), kind_(kind) { retain(); }
  Value(const Value& other) noexcept
      : object_(other.object_), kind_(other.kind_), number_(other.number_) {
    retain();
  }
  Value(Value&& other) noexcept
      : object_(std::exchange(other.object_, nullptr)),
        kind_(std::exchange(other.kind_, Kind::Undefined)),
        number_(other.number_) {}
  Value& operator=(Value other) noexcept {
    std::swap(object_, other.object_);
    std::swap(kind_, other.kind_);
    std::swap(number_, other.number_);
    return *this;
  }
  // clang-tidy's analyzer does not follow the count, and sees deleted objects used.
  // NOLINTBEGIN(clang-analyzer-cplusplus.NewDelete)
  ~Value() {
    if (object_ && object_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete object_;
  }
  // NOLINTEND(clang-analyzer-cplusplus.NewDelete)

  static Value none() { return Value(Kind::None, nullptr); }
  static Value boolean(bool value) { return Value(Kind::Bool, Number{.integer = value ? 1 : 0}); }
  static Value integer(Integer value) { return Value(Kind::Int, Number{.integer = value}); }
  static Value size(std::size_t value) { return integer(static_cast<Integer>(value)); }
  static Value floating(double value) { return Value(Kind::Float, Number{.floating = value}); }
  // A text that belongs to no heap: for constants of a parsed template. Must be UTF-8.
  static Value constant(std::string text);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_undefined() const { return kind_ == Kind::Undefined; }
  bool is_none() const { return kind_ == Kind::None; }
  bool is_str() const { return kind_ == Kind::Str; }
  bool is_dict() const { return kind_ == Kind::Dict; }
  // Bool is an integer in Python.
  bool is_integral() const { return kind_ == Kind::Int || kind_ == Kind::Bool; }
  bool is_number() const { return is_integral() || kind_ == Kind::Float; }
  // Those whose items() can be read.
  bool has_items() const {
    return kind_ == Kind::List || kind_ == Kind::Tuple || kind_ == Kind::View ||
           kind_ == Kind::Range;
  }
  // Those that take an index and slices.
  bool is_sequence() const { return has_items() && kind_ != Kind::View; }

  Integer integer() const { return number_.integer; }  // Int, Bool
  double floating() const {                            // any number
    return kind_ == Kind::Float ? number_.floating : static_cast<double>(number_.integer);
  }
  std::string_view text() const;              // Str
  std::size_t length() const;                 // Str: code points
  const std::vector<Value>& items() const;    // has_items()
  const DictObject& dict() const;             // Dict
  std::string_view undefined_reason() const;  // Undefined: "'x' is undefined"
  const Object* object() const { return object_; }
  int depth() const {
    return object_ ? object_->depth : 0;  // NOLINT(clang-analyzer-cplusplus.NewDelete)
  }

 private:
  union Number {
    Integer integer;
    double floating;
  };
  Value(Kind kind, Number number) : kind_(kind), number_(number) {}
  void retain() const noexcept {
    if (object_) object_->references.fetch_add(1, std::memory_order_relaxed);
  }

  const Object* object_ = nullptr;
  Kind kind_ = Kind::Undefined;
  Number number_{.integer = 0};
};

struct StrObject final : Object {
  std::string text;        // UTF-8
  std::size_t length = 0;  // code points
};

struct SeqObject final : Object {
  std::vector<Value> items;
  std::string_view view_name;             // View: "dict_keys", ...
  Integer start = 0, stop = 0, step = 1;  // Range
  std::string_view fields[2] = {"", ""};  // Tuple: names of the items, for groupby
};

// Keeps insertion order. Keys are hashed once there are more than a few.
class DictObject final : public Object {
 public:
  using Entry = std::pair<Value, Value>;

  const std::vector<Entry>& entries() const { return entries_; }
  std::size_t size() const { return entries_.size(); }
  const Value* find(std::string_view key) const;
  // Raises for a key that cannot be hashed.
  const Value* find(const Value& key) const;
  // Only while the dict is being built. A known key keeps its place and gets the new value.
  void set(Value key, Value value);

 private:
  const Value* find_hashed(const Value& key, std::uint64_t hash) const;

  std::vector<Entry> entries_;
  std::unordered_multimap<std::uint64_t, std::uint32_t> index_;
};

// "'x' object" names for messages: "str", "dict", "NoneType", ...
std::string_view type_name(const Value& value);

}  // namespace millrace::jinja

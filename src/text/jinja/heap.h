// The budget of one render, and the maker of its values. Not for several threads.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "text/jinja/failure.h"
#include "text/jinja/limits.h"
#include "text/jinja/value.h"

namespace millrace::jinja {

// An object that can change after it was made, and so could be part of a cycle. The heap keeps it
// to the end of the render, then empties all of them before any dies.
struct PinnedObject : Object {
  virtual void clear() = 0;
};

class Heap {
 public:
  explicit Heap(const JinjaLimits& limits) : limits_(limits), steps_left_(limits.steps) {}
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  const JinjaLimits& limits() const { return limits_; }

  void step(std::uint64_t count = 1) {
    if (count > steps_left_) out_of_steps();
    steps_left_ -= count;
  }
  // For an operation that reads or writes so many bytes.
  void work(std::size_t bytes) { step(1 + bytes / 64); }

  void charge(std::size_t bytes) {
    if (bytes > limits_.memory_bytes - used_) out_of_memory(bytes);
    used_ += bytes;
  }
  void release(std::size_t bytes) noexcept { used_ -= bytes; }

  // Before something of that size is built.
  void check_text(std::size_t bytes) const;
  void check_items(std::size_t count) const;

  Value str(std::string text);  // must be UTF-8
  Value list(std::vector<Value> items) { return sequence(Kind::List, std::move(items)); }
  Value tuple(std::vector<Value> items) { return sequence(Kind::Tuple, std::move(items)); }
  Value pair(Value first, Value second, std::string_view first_name = {},
             std::string_view second_name = {});
  Value view(std::string_view name, std::vector<Value> items);
  Value range(Integer start, Integer stop, Integer step);
  Value iterator(std::vector<Value> items);
  Value dict(std::unique_ptr<DictObject> entries);
  std::unique_ptr<DictObject> new_dict();

  template <typename... Args>
  Value undefined(fmt::format_string<Args...> format, Args&&... args) {
    return undefined_because(fmt::format(format, std::forward<Args>(args)...));
  }
  Value undefined_because(std::string reason);

  // Takes an object that was not charged yet.
  Value adopt(Kind kind, std::unique_ptr<Object> object, std::size_t bytes);
  template <typename T>
  Value pin(Kind kind, std::unique_ptr<T> object, std::size_t bytes) {
    static_assert(std::is_base_of_v<PinnedObject, T>);
    if (pinned_.size() >= sweep_at_) sweep();
    T* const raw = object.get();
    Value value = adopt(kind, std::move(object), bytes);
    pinned_.emplace_back(raw, value);
    return value;
  }

  int nesting = 0;  // levels of evaluation now; see Nested

 private:
  Value sequence(Kind kind, std::vector<Value> items);
  void sweep();  // lets go of pinned objects that no value points to
  void check_depth(int depth) const;
  [[noreturn]] void out_of_steps() const;
  [[noreturn]] void out_of_memory(std::size_t bytes) const;

  JinjaLimits limits_;
  std::uint64_t steps_left_;
  std::size_t used_ = 0;
  std::vector<std::pair<PinnedObject*, Value>> pinned_;
  std::size_t sweep_at_ = 64;
};

// Counts one level of nested evaluation for as long as it lives.
class Nested {
 public:
  explicit Nested(Heap& heap) : heap_(heap) {
    heap_.step();
    if (heap_.nesting >= heap_.limits().evaluation_depth)
      raise_too_large("evaluation is nested deeper than {} levels",
                      heap_.limits().evaluation_depth);
    ++heap_.nesting;
  }
  ~Nested() { --heap_.nesting; }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;

 private:
  Heap& heap_;
};

// A text under construction, held to the limit on one value's size.
class TextBuilder {
 public:
  explicit TextBuilder(Heap& heap) : heap_(heap) {}
  void add(std::string_view text) {
    heap_.check_text(text_.size() + text.size());
    text_.append(text);
  }
  void add(std::size_t count, char c) {
    heap_.check_text(count);
    heap_.check_text(text_.size() + count);
    text_.append(count, c);
  }
  std::size_t size() const { return text_.size(); }
  Heap& heap() { return heap_; }
  const std::string& text() const { return text_; }
  Value value() { return heap_.str(std::move(text_)); }

 private:
  Heap& heap_;
  std::string text_;
};

}  // namespace millrace::jinja

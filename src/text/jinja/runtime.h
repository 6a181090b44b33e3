// Objects that exist only while a template runs: scopes, namespaces, loops, macros, functions.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/arguments.h"
#include "text/jinja/ast.h"
#include "text/jinja/heap.h"
#include "text/jinja/iteration.h"

namespace millrace::jinja {

// The names of one block. Blocks of if do not have their own; loops, macros and with do.
// Names are views into the syntax tree or the context, which outlive every scope.
class Scope {
 public:
  explicit Scope(std::shared_ptr<Scope> parent) : parent_(std::move(parent)) {}

  // Here or in the enclosing scopes.
  const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);

 private:
  std::shared_ptr<Scope> parent_;
  std::vector<std::pair<std::string_view, Value>> variables_;
};

struct NamespaceObject final : PinnedObject {
  void clear() override { attributes.clear(); }
  const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);

  std::vector<std::pair<std::string, Value>> attributes;
};

// The state of one for statement; `loop` in its body.
class LoopObject final : public PinnedObject {
 public:
  using Filter = std::function<bool(const Value&)>;

  LoopObject(Heap& heap, const Value& source, Filter accepts)
      : source_(source), cursor_(heap, source), accepts_(std::move(accepts)) {}

  void clear() override;
  // Moves to the next item that the filter accepts; false at the end.
  bool advance(Heap& heap);
  const Value& current() const { return current_; }
  // The body's last round is over; the filter's variables may die.
  void finish() { accepts_ = nullptr; }

  // loop.NAME; undefined for what a loop does not have.
  Value attribute(Heap& heap, const Value& self, std::string_view name);
  // `for x in loop`: takes the loop's own items.
  bool advance_for_walk(Heap& heap, Value& item);
  Value cycle(const Arguments& arguments) const;
  bool changed(Heap& heap, const Arguments& arguments);
  std::size_t length(Heap& heap);

 private:
  std::optional<Value> fetch(Heap& heap);  // the next accepted item, however it is found
  bool peek(Heap& heap);                   // fills after_

  Value source_;
  Cursor cursor_;
  Filter accepts_;
  std::vector<Value> drained_;  // items read ahead because the length was asked
  std::size_t drained_next_ = 0;
  std::optional<Value> after_;
  std::optional<std::size_t> length_;
  std::optional<std::vector<Value>> changed_;
  Value before_, current_;
  std::int64_t index0_ = -1;
};

struct MacroObject final : PinnedObject {
  void clear() override { closure.reset(); }

  const ast::Callable* definition = nullptr;  // of the tree that is being rendered
  std::string_view name;
  std::shared_ptr<Scope> closure;
};

struct FunctionObject final : Object {
  std::string_view name;
  NativeFunction function = nullptr;
  Value self;  // of a method
};

struct CyclerObject final : Object {
  std::vector<Value> items;
  std::size_t at = 0;
};

struct JoinerObject final : Object {
  Value separator;
  bool used = false;
};

// What the value points to; it must be of that kind.
NamespaceObject& namespace_of(const Value& value);
LoopObject& loop_of(const Value& value);
MacroObject& macro_of(const Value& value);
CyclerObject& cycler_of(const Value& value);
JoinerObject& joiner_of(const Value& value);
const FunctionObject& function_of(const Value& value);
std::string_view macro_name(const Value& value);

Value make_function(Heap& heap, std::string_view name, NativeFunction function, Value self);

}  // namespace millrace::jinja

// What a call passes, and how native functions take it: Python's positional and keyword arguments.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/heap.h"

namespace millrace::jinja {

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Arguments sorted to the parameters of a native function; raises where they do not fit.
class Bound {
 public:
  // The first `required` parameters must be given.
  Bound(std::string_view function, const Arguments& arguments,
        std::initializer_list<std::string_view> parameters, std::size_t required = 0);

  bool has(std::size_t index) const { return values_[index] != nullptr; }
  const Value& operator[](std::size_t index) const { return *values_[index]; }
  // The argument, or what the function takes where it is absent.
  Value get(std::size_t index, const Value& otherwise) const {
    return has(index) ? *values_[index] : otherwise;
  }
  bool flag(std::size_t index, bool otherwise = false) const;
  // Raises unless the argument is an integer (a text).
  Integer integer(std::size_t index, Integer otherwise) const;
  std::string_view text(std::size_t index, std::string_view otherwise) const;
  bool is_none(std::size_t index) const { return !has(index) || values_[index]->is_none(); }

 private:
  std::string_view function_;
  std::vector<std::string_view> parameters_;
  std::vector<const Value*> values_;
};

using NativeFunction = Value (*)(Heap& heap, const Value& self, const Arguments& arguments);

// A row of a table of filters, tests, methods or globals, sorted by name.
struct NamedFunction {
  std::string_view name;
  NativeFunction function;
};

}  // namespace millrace::jinja

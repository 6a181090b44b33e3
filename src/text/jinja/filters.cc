#include "text/jinja/filters.h"

namespace millrace::jinja {
namespace {

const NamedFunction* find_filter(std::string_view name) {
  for (const auto part :
       {text_filters(), number_filters(), sequence_filters(), selection_filters()})
    for (const NamedFunction& filter : part)
      if (filter.name == name) return &filter;
  return nullptr;
}

}  // namespace

Value apply_filter(Heap& heap, std::string_view name, const Value& input,
                   const Arguments& arguments) {
  const Nested nested(heap);
  const NamedFunction* filter = find_filter(name);
  if (!filter) raise("there is no filter '{}'", name);
  return filter->function(heap, input, arguments);
}

bool has_filter(std::string_view name) {
  return find_filter(name) != nullptr;
}

}  // namespace millrace::jinja

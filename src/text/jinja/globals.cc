#include "text/jinja/globals.h"

#include "text/jinja/compare.h"
#include "text/jinja/iteration.h"
#include "text/jinja/repr.h"

namespace millrace::jinja {
namespace {

constexpr std::size_t kSmallObject = 64;  // bytes beside what a heap counts for any object

Value range(Heap& heap, const Value&, const Arguments& arguments) {
  const Bound bound("range", arguments, {"start", "stop", "step"}, 1);
  if (!bound.has(1)) return heap.range(0, bound.integer(0, 0), 1);
  return heap.range(bound.integer(0, 0), bound.integer(1, 0), bound.integer(2, 1));
}

// dict(mapping or pairs, **more)
std::unique_ptr<DictObject> dict_entries(Heap& heap, std::string_view name,
                                         const Arguments& arguments) {
  if (arguments.positional.size() > 1) raise("{}: takes one positional argument at most", name);
  auto entries = heap.new_dict();
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional.front();
    if (source.is_dict()) {
      for (const auto& [key, value] : source.dict().entries()) entries->set(key, value);
    } else {
      Cursor cursor(heap, source);
      Value item;
      while (cursor.next(item)) {
        std::vector<Value> pair = all_items(heap, item);
        if (pair.size() != 2) raise("{}: found {} values, expected pairs", name, pair.size());
        entries->set(std::move(pair[0]), std::move(pair[1]));
      }
    }
  }
  for (const auto& [key, value] : arguments.named) entries->set(heap.str(key), value);
  return entries;
}

Value dict(Heap& heap, const Value&, const Arguments& arguments) {
  return heap.dict(dict_entries(heap, "dict", arguments));
}

Value new_namespace(Heap& heap, const Value&, const Arguments& arguments) {
  const auto entries = dict_entries(heap, "namespace", arguments);
  Value value = heap.pin(Kind::Namespace, std::make_unique<NamespaceObject>(), kSmallObject);
  for (const auto& [key, attribute] : entries->entries()) {
    if (!key.is_str()) raise("namespace: found a name that is a {}", type_name(key));
    namespace_of(value).set(key.text(), attribute);
  }
  return value;
}

Value cycler(Heap& heap, const Value&, const Arguments& arguments) {
  if (arguments.positional.empty()) raise("cycler: at least one item is needed");
  auto object = std::make_unique<CyclerObject>();
  const Value items = heap.list(arguments.positional);  // for its depth and limits
  object->items = items.items();
  object->depth = items.depth();
  return heap.adopt(Kind::Cycler, std::move(object), items.items().size() * sizeof(Value));
}

Value joiner(Heap& heap, const Value&, const Arguments& arguments) {
  const Bound bound("joiner", arguments, {"sep"});
  auto object = std::make_unique<JoinerObject>();
  object->separator = bound.has(0) ? bound[0] : heap.str(", ");
  object->depth = object->separator.depth();
  return heap.adopt(Kind::Joiner, std::move(object), kSmallObject);
}

Value raise_exception(Heap& heap, const Value&, const Arguments& arguments) {
  const Bound bound("raise_exception", arguments, {"message"}, 1);
  const Value message = to_str(heap, bound[0]);
  raise("{}", message.text());
}

Value strftime_now(Heap& heap, const Value& self, const Arguments& arguments) {
  const Bound bound("strftime_now", arguments, {"format"}, 1);
  const LocalTime now{std::chrono::microseconds(static_cast<std::int64_t>(self.integer()))};
  return time_text(heap, now, bound.text(0, ""));
}

}  // namespace

void define_globals(Heap& heap, Scope& scope, LocalTime now) {
  const auto define = [&](std::string_view name, NativeFunction function, Value self) {
    scope.set(name, make_function(heap, name, function, std::move(self)));
  };
  define("range", range, Value::none());
  define("dict", dict, Value::none());
  define("namespace", new_namespace, Value::none());
  define("cycler", cycler, Value::none());
  define("joiner", joiner, Value::none());
  define("raise_exception", raise_exception, Value::none());
  define("strftime_now", strftime_now, Value::integer(now.time_since_epoch().count()));
}

}  // namespace millrace::jinja

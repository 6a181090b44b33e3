#include "text/jinja/tests.h"

#include <algorithm>
#include <array>

#include "text/jinja/compare.h"
#include "text/jinja/filters.h"
#include "text/jinja/iteration.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"
#include "text/jinja/text_methods.h"

namespace millrace::jinja {
namespace {

using Test = bool (*)(Heap& heap, const Value& input, const Arguments& arguments);

struct NamedTest {
  std::string_view name;
  Test test;
};

bool has_test(std::string_view name);

// A test of the value alone.
template <bool (*Holds)(const Value&)>
bool plain(Heap&, const Value& input, const Arguments& arguments) {
  const Bound bound("test", arguments, {});
  return Holds(input);
}

const Value& other_of(const Arguments& arguments) {
  if (arguments.positional.size() != 1 || !arguments.named.empty())
    raise("the test takes one value to compare with");
  return arguments.positional.front();
}

template <Order order>
bool in_order(Heap& heap, const Value& input, const Arguments& arguments) {
  return ordered(heap, input, order, other_of(arguments));
}

bool is_equal(Heap& heap, const Value& input, const Arguments& arguments) {
  return equal(heap, input, other_of(arguments));
}

bool is_unequal(Heap& heap, const Value& input, const Arguments& arguments) {
  return !equal(heap, input, other_of(arguments));
}

bool remainder_is(Heap& heap, const Value& input, const Value& divisor, Integer wanted) {
  const Value rest = apply_binary(heap, ast::BinaryOp::Modulo, input, divisor);
  return equal(heap, rest, Value::integer(wanted));
}

bool is_odd(Heap& heap, const Value& input, const Arguments&) {
  return remainder_is(heap, input, Value::integer(2), 1);
}

bool is_even(Heap& heap, const Value& input, const Arguments&) {
  return remainder_is(heap, input, Value::integer(2), 0);
}

bool is_divisible(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("divisibleby", arguments, {"num"}, 1);
  return remainder_is(heap, input, bound[0], 0);
}

bool is_in(Heap& heap, const Value& input, const Arguments& arguments) {
  return contains(heap, other_of(arguments), input);
}

bool is_same(Heap&, const Value& input, const Arguments& arguments) {
  return same(input, other_of(arguments));
}

// `is upper`, `is lower`: what the method says of the value as a text.
template <bool Upper>
bool is_cased(Heap& heap, const Value& input, const Arguments& arguments) {
  const Value text = to_str(heap, input);
  for (const NamedFunction& method : text_methods())
    if (method.name == (Upper ? "isupper" : "islower"))
      return truth(method.function(heap, text, arguments));
  return false;
}

bool is_filter(Heap&, const Value& input, const Arguments&) {
  return input.is_str() && has_filter(input.text());
}

bool is_test(Heap&, const Value& input, const Arguments&) {
  return input.is_str() && has_test(input.text());
}

bool defined(const Value& v) {
  return !v.is_undefined();
}
bool undefined(const Value& v) {
  return v.is_undefined();
}
bool none(const Value& v) {
  return v.is_none();
}
bool boolean(const Value& v) {
  return v.is(Kind::Bool);
}
bool is_true(const Value& v) {
  return v.is(Kind::Bool) && v.integer() != 0;
}
bool is_false(const Value& v) {
  return v.is(Kind::Bool) && v.integer() == 0;
}
bool integer(const Value& v) {
  return v.is(Kind::Int);
}
bool floating(const Value& v) {
  return v.is(Kind::Float);
}
bool number(const Value& v) {
  return v.is_number();
}
bool string(const Value& v) {
  return v.is_str();
}
bool mapping(const Value& v) {
  return v.is_dict();
}
bool iterable(const Value& v) {
  return Cursor::can_walk(v);
}
bool sequence(const Value& v) {
  return v.is_undefined() || v.is_str() || v.is_dict() || v.is_sequence();
}
bool callable(const Value& v) {
  return v.is(Kind::Function) || v.is(Kind::Macro) || v.is(Kind::Joiner) || v.is(Kind::Loop) ||
         v.is_undefined();
}
bool escaped(const Value&) {
  return false;
}

constexpr std::array<NamedTest, 39> kTests = {{
    {"!=", is_unequal},
    {"<", in_order<Order::Less>},
    {"<=", in_order<Order::LessEqual>},
    {"==", is_equal},
    {">", in_order<Order::Greater>},
    {">=", in_order<Order::GreaterEqual>},
    {"boolean", plain<boolean>},
    {"callable", plain<callable>},
    {"defined", plain<defined>},
    {"divisibleby", is_divisible},
    {"eq", is_equal},
    {"equalto", is_equal},
    {"escaped", plain<escaped>},
    {"even", is_even},
    {"false", plain<is_false>},
    {"filter", is_filter},
    {"float", plain<floating>},
    {"ge", in_order<Order::GreaterEqual>},
    {"greaterthan", in_order<Order::Greater>},
    {"gt", in_order<Order::Greater>},
    {"in", is_in},
    {"integer", plain<integer>},
    {"iterable", plain<iterable>},
    {"le", in_order<Order::LessEqual>},
    {"lessthan", in_order<Order::Less>},
    {"lower", is_cased<false>},
    {"lt", in_order<Order::Less>},
    {"mapping", plain<mapping>},
    {"ne", is_unequal},
    {"none", plain<none>},
    {"number", plain<number>},
    {"odd", is_odd},
    {"sameas", is_same},
    {"sequence", plain<sequence>},
    {"string", plain<string>},
    {"test", is_test},
    {"true", plain<is_true>},
    {"undefined", plain<undefined>},
    {"upper", is_cased<true>},
}};

const NamedTest* find_test(std::string_view name) {
  for (const NamedTest& test : kTests)
    if (test.name == name) return &test;
  return nullptr;
}

bool has_test(std::string_view name) {
  return find_test(name) != nullptr;
}

}  // namespace

bool apply_test(Heap& heap, std::string_view name, const Value& input, const Arguments& arguments) {
  const Nested nested(heap);
  const NamedTest* test = find_test(name);
  if (!test) raise("there is no test '{}'", name);
  return test->test(heap, input, arguments);
}

}  // namespace millrace::jinja

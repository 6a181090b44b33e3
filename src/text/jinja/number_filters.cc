// Filters that make numbers.
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "text/jinja/access.h"
#include "text/jinja/filters.h"
#include "text/jinja/iteration.h"
#include "text/jinja/number_text.h"
#include "text/jinja/operators.h"

namespace millrace::jinja {
namespace {

Value to_int(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("int", arguments, {"default", "base"});
  Value otherwise = bound.get(0, Value::integer(0));
  if (input.is_undefined()) raise("int: {}", input.undefined_reason());
  if (input.is_integral()) return Value::integer(input.integer());
  std::optional<double> number;
  if (input.is(Kind::Float)) {
    if (std::isinf(input.floating())) raise("int: infinity is no integer");
    number = input.floating();
  }
  if (input.is_str()) {
    heap.work(input.text().size());
    const Integer base = bound.integer(1, 10);
    if (base != 0 && (base < 2 || base > 36)) raise("int: a base from 2 to 36 is expected");
    if (const auto integer = parse_int(input.text(), static_cast<int>(base)))
      return Value::integer(*integer);
    number = parse_float(input.text());
  }
  if (!number || !std::isfinite(*number)) return otherwise;
  return Value::integer(to_integer(*number));
}

Value to_float(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("float", arguments, {"default"});
  if (input.is_undefined()) raise("float: {}", input.undefined_reason());
  if (input.is_number()) return Value::floating(input.floating());
  if (input.is_str()) {
    heap.work(input.text().size());
    if (const auto number = parse_float(input.text())) return Value::floating(*number);
  }
  return bound.get(0, Value::floating(0));
}

const Value& checked_number(std::string_view filter, const Value& input) {
  if (input.is_undefined()) raise("{}: {}", filter, input.undefined_reason());
  if (!input.is_number()) raise("{}: found a {}, expected a number", filter, type_name(input));
  return input;
}

Value absolute(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("abs", arguments, {});
  const Value& number = checked_number("abs", input);
  if (number.is(Kind::Float)) return Value::floating(std::fabs(number.floating()));
  if (number.integer() >= 0) return Value::integer(number.integer());
  return apply_unary(heap, ast::UnaryOp::Minus, number);
}

Value round(Heap&, const Value& input, const Arguments& arguments) {
  const Bound bound("round", arguments, {"precision", "method"});
  const Value& number = checked_number("round", input);
  const Integer precision = bound.integer(0, 0);
  const std::string_view method = bound.text(1, "common");
  if (method == "common") return round_number(number, precision, false);
  if (method != "ceil" && method != "floor")
    raise("round: the method must be common, ceil or floor");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = number.floating() * scale;
  if (!std::isfinite(scaled)) raise("round: the number is out of range");
  return Value::floating((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value sum(Heap& heap, const Value& input, const Arguments& arguments) {
  const Bound bound("sum", arguments, {"attribute", "start"});
  Value total = bound.get(1, Value::integer(0));
  if (total.is_str()) raise("sum: strings are joined, not summed");
  Cursor cursor(heap, input);
  Value item;
  while (cursor.next(item))
    total = apply_binary(heap, ast::BinaryOp::Add, total,
                         bound.is_none(0) ? item : path_of(heap, item, bound[0]));
  return total;
}

Value length(Heap&, const Value& input, const Arguments& arguments) {
  const Bound bound("length", arguments, {});
  return Value::size(length_of(input));
}

constexpr std::array<NamedFunction, 7> kFilters = {{
    {"abs", absolute},
    {"count", length},
    {"float", to_float},
    {"int", to_int},
    {"length", length},
    {"round", round},
    {"sum", sum},
}};

}  // namespace

std::span<const NamedFunction> number_filters() {
  return kFilters;
}

}  // namespace millrace::jinja

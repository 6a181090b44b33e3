#include "text/jinja/operators.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "text/jinja/format.h"
#include "text/jinja/repr.h"

namespace millrace::jinja {
namespace {

constexpr UnsignedInteger kMostInteger = ~UnsignedInteger{0} >> 1;

[[noreturn]] void too_large_integer() {
  raise_too_large("an integer of more than 127 bits");
}

UnsignedInteger magnitude(Integer value) {
  return value < 0 ? -static_cast<UnsignedInteger>(value) : static_cast<UnsignedInteger>(value);
}

Integer negate(Integer value) {
  if (magnitude(value) > kMostInteger) too_large_integer();
  return -value;
}

[[noreturn]] void bad_operands(std::string_view sign, const Value& left, const Value& right) {
  if (left.is_undefined()) raise("{}", left.undefined_reason());
  if (right.is_undefined()) raise("{}", right.undefined_reason());
  raise("cannot compute {} {} {}", type_name(left), sign, type_name(right));
}

Value add(Heap& heap, const Value& left, const Value& right) {
  if (left.is_integral() && right.is_integral())
    return Value::integer(add_integers(left.integer(), right.integer()));
  if (left.is_number() && right.is_number())
    return Value::floating(left.floating() + right.floating());
  if (left.is_str() && right.is_str()) {
    TextBuilder out(heap);
    out.add(left.text());
    out.add(right.text());
    return out.value();
  }
  if (left.kind() == right.kind() && (left.is(Kind::List) || left.is(Kind::Tuple))) {
    heap.check_items(left.items().size() + right.items().size());
    std::vector<Value> items;
    items.reserve(left.items().size() + right.items().size());
    items = left.items();
    items.insert(items.end(), right.items().begin(), right.items().end());
    return left.is(Kind::List) ? heap.list(std::move(items)) : heap.tuple(std::move(items));
  }
  bad_operands("+", left, right);
}

Value subtract(const Value& left, const Value& right) {
  if (left.is_integral() && right.is_integral()) {
    Integer result = 0;
    if (__builtin_sub_overflow(left.integer(), right.integer(), &result)) too_large_integer();
    return Value::integer(result);
  }
  if (left.is_number() && right.is_number())
    return Value::floating(left.floating() - right.floating());
  bad_operands("-", left, right);
}

// A text or list, `times` times over.
Value repeat(Heap& heap, const Value& what, Integer times) {
  if (times < 0) times = 0;
  const std::size_t size = what.is_str() ? what.text().size() : what.items().size();
  const std::size_t most = heap.limits().value_bytes;
  if (size != 0 && times > static_cast<Integer>(most / size))
    raise_too_large("a {} of {} items repeated {} times", type_name(what), size, int_text(times));
  const std::size_t total = size * static_cast<std::size_t>(size == 0 ? 0 : times);
  if (what.is_str()) {
    heap.work(total);
    std::string text;
    text.reserve(total);
    while (text.size() < total) text += what.text();
    return heap.str(std::move(text));
  }
  heap.check_items(total);
  heap.step(total);
  std::vector<Value> items;
  items.reserve(total);
  while (items.size() < total) items.insert(items.end(), what.items().begin(), what.items().end());
  return what.is(Kind::Tuple) ? heap.tuple(std::move(items)) : heap.list(std::move(items));
}

bool repeats(const Value& value) {
  return value.is_str() || value.is(Kind::List) || value.is(Kind::Tuple);
}

Value multiply(Heap& heap, const Value& left, const Value& right) {
  if (left.is_integral() && right.is_integral())
    return Value::integer(multiply_integers(left.integer(), right.integer()));
  if (left.is_number() && right.is_number())
    return Value::floating(left.floating() * right.floating());
  if (repeats(left) && right.is_integral()) return repeat(heap, left, right.integer());
  if (left.is_integral() && repeats(right)) return repeat(heap, right, left.integer());
  bad_operands("*", left, right);
}

void check_divisor(const Value& left, std::string_view sign, const Value& right) {
  if (!left.is_number() || !right.is_number()) bad_operands(sign, left, right);
  if (right.floating() == 0) raise("division by zero");
}

// Python rounds quotients down and gives remainders the divisor's sign.
Integer floor_quotient(Integer a, Integer b) {
  if (b == -1) return negate(a);
  const Integer quotient = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? quotient - 1 : quotient;
}

double float_modulo(double a, double b) {
  double remainder = std::fmod(a, b);
  if (remainder != 0 && (b < 0) != (remainder < 0)) remainder += b;
  return remainder == 0 ? std::copysign(0.0, b) : remainder;
}

Value floor_divide(const Value& left, const Value& right) {
  check_divisor(left, "//", right);
  if (left.is_integral() && right.is_integral())
    return Value::integer(floor_quotient(left.integer(), right.integer()));
  const double a = left.floating();
  const double b = right.floating();
  if (std::isinf(b) && std::isfinite(a))
    return Value::floating((a < 0) != (b < 0) && a != 0 ? -1 : 0);
  const double quotient = (a - float_modulo(a, b)) / b;
  // The division is exact but for rounding: the nearest integer, not the one below.
  const double floored = std::floor(quotient);
  return Value::floating(quotient - floored > 0.5 ? floored + 1 : floored);
}

Value modulo(Heap& heap, const Value& left, const Value& right) {
  if (left.is_str()) return percent_format(heap, left.text(), right);
  check_divisor(left, "%", right);
  if (left.is_integral() && right.is_integral()) {
    const Integer b = right.integer();
    if (b == -1) return Value::integer(0);
    const Integer remainder = left.integer() % b;
    return Value::integer(remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder);
  }
  return Value::floating(float_modulo(left.floating(), right.floating()));
}

Value power(Heap& heap, const Value& left, const Value& right) {
  if (!left.is_number() || !right.is_number()) bad_operands("**", left, right);
  if (left.is_integral() && right.is_integral() && right.integer() >= 0) {
    Integer base = left.integer();
    Integer exponent = right.integer();
    Integer result = 1;
    // Only these bases survive an exponent over 127.
    if (exponent > 127 && base != 0 && base != 1 && base != -1) too_large_integer();
    if (exponent > 127) exponent = 126 + exponent % 2;
    for (Integer i = 0; i < exponent; ++i) result = multiply_integers(result, base);
    heap.step(128);
    return Value::integer(result);
  }
  const double base = left.floating();
  const double exponent = right.floating();
  if (base == 0 && exponent < 0) raise("0 cannot be raised to a negative power");
  if (base < 0 && std::isfinite(exponent) && exponent != std::trunc(exponent))
    raise("a negative number cannot be raised to a fraction");
  const double result = std::pow(base, exponent);
  if (std::isinf(result) && std::isfinite(base) && std::isfinite(exponent))
    raise("the result of ** is out of range");
  return Value::floating(result);
}

}  // namespace

Integer add_integers(Integer a, Integer b) {
  Integer result = 0;
  if (__builtin_add_overflow(a, b, &result)) too_large_integer();
  return result;
}

// On magnitudes: the checked product of signed 128 bits needs a library clang does not bring.
Integer multiply_integers(Integer a, Integer b) {
  const UnsignedInteger x = magnitude(a);
  const UnsignedInteger y = magnitude(b);
  if (x != 0 && y > kMostInteger / x) too_large_integer();
  const Integer product = static_cast<Integer>(x * y);
  return (a < 0) != (b < 0) ? -product : product;
}

Integer to_integer(double value) {
  constexpr double kBeyond = 1.7014118346046923e38;  // 2^127
  if (std::isnan(value)) raise("nan cannot be made an integer");
  if (std::isinf(value)) raise("infinity cannot be made an integer");
  if (!(value > -kBeyond && value < kBeyond)) too_large_integer();
  return static_cast<Integer>(value);
}

Value round_number(const Value& number, Integer digits, bool to_integer_kind) {
  if (number.is_integral() && digits >= 0) return Value::integer(number.integer());
  const double value = number.floating();
  if (!std::isfinite(value)) {
    if (to_integer_kind) (void)to_integer(value);
    return Value::floating(value);
  }
  double rounded = value;
  if (digits < -40) {
    rounded = std::copysign(0.0, value);
  } else if (digits < 0) {
    // To a multiple of a power of ten, ties to even.
    const double unit = std::pow(10.0, static_cast<double>(-digits));
    rounded = std::nearbyint(value / unit) * unit;
  } else if (digits < 300) {
    // printf rounds the exact binary value correctly, ties to even, as Python does.
    char text[700];
    std::snprintf(text, sizeof text, "%.*f", static_cast<int>(digits), value);
    rounded = std::strtod(text, nullptr);
  }
  if (to_integer_kind || number.is_integral()) return Value::integer(to_integer(rounded));
  return Value::floating(rounded);
}

Value apply_unary(Heap& heap, ast::UnaryOp op, const Value& operand) {
  heap.step();
  if (operand.is_undefined()) raise("{}", operand.undefined_reason());
  if (!operand.is_number()) raise("a {} has no sign", type_name(operand));
  if (operand.is(Kind::Float))
    return Value::floating(op == ast::UnaryOp::Minus ? -operand.floating() : operand.floating());
  return Value::integer(op == ast::UnaryOp::Minus ? negate(operand.integer()) : operand.integer());
}

Value apply_binary(Heap& heap, ast::BinaryOp op, const Value& left, const Value& right) {
  heap.step();
  switch (op) {
    case ast::BinaryOp::Add:
      return add(heap, left, right);
    case ast::BinaryOp::Subtract:
      return subtract(left, right);
    case ast::BinaryOp::Multiply:
      return multiply(heap, left, right);
    case ast::BinaryOp::Divide:
      check_divisor(left, "/", right);
      return Value::floating(left.floating() / right.floating());
    case ast::BinaryOp::FloorDivide:
      return floor_divide(left, right);
    case ast::BinaryOp::Modulo:
      return modulo(heap, left, right);
    case ast::BinaryOp::Power:
      return power(heap, left, right);
  }
  return Value();
}

}  // namespace millrace::jinja

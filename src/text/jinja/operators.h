// Arithmetic with Python's meaning.
#pragma once

#include "text/jinja/ast.h"
#include "text/jinja/heap.h"

namespace millrace::jinja {

Value apply_unary(Heap& heap, ast::UnaryOp op, const Value& operand);
Value apply_binary(Heap& heap, ast::BinaryOp op, const Value& left, const Value& right);

// Checked: raise TooLarge beyond 128 bits.
Integer add_integers(Integer a, Integer b);
Integer multiply_integers(Integer a, Integer b);
// The integer with this value, cut towards zero. Raises for infinity and what does not fit.
Integer to_integer(double value);

// round(): half to even, of a number with `digits` decimals.
Value round_number(const Value& number, Integer digits, bool to_integer_kind);

}  // namespace millrace::jinja

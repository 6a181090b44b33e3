#include "text/jinja/access.h"
#include "text/jinja/compare.h"
#include "text/jinja/filters.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"
#include "text/jinja/tests.h"

namespace millrace::jinja {

Value Interpreter::evaluate(const ast::Expr& expr) {
  const Nested nested(heap_);
  const int outer = std::exchange(line_, expr.line);
  Value value = std::visit([this](const auto& node) { return evaluate(node); }, expr.node);
  // Not restored when an exception passes: the line is then that of the failure.
  line_ = outer;
  return value;
}

Value Interpreter::evaluate(const ast::Name& expr) {
  if (const Value* value = scope_->find(expr.name)) return *value;
  return heap_.undefined("'{}' is undefined", expr.name);
}

std::vector<Value> Interpreter::evaluate_all(const std::vector<ast::ExprPtr>& exprs) {
  std::vector<Value> values;
  values.reserve(exprs.size());
  for (const ast::ExprPtr& expr : exprs) values.push_back(evaluate(*expr));
  return values;
}

Value Interpreter::evaluate(const ast::List& expr) {
  return heap_.list(evaluate_all(expr.items));
}

Value Interpreter::evaluate(const ast::Tuple& expr) {
  return heap_.tuple(evaluate_all(expr.items));
}

Value Interpreter::evaluate(const ast::Dict& expr) {
  auto entries = heap_.new_dict();
  for (const auto& [key, value] : expr.entries) {
    Value name = evaluate(*key);
    entries->set(std::move(name), evaluate(*value));
  }
  return heap_.dict(std::move(entries));
}

Value Interpreter::evaluate(const ast::Unary& expr) {
  return apply_unary(heap_, expr.op, evaluate(*expr.operand));
}

Value Interpreter::evaluate(const ast::Binary& expr) {
  const Value left = evaluate(*expr.left);
  const Value right = evaluate(*expr.right);
  return apply_binary(heap_, expr.op, left, right);
}

Value Interpreter::evaluate(const ast::Concat& expr) {
  const std::vector<Value> values = evaluate_all(expr.items);
  TextBuilder out(heap_);
  for (const Value& value : values) add_str(out, value);
  return out.value();
}

bool Interpreter::compare(ast::CompareOp op, const Value& left, const Value& right) {
  switch (op) {
    case ast::CompareOp::Equal:
      return equal(heap_, left, right);
    case ast::CompareOp::NotEqual:
      return !equal(heap_, left, right);
    case ast::CompareOp::Less:
      return ordered(heap_, left, Order::Less, right);
    case ast::CompareOp::LessEqual:
      return ordered(heap_, left, Order::LessEqual, right);
    case ast::CompareOp::Greater:
      return ordered(heap_, left, Order::Greater, right);
    case ast::CompareOp::GreaterEqual:
      return ordered(heap_, left, Order::GreaterEqual, right);
    case ast::CompareOp::In:
      return contains(heap_, right, left);
    case ast::CompareOp::NotIn:
      return !contains(heap_, right, left);
  }
  return false;
}

Value Interpreter::evaluate(const ast::Compare& expr) {
  Value left = evaluate(*expr.first);
  for (const auto& [op, operand] : expr.rest) {
    Value right = evaluate(*operand);
    if (!compare(op, left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::evaluate(const ast::Not& expr) {
  return Value::boolean(!truth(evaluate(*expr.operand)));
}

Value Interpreter::evaluate(const ast::And& expr) {
  Value left = evaluate(*expr.left);
  return truth(left) ? evaluate(*expr.right) : left;
}

Value Interpreter::evaluate(const ast::Or& expr) {
  Value left = evaluate(*expr.left);
  return truth(left) ? left : evaluate(*expr.right);
}

Value Interpreter::evaluate(const ast::Conditional& expr) {
  if (truth(evaluate(*expr.test))) return evaluate(*expr.yes);
  if (expr.no) return evaluate(*expr.no);
  return heap_.undefined("the condition is false and there is no else");
}

Value Interpreter::evaluate(const ast::Attribute& expr) {
  return attribute_of(heap_, evaluate(*expr.object), expr.name);
}

Value Interpreter::evaluate(const ast::Item& expr) {
  const Value object = evaluate(*expr.object);
  return item_of(heap_, object, evaluate(*expr.index));
}

Value Interpreter::evaluate(const ast::Slice& expr) {
  const Value object = evaluate(*expr.object);
  const auto bound = [this](const ast::ExprPtr& part) {
    return part ? evaluate(*part) : Value::none();
  };
  const Value start = bound(expr.start);
  const Value stop = bound(expr.stop);
  return slice_of(heap_, object, start, stop, bound(expr.step));
}

Arguments Interpreter::evaluate_arguments(const ast::CallArguments& source) {
  Arguments arguments;
  arguments.positional = evaluate_all(source.positional);
  for (const auto& [name, expr] : source.named) arguments.named.emplace_back(name, evaluate(*expr));
  if (source.more_positional) {
    for (Value& value : all_items(heap_, evaluate(*source.more_positional)))
      arguments.positional.push_back(std::move(value));
  }
  if (source.more_named) {
    const Value more = evaluate(*source.more_named);
    if (!more.is_dict()) raise("found a {} behind **, expected a dict", type_name(more));
    for (const auto& [name, value] : more.dict().entries()) {
      if (!name.is_str()) raise("the name of an argument is a {}", type_name(name));
      heap_.step();
      arguments.named.emplace_back(name.text(), value);
    }
  }
  return arguments;
}

Value Interpreter::call(const Value& callee, const Arguments& arguments) {
  const Nested nested(heap_);
  switch (callee.kind()) {
    case Kind::Function: {
      const FunctionObject& function = function_of(callee);
      return function.function(heap_, function.self, arguments);
    }
    case Kind::Macro:
      return call_macro(callee, arguments);
    case Kind::Joiner: {
      JoinerObject& joiner = joiner_of(callee);
      return std::exchange(joiner.used, true) ? joiner.separator : heap_.str("");
    }
    case Kind::Undefined:
      raise("{}, so it cannot be called", callee.undefined_reason());
    default:
      raise("a {} cannot be called", type_name(callee));
  }
}

Value Interpreter::evaluate(const ast::Call& expr) {
  const Value callee = evaluate(*expr.callee);
  return call(callee, evaluate_arguments(expr.arguments));
}

Value Interpreter::evaluate(const ast::Filter& expr) {
  const Value input = expr.input ? evaluate(*expr.input) : std::exchange(block_text_, Value());
  return apply_filter(heap_, expr.name, input, evaluate_arguments(expr.arguments));
}

Value Interpreter::apply_filters(const ast::Expr& filters, Value text) {
  block_text_ = std::move(text);
  return evaluate(filters);
}

Value Interpreter::evaluate(const ast::Test& expr) {
  const Value input = evaluate(*expr.input);
  const Arguments arguments = evaluate_arguments(expr.arguments);
  return Value::boolean(apply_test(heap_, expr.name, input, arguments));
}

}  // namespace millrace::jinja

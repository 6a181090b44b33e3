// Runs a syntax tree: one object for one render, on one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"
#include "text/jinja/time_text.h"

namespace millrace::jinja {

class Interpreter {
 public:
  // The scope holds the template's variables; its names outlive the render.
  Interpreter(Heap& heap, std::shared_ptr<Scope> scope) : heap_(heap), scope_(std::move(scope)) {}

  // The text that the template gives. Raises Failure; line() then says where.
  std::string run(const ast::Body& body);
  int line() const { return line_; }

 private:
  enum class Flow { Next, Break, Continue };

  // A text that statements are writing to, with the limit it is held to.
  struct Output {
    std::string text;
    std::size_t limit;
  };

  // Statements (statements.cc).
  Flow run_body(const ast::Body& body);
  Flow run_scoped(const ast::Body& body);
  Flow run(const ast::Text& statement);
  Flow run(const ast::Output& statement);
  Flow run(const ast::Set& statement);
  Flow run(const ast::SetBlock& statement);
  Flow run(const ast::If& statement);
  Flow run(const ast::For& statement);
  Flow run(const ast::Macro& statement);
  Flow run(const ast::CallBlock& statement);
  Flow run(const ast::FilterBlock& statement);
  Flow run(const ast::With& statement);
  Flow run(const ast::Generation& statement);
  Flow run(const ast::Break&) { return Flow::Break; }
  Flow run(const ast::Continue&) { return Flow::Continue; }
  void emit(std::string_view text);
  void emit(const Value& value);
  void assign(const ast::Target& target, const Value& value);
  // What the body writes, as a value, and how it ended.
  std::pair<Value, Flow> capture(const ast::Body& body);
  Value make_macro(const ast::Callable& definition);
  Value call_macro(const Value& macro, const Arguments& arguments);
  void bind_parameters(const ast::Callable& macro, const Arguments& arguments, Scope& scope);

  // Expressions (expressions.cc).
  Value evaluate(const ast::Expr& expr);
  Value evaluate(const ast::Constant& expr) { return expr.value; }
  Value evaluate(const ast::Name& expr);
  Value evaluate(const ast::List& expr);
  Value evaluate(const ast::Tuple& expr);
  Value evaluate(const ast::Dict& expr);
  Value evaluate(const ast::Unary& expr);
  Value evaluate(const ast::Binary& expr);
  Value evaluate(const ast::Concat& expr);
  Value evaluate(const ast::Compare& expr);
  Value evaluate(const ast::Not& expr);
  Value evaluate(const ast::And& expr);
  Value evaluate(const ast::Or& expr);
  Value evaluate(const ast::Conditional& expr);
  Value evaluate(const ast::Attribute& expr);
  Value evaluate(const ast::Item& expr);
  Value evaluate(const ast::Slice& expr);
  Value evaluate(const ast::Call& expr);
  Value evaluate(const ast::Filter& expr);
  Value evaluate(const ast::Test& expr);
  std::vector<Value> evaluate_all(const std::vector<ast::ExprPtr>& exprs);
  Arguments evaluate_arguments(const ast::CallArguments& arguments);
  Value call(const Value& callee, const Arguments& arguments);
  bool compare(ast::CompareOp op, const Value& left, const Value& right);
  // A chain of filters over the text of a block.
  Value apply_filters(const ast::Expr& filters, Value text);

  Heap& heap_;
  std::shared_ptr<Scope> scope_;
  Output* output_ = nullptr;
  Value block_text_;  // input of the filters of the block that has just ended
  int line_ = 1;
};

}  // namespace millrace::jinja

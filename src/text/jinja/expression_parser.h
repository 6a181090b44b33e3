// The expressions of the template language: Jinja's precedence, lowest first: if/else, or, and,
// not, comparisons, + -, ~, * / // %, **, unary, then attributes, calls, filters and tests.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/token_stream.h"

namespace millrace::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  // Without conditionals the `if` behind it belongs to the caller: for x in y if z.
  ast::ExprPtr expression(bool with_conditional = true);
  // "a, b" gives a tuple, "a" the expression alone.
  ast::ExprPtr expression_or_tuple(bool with_conditional = true);
  // "| f | g(1)" over `input`, which may be null. With `bare` the first stands without its bar.
  ast::ExprPtr filters(ast::ExprPtr input, bool bare = false);

  // The names that were read since the last call with an empty set: what a macro's body uses.
  std::set<std::string, std::less<>>& names_read() { return names_read_; }

 private:
  ast::ExprPtr conditional();
  ast::ExprPtr disjunction();
  ast::ExprPtr conjunction();
  ast::ExprPtr negation();
  ast::ExprPtr comparison();
  ast::ExprPtr sum();
  ast::ExprPtr concatenation();
  ast::ExprPtr product();
  ast::ExprPtr power();
  ast::ExprPtr unary(bool with_filters = true);
  ast::ExprPtr primary();
  ast::ExprPtr parenthesis();
  ast::ExprPtr list();
  ast::ExprPtr dict();
  ast::ExprPtr postfix(ast::ExprPtr object);
  ast::ExprPtr filters_and_tests(ast::ExprPtr input);
  ast::ExprPtr subscript(ast::ExprPtr object);
  ast::ExprPtr dotted(ast::ExprPtr object);
  ast::ExprPtr call(ast::ExprPtr callee);
  ast::ExprPtr test(ast::ExprPtr input);
  std::string dotted_name();
  ast::CallArguments call_arguments();

  // A node of one level more than its deepest child.
  template <typename Node>
  ast::ExprPtr make(int line, int child_depth, Node node);

  TokenStream& tokens_;
  std::set<std::string, std::less<>> names_read_;
};

}  // namespace millrace::jinja

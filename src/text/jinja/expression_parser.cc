#include "text/jinja/expression_parser.h"

#include <algorithm>
#include <array>
#include <optional>

namespace millrace::jinja {
namespace {

using ast::ExprPtr;

int depth_of(const ExprPtr& expr) {
  return expr ? expr->depth : 0;
}

int depth_of(const std::vector<ExprPtr>& exprs) {
  int depth = 0;
  for (const ExprPtr& expr : exprs) depth = std::max(depth, depth_of(expr));
  return depth;
}

int depth_of(const ast::CallArguments& arguments) {
  int depth = depth_of(arguments.positional);
  for (const auto& [name, expr] : arguments.named) depth = std::max(depth, depth_of(expr));
  return std::max({depth, depth_of(arguments.more_positional), depth_of(arguments.more_named)});
}

std::optional<ast::CompareOp> compare_op(const Token& token) {
  using ast::CompareOp;
  if (token.is_operator("==")) return CompareOp::Equal;
  if (token.is_operator("!=")) return CompareOp::NotEqual;
  if (token.is_operator("<")) return CompareOp::Less;
  if (token.is_operator("<=")) return CompareOp::LessEqual;
  if (token.is_operator(">")) return CompareOp::Greater;
  if (token.is_operator(">=")) return CompareOp::GreaterEqual;
  if (token.is_name("in")) return CompareOp::In;
  return std::nullopt;
}

}  // namespace

template <typename Node>
ExprPtr ExpressionParser::make(int line, int child_depth, Node node) {
  tokens_.check_depth(child_depth + 1);
  auto expr = std::make_unique<ast::Expr>();
  expr->line = line;
  expr->depth = child_depth + 1;
  expr->node = std::move(node);
  return expr;
}

ExprPtr ExpressionParser::expression(bool with_conditional) {
  const TokenStream::Level level(tokens_);
  return with_conditional ? conditional() : disjunction();
}

ExprPtr ExpressionParser::expression_or_tuple(bool with_conditional) {
  const int line = tokens_.line();
  const auto at_end = [&] {
    const Token& token = tokens_.current();
    return token.kind == TokenKind::VariableEnd || token.kind == TokenKind::BlockEnd ||
           token.is_operator(")") || token.is_name("recursive");
  };
  if (at_end()) tokens_.fail_expected("an expression");
  ExprPtr first = expression(with_conditional);
  if (!tokens_.at_operator(",")) return first;
  std::vector<ExprPtr> items;
  items.push_back(std::move(first));
  while (tokens_.skip_operator(",")) {
    if (at_end()) break;
    items.push_back(expression(with_conditional));
  }
  const int depth = depth_of(items);
  return make(line, depth, ast::Tuple{std::move(items)});
}

ExprPtr ExpressionParser::conditional() {
  const int line = tokens_.line();
  ExprPtr yes = disjunction();
  while (tokens_.skip_name("if")) {
    ExprPtr test = disjunction();
    ExprPtr no;
    if (tokens_.skip_name("else")) {
      const TokenStream::Level level(tokens_);
      no = conditional();
    }
    const int depth = std::max({depth_of(test), depth_of(yes), depth_of(no)});
    yes = make(line, depth, ast::Conditional{std::move(test), std::move(yes), std::move(no)});
  }
  return yes;
}

ExprPtr ExpressionParser::disjunction() {
  const int line = tokens_.line();
  ExprPtr left = conjunction();
  while (tokens_.skip_name("or")) {
    ExprPtr right = conjunction();
    const int depth = std::max(depth_of(left), depth_of(right));
    left = make(line, depth, ast::Or{std::move(left), std::move(right)});
  }
  return left;
}

ExprPtr ExpressionParser::conjunction() {
  const int line = tokens_.line();
  ExprPtr left = negation();
  while (tokens_.skip_name("and")) {
    ExprPtr right = negation();
    const int depth = std::max(depth_of(left), depth_of(right));
    left = make(line, depth, ast::And{std::move(left), std::move(right)});
  }
  return left;
}

ExprPtr ExpressionParser::negation() {
  const int line = tokens_.line();
  if (!tokens_.skip_name("not")) return comparison();
  const TokenStream::Level level(tokens_);
  ExprPtr operand = negation();
  const int depth = depth_of(operand);
  return make(line, depth, ast::Not{std::move(operand)});
}

ExprPtr ExpressionParser::comparison() {
  const int line = tokens_.line();
  ExprPtr first = sum();
  std::vector<std::pair<ast::CompareOp, ExprPtr>> rest;
  int depth = depth_of(first);
  while (true) {
    auto op = compare_op(tokens_.current());
    if (!op && tokens_.at_name("not") && tokens_.ahead().is_name("in")) {
      tokens_.take();
      op = ast::CompareOp::NotIn;
    }
    if (!op) break;
    tokens_.take();
    rest.emplace_back(*op, sum());
    depth = std::max(depth, depth_of(rest.back().second));
  }
  if (rest.empty()) return first;
  return make(line, depth, ast::Compare{std::move(first), std::move(rest)});
}

ExprPtr ExpressionParser::sum() {
  ExprPtr left = concatenation();
  while (tokens_.at_operator("+") || tokens_.at_operator("-")) {
    const int line = tokens_.line();
    const auto op = tokens_.take().text == "+" ? ast::BinaryOp::Add : ast::BinaryOp::Subtract;
    ExprPtr right = concatenation();
    const int depth = std::max(depth_of(left), depth_of(right));
    left = make(line, depth, ast::Binary{op, std::move(left), std::move(right)});
  }
  return left;
}

ExprPtr ExpressionParser::concatenation() {
  const int line = tokens_.line();
  ExprPtr first = product();
  if (!tokens_.at_operator("~")) return first;
  std::vector<ExprPtr> items;
  items.push_back(std::move(first));
  while (tokens_.skip_operator("~")) items.push_back(product());
  const int depth = depth_of(items);
  return make(line, depth, ast::Concat{std::move(items)});
}

ExprPtr ExpressionParser::product() {
  static constexpr std::array<std::pair<std::string_view, ast::BinaryOp>, 4> kOps = {{
      {"*", ast::BinaryOp::Multiply},
      {"/", ast::BinaryOp::Divide},
      {"//", ast::BinaryOp::FloorDivide},
      {"%", ast::BinaryOp::Modulo},
  }};
  ExprPtr left = power();
  while (true) {
    const auto* op = std::find_if(kOps.begin(), kOps.end(),
                                  [&](const auto& row) { return tokens_.at_operator(row.first); });
    if (op == kOps.end()) return left;
    const int line = tokens_.line();
    tokens_.take();
    ExprPtr right = power();
    const int depth = std::max(depth_of(left), depth_of(right));
    left = make(line, depth, ast::Binary{op->second, std::move(left), std::move(right)});
  }
}

ExprPtr ExpressionParser::power() {
  ExprPtr left = unary();
  while (tokens_.at_operator("**")) {
    const int line = tokens_.line();
    tokens_.take();
    ExprPtr right = unary();
    const int depth = std::max(depth_of(left), depth_of(right));
    left = make(line, depth, ast::Binary{ast::BinaryOp::Power, std::move(left), std::move(right)});
  }
  return left;
}

ExprPtr ExpressionParser::unary(bool with_filters) {
  const int line = tokens_.line();
  ExprPtr expr;
  if (tokens_.at_operator("-") || tokens_.at_operator("+")) {
    const TokenStream::Level level(tokens_);
    const auto op = tokens_.take().text == "-" ? ast::UnaryOp::Minus : ast::UnaryOp::Plus;
    ExprPtr operand = unary(false);
    const int depth = depth_of(operand);
    expr = make(line, depth, ast::Unary{op, std::move(operand)});
  } else {
    expr = primary();
  }
  expr = postfix(std::move(expr));
  return with_filters ? filters_and_tests(std::move(expr)) : std::move(expr);
}

ExprPtr ExpressionParser::primary() {
  const int line = tokens_.line();
  const auto constant = [&](Value value) { return make(line, 0, ast::Constant{std::move(value)}); };
  const Token& token = tokens_.current();
  switch (token.kind) {
    case TokenKind::Name: {
      const std::string name = tokens_.take().text;
      if (name == "true" || name == "True") return constant(Value::boolean(true));
      if (name == "false" || name == "False") return constant(Value::boolean(false));
      if (name == "none" || name == "None") return constant(Value::none());
      names_read_.insert(name);
      return make(line, 0, ast::Name{name});
    }
    case TokenKind::String: {
      std::string text = tokens_.take().text;
      while (tokens_.current().kind == TokenKind::String) text += tokens_.take().text;
      return constant(Value::constant(std::move(text)));
    }
    case TokenKind::IntLiteral:
      return constant(Value::integer(tokens_.take().integer));
    case TokenKind::FloatLiteral:
      return constant(Value::floating(tokens_.take().number));
    default:
      break;
  }
  if (token.is_operator("(")) return parenthesis();
  if (token.is_operator("[")) return list();
  if (token.is_operator("{")) return dict();
  tokens_.fail_expected("an expression");
}

ExprPtr ExpressionParser::parenthesis() {
  const int line = tokens_.line();
  tokens_.expect_operator("(");
  ExprPtr inside;
  if (tokens_.at_operator(")"))
    inside = make(line, 0, ast::Tuple{});
  else
    inside = expression_or_tuple();
  tokens_.expect_operator(")");
  return inside;
}

ExprPtr ExpressionParser::list() {
  const int line = tokens_.line();
  tokens_.expect_operator("[");
  std::vector<ExprPtr> items;
  while (!tokens_.at_operator("]")) {
    if (!items.empty()) tokens_.expect_operator(",");
    if (tokens_.at_operator("]")) break;
    items.push_back(expression());
  }
  tokens_.expect_operator("]");
  const int depth = depth_of(items);
  return make(line, depth, ast::List{std::move(items)});
}

ExprPtr ExpressionParser::dict() {
  const int line = tokens_.line();
  tokens_.expect_operator("{");
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
  int depth = 0;
  while (!tokens_.at_operator("}")) {
    if (!entries.empty()) tokens_.expect_operator(",");
    if (tokens_.at_operator("}")) break;
    ExprPtr key = expression();
    tokens_.expect_operator(":");
    ExprPtr value = expression();
    depth = std::max({depth, depth_of(key), depth_of(value)});
    entries.emplace_back(std::move(key), std::move(value));
  }
  tokens_.expect_operator("}");
  return make(line, depth, ast::Dict{std::move(entries)});
}

ExprPtr ExpressionParser::postfix(ExprPtr object) {
  while (true) {
    if (tokens_.at_operator("."))
      object = dotted(std::move(object));
    else if (tokens_.at_operator("["))
      object = subscript(std::move(object));
    else if (tokens_.at_operator("("))
      object = call(std::move(object));
    else
      return object;
  }
}

ExprPtr ExpressionParser::filters_and_tests(ExprPtr input) {
  while (true) {
    if (tokens_.at_operator("|"))
      input = filters(std::move(input));
    else if (tokens_.at_name("is"))
      input = test(std::move(input));
    else if (tokens_.at_operator("("))
      input = call(std::move(input));
    else
      return input;
  }
}

ExprPtr ExpressionParser::dotted(ExprPtr object) {
  const int line = tokens_.line();
  tokens_.expect_operator(".");
  const int depth = depth_of(object);
  const Token& token = tokens_.current();
  if (token.kind == TokenKind::IntLiteral) {
    ExprPtr index = make(line, 0, ast::Constant{Value::integer(tokens_.take().integer)});
    return make(line, depth, ast::Item{std::move(object), std::move(index)});
  }
  std::string name = tokens_.expect_name();
  return make(line, depth, ast::Attribute{std::move(object), std::move(name)});
}

ExprPtr ExpressionParser::subscript(ExprPtr object) {
  const int line = tokens_.line();
  tokens_.expect_operator("[");
  ExprPtr parts[3];
  int given = 0;  // parts that were separated by colons, the last included
  if (!tokens_.at_operator(":")) parts[0] = expression();
  if (parts[0] && tokens_.at_operator(",")) {
    // object[a, b] takes a tuple.
    std::vector<ExprPtr> items;
    items.push_back(std::move(parts[0]));
    while (tokens_.skip_operator(",") && !tokens_.at_operator("]")) items.push_back(expression());
    const int tuple_depth = depth_of(items);
    parts[0] = make(line, tuple_depth, ast::Tuple{std::move(items)});
  }
  while (tokens_.skip_operator(":")) {
    if (++given > 2) tokens_.fail_expected("']'");
    if (!tokens_.at_operator(":") && !tokens_.at_operator("]")) parts[given] = expression();
  }
  tokens_.expect_operator("]");
  const int depth =
      std::max({depth_of(object), depth_of(parts[0]), depth_of(parts[1]), depth_of(parts[2])});
  if (given == 0) return make(line, depth, ast::Item{std::move(object), std::move(parts[0])});
  return make(
      line, depth,
      ast::Slice{std::move(object), std::move(parts[0]), std::move(parts[1]), std::move(parts[2])});
}

ast::CallArguments ExpressionParser::call_arguments() {
  tokens_.expect_operator("(");
  ast::CallArguments arguments;
  bool first = true;
  while (!tokens_.at_operator(")")) {
    if (!first) tokens_.expect_operator(",");
    first = false;
    if (tokens_.at_operator(")")) break;
    if (tokens_.skip_operator("*")) {
      if (arguments.more_positional || arguments.more_named)
        tokens_.fail("arguments after *others or **others");
      arguments.more_positional = expression();
    } else if (tokens_.skip_operator("**")) {
      if (arguments.more_named) tokens_.fail("**others twice in one call");
      arguments.more_named = expression();
    } else if (tokens_.current().kind == TokenKind::Name && tokens_.ahead().is_operator("=")) {
      if (arguments.more_named) tokens_.fail("a named argument after **others");
      std::string name = tokens_.take().text;
      tokens_.take();
      for (const auto& [known, expr] : arguments.named)
        if (known == name) tokens_.fail("the argument '{}' is given twice", name);
      arguments.named.emplace_back(std::move(name), expression());
    } else {
      if (arguments.more_positional || arguments.more_named || !arguments.named.empty())
        tokens_.fail("a positional argument after a named one");
      arguments.positional.push_back(expression());
    }
  }
  tokens_.expect_operator(")");
  return arguments;
}

ExprPtr ExpressionParser::call(ExprPtr callee) {
  const int line = tokens_.line();
  ast::CallArguments arguments = call_arguments();
  const int depth = std::max(depth_of(callee), depth_of(arguments));
  return make(line, depth, ast::Call{std::move(callee), std::move(arguments)});
}

std::string ExpressionParser::dotted_name() {
  std::string name = tokens_.expect_name();
  while (tokens_.skip_operator(".")) name += "." + tokens_.expect_name();
  return name;
}

ExprPtr ExpressionParser::filters(ExprPtr input, bool bare) {
  while (bare || tokens_.skip_operator("|")) {
    bare = false;
    const int line = tokens_.line();
    std::string name = dotted_name();
    ast::CallArguments arguments;
    if (tokens_.at_operator("(")) arguments = call_arguments();
    const int depth = std::max(depth_of(input), depth_of(arguments));
    input = make(line, depth, ast::Filter{std::move(input), std::move(name), std::move(arguments)});
  }
  return input;
}

ExprPtr ExpressionParser::test(ExprPtr input) {
  const int line = tokens_.line();
  tokens_.take();  // is
  const bool negated = tokens_.skip_name("not");
  std::string name = dotted_name();
  ast::CallArguments arguments;
  const Token& next = tokens_.current();
  const bool operand_follows =
      (next.kind == TokenKind::Name || next.kind == TokenKind::String ||
       next.kind == TokenKind::IntLiteral || next.kind == TokenKind::FloatLiteral ||
       next.is_operator("[") || next.is_operator("{")) &&
      !next.is_name("else") && !next.is_name("or") && !next.is_name("and");
  if (tokens_.at_operator("(")) {
    arguments = call_arguments();
  } else if (operand_follows) {
    if (next.is_name("is")) tokens_.fail("tests cannot be chained with 'is'");
    arguments.positional.push_back(postfix(primary()));
  }
  const int depth = std::max(depth_of(input), depth_of(arguments));
  ExprPtr expr =
      make(line, depth, ast::Test{std::move(input), std::move(name), std::move(arguments)});
  if (!negated) return expr;
  return make(line, depth + 1, ast::Not{std::move(expr)});
}

}  // namespace millrace::jinja

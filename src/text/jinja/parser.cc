#include "text/jinja/parser.h"

#include <array>
#include <initializer_list>

#include "text/jinja/expression_parser.h"
#include "text/jinja/token_stream.h"

namespace millrace::jinja {
namespace {

using EndTags = std::initializer_list<std::string_view>;

// Tags of Jinja that need other files, or that no chat template has use for.
constexpr std::array<std::string_view, 7> kRefusedTags = {
    "include", "import", "from", "extends", "block", "trans", "autoescape"};

class Parser {
 public:
  Parser(std::string_view source, const JinjaLimits& limits)
      : tokens_(tokenize(source), limits), expressions_(tokens_) {}

  ast::Body run() { return body({}); }

 private:
  // Statements up to one of the end tags, whose name is then the current token; up to the end of
  // the template when there are none.
  ast::Body body(EndTags ends) {
    const TokenStream::Level level(tokens_);
    ast::Body statements;
    while (true) {
      const int line = tokens_.line();
      switch (tokens_.current().kind) {
        case TokenKind::End:
          if (ends.size() != 0) fail_unclosed(ends);
          return statements;
        case TokenKind::Data:
          statements.push_back({line, ast::Text{Value::constant(tokens_.take().text)}});
          break;
        case TokenKind::VariableBegin: {
          tokens_.take();
          statements.push_back({line, ast::Output{expressions_.expression_or_tuple()}});
          tokens_.expect(TokenKind::VariableEnd);
          break;
        }
        default: {
          tokens_.expect(TokenKind::BlockBegin);
          for (const std::string_view end : ends)
            if (tokens_.at_name(end)) return statements;
          statement(statements, line);
          tokens_.expect(TokenKind::BlockEnd);
        }
      }
    }
  }

  // The body between this tag's end and one of the end tags, which may follow a colon.
  ast::Body block(EndTags ends) {
    tokens_.skip_operator(":");
    tokens_.expect(TokenKind::BlockEnd);
    return body(ends);
  }
  ast::Body block_to(std::string_view end) {
    ast::Body statements = block({end});
    tokens_.take();
    return statements;
  }

  [[noreturn]] void fail_unclosed(EndTags ends) const {
    std::string expected;
    for (const std::string_view end : ends)
      expected += (expected.empty() ? "{% " : " or {% ") + std::string(end) + " %}";
    tokens_.fail("the template ends where {} is missing", expected);
  }

  void statement(ast::Body& out, int line) {
    if (tokens_.current().kind != TokenKind::Name) tokens_.fail_expected("the name of a tag");
    const std::string tag = tokens_.current().text;
    for (const std::string_view refused : kRefusedTags)
      if (tag == refused)
        throw Failure{ErrorCode::Unsupported, fmt::format("the tag '{}' is not supported", tag),
                      line};
    const auto add = [&](auto node) { out.push_back({line, std::move(node)}); };
    if (tag == "break" || tag == "continue") {
      if (loops_ == 0) tokens_.fail("'{}' outside of a loop", tag);
      tokens_.take();
      if (tag == "break") return add(ast::Break{});
      return add(ast::Continue{});
    }
    tokens_.take();
    if (tag == "if") return add(if_statement());
    if (tag == "for") return add(for_statement());
    if (tag == "set") return set_statement(out, line);
    if (tag == "macro") return add(macro_statement());
    if (tag == "call") return add(call_statement());
    if (tag == "filter") return add(filter_statement());
    if (tag == "with") return add(with_statement());
    if (tag == "print") return print_statement(out, line);
    if (tag == "generation") {
      const int loops = std::exchange(loops_, 0);
      ast::Generation generation{block_to("endgeneration")};
      loops_ = loops;
      return add(std::move(generation));
    }
    tokens_.fail("unknown tag '{}'", tag);
  }

  ast::If if_statement() {
    ast::If statement;
    while (true) {
      ast::ExprPtr test = expressions_.expression_or_tuple(false);
      ast::Body then = block({"elif", "else", "endif"});
      statement.branches.emplace_back(std::move(test), std::move(then));
      if (tokens_.skip_name("elif")) continue;
      if (tokens_.skip_name("else"))
        statement.otherwise = block_to("endif");
      else
        tokens_.take();
      return statement;
    }
  }

  ast::For for_statement() {
    ast::For statement;
    statement.target = target(false);
    if (!tokens_.skip_name("in")) tokens_.fail_expected("'in'");
    statement.source = expressions_.expression_or_tuple(false);
    if (tokens_.skip_name("if")) statement.filter = expressions_.expression();
    if (tokens_.at_name("recursive"))
      throw Failure{ErrorCode::Unsupported, "recursive loops are not supported", tokens_.line()};
    ++loops_;
    statement.body = block({"endfor", "else"});
    --loops_;
    if (tokens_.skip_name("else"))
      statement.otherwise = block_to("endfor");
    else
      tokens_.take();
    return statement;
  }

  void set_statement(ast::Body& out, int line) {
    ast::Target to = target(true);
    if (tokens_.skip_operator("=")) {
      ast::ExprPtr value = expressions_.expression_or_tuple();
      out.push_back({line, ast::Set{std::move(to), std::move(value)}});
      return;
    }
    ast::ExprPtr filter = expressions_.filters(nullptr);
    ast::Body content = block_to("endset");
    out.push_back({line, ast::SetBlock{std::move(to), std::move(filter), std::move(content)}});
  }

  ast::With with_statement() {
    ast::With statement;
    while (tokens_.current().kind != TokenKind::BlockEnd && !tokens_.at_operator(":")) {
      if (!statement.assignments.empty()) tokens_.expect_operator(",");
      ast::Target to = target(false);
      tokens_.expect_operator("=");
      statement.assignments.emplace_back(std::move(to), expressions_.expression());
    }
    statement.body = block_to("endwith");
    return statement;
  }

  void print_statement(ast::Body& out, int line) {
    bool first = true;
    while (tokens_.current().kind != TokenKind::BlockEnd) {
      if (!first) tokens_.expect_operator(",");
      first = false;
      out.push_back({line, ast::Output{expressions_.expression()}});
    }
  }

  ast::FilterBlock filter_statement() {
    ast::FilterBlock statement;
    statement.filter = expressions_.filters(nullptr, true);
    statement.body = block_to("endfilter");
    return statement;
  }

  ast::Macro macro_statement() {
    ast::Macro statement;
    statement.definition.name = tokens_.expect_name();
    callable(statement.definition, "endmacro", true, [] {});
    return statement;
  }

  ast::CallBlock call_statement() {
    ast::CallBlock statement;
    statement.definition.name = "caller";
    const int line = tokens_.line();
    callable(statement.definition, "endcall", tokens_.at_operator("("), [&] {
      statement.call = expressions_.expression();
      if (!std::holds_alternative<ast::Call>(statement.call->node))
        throw Failure{ErrorCode::Corrupt, "{% call %} needs a call", line};
    });
    return statement;
  }

  // Parameters and body. `between` reads what stands behind the parameters in the tag.
  template <typename Between>
  void callable(ast::Callable& to, std::string_view end, bool has_parameters,
                const Between& between) {
    auto outer_names = std::exchange(expressions_.names_read(), {});
    if (has_parameters) parameters(to);
    auto parameter_names = std::exchange(expressions_.names_read(), {});
    between();
    outer_names.merge(std::exchange(expressions_.names_read(), std::move(parameter_names)));
    const int loops = std::exchange(loops_, 0);
    to.body = block_to(end);
    loops_ = loops;
    auto& names = expressions_.names_read();
    to.uses_varargs = names.contains("varargs");
    to.uses_kwargs = names.contains("kwargs");
    to.uses_caller = names.contains("caller");
    names.merge(outer_names);
  }

  void parameters(ast::Callable& to) {
    tokens_.expect_operator("(");
    while (!tokens_.at_operator(")")) {
      if (!to.parameters.empty()) tokens_.expect_operator(",");
      to.parameters.push_back(assignable_name());
      if (tokens_.skip_operator("="))
        to.defaults.push_back(expressions_.expression());
      else if (!to.defaults.empty())
        tokens_.fail("a parameter without default follows one with a default");
    }
    tokens_.expect_operator(")");
  }

  std::string assignable_name() {
    std::string name = tokens_.expect_name();
    for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"})
      if (name == constant) tokens_.fail("cannot assign to '{}'", name);
    return name;
  }

  ast::Target single_target(bool with_namespace) {
    ast::Target to;
    to.line = tokens_.line();
    if (tokens_.skip_operator("(")) {
      to = target(with_namespace);
      tokens_.expect_operator(")");
      return to;
    }
    to.name = assignable_name();
    if (with_namespace && tokens_.skip_operator(".")) to.attribute = tokens_.expect_name();
    if (!with_namespace && to.name == "loop")
      tokens_.fail("cannot assign to the special variable 'loop'");
    return to;
  }

  ast::Target target(bool with_namespace) {
    const TokenStream::Level level(tokens_);
    ast::Target first = single_target(with_namespace);
    if (!tokens_.at_operator(",")) return first;
    ast::Target several;
    several.is_tuple = true;
    several.line = first.line;
    several.elements.push_back(std::move(first));
    while (tokens_.skip_operator(",")) {
      if (tokens_.current().kind != TokenKind::Name && !tokens_.at_operator("(")) break;
      if (tokens_.at_name("in")) break;
      several.elements.push_back(single_target(with_namespace));
    }
    return several;
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int loops_ = 0;  // around the current tag, up to the innermost macro
};

}  // namespace

ast::Body parse_template(std::string_view source, const JinjaLimits& limits) {
  return Parser(source, limits).run();
}

}  // namespace millrace::jinja

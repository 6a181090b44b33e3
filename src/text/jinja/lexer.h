// Template source to tokens, with the white space rules that transformers sets (trim_blocks and
// lstrip_blocks on, one final line end dropped).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace millrace::jinja {

enum class TokenKind {
  Data,           // text between tags
  BlockBegin,     // {%
  BlockEnd,       // %}
  VariableBegin,  // {{
  VariableEnd,    // }}
  Name,
  String,
  IntLiteral,
  FloatLiteral,
  Operator,
  End,
};

struct Token {
  TokenKind kind;
  int line;
  std::string text;  // Data, Name, String (unescaped), Operator
  Integer integer = 0;
  double number = 0;

  bool is_operator(std::string_view sign) const {
    return kind == TokenKind::Operator && text == sign;
  }
  bool is_name(std::string_view name) const { return kind == TokenKind::Name && text == name; }
};

// Ends with a token of kind End. Raises Failure{Corrupt} with the line; the source must be UTF-8.
std::vector<Token> tokenize(std::string_view source);

// How messages name a token.
std::string describe(const Token& token);

}  // namespace millrace::jinja

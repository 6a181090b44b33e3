#include "text/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "text/jinja/failure.h"
#include "text/jinja/string_literal.h"
#include "text/jinja/unicode.h"

namespace millrace::jinja {
namespace {

// The reference reads every line end as \n, and drops one at the end of the source.
std::string normalized(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text.push_back(source[i]);
      continue;
    }
    text.push_back('\n');
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool is_digit_char(char c) {
  return c >= '0' && c <= '9';
}

bool is_name_start(std::string_view text, std::size_t at) {
  const auto c = static_cast<unsigned char>(text[at]);
  if (c < 0x80) return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return is_alpha(utf8_next(text, at));
}

bool is_name_part(std::string_view text, std::size_t at) {
  if (is_digit_char(text[at])) return true;
  if (is_name_start(text, at)) return true;
  return static_cast<unsigned char>(text[at]) >= 0x80 && is_numeric(utf8_next(text, at));
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) lex_data();
    add(TokenKind::End, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Failure{ErrorCode::Corrupt, what, line_};
  }

  void add(TokenKind kind, std::string text) {
    tokens_.push_back({.kind = kind, .line = line_, .text = std::move(text)});
  }

  bool at(std::string_view text) const { return source_.substr(at_).starts_with(text); }

  void advance(std::size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    // Where the next text starts at a line's start, its indentation may be stripped.
    line_starting_ = to > at_ ? source_[to - 1] == '\n' : line_starting_;
    at_ = to;
  }

  std::size_t after_space(std::size_t from) const {
    while (from < source_.size()) {
      std::size_t next = from;
      if (!is_space(utf8_next(source_, next))) break;
      from = next;
    }
    return from;
  }

  // The text before a tag, stripped as the tag's sign and lstrip_blocks ask.
  std::string_view before_tag(std::string_view text, char sign, bool is_variable) const {
    if (sign == '-') return strip(text, Side::Right);
    if (sign == '+' || is_variable) return text;
    const std::size_t line_start = text.rfind('\n') + 1;  // npos + 1 is 0
    if (line_start == 0 && !line_starting_) return text;
    if (strip(text.substr(line_start)).empty()) return text.substr(0, line_start);
    return text;
  }

  // Where a tag's closing mark ends if one stands at `from`: "-%}" with white space behind it,
  // "+%}", or "%}" with one line end. Variables know no "+" and keep the line end.
  std::optional<std::size_t> after_close(std::size_t from, std::string_view close,
                                         bool is_variable) const {
    const std::string_view rest = source_.substr(from);
    if (rest.starts_with('-') && rest.substr(1).starts_with(close))
      return after_space(from + 1 + close.size());
    if (!is_variable && rest.starts_with('+') && rest.substr(1).starts_with(close))
      return from + 1 + close.size();
    if (!rest.starts_with(close)) return std::nullopt;
    from += close.size();
    if (!is_variable && from < source_.size() && source_[from] == '\n') ++from;
    return from;
  }

  // The sign behind "{%", "{{" or "{#": '-', '+' or none.
  char sign_at(std::size_t from) const {
    return from < source_.size() && (source_[from] == '-' || source_[from] == '+') ? source_[from]
                                                                                   : '\0';
  }

  // The end of "{% raw %}" when one starts at `from`.
  std::optional<std::size_t> after_raw_begin(std::size_t from) const {
    from += 2;
    if (sign_at(from)) ++from;
    from = after_space(from);
    if (!source_.substr(from).starts_with("raw")) return std::nullopt;
    from = after_space(from + 3);
    if (source_.substr(from).starts_with("-%}")) return after_space(from + 3);
    if (source_.substr(from).starts_with("%}")) return from + 2;
    return std::nullopt;
  }

  void lex_data() {
    std::size_t tag = at_;
    while (true) {
      tag = source_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= source_.size()) {
        tag = source_.size();
        break;
      }
      const char kind = source_[tag + 1];
      if (kind == '{' || kind == '%' || kind == '#') break;
      ++tag;
    }
    const std::string_view text = source_.substr(at_, tag - at_);
    if (tag == source_.size()) {
      add_data(text);
      advance(tag);
      return;
    }
    const char kind = source_[tag + 1];
    const char sign = sign_at(tag + 2);
    add_data(before_tag(text, sign, kind == '{'));
    advance(tag);
    if (kind == '%') {
      if (const auto raw = after_raw_begin(tag)) return lex_raw(*raw);
    }
    const std::size_t inside = tag + 2 + (sign ? 1 : 0);
    if (kind == '#') return lex_comment(inside);
    add(kind == '%' ? TokenKind::BlockBegin : TokenKind::VariableBegin, "");
    advance(inside);
    lex_tag(kind == '{');
  }

  void add_data(std::string_view text) {
    if (!text.empty()) add(TokenKind::Data, std::string(text));
  }

  void lex_comment(std::size_t from) {
    for (std::size_t end = from; end < source_.size(); ++end) {
      if (const auto after = after_close(end, "#}", false)) return advance(*after);
    }
    fail("a comment is not closed with #}");
  }

  void lex_raw(std::size_t from) {
    advance(from);
    for (std::size_t tag = source_.find("{%", at_); tag != std::string_view::npos;
         tag = source_.find("{%", tag + 1)) {
      const char sign = sign_at(tag + 2);
      std::size_t end = after_space(tag + 2 + (sign ? 1 : 0));
      if (!source_.substr(end).starts_with("endraw")) continue;
      end = after_space(end + 6);
      if (const auto after = after_close(end, "%}", false)) {
        add_data(before_tag(source_.substr(at_, tag - at_), sign, false));
        return advance(*after);
      }
    }
    fail("{% raw %} is not closed with {% endraw %}");
  }

  void lex_tag(bool is_variable) {
    const std::string_view close = is_variable ? "}}" : "%}";
    open_brackets_.clear();
    while (true) {
      if (at_ == source_.size())
        fail(fmt::format("the template ends inside a tag, expected '{}'", close));
      if (open_brackets_.empty()) {
        if (const auto after = after_close(at_, close, is_variable)) {
          add(is_variable ? TokenKind::VariableEnd : TokenKind::BlockEnd, "");
          return advance(*after);
        }
      }
      const std::size_t space = after_space(at_);
      if (space != at_) {
        advance(space);
        continue;
      }
      lex_token();
    }
  }

  void lex_token() {
    const char c = source_[at_];
    if (is_digit_char(c)) return lex_number();
    if (is_name_start(source_, at_)) {
      std::size_t end = at_;
      while (end < source_.size() && is_name_part(source_, end)) utf8_next(source_, end);
      add(TokenKind::Name, std::string(source_.substr(at_, end - at_)));
      return advance(end);
    }
    if (c == '\'' || c == '"') return lex_string(c);
    lex_operator();
  }

  void lex_string(char quote) {
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail(fmt::format("a string is not closed with {}", quote));
    std::string error;
    auto text = unescaped(source_.substr(at_ + 1, end - at_ - 1), error);
    if (!text) fail(error);
    add(TokenKind::String, std::move(*text));
    advance(end + 1);
  }

  // Digits, possibly with single underscores between them.
  std::size_t after_digits(std::size_t from) const {
    while (from < source_.size() &&
           (is_digit_char(source_[from]) || (source_[from] == '_' && from + 1 < source_.size() &&
                                             is_digit_char(source_[from + 1]))))
      ++from;
    return from;
  }

  bool digit_at(std::size_t at) const { return at < source_.size() && is_digit_char(source_[at]); }

  void lex_number() {
    // After a dot digits are an index: x.0.1
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    std::size_t end = after_digits(at_);
    bool is_float = false;
    if (!after_dot) {
      if (end < source_.size() && source_[end] == '.' && digit_at(end + 1)) {
        end = after_digits(end + 1);
        is_float = true;
      }
      if (end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
        std::size_t exponent = end + 1;
        if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-'))
          ++exponent;
        if (digit_at(exponent)) {
          end = after_digits(exponent);
          is_float = true;
        }
      }
    }
    if (!is_float) return lex_integer();
    std::string digits(source_.substr(at_, end - at_));
    std::erase(digits, '_');
    Token token{.kind = TokenKind::FloatLiteral, .line = line_, .text = digits};
    const auto [stop, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), token.number);
    // Python rounds what is too large to infinity, and what is too small to zero.
    if (error == std::errc::result_out_of_range)
      token.number =
          digits.find('-') == std::string::npos ? std::numeric_limits<double>::infinity() : 0;
    tokens_.push_back(std::move(token));
    advance(end);
  }

  void lex_integer() {
    unsigned base = 10;
    std::size_t end = at_;
    if (source_[at_] == '0' && at_ + 1 < source_.size()) {
      const char mark = static_cast<char>(source_[at_ + 1] | 0x20);
      base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    }
    if (base != 10) end += 2;
    const std::size_t first = end;
    UnsignedInteger value = 0;
    constexpr UnsignedInteger kMost = static_cast<UnsignedInteger>(1) << 126;
    for (; end < source_.size(); ++end) {
      if (source_[end] == '_') continue;
      unsigned digit = 0;
      const auto [stop, error] =
          std::from_chars(&source_[end], &source_[end] + 1, digit, static_cast<int>(base));
      if (error != std::errc()) break;
      value = value * base + digit;
      if (value > kMost) throw Failure{ErrorCode::TooLarge, "an integer of too many digits", line_};
      // A leading zero stands alone: 012 is 0 followed by 12, which no grammar takes.
      if (base == 10 && value == 0 && first == end && digit_at(end + 1) &&
          source_[end + 1] != '0') {
        ++end;
        break;
      }
    }
    if (end == first) fail("a number without digits");
    tokens_.push_back({.kind = TokenKind::IntLiteral,
                       .line = line_,
                       .text = std::string(source_.substr(at_, end - at_)),
                       .integer = static_cast<Integer>(value)});
    advance(end);
  }

  void lex_operator() {
    static constexpr std::array<std::string_view, 6> kPairs = {"//", "**", "==", "!=", ">=", "<="};
    static constexpr std::string_view kSingles = "+-/*%~[](){}><=.:|,;";
    for (const std::string_view pair : kPairs) {
      if (!at(pair)) continue;
      add(TokenKind::Operator, std::string(pair));
      return advance(at_ + 2);
    }
    const char sign = source_[at_];
    if (kSingles.find(sign) == std::string_view::npos) {
      std::size_t end = at_;
      utf8_next(source_, end);
      fail(fmt::format("unexpected character '{}'", source_.substr(at_, end - at_)));
    }
    if (sign == '(') open_brackets_.push_back(')');
    if (sign == '[') open_brackets_.push_back(']');
    if (sign == '{') open_brackets_.push_back('}');
    if (sign == ')' || sign == ']' || sign == '}') {
      if (open_brackets_.empty()) fail(fmt::format("unexpected '{}'", sign));
      if (open_brackets_.back() != sign)
        fail(fmt::format("unexpected '{}', expected '{}'", sign, open_brackets_.back()));
      open_brackets_.pop_back();
    }
    add(TokenKind::Operator, std::string(1, sign));
    advance(at_ + 1);
  }

  std::string_view source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::string open_brackets_;  // closing marks that are still to come
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  const std::string text = normalized(source);
  return Lexer(text).run();
}

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::Data:
      return "text";
    case TokenKind::BlockBegin:
      return "{%";
    case TokenKind::BlockEnd:
      return "%}";
    case TokenKind::VariableBegin:
      return "{{";
    case TokenKind::VariableEnd:
      return "}}";
    case TokenKind::String:
      return "a string";
    case TokenKind::End:
      return "the end of the template";
    default:
      return "'" + token.text + "'";
  }
}

}  // namespace millrace::jinja

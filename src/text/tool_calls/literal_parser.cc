#include "text/tool_calls/literal_parser.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

namespace millrace {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// Without underscores, which may stand between two digits only (and after 0x); empty otherwise.
std::string without_underscores(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      plain += text[i];
      continue;
    }
    const bool between = i > 0 && i + 1 < text.size() && hex_value(text[i + 1]) >= 0 &&
                         (hex_value(text[i - 1]) >= 0 || (i == 2 && text[0] == '0'));
    if (!between) return {};
  }
  return plain;
}

std::string_view without_leading_zeros(std::string_view digits) {
  while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
  return digits;
}

std::string with_base(std::string_view digits, int base, bool negative) {
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return {};
  return (negative && value > 0 ? "-" : "") + std::to_string(value);
}

}  // namespace

std::string json_number_of(std::string_view python, bool negative) {
  const std::string plain = without_underscores(python);
  if (plain.empty()) return {};
  if (plain.size() > 2 && plain[0] == '0') {
    const char base = static_cast<char>(plain[1] | 0x20);
    const std::string_view digits = std::string_view(plain).substr(2);
    if (base == 'x') return with_base(digits, 16, negative);
    if (base == 'o') return with_base(digits, 8, negative);
    if (base == 'b') return with_base(digits, 2, negative);
  }
  const std::string sign = negative ? "-" : "";
  if (all_digits(plain)) {
    const std::string_view digits = without_leading_zeros(plain);
    return digits == "0" ? "0" : sign + std::string(digits);
  }
  // digits . digits e sign digits
  std::string_view rest = plain;
  std::string exponent;
  if (const auto e = rest.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view digits = rest.substr(e + 1);
    if (!digits.empty() && (digits.front() == '+' || digits.front() == '-')) {
      if (digits.front() == '-') exponent = "-";
      digits.remove_prefix(1);
    }
    if (!all_digits(digits)) return {};
    exponent = "e" + exponent + std::string(digits);
    rest = rest.substr(0, e);
  }
  const auto dot = rest.find('.');
  const std::string_view whole = rest.substr(0, dot);
  const std::string_view part =
      dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
  if (whole.empty() && part.empty()) return {};
  if (!(whole.empty() || all_digits(whole)) || !(part.empty() || all_digits(part))) return {};
  std::string number =
      sign + (whole.empty() ? std::string("0") : std::string(without_leading_zeros(whole)));
  number += "." + (part.empty() ? std::string("0") : std::string(part));
  return number + exponent;
}

LiteralParser::Step LiteralParser::fail(std::string_view problem) {
  if (problem_.empty()) problem_ = problem;
  return Step::Failed;
}

// Before the first character of a value: the comma that its predecessor owes.
void LiteralParser::begin_element() {
  if (frames_.empty()) return;
  Frame& frame = frames_.back();
  if (frame.kind == Kind::Dict && !frame.in_key) return;  // after the colon
  if (!frame.first) out_ += ", ";
  frame.first = false;
}

void LiteralParser::begin_string(char quote) {
  quote_ = quote;
  quotes_ = 0;
  triple_ = false;
  stray_quote_ = false;
  tail_.clear();
  state_ = State::StringOpen;
}

LiteralParser::Step LiteralParser::value(char c) {
  if (is_space(c)) return Step::More;
  const bool closes = c == ']' || c == ')' || c == '}';
  if (closes) return close(c);
  if (c == '[' || c == '(' || c == '{') {
    if (at_key()) return fail("a dict key that is a list, tuple or dict");
    if (frames_.size() >= kMostDepth) return fail("nested too deep");
    begin_element();
    const std::size_t at = out_.size();
    if (c != '(') out_ += c;
    const Kind kind = c == '[' ? Kind::List : c == '(' ? Kind::Paren : Kind::Dict;
    frames_.push_back({.kind = kind, .out_at = at, .in_key = kind == Kind::Dict});
    return Step::More;
  }
  if (c == '"' || c == '\'') {
    begin_element();
    out_ += '"';
    raw_ = false;
    begin_string(c);
    return Step::More;
  }
  if (is_digit(c) || c == '.') {
    begin_element();
    negative_ = false;
    token_.assign(1, c);
    state_ = State::Number;
    return Step::More;
  }
  if (c == '-' || c == '+') {
    begin_element();
    negative_ = c == '-';
    state_ = State::Sign;
    return Step::More;
  }
  if (is_letter(c)) {
    begin_element();
    token_.assign(1, c);
    state_ = State::Word;
    return Step::More;
  }
  return fail("not the beginning of a value");
}

// A closing bracket where a value could begin: of an empty container, or after a trailing comma.
LiteralParser::Step LiteralParser::close(char c) {
  if (frames_.empty()) return fail("a value is missing");
  const Frame& frame = frames_.back();
  const bool matches = frame.kind == Kind::List   ? c == ']'
                       : frame.kind == Kind::Dict ? c == '}' && frame.in_key
                                                  : c == ')';
  if (!matches) return fail("brackets do not match");
  if (frame.kind == Kind::Paren) out_ += '[';  // ()
  out_ += frame.kind == Kind::Dict ? '}' : ']';
  frames_.pop_back();
  end_value();
  return Step::More;
}

// A scalar or a container is complete.
void LiteralParser::end_value() {
  state_ = at_key() ? State::Colon : State::After;
}

LiteralParser::Step LiteralParser::after(char c) {
  if (is_space(c)) return Step::More;
  if (frames_.empty()) return Step::Ended;
  Frame& frame = frames_.back();
  if (c == ',') {
    if (frame.kind == Kind::Paren) {
      out_.insert(frame.out_at, 1, '[');
      frame.kind = Kind::Tuple;
    }
    if (frame.kind == Kind::Dict) frame.in_key = true;
    state_ = State::Value;
    return Step::More;
  }
  if (frame.kind == Kind::Paren && c == ')') {  // parentheses around one value
    frames_.pop_back();
    end_value();
    return Step::More;
  }
  if (frame.kind == Kind::Dict && c == '}') {
    out_ += '}';
    frames_.pop_back();
    end_value();
    return Step::More;
  }
  if (frame.kind == Kind::Dict) return fail("a comma or } is missing");
  return close(c);
}

bool LiteralParser::follows_string(char c) const {
  if (frames_.empty()) return followers_.find(c) != std::string::npos;
  const Frame& frame = frames_.back();
  switch (frame.kind) {
    case Kind::List:
      return c == ',' || c == ']';
    case Kind::Tuple:
    case Kind::Paren:
      return c == ',' || c == ')';
    case Kind::Dict:
      return frame.in_key ? c == ':' : c == ',' || c == '}';
  }
  return false;
}

// Whether the text before a stray quote reads `, name=`: then the quote opens the next argument's
// string, and taking it for text would swallow that argument.
bool LiteralParser::looks_like_next_argument() const {
  std::string_view text = tail_;
  const auto strip = [&] {
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  };
  strip();
  if (text.empty() || (text.back() != '=' && text.back() != ':')) return false;
  text.remove_suffix(1);
  strip();
  if (!text.empty() && (text.back() == '"' || text.back() == '\'')) text.remove_suffix(1);
  const std::size_t before = text.size();
  while (!text.empty() && (is_letter(text.back()) || is_digit(text.back()))) text.remove_suffix(1);
  if (text.size() == before) return false;
  if (!text.empty() && (text.back() == '"' || text.back() == '\'')) text.remove_suffix(1);
  strip();
  return !text.empty() && (text.back() == ',' || text.back() == '(');
}

LiteralParser::Step LiteralParser::maybe_closed(char c) {
  if (is_space(c)) {
    held_ += c;
    return Step::More;
  }
  const bool adjacent = c == '"' || c == '\'';
  if (follows_string(c) || triple_) {
    flush_surrogate();
    if (adjacent) {  // joined
      raw_ = false;
      begin_string(c);
      return Step::More;
    }
    out_ += '"';
    end_value();
    return push(c);
  }
  if (adjacent && !stray_quote_) {
    flush_surrogate();
    raw_ = false;
    begin_string(c);
    return Step::More;
  }
  // The quote is part of the text.
  if (looks_like_next_argument()) return fail("a string ends in the middle of an expression");
  stray_quote_ = true;
  state_ = State::String;
  const std::string text = std::exchange(held_, {});
  for (const char h : text) put(h);
  return string_char(c);
}

LiteralParser::Step LiteralParser::string_char(char c) {
  if (triple_) {
    if (c == quote_) {
      if (++quotes_ == 3) {
        held_.clear();
        state_ = State::MaybeClosed;
      }
      return Step::More;
    }
    for (; quotes_ > 0; --quotes_) put(quote_);
  } else if (c == quote_) {
    held_.assign(1, c);
    state_ = State::MaybeClosed;
    return Step::More;
  }
  if (c == '\\') {
    state_ = State::Escape;
    return Step::More;
  }
  put(c);
  return Step::More;
}

LiteralParser::Step LiteralParser::escape_char(char c) {
  state_ = State::String;
  if (raw_) {
    put('\\');
    put(c);
    return Step::More;
  }
  const auto digits = [&](int count) {
    token_.assign({'\\', c});
    code_ = 0;
    digits_left_ = count;
    state_ = State::EscapeDigits;
    return Step::More;
  };
  switch (c) {
    case 'n':
      put('\n');
      return Step::More;
    case 't':
      put('\t');
      return Step::More;
    case 'r':
      put('\r');
      return Step::More;
    case 'b':
      put('\b');
      return Step::More;
    case 'f':
      put('\f');
      return Step::More;
    case '\\':
    case '\'':
    case '"':
      put(c);
      return Step::More;
    case 'u':
      return digits(4);
    default:
      break;
  }
  if (syntax_ == LiteralSyntax::JsonText) {
    if (c != '/') put('\\');
    put(c);
    return Step::More;
  }
  switch (c) {
    case 'a':
      put('\a');
      return Step::More;
    case 'v':
      put('\v');
      return Step::More;
    case '\n':
      return Step::More;
    case 'x':
      return digits(2);
    case 'U':
      return digits(8);
    default:
      break;
  }
  if (c >= '0' && c <= '7') {
    token_ = "o";
    code_ = static_cast<unsigned>(c - '0');
    digits_left_ = 2;
    state_ = State::EscapeDigits;
    return Step::More;
  }
  put('\\');  // Python keeps what it does not know
  return string_char(c);
}

LiteralParser::Step LiteralParser::escape_digit(char c) {
  const bool octal = token_ == "o";
  const int digit = hex_value(c);
  if (digit < 0 || (octal && digit > 7)) {
    state_ = State::String;
    if (octal) {
      put_code(code_);
    } else {  // not what it looked like: as written
      for (const char t : token_) put(t);
    }
    return string_char(c);
  }
  if (!octal) token_ += c;
  code_ = code_ * (octal ? 8 : 16) + static_cast<unsigned>(digit);
  if (--digits_left_ == 0) {
    state_ = State::String;
    put_code(code_);
  }
  return Step::More;
}

void LiteralParser::flush_surrogate() {
  if (surrogate_ == 0) return;
  surrogate_ = 0;
  out_ += "\xEF\xBF\xBD";  // half a pair is no character
}

void LiteralParser::put_code(unsigned code) {
  if (code >= 0xD800 && code < 0xDC00) {
    flush_surrogate();
    surrogate_ = code;
    return;
  }
  if (code >= 0xDC00 && code < 0xE000) {
    const unsigned high = std::exchange(surrogate_, 0u);
    code = high ? 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00) : 0xFFFD;
  }
  if (code > 0x10FFFF) code = 0xFFFD;
  if (code < 0x80) {
    put(static_cast<char>(code));
    return;
  }
  flush_surrogate();
  const auto byte = [&](unsigned b) { out_ += static_cast<char>(b); };
  if (code < 0x800) {
    byte(0xC0 | (code >> 6));
  } else if (code < 0x10000) {
    byte(0xE0 | (code >> 12));
    byte(0x80 | ((code >> 6) & 0x3F));
  } else {
    byte(0xF0 | (code >> 18));
    byte(0x80 | ((code >> 12) & 0x3F));
    byte(0x80 | ((code >> 6) & 0x3F));
  }
  byte(0x80 | (code & 0x3F));
}

// One byte of a string's text, escaped for JSON.
void LiteralParser::put(char c) {
  flush_surrogate();
  constexpr std::size_t kTail = 96;
  if (tail_.size() >= kTail) tail_.erase(0, kTail / 2);
  tail_ += c;
  switch (c) {
    case '"':
      out_ += "\\\"";
      return;
    case '\\':
      out_ += "\\\\";
      return;
    case '\n':
      out_ += "\\n";
      return;
    case '\r':
      out_ += "\\r";
      return;
    case '\t':
      out_ += "\\t";
      return;
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20) {
    out_ += c;
    return;
  }
  constexpr std::string_view kHex = "0123456789abcdef";
  out_ += "\\u00";
  out_ += kHex[byte >> 4];
  out_ += kHex[byte & 15];
}

LiteralParser::Step LiteralParser::end_number(char c) {
  const std::string number = json_number_of(token_, negative_);
  if (number.empty()) return fail("not a number");
  out_ += at_key() ? '"' + number + '"' : number;
  end_value();
  return push(c);
}

LiteralParser::Step LiteralParser::end_word(char c) {
  if (c == '"' || c == '\'') {
    const bool raw = token_ == "r" || token_ == "R";
    if (!raw && token_ != "u" && token_ != "U") return fail("a string with an unknown prefix");
    out_ += '"';
    raw_ = raw;
    begin_string(c);
    return Step::More;
  }
  std::string_view json;
  if (token_ == "True" || token_ == "true") json = "true";
  if (token_ == "False" || token_ == "false") json = "false";
  if (token_ == "None" || token_ == "null") json = "null";
  if (json.empty()) return fail("a bare word");
  if (at_key()) out_ += '"';
  out_ += json;
  if (at_key()) out_ += '"';
  end_value();
  return push(c);
}

LiteralParser::Step LiteralParser::push(char c) {
  switch (state_) {
    case State::Value:
      return value(c);
    case State::StringOpen:
      state_ = State::String;
      if (c != quote_) return string_char(c);
      state_ = State::StringOpen2;
      return Step::More;
    case State::StringOpen2:
      if (c == quote_) {
        triple_ = true;
        state_ = State::String;
        return Step::More;
      }
      held_.assign(1, quote_);
      state_ = State::MaybeClosed;
      return maybe_closed(c);
    case State::String:
      return string_char(c);
    case State::Escape:
      return escape_char(c);
    case State::EscapeDigits:
      return escape_digit(c);
    case State::MaybeClosed:
      return maybe_closed(c);
    case State::Sign:
      if (is_space(c)) return Step::More;
      if (c == '-' || c == '+') {
        negative_ ^= c == '-';
        return Step::More;
      }
      if (!is_digit(c) && c != '.') return fail("a sign without a number");
      token_.assign(1, c);
      state_ = State::Number;
      return Step::More;
    case State::Number: {
      const char last = token_.back();
      const bool hex = token_.size() > 1 && (token_[1] | 0x20) == 'x';
      const bool exponent_sign = (c == '+' || c == '-') && (last == 'e' || last == 'E') && !hex;
      if (!is_digit(c) && !is_letter(c) && c != '.' && !exponent_sign) return end_number(c);
      token_ += c;
      return Step::More;
    }
    case State::Word:
      if (!is_letter(c) && !is_digit(c)) return end_word(c);
      if (token_.size() > 16) return fail("a bare word");
      token_ += c;
      return Step::More;
    case State::After:
      return after(c);
    case State::Colon:
      if (is_space(c)) return Step::More;
      if (c != ':') return fail("a colon is missing");
      out_ += ": ";
      frames_.back().in_key = false;
      state_ = State::Value;
      return Step::More;
  }
  return fail("not a literal");
}

std::string LiteralParser::take() {
  std::size_t certain = out_.size();
  for (const Frame& frame : frames_)
    if (frame.kind == Kind::Paren) {
      certain = std::min(certain, frame.out_at);
      break;
    }
  if (certain == out_.size()) {
    for (Frame& frame : frames_) frame.out_at = 0;
    return std::exchange(out_, {});
  }
  std::string taken = out_.substr(0, certain);
  out_.erase(0, certain);
  for (Frame& frame : frames_) frame.out_at -= std::min(frame.out_at, certain);
  return taken;
}

bool LiteralParser::finish() {
  // A character that may follow the literal makes up its mind.
  if (state_ == State::Escape || state_ == State::EscapeDigits) return false;
  return !followers_.empty() && push(followers_.back()) == Step::Ended;
}

}  // namespace millrace

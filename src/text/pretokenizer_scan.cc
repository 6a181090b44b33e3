#include "text/pretokenizer_scan.h"

#include <array>

#include "text/tokenizer_unicode.h"
#include "text/tokenizer_utf8.h"

namespace millrace {

const std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

using unicode::CharClass;

constexpr std::array<CharClass, 128> ascii_classes() {
  std::array<CharClass, 128> classes{};
  for (char c = '0'; c <= '9'; ++c) classes[static_cast<unsigned char>(c)] = CharClass::Number;
  for (char c = 'a'; c <= 'z'; ++c) classes[static_cast<unsigned char>(c)] = CharClass::Letter;
  for (char c = 'A'; c <= 'Z'; ++c) classes[static_cast<unsigned char>(c)] = CharClass::Letter;
  for (const char c : {'\t', '\n', '\v', '\f', '\r', ' '})
    classes[static_cast<unsigned char>(c)] = CharClass::Space;
  return classes;
}
constexpr std::array<CharClass, 128> kAsciiClasses = ascii_classes();

// A text with its character classes. Positions are bytes, always at the beginning of a character.
class Scan {
 public:
  explicit Scan(std::string_view text) : text_(text) {}

  bool at_end(std::size_t at) const { return at >= text_.size(); }
  char byte(std::size_t at) const { return text_[at]; }

  // The class of the character at `at` (not the end); `after` becomes where it ends.
  CharClass char_at(std::size_t at, std::size_t& after) const {
    const auto first = static_cast<unsigned char>(text_[at]);
    if (first < 0x80) {
      after = at + 1;
      return kAsciiClasses[first];
    }
    std::size_t length;
    const char32_t code_point = utf8::code_point_at(text_, at, length);
    after = at + length;
    return unicode::char_class(code_point);
  }
  bool is(CharClass wanted, std::size_t at) const {
    std::size_t after;
    return !at_end(at) && char_at(at, after) == wanted;
  }
  // The end of the run of one class that begins at `at`.
  std::size_t run_end(CharClass wanted, std::size_t at) const {
    std::size_t after;
    while (!at_end(at) && char_at(at, after) == wanted) at = after;
    return at;
  }

  // \s+(?!\S)|\s+ : a run of spaces leaves its last character to the word that follows, unless
  // it has only the one.
  std::size_t spaces_end(std::size_t begin) const {
    std::size_t at = begin, last = begin, after;
    while (!at_end(at) && char_at(at, after) == CharClass::Space) {
      last = at;
      at = after;
    }
    return at_end(at) || last == begin ? at : last;
  }

  // 's 't 're 've 'm 'll 'd after an apostrophe at `begin`; `begin` itself where there is none.
  std::size_t contraction_end(std::size_t begin, bool any_case) const {
    const auto letter = [&](std::size_t at) {
      if (at_end(at)) return '\0';
      const char c = text_[at];
      return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    const char second = letter(begin + 2);
    switch (letter(begin + 1)) {
      case 's':
      case 't':
      case 'm':
      case 'd':
        return begin + 2;
      case 'r':
      case 'v':
        return second == 'e' ? begin + 3 : begin;
      case 'l':
        return second == 'l' ? begin + 3 : begin;
      case '\xC5':  // U+017F, the long s, folds to s
        return any_case && second == '\xBF' ? begin + 3 : begin;
      default:
        return begin;
    }
  }

 private:
  std::string_view text_;
};

bool is_line_end(char c) {
  return c == '\r' || c == '\n';
}

}  // namespace

// The alternatives in the pattern's order; each comment is the one it stands for.
std::size_t llama3_piece_end(std::string_view valid, std::size_t begin) {
  const Scan scan(valid);
  const char first = scan.byte(begin);
  // (?i:'s|'t|'re|'ve|'m|'ll|'d)
  if (first == '\'') {
    const std::size_t end = scan.contraction_end(begin, true);
    if (end != begin) return end;
  }
  std::size_t second;
  const CharClass first_class = scan.char_at(begin, second);
  // [^\r\n\p{L}\p{N}]?\p{L}+
  if (first_class == CharClass::Letter) return scan.run_end(CharClass::Letter, second);
  if (first_class != CharClass::Number && !is_line_end(first) && scan.is(CharClass::Letter, second))
    return scan.run_end(CharClass::Letter, second);
  // \p{N}{1,3}
  if (first_class == CharClass::Number) {
    std::size_t end = second;
    for (int more = 0; more < 2 && scan.is(CharClass::Number, end); ++more) scan.char_at(end, end);
    return end;
  }
  //  ?[^\s\p{L}\p{N}]+[\r\n]*
  if (first_class == CharClass::Other || (first == ' ' && scan.is(CharClass::Other, second))) {
    std::size_t end = scan.run_end(CharClass::Other, second);
    while (!scan.at_end(end) && is_line_end(scan.byte(end))) ++end;
    return end;
  }
  // \s*[\r\n]+ : up to the last line end among the spaces
  std::size_t line_end = begin;
  for (std::size_t at = begin, after; !scan.at_end(at); at = after) {
    if (scan.char_at(at, after) != CharClass::Space) break;
    if (is_line_end(scan.byte(at))) line_end = after;
  }
  if (line_end != begin) return line_end;
  return scan.spaces_end(begin);
}

std::size_t gpt2_piece_end(std::string_view valid, std::size_t begin) {
  const Scan scan(valid);
  const char first = scan.byte(begin);
  // 's|'t|'re|'ve|'m|'ll|'d
  if (first == '\'') {
    const std::size_t end = scan.contraction_end(begin, false);
    if (end != begin) return end;
  }
  //  ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+
  std::size_t second;
  const CharClass first_class = scan.char_at(begin, second);
  if (first_class != CharClass::Space) return scan.run_end(first_class, second);
  if (first == ' ' && !scan.at_end(second)) {
    std::size_t third;
    const CharClass second_class = scan.char_at(second, third);
    if (second_class != CharClass::Space) return scan.run_end(second_class, third);
  }
  return scan.spaces_end(begin);
}

}  // namespace millrace

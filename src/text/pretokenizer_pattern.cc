// Rewriting an Oniguruma pattern for PCRE2, or refusing what would mean something else there.
#include <algorithm>
#include <array>

#include "text/pretokenizer_regex.h"

namespace millrace {
namespace {

constexpr std::string_view kCategories[] = {
    "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",  "Nd", "Nl",
    "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk",
    "So", "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Cs", "Co", "Cn"};
// Oniguruma's \w in a character class. Outside of one it goes by another table up to U+00FF, which
// has the superscript digits and the fractions besides.
constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
constexpr std::string_view kLoneWordExtra = R"(\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE})";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

class Translator {
 public:
  Translator(std::string_view pattern, std::string_view field) : in_(pattern), field_(field) {}

  Result<std::string> run() {
    if (starts_with("(?i)")) take(4);  // at the very beginning it means the same to both
    while (at_ < in_.size()) MILLRACE_TRY(element());
    return std::move(out_);
  }

 private:
  bool starts_with(std::string_view text) const { return in_.substr(at_).starts_with(text); }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0';
  }
  void take(std::size_t count) {
    out_.append(in_.substr(at_, count));
    at_ += count;
  }
  tl::unexpected<Error> refuse(std::string_view what) const {
    return fail(ErrorCode::Unsupported,
                "{}: found {} at byte {} of the pattern, which is not supported", field_, what,
                at_);
  }

  Status element() {
    switch (peek()) {
      case '\\':
        return escape(false);
      case '[':
        return character_class();
      case '(':
        return group();
      case '{':
        return repetition();
      default:
        take(1);
        return {};
    }
  }

  Status group() {
    if (peek(1) == '*') return refuse("\"(*\"");
    if (peek(1) == '?') {
      constexpr std::string_view kKnown[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"};
      const auto* known = std::find_if(std::begin(kKnown), std::end(kKnown),
                                       [&](std::string_view k) { return starts_with(k); });
      if (known == std::end(kKnown))
        return refuse("another group than (?: (?i: (?= (?! (?<= (?<! (?>");
      take(known->size());
      return {};
    }
    take(1);
    return {};
  }

  // {n} {n,} {n,m}: what follows them, and any other use of the brace, the engines read
  // differently.
  Status repetition() {
    std::size_t end = at_ + 1;
    const auto digits = [&] {
      const std::size_t begin = end;
      while (end < in_.size() && is_digit(in_[end])) ++end;
      return end - begin;
    };
    if (digits() == 0) return refuse("a { that is not {n}, {n,} or {n,m}");
    bool range = false;
    if (end < in_.size() && in_[end] == ',') {
      range = true;
      ++end;
      digits();
    }
    if (end >= in_.size() || in_[end] != '}') return refuse("a { that is not {n}, {n,} or {n,m}");
    take(end + 1 - at_);
    if (peek() == '+' || (peek() == '?' && !range)) return refuse("a repetition of a repetition");
    return {};
  }

  Status character_class() {
    take(1);
    if (peek() == '^') take(1);
    if (peek() == ']') return refuse("an empty character class");
    while (peek() != ']') {
      if (at_ >= in_.size()) return refuse("an unfinished character class");
      if (peek() == '[') return refuse("a [ inside a character class");
      if (starts_with("&&")) return refuse("&& inside a character class");
      if (peek() != '\\')
        take(1);
      else
        MILLRACE_TRY(escape(true));
    }
    take(1);
    return {};
  }

  Status escape(bool in_class) {
    const char c = peek(1);
    const auto replace = [&](std::string_view with) -> Status {
      out_.append(with);
      at_ += 2;
      return {};
    };
    switch (c) {
      case 's':
        return replace(R"(\p{White_Space})");
      case 'S':
        return replace(R"(\P{White_Space})");
      case 'd':
        return replace(R"(\p{Nd})");
      case 'D':
        return replace(R"(\P{Nd})");
      case 'w':
        return replace(in_class ? std::string(kWord)
                                : fmt::format("[{}{}]", kWord, kLoneWordExtra));
      case 'W':
        if (in_class) return refuse("\\W inside a character class");
        return replace(fmt::format("[^{}{}]", kWord, kLoneWordExtra));
      case 'p':
      case 'P':
        return property();
      case 'x':
      case 'u':
        return code_point();
      case 'A':
      case 'z':
      case 'Z':
        if (in_class) break;
        [[fallthrough]];
      case 't':
      case 'n':
      case 'r':
      case 'f':
      case 'a':
      case 'e':
        take(2);
        return {};
      case 'v':  // one character here, a class of them to PCRE2
        return replace(R"(\x0B)");
      default:
        // Punctuation stands for itself.
        if (c > ' ' && c < '\x7F' && !is_digit(c) && !is_letter(c)) {
          take(2);
          return {};
        }
    }
    return refuse("an escape");
  }

  // \p{Lu} and \p{^Lu} as they are; \p{Han} by Script, where PCRE2 would add Script_Extensions.
  Status property() {
    const std::size_t close = in_.find('}', at_);
    if (peek(2) != '{' || close == std::string_view::npos) return refuse("\\p without {name}");
    std::string_view name = in_.substr(at_ + 3, close - at_ - 3);
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    if (name.empty() ||
        !std::all_of(name.begin(), name.end(), [](char c) { return is_letter(c) || c == '_'; }))
      return refuse("a \\p{name} of other characters than letters");
    const bool category =
        std::find(std::begin(kCategories), std::end(kCategories), name) != std::end(kCategories);
    out_ += fmt::format("\\{}{{{}{}{}}}", peek(1), negated ? "^" : "", category ? "" : "sc:", name);
    at_ = close + 1;
    return {};
  }

  // \xHH (ASCII only: beyond, Oniguruma means a byte), \x{H...}, \uHHHH.
  Status code_point() {
    const bool u = peek(1) == 'u';
    std::size_t begin = at_ + 2, end = begin, after;
    if (!u && peek(2) == '{') {
      begin = end = at_ + 3;
      while (end < in_.size() && is_hex(in_[end])) ++end;
      if (end == begin || end - begin > 6 || end >= in_.size() || in_[end] != '}')
        return refuse("a \\x{...} that is not a code point");
      after = end + 1;
    } else {
      const std::size_t wanted = u ? 4 : 2;
      while (end < in_.size() && end - begin < wanted && is_hex(in_[end])) ++end;
      if (end - begin != wanted || (!u && in_[begin] > '7'))
        return refuse("a \\x or \\u that is not an ASCII \\xHH or a \\uHHHH");
      after = end;
    }
    out_ += fmt::format("\\x{{{}}}", in_.substr(begin, end - begin));
    at_ = after;
    return {};
  }

  std::string_view in_;
  std::string_view field_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

Result<std::string> translate_split_pattern(std::string_view pattern, std::string_view field) {
  return Translator(pattern, field).run();
}

}  // namespace millrace

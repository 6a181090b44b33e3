#include "text/jinja/number_text.h"

#include <charconv>
#include <limits>
#include <string>

#include "text/jinja/operators.h"
#include "text/jinja/unicode.h"

namespace millrace::jinja {
namespace {

// The value of a letter or digit, or 99.
int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

// Underscores may stand between digits only. Nothing when one stands elsewhere.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out.push_back(text[i]);
      continue;
    }
    const bool between = i > 0 && i + 1 < text.size() && digit_value(text[i - 1]) < 36 &&
                         digit_value(text[i + 1]) < 36;
    if (!between) return std::nullopt;
  }
  return out;
}

bool take_sign(std::string_view& text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  return negative;
}

}  // namespace

std::optional<Integer> parse_int(std::string_view source, int base) {
  std::string_view text = strip(source);
  const bool negative = take_sign(text);
  if (text.size() > 2 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    if (marked != 0 && (base == 0 || base == marked)) {
      base = marked;
      text.remove_prefix(text.size() > 3 && text[2] == '_' ? 3 : 2);
    }
  }
  const bool decimal_by_default = base == 0;
  if (base == 0) base = 10;
  const auto digits = without_underscores(text);
  if (!digits || digits->empty()) return std::nullopt;
  Integer value = 0;
  for (const char c : *digits) {
    const int digit = digit_value(c);
    if (digit >= base) return std::nullopt;
    value = add_integers(multiply_integers(value, base), digit);
  }
  if (decimal_by_default && value != 0 && digits->front() == '0') return std::nullopt;
  return negative ? -value : value;
}

std::optional<double> parse_float(std::string_view source) {
  const auto plain = without_underscores(strip(source));
  if (!plain) return std::nullopt;
  std::string_view text = *plain;
  const bool negative = take_sign(text);
  const std::string lower = to_lower(text);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (lower == "inf" || lower == "infinity") return negative ? -kInfinity : kInfinity;
  if (lower == "nan") return std::numeric_limits<double>::quiet_NaN();
  // from_chars reads "inf" and friends too: only digits and a point may open a number here.
  if (text.empty() || !(text[0] == '.' || (text[0] >= '0' && text[0] <= '9'))) return std::nullopt;
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (stop != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    // Underflow rounds to zero, overflow to infinity: the exponent's sign decides.
    const std::size_t e = lower.find('e');
    const bool tiny = (e != std::string::npos && e + 1 < lower.size() && lower[e + 1] == '-') ||
                      (e == std::string::npos && text.starts_with("0."));
    value = tiny ? 0 : kInfinity;
  } else if (error != std::errc()) {
    return std::nullopt;
  }
  return negative ? -value : value;
}

}  // namespace millrace::jinja

#include "text/jinja/number_format.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "text/jinja/operators.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace millrace::jinja {
namespace {

constexpr int kMaxPrecision = 1000;  // digits behind the point

void pad(TextBuilder& out, std::string_view sign, std::string_view body, const FormatSpec& spec,
         char natural_align) {
  const std::size_t length = utf8_length(sign) + utf8_length(body);
  const std::size_t missing = spec.width > length ? spec.width - length : 0;
  const char align = spec.align ? spec.align : natural_align;
  const auto fill = [&](std::size_t count) {
    if (spec.fill.size() == 1) return out.add(count, spec.fill[0]);
    for (std::size_t i = 0; i < count; ++i) out.add(spec.fill);
  };
  out.heap().work(missing);
  if (missing * spec.fill.size() > out.heap().limits().value_bytes)
    raise_too_large("a field of {} characters", spec.width);
  const std::size_t before = align == '>' ? missing : align == '^' ? missing / 2 : 0;
  fill(before);
  out.add(sign);
  if (align == '=') fill(missing);
  out.add(body);
  if (align != '=') fill(missing - before);
}

// 1234567 as 1,234,567. `digits` may go on with a fraction or exponent.
std::string grouped(std::string digits, char separator, std::size_t group) {
  std::size_t end = 0;
  while (end < digits.size() && std::isxdigit(static_cast<unsigned char>(digits[end])) &&
         digits[end] != 'e')
    ++end;
  while (end > group) {
    end -= group;
    digits.insert(end, 1, separator);
  }
  return digits;
}

std::string printed(char type, int precision, bool alternate, double value) {
  const char format[] = {'%', alternate ? '#' : '.', '.', '*', type, '\0'};
  char compact[] = {'%', '.', '*', type, '\0'};
  const char* use = alternate ? format : compact;
  const int size = std::snprintf(nullptr, 0, use, precision, value);
  std::string text(static_cast<std::size_t>(size) + 1, '\0');
  std::snprintf(text.data(), text.size(), use, precision, value);
  text.pop_back();
  return text;
}

std::string float_digits(double value, const FormatSpec& spec) {
  if (spec.precision > kMaxPrecision) raise_too_large("a precision of {} digits", spec.precision);
  const char type = spec.type;
  if (std::isinf(value)) return type >= 'A' && type <= 'Z' ? "INF" : "inf";
  if (std::isnan(value)) return type >= 'A' && type <= 'Z' ? "NAN" : "nan";
  if (type == 0) {
    if (spec.precision < 0) return float_repr(value);
    // Like g, but never without a digit behind the point.
    std::string text = printed('g', std::max(spec.precision, 1), false, value);
    if (text.find_first_of(".en") == std::string::npos) text += ".0";
    return text;
  }
  if (type == '%')
    return printed('f', spec.precision < 0 ? 6 : spec.precision, false, value * 100) + "%";
  const char print_type = type == 'n' ? 'g' : type;
  return printed(print_type, spec.precision < 0 ? 6 : spec.precision, spec.alternate, value);
}

}  // namespace

void add_number(TextBuilder& out, const Value& number, const FormatSpec& spec) {
  const bool negative =
      number.is_integral() ? number.integer() < 0 : std::signbit(number.floating());
  std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  std::string body;
  std::size_t group = 3;
  switch (spec.type) {
    case 'b':
    case 'o':
    case 'x':
    case 'X': {
      if (!number.is_integral())
        raise("format code '{}' needs an integer, found a {}", spec.type, type_name(number));
      const int base = spec.type == 'b' ? 2 : spec.type == 'o' ? 8 : 16;
      body = int_text(number.integer(), base);
      if (negative) body.erase(0, 1);
      if (spec.type == 'X') std::transform(body.begin(), body.end(), body.begin(), ::toupper);
      if (spec.alternate) sign += std::string("0") + spec.type;
      group = 4;
      break;
    }
    case 'c': {
      if (!number.is_integral() || number.integer() < 0 || number.integer() > 0x10FFFF ||
          (number.integer() >= 0xD800 && number.integer() < 0xE000))
        raise("format code 'c' needs a character's number");
      utf8_append(body, static_cast<char32_t>(number.integer()));
      return pad(out, "", body, spec, '<');
    }
    case 0:
    case 'd':
    case 'n':
      if (number.is_integral()) {
        body = int_text(number.integer());
        if (negative) body.erase(0, 1);
        break;
      }
      if (spec.type == 'd') raise("format code 'd' needs an integer, found a float");
      [[fallthrough]];
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
    case '%':
      body = float_digits(std::fabs(number.floating()), spec);
      break;
    default:
      raise("unknown format code '{}' for a number", spec.type);
  }
  if (spec.grouping) body = grouped(std::move(body), spec.grouping, group);
  pad(out, sign, body, spec, '>');
}

void add_text(TextBuilder& out, std::string_view text, const FormatSpec& spec) {
  if (spec.type != 0 && spec.type != 's') raise("unknown format code '{}' for a string", spec.type);
  if (spec.align == '=') raise("'=' alignment is for numbers");
  out.heap().work(text.size());
  if (spec.precision >= 0)
    text = text.substr(0, utf8_offset(text, static_cast<std::size_t>(spec.precision)));
  pad(out, "", text, spec, '<');
}

}  // namespace millrace::jinja

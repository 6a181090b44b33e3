#include "text/jinja/string_literal.h"

#include <charconv>
#include <cstdint>

#include "text/jinja/unicode.h"

namespace millrace::jinja {
namespace {

// The number in exactly `digits` hexadecimal digits at `from`.
std::optional<std::uint32_t> hex_at(std::string_view source, std::size_t from, std::size_t digits) {
  if (source.size() - from < digits) return std::nullopt;
  std::uint32_t code = 0;
  const char* const end = source.data() + from + digits;
  const auto [stop, error] = std::from_chars(source.data() + from, end, code, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  return code;
}

char simple_escape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return '\0';
  }
}

}  // namespace

std::optional<std::string> unescaped(std::string_view source, std::string& error) {
  std::string text;
  text.reserve(source.size());
  for (std::size_t at = 0; at < source.size();) {
    if (source[at] != '\\' || at + 1 == source.size()) {
      text.push_back(source[at++]);
      continue;
    }
    const char c = source[at + 1];
    at += 2;
    if (const char plain = simple_escape(c)) {
      text.push_back(plain);
    } else if (c == '\n') {
      continue;  // the string goes on in the next line
    } else if (c >= '0' && c <= '7') {
      char32_t code = static_cast<char32_t>(c - '0');
      for (int i = 0; i < 2 && at < source.size() && source[at] >= '0' && source[at] <= '7'; ++i)
        code = code * 8 + static_cast<char32_t>(source[at++] - '0');
      utf8_append(text, code);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      const auto code = hex_at(source, at, digits);
      if (!code || *code > 0x10FFFF || (*code >= 0xD800 && *code < 0xE000)) {
        error = std::string("a string has a malformed \\") + c + " escape";
        return std::nullopt;
      }
      utf8_append(text, *code);
      at += digits;
    } else if (c == 'N') {
      error = "a string has a \\N escape: character names are not supported";
      return std::nullopt;
    } else {
      text.push_back('\\');  // Python keeps what it does not know
      text.push_back(c);
    }
  }
  return text;
}

}  // namespace millrace::jinja

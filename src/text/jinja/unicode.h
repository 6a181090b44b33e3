// UTF-8 texts with the meaning of Python's str: indices count code points, and classes and cases
// are Python's. Every text given must be valid UTF-8 unless said otherwise.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace millrace::jinja {

class Heap;

// For texts of unknown origin; surrogates are not valid.
bool is_utf8(std::string_view text);

// In code points.
std::size_t utf8_length(std::string_view text);

// The code point that starts at byte `at`, which moves behind it.
char32_t utf8_next(std::string_view text, std::size_t& at);

// Byte offset of the code point `index`, at most text.size().
std::size_t utf8_offset(std::string_view text, std::size_t index);

// Byte offset where the code point in front of byte `at` starts.
std::size_t utf8_before(std::string_view text, std::size_t at);

void utf8_append(std::string& text, char32_t code);

bool is_space(char32_t code);
bool is_alpha(char32_t code);
bool is_decimal(char32_t code);
bool is_digit(char32_t code);
bool is_numeric(char32_t code);
bool is_upper(char32_t code);
bool is_lower(char32_t code);
bool is_title(char32_t code);
bool is_printable(char32_t code);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_title(std::string_view text);        // str.title()
std::string to_capitalized(std::string_view text);  // str.capitalize()
std::string swap_case(std::string_view text);

// str.strip(): of white space, or of any of the code points in `chars`.
enum class Side { Both, Left, Right };
std::string_view strip(std::string_view text, Side side = Side::Both);
std::string_view strip(std::string_view text, std::string_view chars, Side side = Side::Both);

// Where the line that starts at `from` ends, and where the next one starts: str.splitlines().
struct LineEnd {
  std::size_t end, next;
};
LineEnd next_line(std::string_view text, std::size_t from);

}  // namespace millrace::jinja

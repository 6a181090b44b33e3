// UTF-8 as the tokenizer needs it: checking, and replacing what is not valid.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::utf8 {

// U+FFFD in UTF-8.
inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// What stands at the beginning of a text.
struct Step {
  enum class Kind : std::uint8_t {
    Character,   // `length` bytes are one character
    Invalid,     // `length` bytes (at least one) are a maximal invalid part: one U+FFFD
    Incomplete,  // all `length` bytes that are left begin a character which more bytes may finish
  };
  Kind kind;
  std::uint8_t length;
  char32_t code_point;  // of a Character
};

// `text` must not be empty. Surrogates, overlong forms and values over U+10FFFF are invalid; where
// an invalid part ends is the rule of WHATWG, of Python and of Rust's from_utf8_lossy.
Step next(std::string_view text);

// Bytes at the beginning of `text` that are valid UTF-8.
std::size_t valid_prefix(std::string_view text);

// Appends `text` with each maximal invalid part, and an unfinished character at the end, replaced
// by U+FFFD.
void append_lossy(std::string_view text, std::string& out);

// The same for text that comes in pieces: append() keeps an unfinished character back until its
// next byte is known.
class LossyStream {
 public:
  void append(std::string_view bytes, std::string& out);
  // What was held back: one U+FFFD, or nothing. The stream can be used again.
  void finish(std::string& out);

 private:
  std::string held_;  // at most 3 bytes between calls
};

// The character at `at` of a text known to be valid, and its length in bytes.
inline char32_t code_point_at(std::string_view valid, std::size_t at, std::size_t& length) {
  const auto byte = [&](std::size_t i) {
    return char32_t{static_cast<unsigned char>(valid[at + i])};
  };
  const char32_t first = byte(0);
  if (first < 0x80) {
    length = 1;
    return first;
  }
  if (first < 0xE0) {
    length = 2;
    return (first & 0x1F) << 6 | (byte(1) & 0x3F);
  }
  if (first < 0xF0) {
    length = 3;
    return (first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  }
  length = 4;
  return (first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
}

// Appends one character (a valid scalar value).
void append_code_point(char32_t code_point, std::string& out);

}  // namespace millrace::utf8

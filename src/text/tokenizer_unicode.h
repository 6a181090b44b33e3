// Classes of characters, by the edition of Unicode that the `tokenizers` library uses, whatever
// the edition of the system's regex library.
#pragma once

#include <cstdint>

namespace millrace::unicode {

enum class CharClass : std::uint8_t { Other, Letter, Number, Space };  // \p{L}, \p{N}, White_Space

struct ClassRange {
  std::uint32_t first, last;
  std::uint8_t bits;  // a CharClass, plus kWordBit
};
inline constexpr std::uint8_t kWordBit = 4;

// The generated table: ascending, gaps are Other and not of a word.
extern const ClassRange kClassRanges[];
extern const int kClassRangeCount;

std::uint8_t class_bits(char32_t code_point);

inline CharClass char_class(char32_t code_point) {
  return static_cast<CharClass>(class_bits(code_point) & 3);
}
// \w of the added tokens' single_word: Alphabetic, marks, decimal digits, connectors, joiners.
inline bool is_word(char32_t code_point) {
  return class_bits(code_point) & kWordBit;
}

}  // namespace millrace::unicode

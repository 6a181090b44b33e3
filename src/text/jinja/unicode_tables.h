// Python's view of the characters of Unicode, as tables sorted by code point.
#pragma once

#include <cstdint>
#include <span>

namespace millrace::jinja {

struct CodeRange {
  char32_t first, last;  // inclusive
};

// code, code + stride, ... last each become themselves + delta.
struct CaseRun {
  char32_t first, last;
  std::int32_t stride, delta;
};

// A character whose other case has more than one character.
struct CaseSpecial {
  char32_t code;
  const char* text;
};

struct CaseTable {
  std::span<const CaseRun> runs;
  std::span<const CaseSpecial> specials;
};

std::span<const CodeRange> alpha_ranges();
std::span<const CodeRange> decimal_ranges();
std::span<const CodeRange> digit_ranges();
std::span<const CodeRange> numeric_ranges();
std::span<const CodeRange> upper_ranges();
std::span<const CodeRange> lower_ranges();
std::span<const CodeRange> title_ranges();
std::span<const CodeRange> unprintable_ranges();
CaseTable to_upper_table();
CaseTable to_lower_table();
CaseTable to_title_table();

}  // namespace millrace::jinja

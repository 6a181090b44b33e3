#include "text/tokenizer_unicode.h"

#include <algorithm>
#include <array>
#include <span>

namespace millrace::unicode {
namespace {

// The basic plane as an array, for speed; what lies above is rare and looked up in the ranges.
using BasicPlane = std::array<std::uint8_t, 0x10000>;

const BasicPlane& basic_plane() {
  static const BasicPlane plane = [] {
    BasicPlane built{};
    for (const ClassRange& range : std::span(kClassRanges, kClassRangeCount))
      for (std::uint32_t c = range.first; c <= range.last && c < built.size(); ++c)
        built[c] = range.bits;
    return built;
  }();
  return plane;
}

}  // namespace

std::uint8_t class_bits(char32_t code_point) {
  if (code_point < 0x10000) return basic_plane()[code_point];
  const ClassRange* end = kClassRanges + kClassRangeCount;
  const ClassRange* range = std::partition_point(
      kClassRanges, end, [&](const ClassRange& r) { return r.last < code_point; });
  return range != end && range->first <= code_point ? range->bits : 0;
}

}  // namespace millrace::unicode

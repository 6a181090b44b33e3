// The block layouts of GGUF's quantised formats, little-endian as in the file. Packed by nature:
// every member is 1- or 2-byte aligned.
#pragma once

#include <cstdint>

#include "tensor/half.h"

namespace millrace {

struct BlockQ8_0 {  // w[i] = d * q[i]
  F16 d;
  std::int8_t q[32];
};
struct BlockQ4_0 {  // w[i] = d * (nibble - 8); low nibbles are elements 0..15, high ones 16..31
  F16 d;
  std::uint8_t q[16];
};
struct BlockQ4_1 {  // w[i] = d * nibble + m
  F16 d;
  F16 m;
  std::uint8_t q[16];
};
struct BlockQ5_0 {  // w[i] = d * (5 bits - 16); bit i of `high` is the fifth bit of element i
  F16 d;
  std::uint8_t high[4];
  std::uint8_t q[16];
};
struct BlockQ5_1 {  // w[i] = d * 5 bits + m
  F16 d;
  F16 m;
  std::uint8_t high[4];
  std::uint8_t q[16];
};
struct BlockQ4_K {  // eight groups of 32: w = d*scale_g * nibble - dmin*min_g
  F16 d;
  F16 dmin;
  std::uint8_t scales[12];  // 6-bit scales and mins, see k_scale_min()
  std::uint8_t q[128];      // 32 bytes for groups 2j (low nibbles) and 2j+1 (high)
};
struct BlockQ5_K {  // as Q4_K with a fifth bit: bit g of high[i] for element i of group g
  F16 d;
  F16 dmin;
  std::uint8_t scales[12];
  std::uint8_t high[32];
  std::uint8_t q[128];
};
struct BlockQ6_K {        // sixteen groups of 16: w = d*scale_g * (6 bits - 32)
  std::uint8_t low[128];  // low 4 bits
  std::uint8_t high[64];  // high 2 bits
  std::int8_t scales[16];
  F16 d;
};

static_assert(sizeof(BlockQ8_0) == 34 && sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20);
static_assert(sizeof(BlockQ5_0) == 22 && sizeof(BlockQ5_1) == 24 && sizeof(BlockQ4_K) == 144);
static_assert(sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210);

// Scale and min of group g (0..7) of a Q4_K or Q5_K block: the first four groups lie in the low
// six bits of bytes g and g+4; of the others, four bits in byte g+4 and two in the top of g-4 and
// g.
struct KScaleMin {
  std::uint8_t scale;
  std::uint8_t min;
};
inline KScaleMin k_scale_min(const std::uint8_t* scales, int group) {
  if (group < 4)
    return {static_cast<std::uint8_t>(scales[group] & 63),
            static_cast<std::uint8_t>(scales[group + 4] & 63)};
  return {static_cast<std::uint8_t>((scales[group + 4] & 15) | ((scales[group - 4] >> 6) << 4)),
          static_cast<std::uint8_t>((scales[group + 4] >> 4) | ((scales[group] >> 6) << 4))};
}

}  // namespace millrace

#include "checkpoint/quantise.h"

#include <cmath>
#include <cstring>

#include "base/check.h"
#include "checkpoint/quantise_k.h"
#include "tensor/quant_blocks.h"

namespace millrace {
namespace {

// The integer part of x in [low, high]; a NaN gives low, where a cast alone would be undefined.
int level(float x, int low, int high) {
  if (!(x > static_cast<float>(low))) return low;
  if (x > static_cast<float>(high)) return high;
  return static_cast<int>(x);
}

float inverse(float d) {
  return d != 0.0f ? 1.0f / d : 0.0f;
}

// The value of the largest magnitude, the first of several, with its sign.
float extreme(const float* x) {
  float found = 0.0f;
  for (int i = 0; i < 32; ++i)
    if (std::fabs(x[i]) > std::fabs(found)) found = x[i];
  return found;
}

struct Range {
  float low;
  float high;
};
Range range_of(const float* x) {
  Range range = {x[0], x[0]};
  for (int i = 1; i < 32; ++i) {  // of zeros of both signs the first counts
    if (x[i] < range.low) range.low = x[i];
    if (x[i] > range.high) range.high = x[i];
  }
  return range;
}

// Nibbles of elements i and i+16 share a byte; bit i of `high` is the fifth bit of element i.
void pack(const int (&q)[32], std::uint8_t* nibbles) {
  for (int i = 0; i < 16; ++i)
    nibbles[i] = static_cast<std::uint8_t>((q[i] & 15) | ((q[i + 16] & 15) << 4));
}
void pack_fifth(const int (&q)[32], std::uint8_t* high) {
  for (int byte = 0; byte < 4; ++byte) {
    int bits = 0;
    for (int bit = 0; bit < 8; ++bit) bits |= ((q[byte * 8 + bit] >> 4) & 1) << bit;
    high[byte] = static_cast<std::uint8_t>(bits);
  }
}

void encode(const float* x, BlockQ8_0& block) {
  const float d = std::fabs(extreme(x)) / 127.0f;
  const float id = inverse(d);
  block.d = to_f16(d);
  for (int i = 0; i < 32; ++i) {
    const float rounded = std::round(x[i] * id);  // halves away from zero
    block.q[i] = static_cast<std::int8_t>(level(rounded, -127, 127));
  }
}

// The extreme value becomes the lowest level exactly, so the scale carries its sign.
template <typename Block>
void encode_signed(const float* x, int half_levels, Block& block, int (&q)[32]) {
  const float d = extreme(x) / static_cast<float>(-half_levels);
  const float id = inverse(d);
  block.d = to_f16(d);
  for (int i = 0; i < 32; ++i)
    q[i] = level(x[i] * id + (static_cast<float>(half_levels) + 0.5f), 0, half_levels * 2 - 1);
}

template <typename Block>
void encode_range(const float* x, int top, Block& block, int (&q)[32]) {
  const Range range = range_of(x);
  const float d = (range.high - range.low) / static_cast<float>(top);
  const float id = inverse(d);
  block.d = to_f16(d);
  block.m = to_f16(range.low);
  for (int i = 0; i < 32; ++i) q[i] = level((x[i] - range.low) * id + 0.5f, 0, top);
}

void encode(const float* x, BlockQ4_0& block) {
  int q[32];
  encode_signed(x, 8, block, q);
  pack(q, block.q);
}
void encode(const float* x, BlockQ4_1& block) {
  int q[32];
  encode_range(x, 15, block, q);
  pack(q, block.q);
}
void encode(const float* x, BlockQ5_0& block) {
  int q[32];
  encode_signed(x, 16, block, q);
  pack(q, block.q);
  pack_fifth(q, block.high);
}
void encode(const float* x, BlockQ5_1& block) {
  int q[32];
  encode_range(x, 31, block, q);
  pack(q, block.q);
  pack_fifth(q, block.high);
}

template <typename Stored>
void put(void* out, std::int64_t index, const Stored& value) {
  std::memcpy(static_cast<char*>(out) + index * std::int64_t{sizeof(Stored)}, &value,
              sizeof(Stored));
}

template <typename Block>
void encode_blocks(const float* values, std::int64_t count, void* out) {
  for (std::int64_t i = 0; i < count / 32; ++i) {
    Block block;
    encode(values + i * 32, block);
    put(out, i, block);
  }
}
template <typename Block>
void encode_k_blocks(const float* values, std::int64_t count, void* out) {
  for (std::int64_t i = 0; i < count / 256; ++i) {
    Block block;
    encode_k_block(values + i * 256, block);
    put(out, i, block);
  }
}

}  // namespace

bool can_quantise(DType dtype) {
  return dtype != DType::I32 && dtype != DType::F8_E4M3;
}

void quantise_row(DType dtype, const float* values, std::int64_t count, void* out) {
  check(can_quantise(dtype), "quantise_row does not know the format");
  check(count % layout_of(dtype).block_size == 0, "an element count must be whole blocks");
  switch (dtype) {
    case DType::F32:
      std::memcpy(out, values, static_cast<std::size_t>(count) * sizeof(float));
      return;
    case DType::F16:
      for (std::int64_t i = 0; i < count; ++i) put(out, i, to_f16(values[i]));
      return;
    case DType::BF16:
      for (std::int64_t i = 0; i < count; ++i) put(out, i, to_bf16(values[i]));
      return;
    case DType::Q8_0:
      return encode_blocks<BlockQ8_0>(values, count, out);
    case DType::Q4_0:
      return encode_blocks<BlockQ4_0>(values, count, out);
    case DType::Q4_1:
      return encode_blocks<BlockQ4_1>(values, count, out);
    case DType::Q5_0:
      return encode_blocks<BlockQ5_0>(values, count, out);
    case DType::Q5_1:
      return encode_blocks<BlockQ5_1>(values, count, out);
    case DType::Q4_K:
      return encode_k_blocks<BlockQ4_K>(values, count, out);
    case DType::Q5_K:
      return encode_k_blocks<BlockQ5_K>(values, count, out);
    case DType::Q6_K:
      return encode_k_blocks<BlockQ6_K>(values, count, out);
    case DType::F8_E4M3:
    case DType::I32:
      return;
  }
}

}  // namespace millrace

#include "tensor/decode_row.h"

#include <cstring>

#include "base/check.h"
#include "tensor/fp8.h"
#include "tensor/quant_blocks.h"

namespace millrace {
namespace {

template <typename T>
T load(const void* data, std::int64_t index) {
  T value;  // rows of mapped files need not be aligned
  std::memcpy(&value, static_cast<const char*>(data) + index * std::int64_t{sizeof(T)}, sizeof(T));
  return value;
}

void decode(const BlockQ8_0& block, float* out) {
  const float d = to_float(block.d);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(block.q[i]) * d;
}

void decode(const BlockQ4_0& block, float* out) {
  const float d = to_float(block.d);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>((block.q[i] & 15) - 8) * d;
    out[i + 16] = static_cast<float>((block.q[i] >> 4) - 8) * d;
  }
}

void decode(const BlockQ4_1& block, float* out) {
  const float d = to_float(block.d);
  const float m = to_float(block.m);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>(block.q[i] & 15) * d + m;
    out[i + 16] = static_cast<float>(block.q[i] >> 4) * d + m;
  }
}

// The fifth bit of element i, in place.
int fifth_bit(const std::uint8_t* high, int i) {
  return ((high[i / 8] >> (i % 8)) & 1) << 4;
}

void decode(const BlockQ5_0& block, float* out) {
  const float d = to_float(block.d);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>(((block.q[i] & 15) | fifth_bit(block.high, i)) - 16) * d;
    out[i + 16] = static_cast<float>(((block.q[i] >> 4) | fifth_bit(block.high, i + 16)) - 16) * d;
  }
}

void decode(const BlockQ5_1& block, float* out) {
  const float d = to_float(block.d);
  const float m = to_float(block.m);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>((block.q[i] & 15) | fifth_bit(block.high, i)) * d + m;
    out[i + 16] = static_cast<float>((block.q[i] >> 4) | fifth_bit(block.high, i + 16)) * d + m;
  }
}

void decode(const BlockQ4_K& block, float* out) {
  const float d = to_float(block.d);
  const float dmin = to_float(block.dmin);
  for (int group = 0; group < 8; ++group) {
    const KScaleMin s = k_scale_min(block.scales, group);
    const float scale = d * static_cast<float>(s.scale);
    const float min = dmin * static_cast<float>(s.min);
    const std::uint8_t* q = block.q + group / 2 * 32;
    for (int i = 0; i < 32; ++i)
      out[group * 32 + i] = scale * static_cast<float>((q[i] >> (group % 2 * 4)) & 15) - min;
  }
}

void decode(const BlockQ5_K& block, float* out) {
  const float d = to_float(block.d);
  const float dmin = to_float(block.dmin);
  for (int group = 0; group < 8; ++group) {
    const KScaleMin s = k_scale_min(block.scales, group);
    const float scale = d * static_cast<float>(s.scale);
    const float min = dmin * static_cast<float>(s.min);
    const std::uint8_t* q = block.q + group / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int high = ((block.high[i] >> group) & 1) << 4;
      out[group * 32 + i] =
          scale * static_cast<float>(((q[i] >> (group % 2 * 4)) & 15) | high) - min;
    }
  }
}

void decode(const BlockQ6_K& block, float* out) {
  const float d = to_float(block.d);
  for (int i = 0; i < 256; ++i) {
    // Halves of 128; in a half, quarter p of 32 takes nibble p/2 of low byte 32*(p%2)+i and bits
    // 2p of high byte i.
    const int half = i / 128;
    const int quarter = i / 32 % 4;
    const int lane = i % 32;
    const int low = (block.low[half * 64 + quarter % 2 * 32 + lane] >> (quarter / 2 * 4)) & 15;
    const int high = (block.high[half * 32 + lane] >> (quarter * 2)) & 3;
    const int group = i / 16;
    const float scale = d * static_cast<float>(block.scales[group]);
    out[i] = scale * static_cast<float>((low | (high << 4)) - 32);
  }
}

template <typename Block>
void decode_blocks(const void* row, std::int64_t count, std::int64_t block_size, float* out) {
  for (std::int64_t i = 0; i < count / block_size; ++i)
    decode(load<Block>(row, i), out + i * block_size);
}

}  // namespace

void decode_row(DType dtype, const void* row, std::int64_t count, float* out) {
  const std::int64_t block_size = layout_of(dtype).block_size;
  check(count % block_size == 0, "an element count must be whole blocks");
  switch (dtype) {
    case DType::F32:
      std::memcpy(out, row, static_cast<std::size_t>(count) * sizeof(float));
      return;
    case DType::F16:
      for (std::int64_t i = 0; i < count; ++i) out[i] = to_float(load<F16>(row, i));
      return;
    case DType::BF16:
      for (std::int64_t i = 0; i < count; ++i) out[i] = to_float(load<BF16>(row, i));
      return;
    case DType::F8_E4M3:
      for (std::int64_t i = 0; i < count; ++i)
        out[i] = fp8_to_float(load<F8E4M3>(row, i).bits, Fp8::Ocp);
      return;
    case DType::Q8_0:
      return decode_blocks<BlockQ8_0>(row, count, block_size, out);
    case DType::Q4_0:
      return decode_blocks<BlockQ4_0>(row, count, block_size, out);
    case DType::Q4_1:
      return decode_blocks<BlockQ4_1>(row, count, block_size, out);
    case DType::Q5_0:
      return decode_blocks<BlockQ5_0>(row, count, block_size, out);
    case DType::Q5_1:
      return decode_blocks<BlockQ5_1>(row, count, block_size, out);
    case DType::Q4_K:
      return decode_blocks<BlockQ4_K>(row, count, block_size, out);
    case DType::Q5_K:
      return decode_blocks<BlockQ5_K>(row, count, block_size, out);
    case DType::Q6_K:
      return decode_blocks<BlockQ6_K>(row, count, block_size, out);
    case DType::I32:
      break;
  }
  check(false, "integers are not widened");
}

}  // namespace millrace

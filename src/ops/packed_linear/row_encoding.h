// Activations as packed products read them: rounded, once a product, before the weights are
// streamed past them. Plain data, shared by sources for different instruction sets.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"
#include "tensor/half.h"

namespace millrace {

// 64 elements for products with quantised weights. Each half (32 elements) has its own scale:
// x[i] = d * q[i], d = largest |x| / 127, q rounded to nearest. Where an element is not finite d
// is NaN, so that it shows in every result.
struct alignas(32) EncodedInts {
  std::int8_t q[64];
  float d[2];
  float sum_x[2];       // d * sum of q: what a weight's minimum is multiplied with
  std::int32_t sum[4];  // of q, 16 elements each: takes unsigned weights' offset back out
};
static_assert(sizeof(EncodedInts) == 96);

// The same for BF16 weights: rounded to nearest even.
struct EncodedHalves {
  BF16 x[64];
};

// And as they are, also for BF16 weights.
struct EncodedFloats {
  float x[64];
};

constexpr std::int64_t kEncodedLength = 64;

constexpr std::int64_t encoded_blocks(std::int64_t k) {
  // K-quants' panels are 256 long.
  return (k + 255) / 256 * 4;
}
// Of one row.
template <typename Encoded>
constexpr std::int64_t encoded_bytes(std::int64_t k) {
  return encoded_blocks(k) * static_cast<std::int64_t>(sizeof(Encoded));
}

}  // namespace millrace

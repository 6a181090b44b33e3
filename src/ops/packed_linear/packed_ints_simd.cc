// Products of quantised weights with rows of small integers.
#include "ops/packed_linear/packed_ints.h"

namespace millrace::MILLRACE_ISA {
namespace {

// 32 elements.
MILLRACE_INLINE void encode_half(const float* in, EncodedInts& to, int half) {
  constexpr int kParts = kSubBlock / kLanes;
  Floats x[kParts];
  for (int i = 0; i < kParts; ++i) x[i] = load(in + i * kLanes);
  Floats sizes = {};
  Floats nans = {};  // zeros, unless an element is not finite
  for (int i = 0; i < kParts; ++i) {
    sizes = maximum(as_floats(as_words(x[i]) & 0x7fffffffu), sizes);
    nans += x[i] * 0.0f;
  }
  const float largest = greatest(sizes);
  const float nan = sum(nans);
  // Below, 127 / largest would overflow; such a row counts as zero.
  const bool counts = largest > 1e-30f;
  const float inverse = counts ? 127.0f / largest : 0.0f;
  const float d = (counts ? largest / 127.0f : 0.0f) + nan;
  Floats sums[2] = {};  // of 16 elements each, exact
  for (int i = 0; i < kParts; ++i) {
    // Adding 1.5 * 2^23 rounds to nearest even and leaves the integer in the low bits.
    const Floats shifted = (nan == nan ? x[i] : Floats{}) * inverse + 12582912.0f;
    const Ints q = __builtin_bit_cast(Ints, shifted) - 0x4b400000;
    const SignedBytes bytes = __builtin_convertvector(q, SignedBytes);
    __builtin_memcpy(to.q + 32 * half + i * kLanes, &bytes, sizeof(bytes));
    sums[i * kLanes / 16] += as_float(q);
  }
  const float first = sum(sums[0]);
  const float second = sum(sums[1]);
  to.d[half] = d;
  to.sum[2 * half] = static_cast<std::int32_t>(first);
  to.sum[2 * half + 1] = static_cast<std::int32_t>(second);
  to.sum_x[half] = d * (first + second);
}

}  // namespace

void encode_ints(const float* in, std::int64_t k, void* to) {
  auto* blocks = static_cast<EncodedInts*>(to);
  for (std::int64_t i = 0; i < encoded_blocks(k); ++i)
    for (int half = 0; half < 2; ++half) {
      const std::int64_t at = i * kEncodedLength + half * kSubBlock;
      if (at + kSubBlock <= k) {
        encode_half(in + at, blocks[i], half);
        continue;
      }
      float last[kSubBlock] = {};
      for (std::int64_t j = at; j < k; ++j) last[j - at] = in[j];
      encode_half(last, blocks[i], half);
    }
}

void packed_ints(const PackedBlock& b) {
  with_quantised(b.weight.dtype, [&]<DType kType>() { walk<IntTile<kType>>(b); });
}

}  // namespace millrace::MILLRACE_ISA

// The control: does all that is asked of a matrix kernel that streams and narrows.
// target: gfx942
// declared: matrix,stream,narrow 4 4096
#include "common.h"

__global__ void __launch_bounds__(256) offender(const Words4* in, std::uint16_t* out) {
  const Words4 words = in[threadIdx.x];
  struct Pair {
    Shorts4 low, high;
  };
  const Pair pair = __builtin_bit_cast(Pair, words);
  Floats4 sums = {};
  sums = __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(pair.low, pair.high, sums, 0, 0, 0);
  const std::uint32_t bits = __float_as_uint(sums[0]);
  out[threadIdx.x] = static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

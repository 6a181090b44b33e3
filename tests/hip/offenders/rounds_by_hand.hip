// Rounds to BF16 by adding, where gfx950 has an instruction for two values.
// target: gfx950
// declared: narrow 8 0
// found: rounds to BF16 by hand, expected v_cvt_pk_bf16_f32
// found: has no conversion to BF16
#include "common.h"

__global__ void __launch_bounds__(256) offender(const float* in, std::uint16_t* out) {
  const std::uint32_t bits = __float_as_uint(in[threadIdx.x]);
  out[threadIdx.x] = static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

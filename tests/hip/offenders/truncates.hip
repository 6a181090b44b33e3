// Drops the low half instead of rounding.
// target: gfx942
// declared: narrow 8 0
// found: has no conversion to BF16
#include "common.h"

__global__ void __launch_bounds__(256) offender(const float* in, std::uint16_t* out) {
  out[threadIdx.x] = static_cast<std::uint16_t>(__float_as_uint(in[threadIdx.x]) >> 16);
}

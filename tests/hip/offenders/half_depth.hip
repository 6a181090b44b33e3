// gfx942's matrix instruction, which gfx950 still has beside one that does twice as much.
// target: gfx950
// declared: matrix 4 0
// found: has 1 matrix instructions of half the depth that gfx950 offers
#include "common.h"

__global__ void __launch_bounds__(256) offender(const Shorts4* a, const Shorts4* b, Floats4* out) {
  const Floats4 zero = {};
  out[threadIdx.x] =
      __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(a[threadIdx.x], b[threadIdx.x], zero, 0, 0, 0);
}

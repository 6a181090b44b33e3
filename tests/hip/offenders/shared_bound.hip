// Few registers, but LDS for a single block of four waves: one wave a SIMD.
// target: gfx942
// declared: - 2 40000
// found: lets 1 waves on a SIMD, declared are 2
#include "common.h"

__global__ void __launch_bounds__(256) offender(float* out) {
  extern __shared__ float shared[];
  shared[threadIdx.x] = out[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = shared[255 - threadIdx.x];
}

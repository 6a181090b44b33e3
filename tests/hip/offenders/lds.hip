// 96 KiB fit a workgroup on gfx950, not on gfx942.
// target: gfx942
// declared: - 0 98304
// found: takes 98304 bytes of LDS, expected at most 65536
#include "common.h"

__global__ void __launch_bounds__(256) offender(float* out) {
  extern __shared__ float shared[];
  shared[threadIdx.x] = out[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = shared[255 - threadIdx.x];
}

// Holds so much that three waves fit a SIMD where eight are declared.
// target: gfx942
// declared: - 8 0
// found: lets [123] waves on a SIMD, declared are 8
#include "common.h"

__global__ void __launch_bounds__(256) offender(const float* in, float* out) {
  float values[128];
#pragma unroll
  for (int i = 0; i < 128; ++i) values[i] = in[i * 256 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 128; ++i) out[i * 256 + threadIdx.x] = values[i] * values[127 - i];
}

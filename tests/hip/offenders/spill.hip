// More live values than the registers that eight waves leave each: the rest goes to memory.
// target: gfx942
// declared: - 8 0
// found: spills [1-9]\d* vector
// found: takes [1-9]\d* bytes of scratch memory
#include "common.h"

__global__ void __launch_bounds__(1024, 8) offender(const float* in, float* out) {
  float values[96];
#pragma unroll
  for (int i = 0; i < 96; ++i) values[i] = in[i * 1024 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 96; ++i) out[i * 1024 + threadIdx.x] = values[i] * values[95 - i];
}

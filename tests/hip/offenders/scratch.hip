// An array that is indexed by what only memory knows cannot be in registers.
// target: gfx950
// declared: - 8 0
// found: takes [1-9]\d* bytes of scratch memory
#include "common.h"

__global__ void __launch_bounds__(256) offender(const int* at, float* out) {
  float values[64];
  for (int i = 0; i < 64; ++i) values[at[i] & 63] = static_cast<float>(i);
  for (int i = 0; i < 64; ++i) out[64 * threadIdx.x + i] = values[at[i + threadIdx.x] & 63];
}
